"""The worst inputs known, each in seconds and within a few gigabytes: most are small files that ask for much work.

They are read in one process of their own, whose address space is limited, so that a parser that fails here
fails alone.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_record

LONGEST_SECONDS = 20.0
ADDRESS_SPACE_BYTES = 4 * 2**30
TEXT_BYTES, RECORD_BYTES = 2**20, 32 * 2**20

READER = Path(__file__).with_name("reader.py")

HUGE = (
    "sequence_length = {n}\nglobal_batch = {n}\nprecision = 'fp32'\n[model]\ndim = {n}\nlayers = {layers}\nheads = 1\n"
)
HUGE += "kv_heads = 1\nffn_dim = {m}\nvocab_size = {m}\n[data]\nkind = 'synthetic'\nname = 'zipf-successor'\n"


def _record(**replace: str) -> str:
    """A record's JSON with the text of some parts replaced by other text."""
    content = make_record().model_dump(mode="json")
    for dotted in replace:
        *parents, last = dotted.split("__")
        owner = content
        for parent in parents:
            owner = owner[parent]
        owner[last] = f"<{dotted}>"
    text = json.dumps(content)
    for dotted, value in replace.items():
        text = text.replace(f'"<{dotted}>"', value)
    return text


def _repeated(part: str, size: int) -> str:
    return part * (size // len(part))


ROOM = RECORD_BYTES // 2
MANY_KEYS = "{" + ",".join(f'"{i:x}":0' for i in range(ROOM // 11)) + "}"
WORST = {
    "sizes.toml": (lambda: HUGE.format(n=2**24, m=2**24, layers=2**16), "operations for a token"),
    "batch.toml": (lambda: HUGE.format(n=2**24, m=16, layers=1).replace(f"dim = {2**24}", "dim = 16"), "accepted"),
    "layers.toml": (lambda: HUGE.format(n=16, m=16, layers=2**16), "accepted"),
    "nested.toml": (lambda: "a = " + "[" * 200_000, "nested too deeply"),
    "dotted.toml": (lambda: _repeated("a.", TEXT_BYTES - 9) + "a = 1", "dots in line 1"),
    "header.toml": (
        lambda: "[" + "a." * 60 + "a]\n" + "".join(f"b{i}=1\n" for i in range(100_000)),
        "model: field required",
    ),
    "keys.toml": (lambda: "".join(f"b{i}=1\n" for i in range(100_000)), "model: field required"),
    "number.toml": (lambda: "seed = " + "9" * 1_000_000, "limit (4300 digits)"),
    "hexadecimal.toml": (lambda: "seed = 0x" + "f" * 1_000_000, "4300 digits"),
    "long.toml": (lambda: "x" * (TEXT_BYTES + 1), "is larger than"),
    "variables.recipe": (lambda: "[environment]\n" + "".join(f"b{i}=1\n" for i in range(100_000)), "environment.b0"),
    "nested.json": (lambda: '{"a":' * 170_000, "not JSON"),
    "deep.json": (lambda: '{"model_type":' + '{"a":' * 900 + "0" + "}" * 901, "model_type is"),
    "cell.csv": (lambda: '"' + "x" * 200_000, "line 1"),
    "rows.csv": (lambda: _repeated("a,b\n", 64 * 2**20), "the columns are"),
    "nested.record": (lambda: "[" * 200_000, "nested too deeply"),
    "deep.record": (lambda: _record(case__recipe='{"a":' * 900 + "0" + "}" * 900), "recursion limit"),
    "items.record": (lambda: _record(gates="[" + _repeated("0,", ROOM) + "0]"), "gates.0"),
    "tables.record": (lambda: _record(gates="[" + _repeated("{},", ROOM) + "{}]"), "gates.0"),
    "keys.record": (lambda: MANY_KEYS, "a table of"),
    "recipe.record": (lambda: _record(case__recipe='{"a":[' + _repeated("{},", ROOM) + "{}]}"), "accepted"),
    "string.record": (lambda: _record(reason='"' + "x" * ROOM + '"'), "reason"),
    "number.record": (lambda: _record(case__parameters="9" * 4000), "case.parameters"),
    "steps.record": (lambda: _record(measurement__self_checks=json.dumps([_check(2**62)])), "accepted"),
    "long.record": (lambda: "x" * (RECORD_BYTES + 1), "is larger than"),
}
"""File name (its ending chooses the reader) -> how to make its content, and what must be said of it."""


def _check(steps: int) -> dict[str, float]:
    return {"steps": steps, "once_seconds": 1.0, "twice_seconds": 2.0, "idle_seconds": 0.0}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    """What the readers said of each file, and after how many seconds."""
    folder, lines = tmp_path_factory.mktemp("worst"), []
    for name, (make, _) in WORST.items():
        (folder / name).write_text(make())
        lines.append(f"{folder / name}\n")
    done = subprocess.run(
        [sys.executable, str(READER)],
        input="".join(lines),
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)),
    )
    found = {name: (what, seconds) for name, what, seconds in map(json.loads, done.stdout.splitlines())}
    assert found, done.stderr
    return found


@pytest.mark.parametrize("name", WORST)
def test_the_worst_inputs_are_settled_in_seconds(name: str, said: dict[str, tuple[str, float]]) -> None:
    what, seconds = said[name]
    assert WORST[name][1] in what
    assert seconds < LONGEST_SECONDS
