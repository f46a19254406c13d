"""How a page is used in a real browser: what its tests share. Fixtures: browser_fixtures.py."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app_server import ARTIFACTS, PATIENCE, REPOSITORY, assert_plain
from imgsynth.imaging.record import Record, read_record

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CHROMIUM = shutil.which("chromium")
api: Any = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -r requirements-dev.txt"
)
MARKS = [
    pytest.mark.browser,
    # Gradio loads a control's code when it is first shown; what comes in that moment is lost, now and then
    # on a starved machine in spite of all waiting. A second failure in a row is one of ours.
    pytest.mark.flaky(reruns=1),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine's PATH"),
]
api.expect.set_options(timeout=PATIENCE * 1000)

CHINA = REPOSITORY / "examples" / "china.jpg"

# Ends half a second after the last change around a button; a starved page's clock stands still with its work.
UNTIL_CALM = """(button) => new Promise((resolve) => {
    let waiting = setTimeout(done, 500);
    const watcher = new MutationObserver(() => { clearTimeout(waiting); waiting = setTimeout(done, 500); });
    watcher.observe(button.parentElement, { attributes: true, childList: true, subtree: true });
    function done() { watcher.disconnect(); resolve(); }
})"""

Visit = Callable[..., "Page"]


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def press(button: Locator) -> None:
    """Presses a button that has only just appeared, as a person does: once its surroundings are at rest."""
    button.evaluate(UNTIL_CALM)
    button.click()


def unfold(page: Page, title: str) -> None:
    """Opens a part. Its controls are made only now, and what is given to one while others are still being
    made is lost; so it waits until nothing in the part has changed for a moment."""
    button = page.get_by_role("button", name=title).locator("visible=true").first
    button.click()
    button.evaluate(UNTIL_CALM)


def keep(page: Page, name: str) -> None:
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def sources(page: Page, selector: str) -> list[str]:
    """The addresses of the pictures that are there at this moment, none or more."""
    found = page.locator(f"{selector} img").evaluate_all("images => images.map((i) => i.getAttribute('src'))")
    return [str(address) for address in found]


def source(page: Page, selector: str, index: int = 0) -> str:
    """The address of one picture, once it is there: the line below may be ahead of it."""
    return str(page.locator(f"{selector} img").nth(index).get_attribute("src"))


def fetched(page: Page, address: str) -> bytes:
    return page.request.get(address).body()


def picture(page: Page, selector: str, index: int = 0) -> bytes:
    """The file of one picture, once it is there."""
    return fetched(page, source(page, selector, index))


def downloaded(page: Page, selector: str) -> bytes:
    """What a button gives, once there is something to be had."""
    with page.expect_download() as download:
        page.locator(selector).click()
    return download.value.path().read_bytes()


def values(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image).copy()


def before_and_after(page: Page, selector: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a slider's two pictures, which both have the photo's own size."""
    images = page.locator(f"{selector} img")
    api.expect(images).to_have_count(2)
    for image in images.all():
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())
        assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == list(size)
    before, after = (values(fetched(page, address)) for address in sources(page, selector))
    return before, after


def records(page: Page, selector: str) -> list[Record]:
    return [read_record(fetched(page, address)) for address in sources(page, selector)]


def gallery_shows(page: Page, seeds: list[int]) -> None:
    """Waits until the gallery has a picture for each seed; the line below it may be ahead of it."""
    api.expect(page.locator("#sample-gallery .caption-label")).to_have_text([str(seed) for seed in seeds])


def upload(page: Page, selector: str, path: Path) -> None:
    """Chooses a photo, in place of the one that is there, if any."""
    page.locator(f"{selector} input[type=file]").set_input_files(path)
    api.expect(page.locator(f"{selector} img")).to_have_attribute("src", re.compile(re.escape(path.name)))


def set_number(page: Page, label: str, value: int) -> None:
    """Controls are made when their part is first shown; what is given in that moment is lost, so again."""
    box = page.get_by_label(f"number input for {label}", exact=True)
    slider = page.get_by_label(f"range slider for {label}", exact=True)

    def holds() -> bool:
        box.fill(str(value))
        box.press("Enter")
        box.press("Tab")
        page.wait_for_timeout(250)
        return slider.input_value() == str(value)

    wait_until(page, holds)


def slide(page: Page, label: str, steps: int) -> None:
    """Moves a slider by keys, which says "input" as dragging does."""
    slider = page.get_by_label(f"range slider for {label}", exact=True)
    slider.focus()
    for _ in range(abs(steps)):
        slider.press("ArrowRight" if steps > 0 else "ArrowLeft")


def toast(page: Page) -> str:
    """The one error that is shown; closes it."""
    text = page.get_by_test_id("toast-text")
    api.expect(text).to_have_count(1)
    sentence = text.inner_text()
    assert_plain(sentence)
    page.get_by_test_id("toast-close").click()
    api.expect(text).to_have_count(0)
    return str(sentence)


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        page.wait_for_timeout(250)  # many a condition reads all pictures
