"""The Inpaint tab's brush in a real browser: what is painted is filled, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from browser_pages import (
    MARKS,
    Visit,
    before_and_after,
    fetched,
    keep,
    open_tab,
    sources,
    toast,
    upload,
    values,
    wait_until,
)
from builders import png
from imgsynth.imaging.record import read_record

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS
EDITOR = True

BRUSH = (225, 29, 72)


def middle_colour(canvas: Locator) -> np.ndarray:
    """What the screen shows in the middle of the editor."""
    seen = values(canvas.screenshot())[..., :3].astype(float)
    y, x = seen.shape[0] // 2, seen.shape[1] // 2
    return np.asarray(seen[y - 3 : y + 3, x - 3 : x + 3].mean(axis=(0, 1)))


def shows(canvas: Locator, colour: Any) -> bool:
    return bool(np.abs(middle_colour(canvas) - colour).max() < 30)


def paint_across_the_middle(page: Page, canvas: Locator) -> None:
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=4)
    page.mouse.up()
    wait_until(page, lambda: shows(canvas, BRUSH))


def test_inpaint_fills_what_was_painted_and_nothing_else(
    visit: Visit, tmp_path: Path, not_a_photo: Path
) -> None:
    """The photo is wider than what the editor shows of it, so the mask is scaled up."""
    photo = np.full((300, 1200, 3), (40, 165, 200), np.uint8)
    photo[..., 0] += np.arange(1200, dtype=np.uint8)[None] % 50
    path = tmp_path / "sea.png"
    path.write_bytes(png(photo))
    page = visit(width=1000, height=720)
    open_tab(page, "Inpaint")
    upload(page, "#inpaint-photo", path)
    canvas = page.locator("#inpaint-editor canvas").first
    wait_until(page, lambda: shows(canvas, photo[150, 600]))

    page.locator("#inpaint-go").click()
    assert "Nothing is painted yet" in toast(page)

    paint_across_the_middle(page, canvas)
    page.locator("#inpaint-go").click()
    before, after = before_and_after(page, "#inpaint-result", (1200, 300))
    np.testing.assert_array_equal(before, photo)
    changed = (after != photo).any(axis=2)
    assert changed[145:155, 560:640].mean() > 0.9
    assert not changed[:, :300].any()
    assert not changed[:, 900:].any()
    shown = sources(page, "#inpaint-result")
    assert read_record(fetched(page, shown[1]))["task"] == "inpaint"
    keep(page, "inpaint")

    page.locator("#inpaint-photo").get_by_label("Remove Image").click()
    upload(page, "#inpaint-photo", not_a_photo)
    assert "notes.jpg" in toast(page)
    assert sources(page, "#inpaint-result") == shown
