"""Every mistake that the issue of reliability names, as data: what is there, what is called, what must be said."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMOKE = (ROOT / "workloads" / "catalog" / "smoke.toml").read_text(encoding="utf-8")
RECORD = (ROOT / "tests" / "golden" / "record-v1.json").read_text(encoding="utf-8")
LLAMA = {
    "model_type": "llama", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 48, "rms_norm_eps": 1e-5, "hidden_act": "silu",
}  # fmt: skip

RUN = ("run", "--backend", "torch-cpu", "--workload")
OWN = (*RUN, "w.toml")
DATA = (*RUN, "smoke", "--data", "t.bin")
CONFIG = (*RUN, "smoke", "--hf-config", "config.json")
RECIPE = (*RUN, "smoke", "--recipe", "r.toml")
REPORT = ("report", "r.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One wrong input."""

    name: str
    arguments: tuple[str, ...]
    said: tuple[str, ...]
    """Parts of the line and of its hint."""
    prepare: Callable[[Path], object] = lambda folder: None


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def _workload(old: str, new: str) -> Callable[[Path], object]:
    assert old in SMOKE, old
    return write("w.toml", SMOKE.replace(old, new, 1))


def _record(*path: str, value: object) -> Callable[[Path], object]:
    content = json.loads(RECORD)
    owner = content
    for name in path[:-1]:
        owner = owner[int(name) if name.isdigit() else name]
    owner[path[-1]] = value
    return write("r.json", json.dumps(content))


def _two_backends(folder: Path) -> None:
    """The same work, which nobody measured on the same backend twice."""
    write("r.json", RECORD)(folder)
    other = json.loads(RECORD) | {"run_id": "0" * 32}
    other["case"]["backend"] = "jax-cpu"
    write("other.json", json.dumps(other))(folder)


def _huge(name: str, gigabytes: int) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.truncate(gigabytes * 2**30)

    return make


