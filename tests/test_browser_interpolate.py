"""The Interpolate tab in a real browser: the strip of keyframes, the scrub slider, lengths, blends."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from browser_pages import (
    CHINA,
    MARKS,
    Visit,
    api,
    downloaded,
    keep,
    open_tab,
    picture,
    records,
    set_number,
    unfold,
    values,
    wait_until,
)
from imgsynth.imaging.record import read_record

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

STILL, STRIP = "#interpolate-still", "#interpolate-strip"


def strip_shows(page: Page, captions: list[str]) -> None:
    api.expect(page.locator(f"{STRIP} .caption-label")).to_have_text(captions)
    api.expect(page.locator(f"{STRIP} img")).to_have_count(len(captions))


def field_shows(page: Page, text: str) -> None:
    api.expect(page.locator("#interpolate-keyframes textarea")).to_have_value(text)


def shown_frame(page: Page) -> int | None:
    """The frame that the picture beside the video says it is."""
    found = records(page, STILL)
    return int(found[0]["request"]["frame"]) if found else None


def scrub(page: Page, part: float) -> None:
    page.get_by_label("range slider for Position").fill(str(part))


def frame_of(film: bytes, index: int) -> np.ndarray:
    with Image.open(BytesIO(film)) as image:
        image.seek(index)
        return np.asarray(image.convert("RGB"))


def arrange(page: Page) -> None:
    """By keys, buttons and the field, from 1,2,3 to 2,3,11,12."""
    thumbnails = page.locator(f"{STRIP} .thumbnail-item")
    thumbnails.nth(0).focus()
    page.keyboard.press("Enter")
    api.expect(page.locator("#interpolate-later")).to_be_enabled()
    page.locator("#interpolate-later").press("Enter")
    field_shows(page, "2,1,3")
    strip_shows(page, ["2", "1", "3"])
    page.locator("#interpolate-later").click()
    field_shows(page, "2,3,1")
    api.expect(page.locator("#interpolate-later")).to_be_disabled()
    page.locator("#interpolate-earlier").click()
    field_shows(page, "2,1,3")
    page.locator("#interpolate-remove").click()
    field_shows(page, "2,3")
    page.locator("#interpolate-keyframes textarea").fill("2,3,11-12")
    strip_shows(page, ["2", "3", "11", "12"])
    page.locator("#interpolate-add-random").click()
    api.expect(page.locator(f"{STRIP} img")).to_have_count(5)
    thumbnails.nth(4).click()
    page.locator("#interpolate-remove").click()
    field_shows(page, "2,3,11,12")


def test_keyframes_are_arranged_scrubbed_and_filmed(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Interpolate")
    strip_shows(page, ["1", "2", "3"])  # drawn when the tab is first looked at
    wait_until(page, lambda: shown_frame(page) == 0)

    arrange(page)
    unfold(page, "Options")
    page.get_by_label("Ease in and out (smoothstep)").check()
    page.get_by_label("WebP, every pixel kept").check()
    seconds = page.get_by_label("Seconds")
    seconds.fill("0.5")
    seconds.press("Tab")
    api.expect(page.get_by_label("number input for Frames", exact=True)).to_have_value("15")
    set_number(page, "Frames", 24)
    api.expect(seconds).to_have_value("0.8")
    scrub(page, 0.4)
    wait_until(page, lambda: shown_frame(page) == 9)
    api.expect(page.locator("#interpolate-still-line")).to_contain_text("Frame 10 of 24")
    still = values(picture(page, STILL))
    keep(page, "interpolate-strip")

    page.locator("#interpolate-go").click()
    api.expect(page.locator("#interpolate-status")).to_contain_text("24 frames")
    film = downloaded(page, "#interpolate-download")
    request = read_record(film)["request"]
    assert request["keyframes"] == [2, 3, 11, 12]
    assert (request["frames"], request["easing"]) == (24, "smoothstep")
    np.testing.assert_array_equal(frame_of(film, 9), still)


def test_photos_and_seeds_are_one_walk(visit: Visit) -> None:
    page = visit("/?__theme=dark")
    open_tab(page, "Interpolate")
    page.locator("#interpolate-model input[value=avatars-vae]").check()
    page.locator("#interpolate-photos input[type=file]").set_input_files(CHINA)
    field_shows(page, "china.jpg")
    api.expect(page.locator("#interpolate-strip-note")).to_contain_text("one more")
    page.locator("#interpolate-keyframes textarea").fill("4,china.jpg,5")
    strip_shows(page, ["4", "china.jpg", "5"])
    page.locator("#interpolate-photos input[type=file]").set_input_files(CHINA)
    strip_shows(page, ["4", "china.jpg", "5", "china 2.jpg"])
    scrub(page, 0.5)
    wait_until(page, lambda: "input_sha256" in read_record(picture(page, STILL)))
    keep(page, "interpolate-photos-dark")
    set_number(page, "Frames", 10)
    page.locator("#interpolate-go").click()
    api.expect(page.locator("#interpolate-status")).to_contain_text("4 keyframes")
    page.locator("#interpolate-model input[value=avatars-gan]").check()
    api.expect(page.locator("#interpolate-strip-note")).to_contain_text("no photos")
    strip_shows(page, ["4", "5"])


def test_four_keyframes_are_blended(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Interpolate")
    page.locator("#interpolate-keyframes textarea").fill("5,1,7,2")
    strip_shows(page, ["5", "1", "7", "2"])
    unfold(page, "Blend four keyframes")
    set_number(page, "Columns", 6)
    page.locator("#interpolate-blend-go").click()
    api.expect(page.locator("#interpolate-blend-status")).to_contain_text("6×5 pictures")
    record = read_record(picture(page, "#interpolate-blend-image"))
    assert (record["task"], record["request"]["keyframes"]) == ("blend", [5, 1, 7, 2])
    keep(page, "interpolate-blend")
    assert read_record(downloaded(page, "#interpolate-blend-download")) == record


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone(visit: Visit, theme: str) -> None:
    page = visit(f"/?__theme={theme}", width=390, height=844)
    open_tab(page, "Interpolate")
    strip_shows(page, ["1", "2", "3"])
    wait_until(page, lambda: shown_frame(page) == 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, f"interpolate-phone-{theme}")


def test_what_sample_hands_over_is_on_the_strip(visit: Visit) -> None:
    page = visit()
    page.locator("#sample-to-keyframes").click()
    api.expect(page.get_by_role("tab", name="Interpolate")).to_have_attribute("aria-selected", "true")
    strip_shows(page, ["0", "1", "2", "3", "4", "5"])
    wait_until(page, lambda: shown_frame(page) == 0)
    api.expect(page.locator("#interpolate-still-line")).to_have_text(re.compile("at keyframe 1"))
