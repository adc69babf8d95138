"""The table that leaves the future out of attention's scores."""

import pytest

torch = pytest.importorskip("torch")

from workloads.models import future_torch  # noqa: E402


@pytest.mark.parametrize("rows", [slice(0, 3), slice(3, 5)], ids=["first", "last"])
def test_a_key_later_than_a_query_is_left_out(rows: slice) -> None:
    table, transposed = (
        future_torch.future(rows, 2, torch.float64, torch.device("cpu"), turned=turned) for turned in (False, True)
    )
    for row, query in enumerate([*range(5)[rows], *range(5)[rows]]):
        assert table[row].tolist() == [0.0 if key <= query else -torch.inf for key in range(rows.stop)]
    assert torch.equal(transposed, table.T)


@pytest.mark.parametrize("turned", [False, True])
def test_what_torch_compile_is_told_of_it_holds(turned: bool) -> None:
    torch.library.opcheck(future_torch._table, (2, 3, 5, turned, torch.float32, "cpu"))


def test_no_argument_is_a_device_which_torch_compile_cannot_hand_over_in_cpp() -> None:
    assert "DeviceObjType" not in {argument.real_type.kind() for argument in future_torch._table._schema.arguments}
