"""Noise, style mixing, attributes and single latents in a real browser, on networks that have them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from app_server import AppServer, started
from browser_pages import (
    MARKS,
    Visit,
    api,
    downloaded,
    gallery_shows,
    keep,
    picture,
    press,
    records,
    slide,
    unfold,
    values,
    wait_until,
)
from builders import randomised, save
from imgsynth.architectures.conv_vae import ConvVAE
from imgsynth.architectures.stylegan1 import StyleGAN1Generator
from imgsynth.imaging.record import read_record

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHIPPED = ("Smiling", "Blond_Hair", "Eyeglasses", "Young", "Pale_Skin", "Bangs")


def cached(hub: Path, name: str, network: nn.Module) -> Path:
    """A Hub download of a network, as the Hub's cache keeps it; returns its folder."""
    repository = hub / f"models--tiny--{name}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    save(network.state_dict(), snapshot / "model.safetensors")
    return snapshot


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """An app whose Hub cache holds a StyleGAN, and an autoencoder with directions."""
    folder = tmp_path_factory.mktemp("mixing")
    hub = folder / "hub" / "hub"
    style: dict[str, Any] = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "widths": [16, 16, 8, 8, 4]}
    cached(hub, "styles", randomised(StyleGAN1Generator(**style), 8))
    faces = cached(hub, "faces", randomised(ConvVAE(12, [32] * 4, [32] * 4, 32), 3))
    (faces / "directions").mkdir()
    for number, name in enumerate(SHIPPED):
        torch.save(torch.eye(12)[number] * 2, faces / "directions" / f"{name}.pt")
    with started(folder) as running:
        yield running


@pytest.fixture
def visit_model(visit: Visit, server: AppServer) -> Any:
    """Opens the page with a model of that app chosen."""

    def go(name: str, **options: Any) -> Page:
        theme = "&__theme=dark" if options.pop("dark", False) else "&__theme=light"
        page = visit(f"/?model=tiny/{name}{theme}", server=server, **options)
        api.expect(page.locator(f"#sample-model input[value='tiny/{name}']")).to_be_checked()
        gallery_shows(page, list(range(16)))
        return page

    return go


def requests(page: Page) -> list[dict[str, Any]]:
    return [record["request"] for record in records(page, "#sample-gallery")]


def set_seeds(page: Page, sources: str, destinations: str) -> None:
    for name, seeds in (("sources", sources), ("destinations", destinations)):
        page.locator(f"#mixing-{name} input, #mixing-{name} textarea").first.fill(seeds)


def test_seeds_are_mixed_into_a_table(visit_model: Any) -> None:
    page = visit_model("styles")
    api.expect(page.locator("#sample-mixing")).to_be_visible()
    unfold(page, "Style mixing")
    set_seeds(page, "1,2", "7-9")
    page.locator("#mixing-go").click()
    api.expect(page.locator("#mixing-status")).to_contain_text("2×3 mixtures · coarse")
    table = read_record(picture(page, "#mixing-table"))
    asked = {"sources": [1, 2], "destinations": [7, 8, 9], "layers": "coarse", "psi": 1.0}
    assert (table["task"], table["request"]) == ("mix", asked)
    keep(page, "mixing")
    with zipfile.ZipFile(BytesIO(downloaded(page, "#mixing-zip"))) as archive:
        names = archive.namelist()
        single = read_record(archive.read(names[4]))["request"]
    assert len(names) == 6
    assert (single["source"], single["destination"]) == (2, 8)
    assert read_record(downloaded(page, "#mixing-download")) == table


def test_a_table_is_dropped_and_mixed_again(
    visit: Visit, visit_model: Any, server: AppServer, tmp_path: Path
) -> None:
    page = visit_model("styles")
    unfold(page, "Style mixing")
    layers = page.locator("#mixing-layers input")
    layers.fill("2-3")
    layers.press("Enter")
    page.locator("#mixing-go").click()
    api.expect(page.locator("#mixing-status")).to_contain_text("3×5 mixtures · layers 2-3")
    table = tmp_path / "table.png"
    table.write_bytes(picture(page, "#mixing-table"))
    other = visit("/", server=server)
    unfold(other, "Open a recipe")
    other.locator("#recipe-file input[type=file]").set_input_files(table)
    api.expect(other.locator("#recipe-card")).to_contain_text("Styles mixed by")
    press(other.get_by_role("button", name="Apply in Sample"))
    api.expect(other.locator("#mixing-status")).to_contain_text("3×5 mixtures · layers 2-3")
    api.expect(other.locator("#mixing-layers input")).to_have_value("2-3")
    keep(other, "mixing-applied")
    again = picture(other, "#mixing-table")
    np.testing.assert_array_equal(values(again), values(table.read_bytes()))


def test_noise_is_switched_off_and_pictures_follow(visit_model: Any) -> None:
    page = visit_model("styles", dark=True)
    before = values(picture(page, "#sample-gallery", 5))
    unfold(page, "Options")
    page.locator("#sample-noise").get_by_text("None").click()
    wait_until(page, lambda: all(r.get("noise") == "none" for r in requests(page)))
    api.expect(page.locator("#sample-status")).to_contain_text("no noise")
    assert (values(picture(page, "#sample-gallery", 5)) != before).any()
    unfold(page, "Style mixing")
    page.locator("#mixing-go").click()
    api.expect(page.locator("#mixing-status")).to_contain_text("3×5 mixtures")
    keep(page, "noise-dark")
    page.locator("#sample-model input[value=avatars-gan]").check()
    api.expect(page.locator("#sample-noise")).to_be_hidden()
    api.expect(page.locator("#sample-mixing")).to_be_hidden()


def test_attributes_and_latents_move_pictures(visit_model: Any) -> None:
    page = visit_model("faces")
    unfold(page, "Directions")
    slide(page, "Smiling", 5)
    wait_until(page, lambda: requests(page)[15].get("directions") == {"Smiling": 0.5})
    assert set(requests(page)[15]["direction_sha256"]) == {"Smiling"}
    unfold(page, "Single latents")
    number = page.locator("#sample-latent-number input")
    other = int(number.input_value())
    slide(page, "Its amount", 3)
    moved = {"Smiling": 0.5, f"latent {other}": 0.3}
    wait_until(page, lambda: requests(page)[15].get("directions") == moved)
    keep(page, "attributes")
    page.locator("#sample-directions-reset").click()
    wait_until(page, lambda: all("directions" not in r for r in requests(page)))


def test_it_fits_a_phone(visit_model: Any) -> None:
    page = visit_model("faces", dark=True, width=390, height=844)
    unfold(page, "Directions")
    api.expect(page.get_by_label("range slider for Blond hair", exact=True)).to_be_visible()
    unfold(page, "Single latents")
    keep(page, "attributes-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page = visit_model("styles", width=390, height=844)
    unfold(page, "Style mixing")
    page.locator("#mixing-go").click()
    api.expect(page.locator("#mixing-status")).to_contain_text("3×5 mixtures")
    keep(page, "mixing-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
