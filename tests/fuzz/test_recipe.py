"""Recipes: one that is accepted can be resolved, recorded, and handed to a process as its environment."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from fuzz.inputs import as_toml, fuzzed, mutated_bytes, mutated_table
from fuzz.tally import taken
from hypothesis import given

from backends.errors import BackendError
from backends.recipe import Recipe, custom_recipe, resolve
from workloads.catalog import find_workload

TABLE = {
    "name": "mine",
    "micro_batch_tokens": 16384,
    "compile": "off",
    "attention": "sdpa",
    "rematerialise": True,
    "threads": 4,
    "environment": {"MALLOC_ARENA_MAX": "2", "XLA_FLAGS": "--xla_dump_to=x"},
}
TOKENS = (
    b"[environment]",
    b"=",
    b'"',
    b"'''",
    b"{",
    b"[",
    b"micro_batch = 2\n",
    b"threads = 0\n",
    b"nan",
    b"9" * 30,
    b"\n",
)
TOKENS += (b"\x00", b"\xff", b'"A=B" = "c"\n', b'"" = ""\n', b"\\u0000", b"a.b.c", b"07:32:00", b"#", b"-")


def require_usable(recipe: Recipe) -> None:
    """It survives the way into a worker."""
    taken("recipe, resolved", lambda: resolve(recipe, find_workload("smoke")), BackendError)
    json.dumps(asdict(recipe), allow_nan=False)
    for name, value in recipe.environment.items():
        assert os.fsencode(name)
        assert b"=" not in os.fsencode(name)
        assert b"\0" not in os.fsencode(name + value)


@fuzzed(400)
@given(content=mutated_bytes(as_toml(TABLE).encode(), TOKENS))
def test_bytes(content: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_bytes(content)
    recipe = taken("recipe TOML, bytes", lambda: custom_recipe(path), BackendError, str(path))
    if recipe is not None:
        require_usable(recipe)


@fuzzed(400)
@given(table=mutated_table(TABLE))
def test_structure(table: dict, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_text(as_toml(table), encoding="utf-8", errors="surrogatepass")
    recipe = taken("recipe TOML, structure", lambda: custom_recipe(path), BackendError, str(path))
    if recipe is not None:
        require_usable(recipe)


def test_the_longest_environment_starts_a_process(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml({"environment": {f"VARIABLE_{i}": "x" * 10_000 for i in range(100)}}))
    variables = {**os.environ, **custom_recipe(path).environment}
    assert subprocess.run([sys.executable, "-c", ""], env=variables, timeout=60).returncode == 0
