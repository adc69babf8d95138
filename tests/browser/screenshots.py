"""Pictures of the page, to look at after a change of its looks.

`PYTHONPATH=.:tests python tests/browser/screenshots.py FOLDER [RECORDS...]` draws made-up reports in every state and
those of folders of records: on a phone and a desktop, light and dark, and as a print.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which

from made_up_reports import OWN_PRICE, every_state, hostile, one_machine, page_of, two_chips
from playwright.sync_api import Browser, sync_playwright

from results.costs import PriceChoice
from results.page.writing import page
from results.report import make_sections
from results.store import load_all

WIDTHS = {"phone": 390, "desktop": 1280}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pages(folders: list[Path], choice: PriceChoice = OWN_PRICE) -> Mapping[str, str]:
    """By name."""
    made_up = {
        "two-chips": page_of(two_chips()),
        "every-state": page_of(every_state()),
        "one-machine": page_of(one_machine(), OWN_PRICE),
        "hostile": page_of(hostile()),
    }
    real = {folder.name: page(make_sections({"": load_all([folder])}, choice), choice) for folder in folders}
    return made_up | real


def shoot(browser: Browser, path: Path) -> None:
    """Both widths in both themes, whole; and what a printer gets."""
    for size, width in WIDTHS.items():
        for theme in ("light", "dark"):
            tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=theme)
            tab.goto(path.as_uri())
            tab.screenshot(path=path.with_name(f"{path.stem}-{size}-{theme}.png"), full_page=True)
            tab.close()
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.pdf(path=path.with_suffix(".pdf"), format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "1cm"))
    tab.close()


def main(folder: Path, records: list[Path]) -> None:
    """Write pages and pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=next(filter(None, map(which, BROWSERS)), None), args=["--no-sandbox"]
        )
        for name, text in pages(records).items():
            path = folder / f"{name}.html"
            path.write_text(text, encoding="utf-8")
            shoot(browser, path)
            print(f"wrote {path} and its pictures")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
