"""The page in a real browser: controls, keyboard, hostile records, widths, themes, print, size and speed."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made_up_reports import OWN_PRICE, chip_case, every_state, hostile, one_machine, page_of, sections_of, two_chips

from results.compare import equal_price_ratio
from results.what_if import Side, what_if

SECONDS_TO_INTERACTIVE = 2.0
LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for text of any size."""
CONTRASTS = """() => {
  const parts = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = (element) => {
    if (!element) return [255, 255, 255, 1];
    return over(parts(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  const light = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  return [...document.body.querySelectorAll("*")].filter((e) => own(e) && e.getClientRects().length).map((element) => {
    const style = getComputedStyle(element);
    const paper = behind(element);
    const ink = over(parts(element instanceof SVGElement ? style.fill : style.color), paper);
    const [less, more] = [light(ink), light(paper)].sort((a, b) => a - b);
    return [more / less, element.tagName + "." + element.className + " " + element.textContent.slice(0, 40)];
  });
}"""
Show = Callable[..., Any]


def answer(tab: Any) -> tuple[str, list[float]]:
    """The verdict and the ratio with its ends, as the page says them."""
    claim = tab.locator(".answer .claim").inner_text()
    verdict = tab.locator('[data-out="verdict"]').text_content()
    ratio = re.search(r"costs ([\d.]+) times \[([\d.]+), ([\d.]+)\]", claim)
    return verdict, [float(part) for part in ratio.groups()] if ratio else []


def expected(
    usd_per_hour: tuple[float, float], discount: float = 0.0, seconds: float | None = None
) -> tuple[str, list[float]]:
    """The same of Python, to three digits."""
    (section,) = sections_of(two_chips())
    baseline, case = (
        Side(
            tokens_per_second=one.summary.throughput,  # type: ignore[arg-type]
            start_up_seconds=one.summary.cold_start_seconds or one.summary.warm_start_seconds or 0.0,
            goodput=1.0,
            usd_per_hour=usd,
        )
        for one, usd in zip(section.cases, usd_per_hour, strict=True)
    )
    slower = equal_price_ratio(section.cases[0].summary, section.cases[1].summary)
    found = what_if(baseline, replace(case, discount=discount), slower, seconds, 0.02)
    assert found is not None
    ends = (found.cost_ratio.estimate, found.cost_ratio.low, found.cost_ratio.high)
    return found.verdict, [pytest.approx(end, abs=6e-4) for end in ends]


def price_of(tab: Any, side: str) -> float:
    return float(tab.locator(f"#{side}-price-0").input_value())


def test_it_begins_with_the_reports_verdict(show: Show) -> None:
    (section,) = sections_of(two_chips())
    (comparison,) = section.comparisons
    tab = show(page_of(two_chips()))
    verdict, (estimate, *_) = answer(tab)
    assert verdict == comparison.verdict
    assert comparison.cost_ratio is not None
    assert estimate == pytest.approx(comparison.cost_ratio.estimate, abs=6e-4)


def test_every_control_changes_the_verdict_as_python_does(show: Show) -> None:
    tab = show(page_of(two_chips()))
    book = price_of(tab, "baseline"), price_of(tab, "case")
    assert answer(tab) == expected(book)

    seen = set()
    for usd in (10.0, 41.5, 42.25, 90.0):
        tab.locator("#case-price-0").fill(str(usd))
        assert answer(tab) == expected((book[0], usd)), usd
        seen.add(answer(tab)[0])
    assert seen == {"better", "undecided", "worse"}
    assert tab.locator("#case-model-0").input_value() == "user"
    assert "no matched comparison" in tab.locator('[data-out="mixed"]').inner_text()

    tab.locator("#case-discount-0").fill("40")
    assert answer(tab) == expected((book[0], 90.0), discount=0.4)
    tab.locator("#length-0").select_option("600")
    assert answer(tab) == expected((book[0], 90.0), discount=0.4, seconds=600.0)

    tab.get_by_role("button").click()
    tab.wait_for_function("document.getElementById('case-model-0').value !== 'user'")
    assert answer(tab) == expected(book)
    assert not tab.locator('[data-out="mixed"]').is_visible()


def test_a_day_of_the_history_has_its_own_price(show: Show) -> None:
    tab = show(page_of(two_chips()))
    today = price_of(tab, "baseline")
    tab.locator("#day-0").fill("2026-03-01")
    tab.locator("#day-0").dispatch_event("change")
    then = price_of(tab, "baseline"), price_of(tab, "case")
    assert then[0] != today
    assert answer(tab) == expected(then)
    tab.locator("#day-0").fill("2023-10-01")
    tab.locator("#day-0").dispatch_event("change")
    assert answer(tab) == ("no verdict", [])


def test_on_one_machine_the_price_cancels(show: Show) -> None:
    tab = show(page_of(one_machine(), OWN_PRICE))
    before = answer(tab)
    assert not tab.locator("#case-price-0").is_visible()
    tab.locator("#baseline-price-0").fill("7")
    assert answer(tab) == before
    assert tab.locator('[data-out="case-cost"]').inner_text().startswith("2.160")


