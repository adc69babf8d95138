"""`fairchip tune` on made-up workers whose pace, faults and memory depend on the recipe they are given."""

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_runs import made_up_worker

from backends.memory_plan import plan_memory
from backends.recipe import Recipe, as_toml, custom_recipe, load_recipe
from backends.registry import backend_entry_points, load_backend
from backends.search_space import micro_batch_sizes, part_sizes
from bench.cli import app
from bench.entry import run
from bench.process import WorkerEnd
from bench.suite import make_case
from bench.worker import Job
from results.store import load_all
from workloads.catalog import catalog_names, find_workload

Pace = Callable[[Recipe], float]
SMOKE = find_workload("smoke")


@pytest.fixture
def tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command with a worker of ours; what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(worker: Callable[..., WorkerEnd], *more: str, backend: str = "jax-cpu") -> str:
        monkeypatch.setattr("bench.campaign.run_worker", worker)
        monkeypatch.setattr("sys.argv", ["fairchip", "tune", "smoke", backend, "--out", "t", "--runs", "4", *more])
        code = run(app)
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return printed.out

    return call


def paced(pace: Pace) -> Callable[..., WorkerEnd]:
    """A worker as quick as the recipe makes it."""
    workers: dict[float, Callable[..., WorkerEnd]] = {}

    def worker(job: str, *rest: object) -> WorkerEnd:
        step = 1 / pace(Job.model_validate_json(job).recipe)
        return workers.setdefault(step, made_up_worker(0.002, step=step))(job, *rest)

    return worker


def masked_is_faster(recipe: Recipe) -> float:
    return 0.5 if recipe.rematerialise is True else 1.3 if recipe.loss == "masked" else 1.0


def test_the_winner_of_fresh_runs_is_written_with_its_evidence(tune: Callable[..., str], tmp_path: Path) -> None:
    printed = tune(paced(masked_is_faster))
    assert "loss = masked" in printed
    assert re.search(r"loss = masked +x1\.(30|29)\d  ahead", printed)
    assert re.search(r"rematerialise = true +x0\.38\d  lost early", printed), "after one run"
    written = custom_recipe(tmp_path / "t" / "tuned.toml")
    assert (written.track, written.name, written.loss) == ("tuned", "tuned", "masked")
    evidence = written.tuning
    assert evidence is not None
    assert evidence.cost_ratio == pytest.approx(1 / 1.3, rel=0.01)
    assert evidence.cost_ratio_low <= evidence.cost_ratio <= evidence.cost_ratio_high < 0.98, "made-up paces may agree"
    assert (evidence.backend, evidence.digest, evidence.rounds) == ("jax-cpu", SMOKE.digest, 4)
    assert evidence.recipes_tried >= 5
    final = load_all([tmp_path / "t" / "final"])
    searched = {record.run_id for path in (tmp_path / "t").glob("*-*") for record in load_all([path])}
    assert len(searched) == evidence.search_runs
    assert searched.isdisjoint(record.run_id for record in final), "what decides was not seen by the search"


def test_none_is_better_is_an_answer(tune: Callable[..., str], tmp_path: Path) -> None:
    assert "none is better: no recipe was ahead" in tune(paced(lambda recipe: 1.0 if recipe.name == "as-is" else 0.95))
    assert not list((tmp_path / "t").glob("*.toml"))


def test_a_winner_of_the_search_that_fresh_runs_do_not_confirm_is_none(
    tune: Callable[..., str], tmp_path: Path
) -> None:
    """It was ahead by chance while it was a candidate, and is as fast as as-is under its final name."""
    printed = tune(paced(lambda recipe: 1.1 if recipe.name == "loss = masked" else 1.0))
    assert "ahead" in printed
    assert "none is better: what the search found is not surely ahead" in printed
    assert not (tmp_path / "t" / "tuned.toml").exists()


def test_a_recipe_that_loses_a_gate_is_rejected_however_fast(tune: Callable[..., str], tmp_path: Path) -> None:
    honest, wrong = paced(lambda recipe: 1.0), made_up_worker(0.002, step=0.1, loss=lambda step: 5.5)

    def worker(job: str, *rest: object) -> WorkerEnd:
        return (wrong if Job.model_validate_json(job).recipe.loss == "masked" else honest)(job, *rest)

    printed = tune(worker)
    assert "loss = masked" in printed
    assert "rejected" in next(line for line in printed.splitlines() if "loss = masked" in line)
    assert "none is better" in printed


