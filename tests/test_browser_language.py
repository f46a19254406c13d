"""The page in the browser's language: German at first sight and after events, English for all others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from browser_pages import MARKS, Visit, api, keep, open_tab, toast
from imgsynth.ui.keys import SHORTCUTS
from imgsynth.ui.languages import texts

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

GERMAN = texts("de")
TABS = ("Sample", "Interpolate", "Translate", "Inpaint", "Models")
EMPTY = {
    "Interpolate": "Keyframes become a smooth walk from picture to picture. Press *Make video* to see one.",
    "Translate": "Your photo keeps its size, its transparency and its colour profile.",
    "Inpaint": "Paint over what should go; everything else stays as it is, to the last bit.",
}


def fits(page: Page) -> bool:
    """Whether nothing makes the page wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def clipped(page: Page) -> list[str]:
    """Buttons whose words do not fit into them."""
    return list(
        page.evaluate(
            "[...document.querySelectorAll('button:is(.lg, .md, .sm)')]"
            ".filter(b => b.offsetParent && b.innerText.trim() && b.scrollWidth > b.clientWidth + 1)"
            ".map(b => b.innerText)"
        )
    )


def german_tab(page: Page, name: str) -> None:
    """Opens a tab; what has no room in the row is in a menu behind it."""
    tab = page.get_by_role("tab", name=GERMAN[name], exact=True)
    if tab.count():
        tab.click()
        return
    page.locator(".overflow-menu > button").click()
    page.locator(".overflow-dropdown").get_by_role("button", name=GERMAN[name], exact=True).click()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_german_browser_reads_german_on_every_tab(visit: Visit, width: int) -> None:
    page = visit(width=width, locale="de-DE")
    api.expect(page.locator("#header p")).to_have_text(
        GERMAN["See and use GANs, VAEs and CycleGANs: sample, interpolate, translate and inpaint."]
    )
    api.expect(page.locator("#sample-seeds")).to_contain_text(
        GERMAN["Each seed is one picture, the same every time: 7 or 1,2,5-10."]
    )
    api.expect(page.locator("#sample-go")).to_have_text("Erzeugen")
    api.expect(page.locator("html")).to_have_attribute("lang", "de")
    overflowing: list[str] = []
    for name in TABS:
        german_tab(page, name)
        if name in EMPTY:
            status = page.locator(f"#{name.lower()}-status")
            api.expect(status).to_have_text(GERMAN[EMPTY[name]].replace("*", ""))
        assert "__i18n__" not in page.locator("body").inner_text()
        keep(page, f"german-{name.lower()}-{width}")
        overflowing += [name] * (not fits(page)) + clipped(page)
    assert overflowing == []
    api.expect(page.locator("#models-found")).to_contain_text("Heruntergeladen wird erst mit")
    api.expect(page.locator("#models-task")).to_contain_text("Alle")
    api.expect(page.locator("#models-memory")).to_contain_text("Jetzt im Speicher")


def test_what_events_bring_is_german_too(visit: Visit) -> None:
    page = visit(locale="de-DE")
    page.locator("#sample-gallery .thumbnail-item").first.click()
    kept = page.locator("#sample-keep")
    api.expect(kept).to_have_text("Merken")
    kept.click()
    api.expect(kept).to_have_text("Nicht mehr merken")
    german_tab(page, "Inpaint")
    page.locator("#inpaint-cancel").click()
    api.expect(page.locator("#inpaint-status")).to_have_text("Abgebrochen.")
    page.locator("#inpaint-clear").click()
    assert toast(page).startswith("There is no photo yet")


def test_the_sheet_of_keys_is_german(visit: Visit) -> None:
    page = visit(locale="de-DE")
    page.get_by_role("button", name="Tastenkürzel").click()
    sheet = page.get_by_role("dialog", name="Tastenkürzel")
    for _, what, where in SHORTCUTS:
        api.expect(sheet).to_contain_text(GERMAN[what])
        api.expect(sheet).to_contain_text(GERMAN[where])
    keep(page, "german-keys")


@pytest.mark.parametrize("locale", ["en-US", "fr-FR"])
def test_other_browsers_read_english(visit: Visit, locale: str) -> None:
    page = visit(locale=locale)
    api.expect(page.locator("#sample-go")).to_have_text("Draw")
    api.expect(page.locator("html")).to_have_attribute("lang", "en")
    api.expect(page.locator("#header p")).to_contain_text("See and use GANs")
    open_tab(page, "Inpaint")
    page.locator("#inpaint-cancel").click()
    api.expect(page.locator("#inpaint-status")).to_have_text("Stopped.")
    assert not re.search("__i18n__", page.locator("body").inner_text())