def test_without_any_price_one_machine_has_its_verdict(show: Show) -> None:
    priced, tab = answer(show(page_of(one_machine(), OWN_PRICE))), show(page_of(one_machine()))
    assert answer(tab) == priced
    assert tab.locator('[data-out="case-cost"]').inner_text() == "–"
    assert "type one" in tab.locator('[data-out="said"]').first.inner_text()
    tab.locator("#baseline-price-0").fill("0.1")
    assert tab.locator('[data-out="case-cost"]').inner_text() != "–"
    assert "your own price" in tab.locator('[data-out="said"]').first.inner_text()


def test_another_pair_can_be_chosen(show: Show) -> None:
    other = chip_case("another", 61_000.0, "trn1.32xlarge", case__recipe={"name": "mine", "track": "custom"})
    tab = show(page_of([*two_chips(), *other]))
    before = answer(tab)
    tab.locator("#pair-0").select_option("1")
    assert answer(tab) != before
    assert "another x 8 (mine)" in tab.locator(".answer .claim").inner_text()


def test_the_keyboard_reaches_everything(show: Show) -> None:
    tab = show(page_of(two_chips()))
    reached: set[str] = set()
    for _ in range(60):
        tab.keyboard.press("Tab")
        reached.add(
            tab.evaluate(
                "document.activeElement.id || document.activeElement.tagName + document.activeElement.className"
            )
        )
    wanted = {
        "baseline-model-0",
        "baseline-price-0",
        "case-discount-0",
        "day-0",
        "length-0",
        "Askip",
        "SUMMARY",
        "BUTTON",
    }
    assert wanted <= reached
    summary = tab.locator("summary").nth(1)
    summary.focus()
    outline = summary.evaluate("element => getComputedStyle(element).outlineStyle")
    tab.keyboard.press("Enter")
    assert outline != "none"
    assert tab.locator("details[open]").count() >= 1


def test_a_verdict_is_announced(show: Show) -> None:
    tab = show(page_of(two_chips()))
    assert tab.locator(".answer").get_attribute("aria-live") == "polite"
    assert tab.evaluate("document.documentElement.lang") == "en"


def test_a_hostile_record_stays_text(show: Show) -> None:
    tab = show(page_of(hostile()))
    tab.wait_for_timeout(200)
    assert tab.evaluate("window.pwned") is None
    assert tab.locator("script").count() == 3
    assert tab.locator("img, iframe, svg svg, [onload], [onerror], [onmouseover]").count() == 0
    assert tab.locator("a:not([href^='#'])").count() == 0
    assert "<script>window.pwned=1</script>" in tab.locator("table.cases").first.inner_text()
    assert "</style><img src=x" in tab.locator("fieldset legend").first.inner_text()


def test_what_got_in_would_not_run(browser: Any, tmp_path: Any) -> None:
    """The page's policy is a second wall: here the first one, escaping, is sabotaged."""
    inside = "<script>window.pwned=1</script><b id=x onclick=window.pwned=1>x</b><img src=https://example.org/x>"
    path = tmp_path / "report.html"
    path.write_text(page_of(one_machine(), OWN_PRICE).replace("</main>", f"</main>{inside}"), encoding="utf-8")
    tab, said = browser.new_page(), list[str]()
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(path.as_uri())
    tab.locator("#x").click()
    assert tab.evaluate("window.pwned") is None
    assert tab.locator("form.what-if").is_visible(), "its own scripts do run"
    assert len(said) == 3
    assert all("Content Security Policy" in line for line in said)
    tab.close()


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_the_screen_and_follows_the_theme(show: Show, width: int, theme: str) -> None:
    tab = show(page_of(every_state()), viewport={"width": width, "height": 844}, color_scheme=theme)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (theme == "light")
    drawn = tab.evaluate(
        "[...document.querySelectorAll('figure svg [stroke^=\"var(--side-0)\"]')].map(e => getComputedStyle(e).stroke)"
    )
    assert drawn
    assert set(drawn) == {"rgb(31, 95, 191)" if theme == "light" else "rgb(127, 176, 255)"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out(show: Show, theme: str) -> None:
    tab = show(page_of(every_state()), color_scheme=theme)
    tab.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 500
    assert [told for contrast, told in found if contrast < LEAST_CONTRAST] == []


def test_it_reads_without_javascript(browser: Any, tmp_path: Any) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(two_chips()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(path.as_uri())
    assert tab.locator(".verdict .claim").first.is_visible()
    assert tab.locator("figure svg").first.is_visible()
    assert not tab.locator("form.what-if").is_visible()
    context.close()


def test_a_print_is_light_fits_and_shows_what_is_closed(show: Show) -> None:
    tab = show(page_of(every_state()), viewport={"width": 720, "height": 1000}, color_scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("details:not([open])").count() == 0
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 720


def test_five_hundred_records_are_quick(show: Show) -> None:
    text = page_of(one_machine(runs=250), OWN_PRICE)
    assert len(text.encode()) < 3_000_000
    tab = show(text)
    milliseconds = tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert tab.locator("form.what-if").is_visible()
    assert milliseconds < SECONDS_TO_INTERACTIVE * 1e3
