"""Records: whatever is in a file, it is refused, or it can be judged, compared, priced and printed in every format."""

import hashlib
import io
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from builders import make_record
from fuzz.inputs import EXTREMES, HOSTILE_TEXT, fuzzed, mostly, mutated_bytes, mutated_table, texts
from fuzz.tally import taken
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from results.costs import PriceChoice
from results.errors import RecordError, ResultsError
from results.frame import run_frame
from results.gates import evaluate
from results.plain_text import plain
from results.price_book import PURCHASE_MODELS
from results.record import RunRecord
from results.record_file import read_record
from results.render import HEADINGS, as_json, markdown, print_sections
from results.report import make_sections
from results.store import load_all

GOLDEN = (Path(__file__).parents[1] / "golden" / "record-v1.json").read_bytes()
PLAUSIBLE = make_record().model_dump(mode="json")
SHORT = make_record(losses=[5.5, 5.4], with_gates=False).model_dump(mode="json")
SHORT["measurement"]["windows"] = SHORT["measurement"]["windows"][:2]
SHORT["reference"] = {"losses": [5.5, 5.4], "relative_tolerance": 1e-5, "derivation": "test"}
TOKENS = (
    b"{",
    b"}",
    b"[" * 300,
    b'"',
    b":",
    b",",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"null",
    b"0",
    b"-",
    b"e9",
)
TOKENS += (
    b'"schema_version": 2,',
    b'"steps": [],',
    b"\\ud800",
    b"\\u001b[31m",
    b"\x00",
    b"\xff",
    b"1e-400",
    b"\\u202e",
)
DAY = date(2026, 11, 22)
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@fuzzed(300)
@given(content=mutated_bytes(GOLDEN, TOKENS))
def test_bytes(content: bytes, folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(content)
    record = taken("record JSON, bytes", lambda: read_record(path), RecordError, str(path))
    if record is not None:
        require_usable({"": [record]}, PriceChoice(as_of=DAY, usd_per_hour=1.0))


@fuzzed(500)
@given(content=mutated_table(SHORT))
def test_structure(content: Any, folder: Path) -> None:
    path = folder / "record.json"
    path.write_text(json.dumps(content))
    record = taken("record JSON, structure", lambda: read_record(path), RecordError, str(path))
    if record is not None:
        require_usable({"": [record]}, PriceChoice(as_of=DAY, usd_per_hour=1.0))


class Content(dict[str, Any]):
    """Content of a record that prints what is odd about it."""

    def __repr__(self) -> str:
        return repr(_differences(self, PLAUSIBLE))


def _differences(content: Any, base: Any) -> Any:
    if isinstance(content, dict) and isinstance(base, dict):
        return {key: _differences(value, base.get(key)) for key, value in content.items() if value != base.get(key)}
    return content


numbers = st.sampled_from([0.0, 1.0, -1.0, 5.5, 5e-324, 1e308, -1e308]) | st.floats(-1e3, 1e3)
scales = st.sampled_from([1.0, 1.0, 1.0, 1e-8, 1e9]) | st.floats(1e-3, 1e3)
counts = st.sampled_from([0, 1, 4, 2**53, 2**63 - 1])
words = mostly(st.sampled_from(["a", "b", "as-is", "torch-cpu"]), texts)
devices = st.sampled_from([("cpu", "cpu"), ("cuda", "NVIDIA H100 80GB HBM3"), ("cuda", "Unheard Of"), ("x", "\x1b[2J")])
instances = st.sampled_from([None, None, "c8i.2xlarge", "p5.48xlarge", "trn2.48xlarge", *HOSTILE_TEXT])


@st.composite
def odd_records(draw: st.DrawFn) -> Content:
    """Content of a record that is valid and that no honest run would write."""
    content = make_record(
        backend=draw(words),
        tokens_per_second=1000.0 * draw(scales),
        suite_id=draw(st.sampled_from(["a" * 32, "b" * 32])),
        round_=draw(st.integers(0, 9)),
        host_id=draw(st.sampled_from(["c" * 32, "d" * 32])),
        reference=draw(st.booleans()),
        with_gates=False,
    ).model_dump(mode="json")
    content["run_id"] = draw(st.integers(0, 2**32).map(lambda number: f"{number:032x}"))
    content["place"]["order"] = draw(st.integers(0, 2**40))
    content["environment"]["instance"]["name"] = draw(instances)
    content["environment"]["instance"]["region"] = draw(st.sampled_from([None, "us-east-2", *HOSTILE_TEXT]))
    content["environment"]["instance"]["purchase_model"] = draw(
        st.sampled_from([None, *PURCHASE_MODELS, *HOSTILE_TEXT])
    )
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        change(content, draw)
    return Content(content)


def _text(content: dict[str, Any], draw: st.DrawFn) -> None:
    owner, key = draw(st.sampled_from([("case", "workload"), ("case", "backend"), ("environment", "cpu_model")]))
    content[owner][key] = draw(texts)
    content["reason"], content["stderr_tail"] = draw(texts), draw(texts)


def _status(content: dict[str, Any], draw: st.DrawFn) -> None:
    content["status"] = draw(st.sampled_from(["ok", "failed", "out-of-memory", "timeout", "unavailable"]))
    content["provenance"] = draw(st.sampled_from(["measured", "simulated"]))
    content["place"]["role"] = draw(st.sampled_from(["timed", "cold-start"]))
    if draw(st.booleans()):
        content["measurement"] = None


def _recipe(content: dict[str, Any], draw: st.DrawFn) -> None:
    content["case"]["recipe"] = draw(st.sampled_from([{}, {"name": None}, {"name": ["x"]}, {"name": {"a": 1e308}}]))
    content["case"]["recipe"] |= draw(st.dictionaries(texts, texts, max_size=2))


def _specification(content: dict[str, Any], draw: st.DrawFn) -> None:
    specification = draw(st.dictionaries(texts, texts | st.integers() | numbers, max_size=2))
    canonical = json.dumps(specification, sort_keys=True, separators=(",", ":"))
    content["case"] |= {"specification": specification, "digest": hashlib.sha256(canonical.encode()).hexdigest()}


def _case(content: dict[str, Any], draw: st.DrawFn) -> None:
    case = content["case"]
    case["precision"] = draw(st.sampled_from(["fp32", "bf16-mixed", "fp64", "bf16-emulated"]))
    case["peak_dtype"] = draw(st.sampled_from(["fp32", "bf16", None]))
    case["parameters"], case["operand_fraction_bits"] = draw(counts), draw(counts)
    case["world_size"] = draw(counts) or 1
    case["expected_first_loss"] = draw(numbers)
    case["flops_per_token"] = {name: draw(counts) or 1 for name in case["flops_per_token"]}


def _device(content: dict[str, Any], draw: st.DrawFn) -> None:
    kind, name = draw(devices)
    content["case"]["device_type"] = kind
    if content["measurement"]:
        content["measurement"]["session"] |= {"device_type": kind, "device_name": name}


def _losses(content: dict[str, Any], draw: st.DrawFn) -> None:
    measured, reference = content["measurement"], content["reference"]
    if reference:
        reference["losses"] = draw(st.lists(numbers, min_size=1, max_size=3))
    if measured:
        losses = draw(st.lists(numbers | st.none(), max_size=12))
        measured["steps"] = [{"step": i, "loss": loss, "gradient_norm": loss} for i, loss in enumerate(losses)]


def _session(content: dict[str, Any], draw: st.DrawFn) -> None:
    keys = ["fallback", "device_name", "device_type", "operand_fraction_bits", "accumulation_exact"]
    keys += ["peak_flops_per_second", "peak_source"]
    odd = texts | numbers | counts | st.booleans() | st.none() | st.just("x" * 20_000)
    if content["measurement"]:
        content["measurement"]["session"] |= draw(st.dictionaries(st.sampled_from(keys), odd))


def _measurement(content: dict[str, Any], draw: st.DrawFn) -> None:
    measured = content["measurement"]
    if not measured:
        return
    measured["windows"] = measured["windows"][: draw(st.integers(0, 8))]
    measured["warmup"] = measured["warmup"][: draw(st.integers(0, 1))]
    measured["warmup_steady"] = draw(st.sampled_from([True, False, None]))
    seconds = st.sampled_from([0.0, 5e-324, 1.0, 1e11])
    check = {"steps": draw(counts) or 1, **{f"{name}_seconds": draw(seconds) for name in ("once", "twice", "idle")}}
    measured["self_checks"] = [check] * draw(st.integers(0, 2))
    measured["memory"] = draw(st.sampled_from([None, {"peak_bytes": 2**63 - 1, "source": "\x1b"}]))
    measured["compiled_graphs_after"] = draw(st.none() | counts)


def _host(content: dict[str, Any], draw: st.DrawFn) -> None:
    sample = {name: draw(st.none() | numbers) for name in ("other_cpus", "stolen_cpus", "cpu_mhz")}
    content["host_samples"] = [sample | {"unix_seconds": 1011.0}] * draw(st.integers(0, 2))
    content["environment"]["logical_cpus"] = draw(counts) or 1
    content["environment"]["memory_bytes"] = draw(counts)
    content["gates"] = []


CHANGES = (_text, _status, _recipe, _specification, _case, _device, _losses, _session, _measurement, _host)


def _is_float(value: object) -> bool:
    return isinstance(value, float)


choices = st.builds(
    PriceChoice,
    as_of=st.sampled_from([DAY, date(1, 1, 1), date(9999, 12, 31)]),
    instance=st.sampled_from([None, None, "c8i.2xlarge"]),
    usd_per_hour=mostly(
        st.sampled_from([None, None, None, 1e-15, 1.0, 1e15]), st.sampled_from(EXTREMES).filter(_is_float)
    ),
)


@fuzzed(200)
@given(contents=st.lists(odd_records(), min_size=1, max_size=6), split=st.integers(0, 6), choice=choices)
def test_several_odd_records_at_once(contents: list[dict], split: int, choice: PriceChoice, folder: Path) -> None:
    sides: dict[str, list[RunRecord]] = {}
    for side, part in (("a\x1b[31m", contents[:split]), ("b|c", contents[split:])):
        place = folder / side
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for number, content in enumerate(part):
            (place / f"{number}.json").write_text(json.dumps(content))
        if part:
            sides[side] = (
                taken("folder of records", lambda place=place: load_all([place]), RecordError, str(place)) or []
            )
    sides = {name: records for name, records in sides.items() if records}
    if sides:
        require_usable(sides, choice)


def require_usable(sides: dict[str, list[RunRecord]], choice: PriceChoice) -> None:
    """Judged, compared or refused, and printed in every format without a character that steers."""
    records = [record for side in sides.values() for record in side]
    for record in records:
        assert len(evaluate(record)) in (0, len(evaluate(make_record())))
        assert RunRecord.model_validate_json(record.model_dump_json()) == record
    csv = run_frame(records).to_csv(index=False)
    sections = taken("sections", lambda: make_sections(sides, choice), ResultsError)
    if sections is None:
        return
    screen = io.StringIO()
    print_sections(sections, Console(file=screen, width=80))
    page = markdown(sections)
    for text in (screen.getvalue(), page, csv):
        assert all(char.isprintable() or char == "\n" for char in text)
    json.loads(as_json(sections), parse_constant=pytest.fail)
    require_inert(page)


def require_inert(page: str) -> None:
    """No HTML, link or image came in, and every row of a table has a cell for each heading."""
    cells = 0
    for token in MARKDOWN.parse(page):
        kinds = {token.type, *(child.type for child in token.children or ())}
        assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image", "fence"}), token.content
        if token.type == "tr_open":
            cells = 0
        cells += token.type in ("td_open", "th_open")
        assert token.type != "tr_close" or cells == len(HEADINGS)


@fuzzed(300)
@given(text=st.text() | st.sampled_from(HOSTILE_TEXT))
def test_plain_text_is_plain_and_stays_so(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)