MISTAKES = (
    Mistake(name="an unknown command", arguments=("bnch",), said=("bnch", "bench")),
    Mistake(name="an unknown option", arguments=("bench", "--suit", "cpu"), said=("--suit", "--suite")),
    Mistake(
        name="an unknown backend",
        arguments=("run", "--workload", "smoke", "--backend", "torch-cup"),
        said=("unknown backend 'torch-cup'", "torch-cpu"),
    ),
    Mistake(name="an unknown workload", arguments=(*RUN, "bytes5m"), said=("unknown workload 'bytes5m'", "bytes-5m")),
    Mistake(name="an unknown suite", arguments=("bench", "--suite", "smok"), said=("unknown suite 'smok'", "smoke")),
    Mistake(
        name="a suite of accelerators where there are none",
        arguments=("bench", "--suite", "node"),
        said=("no accelerator backend", "doctor"),
    ),
    Mistake(
        name="more devices than there are",
        arguments=("run", "--workload", "smoke", "--backend", "torch-cpu", "--devices", "100000"),
        said=("100000 devices", "list"),
    ),
    Mistake(
        name="an unknown instance",
        arguments=("bench", "--instance", "c8i.2xlrge"),
        said=("c8i.2xlrge", "c8i.2xlarge"),
    ),
    Mistake(name="an unknown region", arguments=("bench", "--region", "us-eats-1"), said=("us-eats-1", "us-east-1")),
    Mistake(name="a price of zero", arguments=("bench", "--usd-per-hour", "0"), said=("0.0", "positive")),
    Mistake(name="a price that is no number", arguments=("bench", "--usd-per-hour", "nan"), said=("nan", "positive")),
    Mistake(name="a day that is none", arguments=("report", "--as-of", "tomorrow"), said=("tomorrow", "YYYY-MM-DD")),
    Mistake(name="a margin above one", arguments=("report", "--margin", "3"), said=("--margin", "help")),
    Mistake(
        name="a precision that is no percentage",
        arguments=(*RUN, "smoke", "--precision", "bf16-mixed"),
        said=("bf16-mixed", "3%"),
    ),
    Mistake(name="a budget of nothing", arguments=("bench", "--budget-minutes", "0"), said=("--budget-minutes", "0")),
    Mistake(
        name="a budget in dollars for a machine without a price",
        arguments=("bench", "--budget-usd", "1"),
        said=("--budget-usd", "--instance"),
    ),
    Mistake(
        name="a target with a pilot of two runs",
        arguments=(*RUN, "smoke", "--precision", "3%", "--runs", "2"),
        said=("--precision", "--runs 3"),
    ),
    Mistake(name="zero runs", arguments=(*RUN, "smoke", "--runs", "0"), said=("--runs", "help")),
    Mistake(name="broken TOML", arguments=OWN, prepare=write("w.toml", "[model\ndim = 1"), said=("w.toml", "line 1")),
    Mistake(name="an empty workload", arguments=OWN, prepare=write("w.toml", ""), said=("w.toml", "catalog")),
    Mistake(
        name="an unknown key",
        arguments=OWN,
        prepare=_workload("[model]", "[model]\nexperts = 8"),
        said=("w.toml", "model.experts"),
    ),
    Mistake(
        name="a wrong type", arguments=OWN, prepare=_workload("layers = 2", 'layers = "2"'), said=("w.toml", "layers")
    ),
    Mistake(
        name="a negative size",
        arguments=OWN,
        prepare=_workload("layers = 2", "layers = -2"),
        said=("w.toml", "model.layers", "is -2"),
    ),
    Mistake(
        name="a huge size",
        arguments=OWN,
        prepare=_workload("layers = 2", "layers = 2000000000"),
        said=("w.toml", "model.layers", "whole number from 1 to"),
    ),
    Mistake(
        name="heads that do not divide",
        arguments=OWN,
        prepare=_workload("heads = 4", "heads = 5"),
        said=("w.toml", "model.heads", "5 does not divide"),
    ),
    Mistake(
        name="a vocabulary smaller than the data",
        arguments=OWN,
        prepare=_workload("vocab_size = 256", "vocab_size = 255"),
        said=("w.toml", "model.vocab_size", "255 is below 256"),
    ),
    Mistake(
        name="a workload that is a folder",
        arguments=OWN,
        prepare=lambda folder: (folder / "w.toml").mkdir(),
        said=("w.toml",),
    ),
    Mistake(
        name="a workload that is a pipe",
        arguments=OWN,
        prepare=lambda folder: os.mkfifo(folder / "w.toml"),
        said=("w.toml",),
    ),
    Mistake(name="a workload that is not there", arguments=OWN, said=("w.toml", "No such file")),
    Mistake(name="an empty token file", arguments=DATA, prepare=write("t.bin", b""), said=("t.bin", "0 bytes")),
    Mistake(
        name="a truncated token file",
        arguments=DATA,
        prepare=write("t.bin", bytes(1001)),
        said=("t.bin", "1001 bytes", "cut short"),
    ),
    Mistake(
        name="a token file too short for one sequence",
        arguments=DATA,
        prepare=write("t.bin", bytes(8)),
        said=("4 tokens", "more data"),
    ),
    Mistake(name="a huge token file", arguments=DATA, prepare=_huge("t.bin", 1000), said=("t.bin",)),
    Mistake(
        name="tokens outside the vocabulary",
        arguments=DATA,
        prepare=write("t.bin", b"\xff\xff" * 500),
        said=("t.bin", "65535", "vocabulary"),
    ),
    Mistake(
        name="a config.json of another family",
        arguments=CONFIG,
        prepare=write("config.json", json.dumps(LLAMA | {"model_type": "gpt2"})),
        said=("config.json", "gpt2", "llama"),
    ),
    Mistake(
        name="a config.json that asks for more than we do",
        arguments=CONFIG,
        prepare=write("config.json", json.dumps(LLAMA | {"attention_bias": True})),
        said=("config.json", "attention_bias"),
    ),
    Mistake(
        name="a config.json that is no JSON",
        arguments=CONFIG,
        prepare=write("config.json", b"\xff\xfe{"),
        said=("config.json", "JSON"),
    ),
    Mistake(
        name="a recipe with an unknown key",
        arguments=RECIPE,
        prepare=write("r.toml", "compile = 'off'\nspeed = 'high'"),
        said=("r.toml", "speed"),
    ),
    Mistake(
        name="a recipe that nobody has",
        arguments=(*RUN, "smoke", "--recipe", "whole-graff"),
        said=("no recipe 'whole-graff'", "as-is"),
    ),
    Mistake(
        name="a recipe that does not fit",
        arguments=RECIPE,
        prepare=write("r.toml", "micro_batch = 3"),
        said=("micro_batch 3", "divisor"),
    ),
    Mistake(
        name="records where there are none",
        arguments=("report", "nowhere"),
        said=("nowhere", "folder of records"),
    ),
    Mistake(
        name="an empty folder of records",
        arguments=("report", "empty"),
        prepare=lambda folder: (folder / "empty").mkdir(),
        said=("empty", "no records"),
    ),
    Mistake(name="a record that is cut off", arguments=REPORT, prepare=write("r.json", RECORD[:900]), said=("r.json",)),
    Mistake(name="a record that is empty", arguments=REPORT, prepare=write("r.json", ""), said=("r.json",)),
    Mistake(
        name="a record of a newer format",
        arguments=REPORT,
        prepare=_record("schema_version", value=99),
        said=("r.json", "format 99 is newer", "update"),
    ),
    Mistake(
        name="a record with a field nobody knows",
        arguments=REPORT,
        prepare=_record("profit", value=1),
        said=("r.json", "profit"),
    ),
    Mistake(
        name="a record nested 200,000 deep",
        arguments=REPORT,
        prepare=write("r.json", "[" * 200_000),
        said=("r.json", "nested too deeply"),
    ),
    Mistake(
        name="a record of gigabytes",
        arguments=REPORT,
        prepare=_huge("r.json", 3),
        said=("r.json", "larger"),
    ),
    Mistake(
        name="a record with a string of 20 MB",
        arguments=REPORT,
        prepare=_record("reason", value="x" * 20_000_000),
        said=("r.json", "reason"),
    ),
    Mistake(
        name="a record with NaN",
        arguments=REPORT,
        prepare=_record("measurement", "origin_unix_seconds", value=float("nan")),
        said=("r.json", "measurement.origin_unix_seconds"),
    ),
    Mistake(
        name="a record with Infinity hidden where anything may stand",
        arguments=REPORT,
        prepare=_record("measurement", "session", value={"peak_flops_per_second": float("inf")}),
        said=("r.json", "measurement.session"),
    ),
    Mistake(
        name="a record in milliseconds",
        arguments=REPORT,
        prepare=_record("measurement", "windows", "0", "seconds", value=1000.0),
        said=("r.json", "measurement"),
    ),
    Mistake(
        name="a record whose work was changed",
        arguments=REPORT,
        prepare=_record("case", "specification", "precision", value="fp16"),
        said=("r.json", "digest"),
    ),
    Mistake(
        name="a record with control characters in a name",
        arguments=REPORT,
        prepare=_record("\x1b[2J\n\x07", value=1),
        said=("r.json",),
    ),
    Mistake(
        name="a folder compared with itself",
        arguments=("compare", "r.json", "r.json"),
        prepare=write("r.json", RECORD),
        said=("share runs",),
    ),
    Mistake(
        name="a threshold on a metric without an interval",
        arguments=("compare", "A", "B", "--fail-on", "usd_per_mtoken:5%"),
        said=("usd_per_mtoken", "did you mean usd_per_mtok?"),
    ),
    Mistake(
        name="a threshold that is no percentage",
        arguments=("compare", "A", "B", "--fail-on", "tokens_per_second:fast"),
        said=("tokens_per_second:fast", "tokens_per_second:5%"),
    ),
    Mistake(
        name="a threshold of everything",
        arguments=("compare", "A", "B", "--fail-on", "tokens_per_second:100%"),
        said=("100%", "less than 100 %"),
    ),
    Mistake(
        name="two thresholds for one metric",
        arguments=("compare", "A", "B", "--fail-on", "usd_per_mtok:5%", "--fail-on", "usd_per_mtok:6%"),
        said=("usd_per_mtok", "once"),
    ),
    Mistake(
        name="a threshold between other backends",
        arguments=("compare", "r.json", "other.json", "--fail-on", "usd_per_mtok:5%"),
        prepare=_two_backends,
        said=("--fail-on", "a backend in common"),
    ),
    Mistake(
        name="a file where the folder for records should be",
        arguments=("bench", "--suite", "smoke", "--out", "file"),
        prepare=write("file", ""),
        said=("file", "--out"),
    ),
    Mistake(
        name="a folder below a file",
        arguments=("bench", "--suite", "smoke", "--out", "file/below"),
        prepare=write("file", ""),
        said=("file/below", "Not a directory"),
    ),
    Mistake(
        name="a folder that cannot be written",
        arguments=("bench", "--suite", "smoke", "--out", "/proc/fairchip"),
        said=("/proc/fairchip", "--out"),
    ),
    Mistake(
        name="records of another suite in the folder",
        arguments=("bench", "--suite", "smoke", "--out", "old"),
        prepare=lambda folder: ((folder / "old").mkdir(), (folder / "old" / "timed-0000-00-x.json").write_text(RECORD)),
        said=("old holds records of something else", "--again"),
    ),
)
