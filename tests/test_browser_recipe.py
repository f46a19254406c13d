"""Recipes and links in a real browser: a picture is dropped and made again, an address restores a page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from browser_pages import (
    CHINA,
    MARKS,
    Visit,
    api,
    downloaded,
    gallery_shows,
    keep,
    open_tab,
    picture,
    press,
    toast,
    unfold,
    values,
)
from builders import png, save, tiny_dcgan
from imgsynth.imaging.record import read_record

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

# A file dragged in from outside, let go over a part of the page that takes none.
DROP = """([name, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    document.querySelector("#header").dispatchEvent(
        new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
}"""


def give(page: Page, selector: str, path: Path) -> None:
    page.locator(f"{selector} input[type=file]").set_input_files(path)
    api.expect(page.locator(selector)).to_contain_text(path.stem)


def drop(page: Page, path: Path) -> None:
    """Anywhere on the page."""
    page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])


def saved(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


def selected(page: Page, tab: str) -> None:
    api.expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


def test_a_picture_is_dropped_shown_applied_and_is_the_same(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.locator("#sample-model input[value=flowers-gan]").check()
    page.locator("#sample-seeds textarea").fill("41")
    page.locator("#sample-go").click()
    gallery_shows(page, [41])
    api.expect(page.locator("#sample-status")).to_contain_text("flowers-gan")
    made = saved(picture(page, "#sample-gallery"), tmp_path / "flower.png")
    other = visit("/?__theme=dark")
    card = other.locator("#recipe-card")
    drop(other, CHINA)
    api.expect(card).to_contain_text("no recipe that can be read")
    drop(other, made)
    api.expect(card).to_contain_text("Drawn by flowers-gan")
    api.expect(card).to_contain_text("41")
    keep(other, "recipe")
    assert other.locator("#sample-seeds textarea").input_value() == "0-15"
    press(other.get_by_role("button", name="Apply in Sample"))
    gallery_shows(other, [41])
    api.expect(other.locator("#sample-seeds textarea")).to_have_value("41")
    api.expect(other.locator("#sample-model input:checked")).to_have_value("flowers-gan")
    np.testing.assert_array_equal(values(picture(other, "#sample-gallery")), values(made.read_bytes()))
    unfold(other, "Open a recipe")
    press(other.get_by_role("button", name="Make it again here"))
    api.expect(other.locator("#recipe-status")).to_contain_text("every pixel is that of the file")
    np.testing.assert_array_equal(values(picture(other, "#recipe-made")), values(made.read_bytes()))


def test_a_video_sets_its_tab_and_is_made_there(visit: Visit, tmp_path: Path) -> None:
    page = visit("/?tab=interpolate&keyframes=3,8&frames=12&fps=10&path=lerp&loop=false&format=webp")
    selected(page, "Interpolate")
    page.locator("#interpolate-go").click()
    api.expect(page.locator("#interpolate-status")).to_contain_text("12 frames")
    walk = saved(downloaded(page, "#interpolate-download"), tmp_path / "walk.webp")
    asked = read_record(walk)["request"]
    assert asked == asked | {"keyframes": [3, 8], "fps": 10, "path": "lerp", "loop": False}
    other = visit()
    drop(other, walk)
    press(other.get_by_role("button", name="Apply in Interpolate"))
    selected(other, "Interpolate")
    api.expect(other.locator("#interpolate-status")).to_contain_text("12 frames")
    api.expect(other.locator("#interpolate-keyframes textarea")).to_have_value("3,8")
    assert downloaded(other, "#interpolate-download") == walk.read_bytes()


def test_a_blend_is_dropped_and_made_in_its_tab(visit: Visit, tmp_path: Path) -> None:
    page = visit("/?tab=interpolate&keyframes=3,8,5,1&path=lerp")
    selected(page, "Interpolate")
    unfold(page, "Blend four keyframes")
    page.locator("#interpolate-blend-go").click()
    api.expect(page.locator("#interpolate-blend-status")).to_contain_text("5×5 pictures")
    sheet = saved(picture(page, "#interpolate-blend-image"), tmp_path / "blend.png")
    other = visit()
    drop(other, sheet)
    press(other.get_by_role("button", name="Apply in Interpolate"))
    selected(other, "Interpolate")
    api.expect(other.locator("#interpolate-blend-status")).to_contain_text("lerp")
    api.expect(other.locator("#interpolate-keyframes textarea")).to_have_value("3,8,5,1")
    again = picture(other, "#interpolate-blend-image")
    np.testing.assert_array_equal(values(again), values(sheet.read_bytes()))
    unfold(other, "Open a recipe")
    press(other.get_by_role("button", name="Make it again here"))
    api.expect(other.locator("#recipe-status")).to_contain_text("every pixel is that of the file")
    drop(other, CHINA)
    api.expect(other.locator("#recipe-card")).to_contain_text("no recipe that can be read")
    api.expect(other.locator("#recipe-made")).to_have_count(0)


def test_a_fill_comes_back_with_its_photo_and_mask(visit: Visit, tmp_path: Path) -> None:
    page, mask = visit(), tmp_path / "roof.png"
    photo = values(CHINA.read_bytes())
    hole = np.zeros(photo.shape[:2], np.uint8)
    hole[200:260, 300:380] = 255
    mask.write_bytes(png(hole))
    open_tab(page, "Inpaint")
    page.locator("#inpaint-photo input[type=file]").set_input_files(CHINA)
    api.expect(page.locator("#inpaint-photo img")).to_have_attribute("src", re.compile("china"))
    unfold(page, "Mask from a file")
    page.locator("#inpaint-mask input[type=file]").set_input_files(mask)
    api.expect(page.locator("#inpaint-status")).to_contain_text("The hole is now")
    page.locator("#inpaint-go").click()
    api.expect(page.locator("#inpaint-result img")).to_have_count(2)
    made = saved(picture(page, "#inpaint-result", 1), tmp_path / "filled.png")
    other = visit()
    drop(other, made)
    api.expect(other.locator("#recipe-note")).to_contain_text("add the photo and the mask")
    give(other, "#recipe-photos", CHINA)
    give(other, "#recipe-mask", mask)
    keep(other, "recipe-photos")
    press(other.get_by_role("button", name="Apply in Inpaint"))
    selected(other, "Inpaint")
    api.expect(other.locator("#inpaint-result img")).to_have_count(2)
    again = picture(other, "#inpaint-result", 1)
    np.testing.assert_array_equal(values(again), values(made.read_bytes()))
    assert read_record(again)["mask_sha256"] == read_record(made)["mask_sha256"]


def open_file(page: Page, path: Path) -> None:
    """A file of weights, in the Models tab."""
    page.locator("#models-file input[type=file]").set_input_files(path)
    api.expect(page.locator("#models-found")).to_contain_text(path.stem)
    page.locator("#models-open").click()
    api.expect(page.locator("#models-status")).to_contain_text(f"{path.stem} is open")


def test_a_recipe_waits_until_its_model_is_open(visit: Visit, tmp_path: Path) -> None:
    weights = save(tiny_dcgan(1).state_dict(), tmp_path / "mine.safetensors")
    page = visit()
    open_tab(page, "Models")
    open_file(page, weights)
    page.get_by_role("button", name="Go to Sample").click()
    api.expect(page.locator("#sample-status")).to_contain_text(re.compile("16 pictures · mine"))
    made = saved(picture(page, "#sample-gallery", 5), tmp_path / "five.png")
    other = visit()
    drop(other, made)
    api.expect(other.locator("#recipe-note")).to_contain_text("made with the file mine.safetensors")
    api.expect(other.locator("#recipe-apply")).to_have_count(0)
    press(other.locator("#recipe-lead"))
    selected(other, "Models")
    open_file(other, weights)
    press(other.get_by_role("button", name="Apply in Sample"))
    gallery_shows(other, [5])
    again = picture(other, "#sample-gallery")
    np.testing.assert_array_equal(values(again), values(made.read_bytes()))


def test_a_picture_from_elsewhere_is_told_kindly(visit: Visit) -> None:
    page = visit(width=390, height=844)
    keep(page, "recipe-folded-narrow")
    unfold(page, "Open a recipe")
    page.locator("#recipe-file input[type=file]").set_input_files(CHINA)
    api.expect(page.locator("#recipe-card")).to_contain_text("no recipe that can be read")
    api.expect(page.locator("#recipe-apply")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep(page, "recipe-elsewhere-narrow")


def test_a_link_restores_tab_model_and_settings(visit: Visit) -> None:
    page = visit("/?psi=0.7")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#sample-model input[value=avatars-vae]").check()
    page.locator("#sample-seeds textarea").fill("100-115")
    button = page.locator("#copy-link")
    button.click()
    api.expect(button).to_have_text("Copied")
    api.expect(button).to_have_text("Copy link")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url
    assert copied.endswith("/?tab=sample&model=avatars-vae&seeds=100-115&psi=0.7")
    keep(page, "link")
    other = visit(copied[copied.index("/?") :])
    gallery_shows(other, list(range(100, 116)))
    api.expect(other.locator("#sample-status")).to_contain_text(re.compile("avatars-vae.*psi 0.7"))
    api.expect(other.locator("#sample-model input:checked")).to_have_value("avatars-vae")
    unfold(other, "Options")
    api.expect(other.get_by_label("range slider for Truncation (psi)", exact=True)).to_have_value("0.7")


def test_the_link_of_another_tab_restores_that_tab(visit: Visit) -> None:
    page = visit("/?tab=inpaint&model=inpaint-small&grow=9&feather=2&left=40")
    selected(page, "Inpaint")
    unfold(page, "Options")
    api.expect(page.get_by_label("range slider for Grow", exact=True)).to_have_value("9")
    page.locator("#copy-link").click()
    page.wait_for_url(re.compile(r"\?tab=inpaint&model=inpaint-small&grow=9&feather=2&left=40&top=0"))


def test_directions_of_a_link_move_the_pictures(visit: Visit) -> None:
    page = visit("/?tab=sample&directions=component%201:1.5")
    api.expect(page.locator("#sample-status")).to_contain_text("component 1 +1.5")
    made = page.locator("#sample-gallery img").count()
    assert made == 16
    unfold(page, "Directions")
    api.expect(page.get_by_label("range slider for Direction 1", exact=True)).to_have_value("1.5")


def test_bad_values_of_a_link_are_told_and_the_rest_applies(visit: Visit) -> None:
    page = visit("/?tab=sample&psi=loud&seeds=200-215")
    gallery_shows(page, list(range(200, 216)))
    assert "psi should be a valid number" in toast(page)
