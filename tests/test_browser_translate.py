"""The Translate tab in a real browser: one photo in all ways, many photos with a bad one, a video."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app_server import OpenHere
from browser_pages import (
    MARKS,
    Visit,
    api,
    fetched,
    keep,
    open_tab,
    picture,
    sources,
    unfold,
    upload,
    values,
    wait_until,
)
from builders import pixels, png
from imgsynth.imaging.clips import read_clip
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import Pace, write_clip
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    path.write_bytes(png(pixels(HEIGHT, WIDTH)))
    return path


def status(page: Page, part: str = "") -> Locator:
    return page.locator(f"#translate-{part}status")


def shown_record(page: Page) -> dict[str, Any]:
    return read_record(picture(page, "#translate-result", 1))


def test_one_photo_in_every_way(visit: Visit, scene: Path, open_here: OpenHere) -> None:
    """Translate, drag the strength, go there and back, compare all models."""
    page = visit()
    open_tab(page, "Translate")
    upload(page, "#translate-photo", scene)
    page.locator("#translate-go").click()
    api.expect(status(page)).to_contain_text("photo2monet · strength 1")

    page.get_by_label("range slider for Strength", exact=True).focus()
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    api.expect(status(page)).to_contain_text("strength 0.6")
    wait_until(page, lambda: shown_record(page)["request"]["strength"] == 0.6)
    expected = translate(open_here("photo2monet"), TranslateRequest(strength=0.6), read_photo(scene))
    np.testing.assert_array_equal(values(picture(page, "#translate-result", 1)), np.asarray(expected.image))
    page.locator("#translate-download").wait_for()

    page.locator("#translate-back").click()
    api.expect(status(page)).to_contain_text(re.compile(r"PSNR \d+\.\d dB"))
    side = page.locator("#translate-side")
    api.expect(side.locator(".caption-label")).to_have_count(4)
    made = [read_record(fetched(page, source)) for source in sources(page, "#translate-side")[1:]]
    assert [r["checkpoint"]["id"] for r in made] == ["photo2monet", "monet2photo", "monet2photo"]
    keep(page, "translate-back")

    page.locator("#translate-compare").click()
    api.expect(status(page)).to_contain_text("All 2 models")
    api.expect(side.locator(".caption-label")).to_have_count(3)
    made = [read_record(fetched(page, source)) for source in sources(page, "#translate-side")[1:]]
    assert [r["checkpoint"]["id"] for r in made] == ["photo2monet", "monet2photo"]
    keep(page, "translate-compare")


def test_many_photos_with_a_bad_one(visit: Visit, tmp_path: Path) -> None:
    files = []
    for index in range(3):
        files.append(tmp_path / f"photo{index}.png")
        files[-1].write_bytes(png(pixels(HEIGHT, WIDTH, seed=index)))
    files.insert(1, tmp_path / "notes.jpg")
    files[1].write_text("Dear diary, today nothing happened.")
    page = visit(width=390, height=844)
    open_tab(page, "Translate")
    upload(page, "#translate-photo", files[0])
    page.locator("#translate-go").click()
    api.expect(page.locator("#translate-result img")).to_have_count(2)
    unfold(page, "Many photos")
    page.locator("#translate-many-files input[type=file]").set_input_files(files)
    api.expect(page.locator("#translate-many-files")).to_contain_text("notes")
    page.locator("#translate-many-go").click()
    api.expect(status(page, "many-")).to_contain_text("4 photos · photo2monet · 1 could not")
    api.expect(page.locator("#translate-many-failed li")).to_have_text(re.compile(r"^notes\.jpg .*\.$"))
    api.expect(page.locator("#translate-many-gallery .caption-label")).to_have_text(
        ["photo0", "photo1", "photo2"]
    )
    with page.expect_download() as download:
        page.locator("#translate-many-download").click()
    assert download.value.suggested_filename == "translated.zip"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    keep(page, "translate-many-phone")


def test_cancel_keeps_the_frames_that_are_done(visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "long.gif"
    frames = (Image.fromarray(pixels(96, 128, seed=seed)) for seed in range(200))
    write_clip(path, frames, Pace.of([Fraction(1, 10)] * 200), {"imgsynth": "1.0.0", "task": "test"})
    page = visit()
    open_tab(page, "Translate")
    unfold(page, "A video or GIF")
    page.locator("#translate-clip-file input[type=file]").set_input_files(path)
    api.expect(page.locator("#translate-clip-file")).to_contain_text("long")
    page.locator("#translate-clip-go").click()
    api.expect(status(page, "clip-")).to_contain_text(" of 200 frames")
    page.locator("#translate-clip-cancel").click()
    api.expect(status(page, "clip-")).to_contain_text("Stopped after ")
    done = int(status(page, "clip-").inner_text().split()[2])
    image = page.locator("#translate-clip-image img")
    api.expect(image).to_have_attribute("src", re.compile("long.gif"))
    made = picture(page, "#translate-clip-image")
    assert len(read_clip(made).durations) == done < 200
    api.expect(page.locator("#translate-clip-download")).to_be_enabled()
    keep(page, "translate-clip-stopped")


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_clip_stays_one_of_its_kind(visit: Visit, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"holiday.{kind}"
    frames = (Image.fromarray(pixels(HEIGHT, WIDTH, seed=seed)) for seed in range(4))
    write_clip(path, frames, Pace.of([Fraction(1, 10)] * 4), {"imgsynth": "1.0.0", "task": "test"})
    page = visit("/?__theme=dark")
    open_tab(page, "Translate")
    unfold(page, "A video or GIF")
    page.locator("#translate-clip-file input[type=file]").set_input_files(path)
    api.expect(page.locator("#translate-clip-file")).to_contain_text("holiday")
    page.locator("#translate-clip-go").click()
    api.expect(status(page, "clip-")).to_contain_text(f"4 frames · photo2monet · {kind.upper()}")
    shown = page.locator("#translate-clip-image img" if kind == "gif" else "#translate-clip-video video")
    api.expect(shown).to_have_attribute("src", re.compile(path.name))
    if kind == "mp4":
        page.wait_for_function("v => v.readyState >= 2 && !v.error", arg=shown.element_handle())
    made = fetched(page, str(shown.get_attribute("src")))
    assert read_record(made)["input_sha256"] == [read_clip(path).sha256]
    assert len(read_clip(made).durations) == 4
    keep(page, f"translate-{kind}-dark")
