"""The page in a real browser, on the started app: what a visitor clicks, paints and sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from browser_pages import (
    CHINA,
    MARKS,
    Visit,
    api,
    fetched,
    gallery_shows,
    keep,
    open_tab,
    records,
    set_number,
    sources,
    toast,
    upload,
    values,
    wait_until,
)
from builders import png
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames
from imgsynth.tasks.requests import parse_seeds

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

TABS = ("Sample", "Interpolate", "Translate", "Inpaint", "Models")
BRUSH = (225, 29, 72)


@pytest.fixture
def not_a_photo(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary, today nothing happened.")
    return path


def test_the_first_view_shows_sixteen_pictures(visit: Visit) -> None:
    page = visit()
    gallery_shows(page, list(range(16)))
    page.wait_for_function(
        "[...document.querySelectorAll('#sample-gallery img')].every(i => i.complete && i.naturalWidth == 64)"
    )
    assert [r["request"]["seed"] for r in records(page, "#sample-gallery")] == list(range(16))
    keep(page, "sample")


def test_sample_draws_the_seeds_that_are_asked_for(visit: Visit) -> None:
    page = visit()
    page.locator("#sample-model input[value=avatars-vae]").check()
    page.locator("#sample-seeds textarea").fill("100-102,7")
    page.locator("#sample-go").click()
    status = page.locator("#sample-status")
    api.expect(status).to_contain_text(re.compile("(?<!of )4 pictures.*avatars-vae.*100-102,7"))
    gallery_shows(page, [100, 101, 102, 7])
    made = records(page, "#sample-gallery")
    assert [r["request"]["seed"] for r in made] == [100, 101, 102, 7]
    assert {r["checkpoint"]["id"] for r in made} == {"avatars-vae"}


def test_random_draws_other_seeds(visit: Visit) -> None:
    page = visit()
    seeds = page.locator("#sample-seeds textarea")
    page.locator("#sample-dice").click()
    api.expect(seeds).not_to_have_value("0-15")
    drawn = parse_seeds(seeds.input_value())
    done = re.compile(rf"(?<!of )16 pictures.*seeds {drawn[0]}-")
    api.expect(page.locator("#sample-status")).to_contain_text(done)
    gallery_shows(page, drawn)
    assert [r["request"]["seed"] for r in records(page, "#sample-gallery")] == drawn


def test_keyframes_become_a_video_that_plays(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    # A tab's controls are made when it is first shown; what is typed into them in that moment is lost.
    page.get_by_role("tab", name="Interpolate").click()
    api.expect(page.locator("#interpolate-keyframes textarea")).to_have_value("1,2,3")
    page.get_by_role("tab", name="Sample").click()
    page.locator("#sample-to-keyframes").click()
    api.expect(page.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    api.expect(page.locator("#interpolate-keyframes textarea")).to_have_value("0-5")
    set_number(page, "Frames", 24)
    page.locator("#interpolate-go").click()
    video = page.locator("#interpolate-video video")
    video.evaluate("v => { v.muted = true; return v.play() }")
    page.wait_for_function("v => v.readyState >= 2 && v.currentTime > 0", arg=video.element_handle())
    assert video.evaluate("v => v.duration") == pytest.approx(24 / 30, abs=0.05)
    path = tmp_path / "walk.mp4"
    path.write_bytes(fetched(page, video.evaluate("v => v.currentSrc")))
    assert count_frames(path) == 24
    assert read_record(path)["request"]["keyframes"] == list(range(6))
    keep(page, "interpolate")


def test_cancel_leaves_the_app_usable(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Interpolate")
    page.locator("#interpolate-model input[value=avatars-vae]").check()
    set_number(page, "Frames", 600)
    page.locator("#interpolate-go").click()
    status = page.locator("#interpolate-status")
    api.expect(status).to_contain_text("of 600")
    page.locator("#interpolate-cancel").click()
    api.expect(status).to_contain_text(re.compile("Stopped; [0-9]+ of 600 frames are kept."))
    set_number(page, "Frames", 10)
    page.locator("#interpolate-go").click()
    api.expect(status).to_contain_text("10 frames")
    api.expect(page.locator("#interpolate-video video")).to_be_visible()


def before_and_after(page: Page, selector: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a slider's two pictures, which both have the photo's own size."""
    images = page.locator(f"{selector} img")
    api.expect(images).to_have_count(2)
    for image in images.all():
        page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())
        assert image.evaluate("i => [i.naturalWidth, i.naturalHeight]") == list(size)
    before, after = (values(fetched(page, address)) for address in sources(page, selector))
    return before, after


def test_translate_shows_both_pictures_at_full_size(visit: Visit, not_a_photo: Path) -> None:
    page = visit()
    open_tab(page, "Translate")
    upload(page, "#translate-photo", CHINA)
    page.locator("#translate-go").click()
    photo = values(CHINA.read_bytes())
    before, after = before_and_after(page, "#translate-result", (photo.shape[1], photo.shape[0]))
    np.testing.assert_array_equal(before, photo)
    assert (after != photo).any(axis=2).mean() > 0.5
    shown = sources(page, "#translate-result")
    assert read_record(fetched(page, shown[1]))["task"] == "translate"
    keep(page, "translate")

    upload(page, "#translate-photo", not_a_photo)
    page.locator("#translate-go").click()
    assert "notes.jpg" in toast(page)
    assert sources(page, "#translate-result") == shown


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


def test_bad_seeds_are_told_and_the_pictures_stay(visit: Visit) -> None:
    page = visit()
    shown = sources(page, "#sample-gallery")
    page.locator("#sample-seeds textarea").fill("abc")
    for button in ("#sample-go", "#sample-to-keyframes"):
        page.locator(button).click()
        assert "abc" in toast(page)
    assert sources(page, "#sample-gallery") == shown
    api.expect(page.get_by_role("tab", name="Sample")).to_have_attribute("aria-selected", "true")
    open_tab(page, "Interpolate")
    page.locator("#interpolate-keyframes textarea").fill("7")
    page.locator("#interpolate-go").click()
    assert "keyframes" in toast(page)


def test_the_dark_look(visit: Visit) -> None:
    page = visit("/?__theme=dark")
    for name in TABS:
        open_tab(page, name)
        ground = page.locator("gradio-app").evaluate("e => getComputedStyle(e).backgroundColor")
        assert max(int(v) for v in re.findall(r"\d+", ground)[:3]) < 60
    open_tab(page, "Sample")
    keep(page, "sample-dark")


def test_a_phone_needs_no_sideways_scrolling(visit: Visit) -> None:
    page = visit(width=390, height=844)
    for name in TABS:
        open_tab(page, name)
        api.expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        keep(page, f"{name.lower()}-phone")
