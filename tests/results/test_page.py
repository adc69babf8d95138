"""The page without a browser: what it holds, what it never holds, and that it is written whole or not at all."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from builders import make_record
from made_up_cases import case
from made_up_reports import (
    CHOICE,
    HOSTILE,
    OWN_PRICE,
    every_state,
    hostile,
    one_machine,
    page_of,
    sections_of,
    two_chips,
)

from results.page.writing import embedded, write_page

LARGEST_BYTES = 3_000_000


class Elements(HTMLParser):
    """Tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def data_of(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.fixture(scope="module")
def everything() -> str:
    return page_of(every_state())


def test_every_state_is_a_row_of_its_own_look(everything: str) -> None:
    for status in ("measured", "failed", "no-rank", "simulated", "published", "derived"):
        assert f'<tr class="is-{status}">' in everything, status
    assert "failed: the compiler ended with 70 (3 runs)" in everything
    assert "gate parity failed" in everything


def test_the_verdict_stands_before_the_table(everything: str) -> None:
    assert everything.index("A token on other x 8 costs 0.") < everything.index('<table class="cases">')
    assert "capacity-block; Welch t on runs, 5 runs" in everything
    assert "dreamt against torch-cuda x 8: no verdict: dreamt is simulated" in everything


def test_tuned_stands_beside_as_is(everything: str) -> None:
    assert "As-is and tuned, other" in everything
    assert "best (tuned)" in everything


def test_one_case_says_what_would_decide() -> None:
    page = page_of(case("torch-cpu", 1000.0), OWN_PRICE)
    assert "Measure a second backend" in page
    assert '<form class="what-if"' not in page


def test_an_undecided_comparison_says_what_would_decide() -> None:
    page = page_of(
        [*case("torch-cpu", 1000.0), *case("jax-cpu", 985.0, noise=[0.03, -0.02, 0.01, -0.03, 0.02])], OWN_PRICE
    )
    assert '<div class="verdict is-undecided">' in page
    assert "runs a side would decide" in page


def test_what_cannot_be_drawn_says_why() -> None:
    page = page_of(one_machine(), OWN_PRICE)
    assert "not drawn: the cases ran on the same machine, so its price cancels." in page
    assert "not drawn: no price history of these machines" in page
    assert "not drawn: no device was probed" in page


def test_a_probed_device_has_a_roofline() -> None:
    probe = {
        "dtype": "float32", "product_flops_per_second": 1e12, "product_size": 2048, "copy_bytes_per_second": 1e10,
        "device_name": "cpu", "measured_at": "2026-11-22T10:00:00.000+00:00",
    }  # fmt: skip
    page = page_of(case("torch-cpu", 1000.0, achievable=probe), OWN_PRICE)
    assert "of 1 TFLOP/s that products alone reach" in page
    assert "it may lie anywhere on its dashed line" in page


def test_every_chart_has_its_text(everything: str) -> None:
    charts = re.findall(r"<figure.*?</figure>", everything, re.DOTALL)
    assert len(charts) == 6
    assert all(re.search(r"<figcaption>[^<]{20,}</figcaption>", chart) for chart in charts)


def test_all_that_is_behind_it_is_there(everything: str) -> None:
    for record in every_state():
        assert record.run_id in everything
    assert everything.count("sha256 ") >= len(every_state())
    for gate in ("synchronisation", "parity", "recompile"):
        assert f"<td>{gate}" in everything
    assert "packages_sha256" in everything
    assert "track" in everything


def test_it_refers_to_nothing_outside(everything: str) -> None:
    for tag, attributes in Elements(everything).tags:
        assert tag not in {"img", "iframe", "object", "embed", "base", "video", "audio", "source", "image"}
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith("#")
        assert tag != "link"
    assert "url(" not in everything, "nor to anything inside that two charts may call the same"
    assert "@import" not in everything
    assert "default-src 'none'" in everything


def test_headings_come_in_order_and_controls_have_labels(everything: str) -> None:
    tags = Elements(everything).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    controls = {attributes.get("id") for tag, attributes in tags if tag in {"input", "select"}}
    assert controls == labelled
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")
    identifiers = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_a_hostile_record_is_only_text() -> None:
    page = page_of(hostile())
    own = page_of(one_machine(), OWN_PRICE)
    kinds = {tag for tag, _ in Elements(own).tags} | {"ul", "li"}
    assert {tag for tag, _ in Elements(page).tags} <= kinds
    assert sum(tag == "script" for tag, _ in Elements(page).tags) == 3
    assert all(char.isprintable() or char == "\n" for char in page)
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;" in page
    assert data_of(page)[0]["cases"][0]["label"].startswith("a<script>")  # type: ignore[index]


def test_embedded_json_ends_no_script() -> None:
    text = embedded({"a": f"{HOSTILE}</script><!--"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": f"{HOSTILE}</script><!--"}
    with pytest.raises(ValueError, match="JSON"):
        embedded(float("nan"))


def test_two_workloads_are_two_sections() -> None:
    other = case("torch-cpu", 500.0, case__specification={"model": {"dim": 128}, "precision": "fp32"})
    page = page_of([*one_machine(), *other], OWN_PRICE)
    assert page.count("<section ") == 3
    assert 'href="#work-1"' in page
    assert len(data_of(page)) == 2


def test_it_is_small() -> None:
    assert len(page_of(two_chips()).encode()) < LARGEST_BYTES / 10
    assert len(page_of(one_machine(runs=250), OWN_PRICE).encode()) < LARGEST_BYTES


def test_the_same_records_make_the_same_page(everything: str) -> None:
    assert page_of(every_state()) == everything


def test_a_run_without_anything_has_a_page() -> None:
    page = page_of([make_record(status="timeout", reason="an hour", measurement=None)])
    assert "is-timeout" in page


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _full)
        with pytest.raises(OSError, match="full"):
            write_page(path, sections_of(one_machine(), OWN_PRICE), OWN_PRICE)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    write_page(path, sections_of(one_machine(), OWN_PRICE), CHOICE)
    assert path.read_text(encoding="utf-8").endswith("</html>")


def _full(*_: object) -> None:
    raise OSError(28, "disk full")