def test_what_the_best_recipe_chooses_by_itself_is_not_tried_by_name(tune: Callable[..., str]) -> None:
    honest = paced(lambda recipe: 1.2 if recipe.product_kernel == "matmul" else 1.0)

    def worker(job: str, *rest: object) -> WorkerEnd:
        end, asked = honest(job, *rest), Job.model_validate_json(job).recipe.product_kernel
        assert end.measurement is not None
        ran = {**end.measurement.session, "product_kernel": "convolution" if asked == "fastest" else asked}
        return replace(end, measurement=end.measurement.model_copy(update={"session": ran}))

    printed = tune(worker, backend="torch-cpu")
    assert re.search(r"product_kernel = convolution +the same: the best recipe so far chooses it by itself", printed)
    assert re.search(r"product_kernel = convolution-throughout +x1\.0\d\d  behind", printed)
    assert re.search(r"product_kernel = matmul +x1\.2\d\d  ahead", printed)
    assert re.search(r"threads = \d+ +x1\.0\d\d  behind", printed), "what a session does not tell is tried"


def test_what_cannot_fit_is_not_run(tune: Callable[..., str], tmp_path: Path) -> None:
    """Once a recipe ran out of memory, one that needs as much is not tried."""
    honest, seen = paced(lambda recipe: 1.0), []

    def worker(job: str, *rest: object) -> WorkerEnd:
        asked = Job.model_validate_json(job)
        seen.append(asked.recipe.name)
        if asked.recipe.attention == "causal-blocks" or asked.recipe.attention == "product":
            return honest(job, *rest)
        return WorkerEnd(status="out-of-memory", reason="out of memory", measurement=None, stderr_tail="")

    printed = tune(worker)
    limit = plan_memory(SMOKE, make_case(SMOKE, "jax-cpu").recipe)
    assert limit.total > 0
    assert "attention = sdpa" in seen
    assert "layers = scan" not in seen, "it needs as much as what ran out of memory"
    assert "does not fit" in printed


def test_a_stopped_search_goes_on(tune: Callable[..., str]) -> None:
    first = tune(paced(masked_is_faster), "--search-minutes", "0.01")

    def nobody(job: str, *_: object) -> WorkerEnd:
        raise AssertionError(f"run again: {json.loads(job)['recipe']['name']}")

    assert "none is better" in first
    assert "none is better" in tune(nobody, "--search-minutes", "0.01")
    assert "loss = masked" in tune(paced(masked_is_faster))


@pytest.mark.parametrize(("fields", "said"), [(0, "no run was finished"), (1, "finished runs are in t")])
def test_a_search_that_is_asked_to_end_says_what_stands(
    fields: int, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the first run of its first field, or of a later one: each keeps its records in a folder of its own."""
    honest = paced(lambda recipe: 1.0)

    def worker(job: str, *rest: object) -> WorkerEnd:
        if len(list((tmp_path / "t").glob("*-*"))) > fields:
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(job, *rest)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.campaign.run_worker", worker)
    monkeypatch.setattr("sys.argv", ["fairchip", "tune", "smoke", "jax-cpu", "--out", "t"])
    assert run(app) == 143
    assert said in capsys.readouterr().err


def test_a_tuned_recipe_is_so_for_its_case_alone(tune: Callable[..., str]) -> None:
    tune(paced(masked_is_faster))
    own = make_case(SMOKE, "jax-cpu", "t/tuned.toml")
    assert own.recipe.track == "tuned"
    for other in (make_case(find_workload("bytes-5m"), "jax-cpu", "t/tuned.toml").recipe,):
        assert (other.track, other.tuning) == ("custom", None)


@pytest.mark.parametrize("backend", sorted(backend_entry_points()))
def test_every_recipe_of_a_search_space_is_one(backend: str) -> None:
    for workload in (SMOKE, find_workload("llama-3.2-1b-2k")):
        for field, values in load_backend(backend).search_space(workload).items():
            for value in values:
                Recipe(**{field: value})


def test_sizes_are_of_the_workload() -> None:
    for name in catalog_names():
        workload = find_workload(name)
        assert micro_batch_sizes(workload)[0] == workload.sequence_length
        assert micro_batch_sizes(workload)[-1] <= workload.tokens_per_step
        assert all(size is None or size < workload.tokens_per_step for size in part_sizes(workload))


def test_a_written_recipe_is_read_as_the_same(tmp_path: Path) -> None:
    recipe = Recipe(
        name="x", compile="parts", micro_batch_tokens=512, rematerialise=True, environment={"A": 'b"c\\d é'}
    )
    (tmp_path / "r.toml").write_text(as_toml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.toml") == recipe
