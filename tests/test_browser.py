"""The page in a real browser, on the started app: what a visitor clicks, paints and sees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from browser_pages import (
    CHINA,
    MARKS,
    Visit,
    api,
    before_and_after,
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
)
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames
from imgsynth.tasks.requests import parse_seeds

if TYPE_CHECKING:
    pass

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

TABS = ("Sample", "Interpolate", "Translate", "Inpaint", "Models")


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
