"""The Inpaint tab in a real browser: strokes, keys, masks, going on from results, and a larger canvas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from browser_pages import (
    MARKS,
    Visit,
    api,
    downloaded,
    fetched,
    keep,
    open_tab,
    source,
    sources,
    toast,
    unfold,
    upload,
    values,
    wait_until,
)
from builders import png, save, tiny_lama
from imgsynth.imaging.masks import grow_mask, mask_sha256, read_mask
from imgsynth.imaging.record import Record, read_record
from imgsynth.imaging.write import write_mask

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS
EDITOR = True

HEIGHT, WIDTH = 240, 400
# Where the hole is painted: shares of the photo's width and height.
FIRST, SECOND = (0.3, 0.3), (0.7, 0.7)


@pytest.fixture
def sea(tmp_path: Path) -> Path:
    photo = np.full((HEIGHT, WIDTH, 3), (40, 165, 200), np.uint8)
    photo[..., 0] += np.arange(WIDTH, dtype=np.uint8)[None] % 50
    path = tmp_path / "sea.png"
    path.write_bytes(png(photo))
    return path


def editor(page: Page) -> Locator:
    return page.locator("#inpaint-editor canvas").first


def place(page: Page, at: tuple[float, float]) -> tuple[float, float]:
    """Where a share of the photo's width and height lies in the canvas, in whose middle the photo is."""
    box = editor(page).bounding_box()
    assert box is not None
    zoom = int(page.locator("#inpaint-editor .zoom-number span").inner_text().rstrip("%")) / 100
    x = box["width"] / 2 + (at[0] - 0.5) * WIDTH * zoom
    y = box["height"] / 2 + (at[1] - 0.5) * HEIGHT * zoom
    return x, y


def colour(page: Page, at: tuple[float, float]) -> np.ndarray:
    """What the editor shows at a share of the photo's width and height."""
    x, y = (round(v) for v in place(page, at))
    seen = values(editor(page).screenshot())[y - 2 : y + 2, x - 2 : x + 2, :3]
    return np.asarray(seen.mean(axis=(0, 1)))


def red(page: Page, at: tuple[float, float]) -> bool:
    """Whether it shows hole there: the brush's colour, or a mask through which the sea shines."""
    r, g, b = colour(page, at)
    return bool(r > 115 and g < 115 and 50 < b < 150)


def paint(page: Page, at: tuple[float, float]) -> None:
    editor(page).scroll_into_view_if_needed()
    box = editor(page).bounding_box()
    assert box is not None
    x, y = (a + b for a, b in zip((box["x"], box["y"]), place(page, at), strict=True))
    page.mouse.move(x - 10, y)
    page.mouse.down()
    page.mouse.move(x + 10, y, steps=3)
    page.mouse.up()
    wait_until(page, lambda: red(page, at))


def ready(page: Page, path: Path) -> None:
    open_tab(page, "Inpaint")
    upload(page, "#inpaint-photo", path)
    shown(page)


def shown(page: Page) -> None:
    """Waits until the editor has what was put into it."""
    api.expect(page.locator("body.mask-busy")).to_have_count(0)
    wait_until(page, lambda: place(page, (0, 0))[0] > 0 and not red(page, (0.5, 0.1)))


def result(page: Page, line: str) -> tuple[np.ndarray, np.ndarray, Record]:
    """Before, after and the record, once the status line says what it should."""
    api.expect(page.locator("#inpaint-status")).to_contain_text(re.compile(line))
    api.expect(page.locator("#inpaint-result img")).to_have_count(2)
    before, after = (fetched(page, address) for address in sources(page, "#inpaint-result"))
    return values(before), values(after), read_record(after)


def at(mask: np.ndarray, where: tuple[float, float]) -> bool:
    return bool(mask[round(where[1] * mask.shape[0]), round(where[0] * mask.shape[1])])


