"""Live sessions take turns, for whoever makes a step faster: `python -m bench.turns WORKLOAD CASE CASE...`.

    .venv/bin/python -m bench.turns llama-tiny jax-cpu jax-cpu,attention=product --rounds 20

A case is a backend, ours or another trainer's, with a recipe that it ships (`one-file-cpu:as-shipped`) or as-is, and
fields to change. Every session stays open in a process of its own and times a window a round, in random order and
after a step that is not timed, so that a change of the machine meets all alike. It is quick where steps are long. There
is one process of each case, and no gate is judged: `fairchip run` confirms, or not.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import bench.entry
from bench.describe import recipe_variables
from bench.exit_code import ended
from bench.overhead import median_interval
from bench.plan import Case, MeasurePlan
from bench.suite import make_case
from bench.worker import job_line
from bench.workload_choice import choose_workload
from workloads.spec import Workload

app = typer.Typer(add_completion=False)


@dataclass
class Player:
    """A case and its live process."""

    name: str
    process: "subprocess.Popen[str]"
    seconds: list[float] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    def play(self, window_seconds: float) -> None:
        """Time one window of about so long; the first call only waits until the session is warm."""
        if self.last:
            steps = max(1, round(window_seconds / self.last["step_seconds"]))
            print(steps, file=self.process.stdin, flush=True)
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise ended(self.name, self.process.wait())
        if self.last:
            self.seconds.append(json.loads(answer)["step_seconds"])
        self.last = json.loads(answer)


@app.command()
def turns(
    workload: Annotated[str, typer.Argument(help="Name of the catalog, or a TOML file.")],
    cases: Annotated[
        list[str], typer.Argument(metavar="CASE", help="BACKEND[:RECIPE][,FIELD=VALUE...]; the first is 1.")
    ],
    policy: Annotated[Literal["fp32", "bf16-mixed"] | None, typer.Option("--policy")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=10_000)] = 10,
    window_seconds: Annotated[float, typer.Option("--window-seconds", min=0.0)] = 1.0,
) -> None:
    """Print seconds a step, the ratio of paces to the first case with its interval, and peak memory."""
    chosen = choose_workload(workload, policy)
    asked = [_case(chosen, name) for name in cases]
    with tempfile.TemporaryDirectory() as cache:
        players: list[Player] = []
        try:
            for at, (name, case) in enumerate(zip(cases, asked, strict=True)):
                players.append(_start(name, case, Path(cache) / str(at)))
                players[-1].play(window_seconds)  # alone: a session may measure its device as it opens
                print(f"ready: {name} {players[-1].last['products']}".rstrip(), file=sys.stderr, flush=True)
            for turn in range(1, rounds + 1):
                for player in random.sample(players, len(players)):
                    player.play(window_seconds)
                print(f"round {turn} of {rounds}: {_paces(players)}", file=sys.stderr, flush=True)
        finally:
            for player in players:
                player.process.kill()
    for player in players:
        print(_line(player, players[0], chosen))


def _case(workload: Workload, text: str) -> Case:
    """``backend[:recipe],field=value,environment.NAME=value`` as a case."""
    named, *changes = text.split(",")
    backend, _, recipe = named.partition(":")
    own = make_case(workload, backend, recipe or None).recipe
    fields: dict[str, Any] = {"micro_batch": None} if any(one.startswith("micro_batch") for one in changes) else {}
    environment = dict(own.environment)
    for change in changes:
        name, _, value = change.partition("=")
        if name.startswith("environment."):
            environment[name.removeprefix("environment.")] = value
        else:
            fields[name] = _value(value)
    return make_case(workload, backend, recipe or None, replacing={**fields, "environment": environment})


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None if text == "none" else text


def _start(name: str, case: Case, cache: Path) -> Player:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.turn_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **recipe_variables(case, cache)},
    )
    assert process.stdin is not None
    process.stdin.write(job_line(case, "cold", MeasurePlan()))
    process.stdin.flush()
    return Player(name, process)


def _paces(players: list[Player]) -> str:
    """Of the newest windows, the first case's as 1."""
    return " ".join(f"{players[0].seconds[-1] / player.seconds[-1]:.3f}" for player in players)


def _line(player: Player, first: Player, workload: Workload) -> str:
    ratio, low, high = median_interval([one / own for one, own in zip(first.seconds, player.seconds, strict=True)])
    pace = statistics.median(player.seconds)
    memory = "-" if player.last["peak_bytes"] is None else f"{player.last['peak_bytes'] / 1e9:.2f}"
    return (
        f"{pace * 1e3:10,.1f} ms  {workload.tokens_per_step / pace:10,.0f} tokens/s  "
        f"x{ratio:.3f} [{low:.3f}, {high:.3f}]  {memory} GB  "
        f"loss {player.last['loss']:.5f} at step {player.last['step']}  {player.name}"
    )


if __name__ == "__main__":
    sys.exit(bench.entry.run(app))
