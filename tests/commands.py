"""Commands as documents and workflows give them, held against what there is: targets, commands, options, suites."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer

from bench.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIABLES = {"PYTHON", "SUITE", "ARGS"}
BEHIND = {"bench", "smoke", "compare", "report", "prices", "doctor", "probe"}
"""Targets whose ARGS go to the command of fairchip of that name; `smoke` is `bench`."""
OTHERS = {"git", "cd", "rsync", "scp", "pip", ".venv/bin/pip", ".venv/bin/python"}
"""Programs that are not ours."""


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language, also indented ones."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", document.read_text(encoding="utf-8"), re.DOTALL | re.M)
    return [re.sub(rf"^{indent}", "", block, flags=re.M) for indent, block in found]


def make_targets() -> set[str]:
    """What `make` can be asked for."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands of a script, without comments and redirections."""
    for line in script.replace("\\\n", " ").splitlines():
        for command in re.split(r"&&|;", re.sub(r"(?<=\s)#.*", "", line)):
            words = shlex.split(re.split(r"\s(?:>|>>|\|)\s", command)[0])
            if words and not words[0].startswith("#"):
                yield words


def ours(words: list[str]) -> list[str] | None:
    """What a command gives to fairchip, through make or not; None where it is another program's."""
    program, *rest = words
    if program.rpartition("/")[2] == "fairchip":
        return rest
    if program != "make" or not BEHIND.intersection(rest):
        return None
    given = dict(word.split("=", 1) for word in rest if re.match(r"[A-Z]+=", word))
    before = {"smoke": ["bench", "--suite", "smoke", "--strict", "--again"]}.get(rest[0], [rest[0]])
    suite = ["--suite", given["SUITE"]] if "SUITE" in given else []
    return [*before, *suite, *shlex.split(given.get("ARGS", ""))]


def wrong(script: str) -> list[str]:
    """What a script asks for that does not exist; empty if all of it does."""
    return [complaint for words in commands(script) for complaint in _wrong(words)]


def _wrong(words: list[str]) -> Iterator[str]:
    program, *rest = words
    if program == "make":
        yield from _wrong_make(rest)
    elif program.rpartition("/")[2] == "fairchip":
        yield from _wrong_fairchip(rest)
    elif program not in OTHERS:
        yield f"unknown program {program}"


def _wrong_make(words: list[str]) -> Iterator[str]:
    given = dict(word.split("=", 1) for word in words if re.match(r"[A-Z]+=", word))
    targets = [word for word in words if not re.match(r"[A-Z]+=|-", word)]
    yield from (f"make has no variable {name}" for name in given if name not in VARIABLES)
    yield from (f"make has no target {name}" for name in targets if name not in make_targets())
    for target in BEHIND.intersection(targets):
        yield from _wrong_fairchip(["bench" if target == "smoke" else target, *shlex.split(given.get("ARGS", ""))])


def _wrong_fairchip(words: list[str]) -> Iterator[str]:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    if not words or words[0] not in known:
        yield f"fairchip has no command {words[:1]}"
        return
    options = {name for parameter in known[words[0]].params for name in parameter.opts}
    for word in words[1:]:
        if word.startswith("--") and word.partition("=")[0] not in options:
            yield f"fairchip {words[0]} has no option {word}"