def test_strokes_keys_fill_and_going_on(visit: Visit, sea: Path) -> None:
    page = visit(width=1000, height=760)
    ready(page, sea)
    paint(page, FIRST)
    paint(page, SECOND)
    for _ in range(4):  # more than there are strokes: the photo stays
        page.keyboard.press("Control+z")
    wait_until(page, lambda: not red(page, FIRST) and not red(page, SECOND))
    page.keyboard.press("Control+Shift+z")
    wait_until(page, lambda: red(page, FIRST) and not red(page, SECOND))

    page.locator("#inpaint-go").click()
    before, first, record = result(page, "filled.*inpaint-small")
    np.testing.assert_array_equal(before, values(sea.read_bytes()))
    changed = (first != before).any(axis=2)
    assert at(changed, FIRST)
    assert not changed[:, WIDTH // 2 :].any()
    keep(page, "inpaint-filled")

    made = source(page, "#inpaint-result", 1)
    page.locator("#inpaint-go-on").click()
    api.expect(page.locator("#inpaint-status")).to_contain_text("The result is the photo now")
    x, y = round(FIRST[0] * WIDTH), round(FIRST[1] * HEIGHT)
    own = first[y - 4 : y + 4, x - 4 : x + 4].mean(axis=(0, 1))  # a random network's fill is rough
    wait_until(page, lambda: bool(np.abs(colour(page, FIRST) - own).max() < 40))
    shown(page)
    paint(page, SECOND)
    page.keyboard.press("Control+Enter")
    wait_until(page, lambda: source(page, "#inpaint-result", 1) != made)
    before, second, after_that = result(page, "filled.*inpaint-small")
    np.testing.assert_array_equal(before, first)
    changed = (second != first).any(axis=2)
    assert at(changed, SECOND)
    assert not changed[:, : WIDTH // 2].any()
    assert after_that["input_sha256"] != record["input_sha256"]


def test_a_mask_is_added_inverted_saved_and_filled(visit: Visit, sea: Path, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[50:90:4, 90:150:3] = True
    mask[140:200, 250:310] = True
    page = visit(width=1000, height=760)
    ready(page, sea)
    page.locator("#inpaint-invert").scroll_into_view_if_needed()
    unfold(page, "Mask from a file")
    page.locator("#inpaint-mask input[type=file]").set_input_files(write_mask(tmp_path / "mask.png", mask))
    status = page.locator("#inpaint-status")
    api.expect(status).to_have_text(f"The hole is now {mask.mean():.1%} of the photo.")
    wait_until(page, lambda: red(page, SECOND))
    page.locator("#inpaint-invert").click()
    api.expect(status).to_have_text(f"The hole is now {(~mask).mean():.1%} of the photo.")
    wait_until(page, lambda: not red(page, SECOND) and red(page, (0.5, 0.1)))
    page.locator("#inpaint-look").click()
    api.expect(page.locator("#inpaint-seen img")).to_be_visible()
    keep(page, "inpaint-mask")
    page.locator("#inpaint-invert").click()
    api.expect(status).to_have_text(f"The hole is now {mask.mean():.1%} of the photo.")
    wait_until(page, lambda: red(page, SECOND) and not red(page, (0.5, 0.1)))
    paint(page, (0.8, 0.2))
    (tmp_path / "saved.png").write_bytes(downloaded(page, "#inpaint-keep"))
    saved = read_mask(tmp_path / "saved.png", None)
    np.testing.assert_array_equal(saved[:, :220], mask[:, :220])
    np.testing.assert_array_equal(saved[120:], mask[120:])
    assert at(saved, (0.8, 0.2))

    page.locator("#inpaint-go").click()
    _, _, record = result(page, "filled")
    assert record["mask_sha256"] == mask_sha256(grow_mask(grow_mask(saved, 4), 4))
    page.locator("#inpaint-clear").click()
    api.expect(status).to_have_text("The hole is empty again.")
    wait_until(page, lambda: not red(page, SECOND))
    page.locator("#inpaint-go").click()
    assert "Nothing is painted yet" in toast(page)


def test_a_larger_canvas_and_the_keys(visit: Visit, sea: Path) -> None:
    page = visit("/?__theme=dark", width=390, height=844)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    api.expect(sheet).to_be_visible()
    keep(page, "keys-phone-dark")
    page.keyboard.press("Escape")
    api.expect(sheet).to_be_hidden()
    page.locator("#sample-seeds textarea").press("?")
    api.expect(sheet).to_be_hidden()
    page.get_by_role("button", name="Keyboard shortcuts").click()
    api.expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="Close").click()
    api.expect(sheet).to_be_hidden()

    ready(page, sea)
    unfold(page, "Extend the canvas")
    page.locator("#inpaint-extend-go").click()
    assert "at least one side" in toast(page)
    page.get_by_label("Left", exact=True).fill("24")
    page.get_by_label("Bottom", exact=True).fill("16")
    api.expect(page.locator("#inpaint-hold")).to_be_disabled()  # there is nothing to hold it against
    page.locator("#inpaint-extend-go").click()
    before, after, record = result(page, "400×240 is now 424×256")
    assert record["request"] == {"left": 24, "top": 0, "right": 0, "bottom": 16}
    np.testing.assert_array_equal(after[:240, 24:], values(sea.read_bytes()))
    np.testing.assert_array_equal(before[:240, 24:, :3], values(sea.read_bytes()))
    filled = page.locator("#inpaint-result img").last
    api.expect(filled).to_have_css("visibility", "visible")
    page.keyboard.down("b")
    api.expect(filled).to_have_css("visibility", "hidden")
    page.keyboard.up("b")
    api.expect(filled).to_have_css("visibility", "visible")
    page.locator("#inpaint-hold").hover()
    page.mouse.down()
    api.expect(filled).to_have_css("visibility", "hidden")
    page.mouse.up()
    api.expect(filled).to_have_css("visibility", "visible")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "inpaint-extended-phone-dark")


def test_the_brush_grows_and_every_model_fills(visit: Visit, sea: Path, tmp_path: Path) -> None:
    page = visit(width=1000, height=760)
    open_tab(page, "Models")
    second = save(tiny_lama(3).state_dict(), tmp_path / "second.safetensors")
    page.locator("#models-file input[type=file]").set_input_files(second)
    api.expect(page.locator("#models-found h3")).to_have_text("second")
    page.locator("#models-open").click()
    api.expect(page.locator("#models-status")).to_contain_text("Inpaint now has it")
    ready(page, sea)
    size = page.locator("#inpaint-editor .half-container input[type=range]")
    page.keyboard.press("]")
    api.expect(size).to_have_value("32")
    page.keyboard.press("[")
    page.keyboard.press("[")
    api.expect(size).to_have_value("24")
    api.expect(size).to_have_count(0)
    paint(page, FIRST)
    page.locator("#inpaint-every").click()
    api.expect(page.locator("#inpaint-status")).to_contain_text("2 candidates; click one")
    candidates = page.locator("#inpaint-candidates button:has(img)")
    api.expect(candidates).to_have_count(2)
    keep(page, "inpaint-candidates")
    candidates.last.click()
    before, after, record = result(page, "filled.*second")
    assert record["checkpoint"]["id"] == "second"
    assert at((before != after).any(axis=2), FIRST)
