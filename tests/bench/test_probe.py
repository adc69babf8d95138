"""What a device reaches alone: hot, beyond its caches, at its best size; remembered for a boot, held against runs."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from made_up_cases import case, sections

from backends.recipe import Recipe, resolve
from backends.registry import availability
from bench import achievable, rate_worker
from bench.achievable import ProbeFailed, probe, probe_missing, remembered
from bench.environment import read_environment
from bench.plan import Case
from bench.probing import print_probes, told
from bench.rate_worker import CPU, Effort
from results.record import Achievable, Environment, RunRecord
from results.render import as_json, markdown
from workloads.catalog import find_workload

FOUND = Achievable(
    dtype="float32",
    product_flops_per_second=2e12,
    product_size=2048,
    copy_bytes_per_second=40e9,
    device_name="a device",
    measured_at="2026-11-23T10:00:00.000+00:00",
)


@dataclass
class Device:
    """Made up: it multiplies at a rate that depends on size and heat, and time passes when somebody waits."""

    flops: Callable[[int, float], float]
    device_name: str = "made up"
    now: float = 0.0
    queued: float = 0.0
    prepared: dict[int, int] = field(default_factory=dict)

    def product(self, size: int, variants: int) -> Callable[[], None]:
        self.prepared[size] = variants
        return lambda: self._enqueue(2 * size**3 / self.flops(size, self.now + self.queued))

    def copy(self, size_bytes: int, variants: int) -> Callable[[], None]:
        self.prepared[0] = variants * size_bytes
        return lambda: self._enqueue(2 * size_bytes / 50e9)

    def _enqueue(self, seconds: float) -> None:
        self.queued += seconds

    def finish(self) -> None:
        self.now, self.queued = self.now + self.queued, 0.0

    def close(self) -> None:
        pass


def probed(flops: Callable[[int, float], float], monkeypatch: pytest.MonkeyPatch) -> tuple[Device, dict]:
    device = Device(flops)
    monkeypatch.setattr(rate_worker.time, "perf_counter", lambda: device.now)
    effort = Effort(sizes=(1024, 2048), heat_seconds=5.0, beyond_cache_bytes=2**28)
    return device, rate_worker.probe(device, effort, 4)


def test_the_fastest_size_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = probed(lambda size, now: 1e12 if size == 1024 else 3e12, monkeypatch)
    assert found["product_flops_per_second"] == pytest.approx(3e12)
    assert (found["product_size"], found["device_name"]) == (2048, "made up")
    assert found["copy_bytes_per_second"] == pytest.approx(50e9)


def test_a_cold_devices_rate_is_not_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = probed(lambda size, now: 9e12 if now < 4 else 3e12, monkeypatch)
    assert found["product_flops_per_second"] == pytest.approx(3e12)


def test_operands_are_more_than_caches_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    device, _ = probed(lambda size, now: 1e12, monkeypatch)
    for size in (1024, 2048):
        assert device.prepared[size] * 2 * size * size * 4 >= 2**28
    assert device.prepared[0] >= 2**28


@pytest.mark.parametrize("engine", ["torch", "jax"])
def test_a_real_device_answers(engine: str) -> None:
    module = pytest.importorskip(f"backends.rates_{engine}", exc_type=ImportError)
    rates = (module.TorchRates if engine == "torch" else module.JaxRates)("cpu", "float32")
    effort = replace(CPU, sizes=(128, 256), heat_seconds=0.0, beyond_cache_bytes=2**22)
    found = rate_worker.probe(rates, effort, 4)
    rates.close()
    assert 1e7 < found["product_flops_per_second"] < 1e15
    assert 1e7 < found["copy_bytes_per_second"] < 1e15
    assert found["device_name"] == "cpu"


@pytest.mark.parametrize("engine", ["torch", "jax"])
def test_the_product_is_one_and_the_copy_too(engine: str) -> None:
    """Random operands that change from call to call, and results that are what they should be."""
    module = pytest.importorskip(f"backends.rates_{engine}", exc_type=ImportError)
    rates = (module.TorchRates if engine == "torch" else module.JaxRates)("cpu", "float32")
    multiply, duplicate = rates.product(64, 2), rates.copy(2**20, 2)
    results = []
    for enqueue in (multiply, multiply, multiply, duplicate, duplicate):
        enqueue()
        rates.finish()
        results.append([float(value) for value in rates._last.reshape(-1)[:100]])
    first, second, third, one, other = results
    assert first != second
    assert first == third, "two pairs, in turn"
    assert len(set(first)) > 90
    assert {*one, *other} == {0.0, 1.0}


@pytest.fixture
def here() -> Environment:
    return read_environment()


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "state"))


def smoke_on(backend: str) -> Case:
    workload = find_workload("smoke")
    return Case(workload=workload, backend=backend, device_type="cpu", recipe=resolve(Recipe(), workload))


def test_a_finding_is_remembered_for_its_boot_and_packages(monkeypatch: pytest.MonkeyPatch, here: Environment) -> None:
    answer = FOUND.model_dump(exclude={"dtype", "measured_at"})
    monkeypatch.setattr(achievable, "_asked", lambda backend, dtype: answer)
    found = probe("jax-cpu", "float32", here)
    assert remembered(smoke_on("jax-cpu"), here) == found
    assert remembered(smoke_on("torch-cpu"), here) is None
    assert list(probe_missing([smoke_on("jax-cpu")], here)) == []
    for other in ({"boot_id": "0" * 32}, {"packages_sha256": "0" * 64}):
        assert remembered(smoke_on("jax-cpu"), here.model_copy(update=other)) is None
    later = here.model_copy(update={"boot_id": "0" * 32})
    assert [name for name, _ in probe_missing([smoke_on("jax-cpu")] * 2, later)] == ["jax-cpu float32"]
    assert remembered(smoke_on("jax-cpu"), here) is None, "of an earlier boot: not kept"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "\0"])
def test_a_broken_memory_is_none(content: str, tmp_path: Path, here: Environment) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "achievable.json").write_text(content)
    assert remembered(smoke_on("jax-cpu"), here) is None


def test_what_is_remembered_wrongly_is_none(tmp_path: Path, here: Environment) -> None:
    (tmp_path / "state").mkdir(exist_ok=True)
    key = f"jax-cpu float32 {here.boot_id} {here.packages_sha256}"
    wrong = FOUND.model_dump() | {"product_flops_per_second": -1.0}
    (tmp_path / "state" / "achievable.json").write_text(json.dumps({key: wrong}))
    assert remembered(smoke_on("jax-cpu"), here) is None


def test_where_nothing_can_be_kept_the_answer_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, here: Environment
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "file"))
    answer = FOUND.model_dump(exclude={"dtype", "measured_at"})
    monkeypatch.setattr(achievable, "_asked", lambda backend, dtype: answer)
    assert probe("jax-cpu", "float32", here).product_size == 2048


def test_a_device_that_is_not_there_or_fails_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, here: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    if not availability("torch-cuda").available:
        with pytest.raises(ProbeFailed, match=r".+; .+"):
            probe("torch-cuda", "float32", here)
    monkeypatch.setattr(achievable, "_BYTES", {"float32": "no number"})
    with pytest.raises(ProbeFailed, match="TypeError"):
        probe("jax-cpu", "float32", here)
    monkeypatch.setattr(achievable, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(achievable, "_BYTES", {"float32": 4})
    assert print_probes(["jax-cpu"], "fp32") == 3
    assert "jax-cpu float32: no rate: no answer within 0 s" in capsys.readouterr().out


def test_a_worker_answers_the_command(here: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    assert print_probes(["jax-cpu"], "fp32") == 0
    assert "jax-cpu float32: products" in capsys.readouterr().out
    found = remembered(smoke_on("jax-cpu"), here)
    assert found is not None
    assert found.product_flops_per_second > 1e8
    assert found.product_size in CPU.sizes


def shown(found: Achievable | None, **replace_: object) -> str:
    records = [
        RunRecord.model_validate(record.model_dump() | {"achievable": found and found.model_dump()}, strict=False)
        for record in case("torch-cpu", 1000.0, noise=[0.0], **replace_)
    ]
    return markdown(sections(records)) + as_json(sections(records))


def test_a_report_holds_the_step_against_it() -> None:
    """737,280 operations a token at 1000 tokens/s are 0.037 % of 2 TFLOP/s."""
    page = shown(FOUND)
    assert "0.0% of the 2 TFLOP/s that float32 products of 2048 x 2048 matrices alone reached" in page
    assert '"of_achievable": 0.0003686' in page
    assert "alone reached" not in shown(None)
    assert '"of_achievable": 0.0001843' in shown(FOUND, case__world_size=2, case__device_type="cuda")


def test_a_line_says_what_was_found() -> None:
    assert told("x", FOUND) == "x: products 2 TFLOP/s (2048 x 2048), copies 40.0 GB/s, on a device"
