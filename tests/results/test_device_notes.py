"""What a report says of how a case's runs multiplied."""

from builders import make_record

from results.device_notes import device_notes
from results.record import RunRecord

MIXED = {"case__precision": "bf16-mixed"}


def ran(dtype: str, kernel: str, **other: object) -> RunRecord:
    record = make_record(**other)
    record.measurement.session.update(operand_dtype=dtype, product_kernel=kernel)
    return record


def test_a_report_says_that_runs_multiplied_in_a_wider_type() -> None:
    wide, narrow = (ran(dtype, "matmul", **MIXED) for dtype in ("float32", "bfloat16"))
    assert list(device_notes([wide])) == [
        "note: matrices were multiplied in float32, which keeps more than bf16-mixed asks for"
    ]
    assert not list(device_notes([narrow]))
    assert not list(device_notes([ran("float32", "matmul", case__precision="fp32")]))


def test_a_report_says_that_the_runs_chose_differently() -> None:
    both = [ran("float32", "convolution"), ran("float32", "matmul"), ran("float32", "matmul")]
    note = "note: the runs multiplied matrices in different kernels, as each chose: convolution, matmul"
    assert list(device_notes(both)) == [note]
    assert not list(device_notes(both[1:]))
    assert (
        "in different types, as each chose: bfloat16, float32"
        in list(device_notes([ran("float32", "matmul", **MIXED), ran("bfloat16", "matmul", **MIXED)])).pop()
    )
    assert not list(device_notes([make_record(measurement=None, status="failed", reason="crash")]))
