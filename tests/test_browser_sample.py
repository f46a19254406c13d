"""The Sample tab in a real browser: from drawn pictures to kept ones, keyframes and a video."""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser_pages import (
    CHINA,
    MARKS,
    Visit,
    api,
    downloaded,
    fetched,
    gallery_shows,
    keep,
    open_tab,
    picture,
    records,
    set_number,
    slide,
    source,
    unfold,
    upload,
    values,
    wait_until,
)
from imgsynth.imaging.record import read_record

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS


def pick(page: Page, number: int) -> None:
    """Clicks a picture of the gallery and waits for it to be shown large."""
    address = source(page, "#sample-gallery", number)
    page.locator("#sample-gallery .thumbnail-item").nth(number).click()
    api.expect(page.locator("#sample-picked-image img")).to_have_attribute("src", address)


def requests(page: Page, selector: str = "#sample-gallery") -> list[dict[str, object]]:
    return [record["request"] for record in records(page, selector)]


def moved(page: Page, directions: dict[str, float] | None) -> bool:
    """Whether all sixteen pictures are drawn along these directions."""
    return [r.get("directions") for r in requests(page)] == [directions] * 16


def test_from_a_picture_to_variations_and_a_video(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    keyframes = page.locator("#interpolate-keyframes textarea")
    # A tab's controls are made when it is first shown; what is typed into them in that moment is lost.
    open_tab(page, "Interpolate")
    api.expect(keyframes).to_have_value("1,2,3")
    open_tab(page, "Sample")
    pick(page, 3)
    api.expect(page.locator("#sample-picked-line")).to_contain_text("seed 3")
    page.locator("#sample-keep").click()
    api.expect(page.locator("#sample-kept img")).to_have_count(1)
    page.locator("#sample-add-keyframe").click()
    page.locator("#sample-vary").click()
    api.expect(page.locator("#sample-gallery .caption-label").first).to_have_text("variation 1")
    assert {(r["seed"], r["variation_amount"]) for r in requests(page)} == {(3, 0.3)}
    pick(page, 5)
    page.locator("#sample-keep").click()
    api.expect(page.locator("#sample-kept img")).to_have_count(2)
    page.locator("#sample-add-keyframe").click()
    keep(page, "sample-picked")
    with zipfile.ZipFile(BytesIO(downloaded(page, "#sample-kept-zip"))) as archive:
        assert len(archive.namelist()) == 3
    assert read_record(downloaded(page, "#sample-picked-download"))["request"]["seed"] == 3

    open_tab(page, "Interpolate")
    api.expect(keyframes).to_have_value(re.compile(r"3,latent:z:[^,]+"))
    set_number(page, "Frames", 12)
    page.locator("#interpolate-go").click()
    api.expect(page.locator("#interpolate-status")).to_contain_text("2 keyframes")
    latent = keyframes.input_value().partition(",")[2]
    walk = read_record(downloaded(page, "#interpolate-download"))
    assert walk["request"]["keyframes"] == [3, latent]

    open_tab(page, "Sample")
    page.locator("#sample-keep").click()
    api.expect(page.locator("#sample-kept img")).to_have_count(1)
    page.locator("#sample-kept-clear").click()
    api.expect(page.locator("#sample-tray")).to_be_hidden()
    page.locator("#sample-picked-close").click()
    api.expect(page.locator("#sample-picked")).to_be_hidden()
    pick(page, 5)  # the same one again


@pytest.mark.parametrize("tab", ["Translate", "Inpaint"])
def test_a_picture_goes_on_in_another_tab(visit: Visit, tab: str) -> None:
    page = visit()
    pick(page, 2)
    shown = values(picture(page, "#sample-gallery", 2))
    page.locator(f"#sample-to-{tab.lower()}").click()
    api.expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    photo = page.locator(f"#{tab.lower()}-photo img").first
    api.expect(photo).to_be_visible()
    assert (values(fetched(page, str(photo.get_attribute("src")))) == shown).all()
    if tab == "Inpaint":
        api.expect(page.locator("#inpaint-editor canvas").first).to_be_visible()
    keep(page, f"sample-to-{tab.lower()}")


def test_pictures_follow_psi_and_directions(visit: Visit) -> None:
    page = visit()
    pick(page, 0)
    unfold(page, "Options")
    slide(page, "Truncation (psi)", -4)
    wait_until(page, lambda: [r["psi"] for r in requests(page)] == [0.8] * 16)
    unfold(page, "Directions")
    slide(page, "Direction 1", 12)
    wait_until(page, lambda: moved(page, {"component 1": 1.2}))
    api.expect(page.locator("#sample-picked-line")).to_contain_text("component 1 +1.2")
    name = page.get_by_label("Name of direction 1")
    name.fill("warmer")
    keep(page, "sample-directions")
    page.locator("#sample-model input[value=avatars-vae]").check()
    api.expect(name).to_have_value("component 1")
    page.locator("#sample-model input[value=avatars-gan]").check()
    api.expect(name).to_have_value("warmer")
    slide(page, "Direction 1", 3)
    wait_until(page, lambda: moved(page, {"component 1": 0.3}))
    page.locator("#sample-directions-reset").click()
    wait_until(page, lambda: moved(page, None))
    with zipfile.ZipFile(BytesIO(downloaded(page, "#sample-zip"))) as archive:
        assert len(archive.namelist()) == 17
    assert read_record(downloaded(page, "#sample-download"))["request"]["seeds"] == list(range(16))


def test_a_photo_is_found_and_goes_on_like_a_picture(visit: Visit) -> None:
    page = visit("/?__theme=dark", width=390, height=844)
    page.locator("#sample-model input[value=avatars-vae]").check()
    gallery_shows(page, list(range(16)))
    unfold(page, "Your photo in this model")
    upload(page, "#sample-photo", CHINA)
    page.locator("#sample-find").click()
    api.expect(page.locator("#sample-find-status")).to_contain_text("from the photo")
    api.expect(page.locator("#sample-gallery img")).to_have_count(1)
    api.expect(page.locator("#sample-picked-line")).to_contain_text("from a photo")
    keep(page, "sample-photo-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#sample-vary").click()
    api.expect(page.locator("#sample-gallery img")).to_have_count(16)
    assert all(str(r["latent"]).startswith("latent:z:") for r in requests(page))
