"""The Models tab in a real browser: choose, inspect, drop, open, go there, cancel, remove."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save as packed

from app_server import AppServer, started
from browser_pages import CHINA, MARKS, Visit, api, gallery_shows, keep, open_tab, records, toast
from builders import pixels, png, randomised, save, tiny_cyclegan, tiny_dcgan
from evil_files import evil_objects
from hub_server import HubServer
from imgsynth.architectures.studiogan_resnet import StudioGANResNet
from imgsynth.architectures.taesd import TAESD, TAESD_BARE

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["app_fixtures", "browser_fixtures"]
pytestmark = MARKS

REPO, FILE = "someone/faces", "model.safetensors"


@pytest.fixture(scope="module")
def hub_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, AppServer]]:
    """A second app, which reaches a local Hub with one repository."""
    with HubServer() as hub:
        hub.add(REPO, {FILE: packed(tiny_dcgan(1).state_dict())}, lfs=(FILE,))
        settings = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1,localhost"}
        quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
        with started(tmp_path_factory.mktemp("hub-app"), **settings, **quiet) as server:
            yield hub, server


def box(page: Page) -> Locator:
    return page.locator("#models-what").get_by_role("textbox")


def card(page: Page) -> Locator:
    return page.locator("#models-found .facts")


def drop(page: Page, path: Path) -> None:
    """Puts a file in, in place of the one that is there, and waits until it is told."""
    clear = page.locator("#models-file").get_by_label("Clear")
    if clear.count():
        clear.click()
    page.locator("#models-file input[type=file]").set_input_files(path)
    api.expect(card(page).locator("h3")).to_have_text(path.stem)


def open_dropped(page: Page, path: Path, leads: str) -> None:
    drop(page, path)
    page.locator("#models-open").click()
    api.expect(page.locator("#models-status")).to_contain_text(f"{path.stem} is open")
    page.get_by_role("button", name=f"Go to {leads}").click()
    api.expect(page.get_by_role("tab", name=leads)).to_have_attribute("aria-selected", "true")


def picked(page: Page, task: str) -> str:
    """What the tab's picker has chosen; a tab is built when it is first shown."""
    open_tab(page, task.capitalize())
    return str(page.locator(f"#{task}-model input:checked").get_attribute("value"))


def test_a_row_is_chosen_inspected_and_opened(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Models")
    page.locator("#models-task").get_by_text("Inpaint").click()
    first = page.locator("#models-table").get_by_role("gridcell").first
    api.expect(first).to_have_text("Small inpainter")
    first.click()
    api.expect(box(page)).to_have_value("inpaint-small")
    api.expect(card(page)).to_contain_text("Fills small and middling holes")
    api.expect(card(page)).to_contain_text("any use")
    page.locator("#models-inspect").click()
    api.expect(card(page)).to_contain_text("LaMa, fast Fourier convolutions")
    api.expect(card(page)).to_contain_text(re.compile("sha256.*[0-9a-f]{64}"))
    keep(page, "models")
    page.locator("#models-open").click()
    api.expect(page.locator("#models-status")).to_contain_text("Inpaint now has it")
    page.wait_for_url("**/?model=inpaint-small")
    page.get_by_role("button", name="Go to Inpaint").click()
    assert picked(page, "inpaint") == "inpaint-small"


def test_the_table_can_be_searched(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Models")
    page.locator("#models-table").get_by_placeholder("Filter").fill("butterf")
    page.locator("#models-table").get_by_role("gridcell", name="Butterflies").click()
    api.expect(box(page)).to_have_value("butterflies")
    api.expect(page.locator("#models-open")).to_have_text("Open (download)")


def test_a_dropped_file_draws_in_its_own_session_alone(visit: Visit, tmp_path: Path) -> None:
    mine, others = visit(), visit()
    address = mine.url
    open_tab(mine, "Models")
    box(mine).fill("avatars-vae")
    open_dropped(mine, save(tiny_dcgan(1).state_dict(), tmp_path / "my net.weights"), "Sample")
    api.expect(mine.locator("#sample-status")).to_contain_text(re.compile("16 pictures · my net"))
    gallery_shows(mine, list(range(16)))
    made = records(mine, "#sample-gallery")
    assert {(r["checkpoint"]["id"], r["checkpoint"]["source"]) for r in made} == {("my net", "upload")}
    assert picked(mine, "interpolate") == picked(mine, "sample")
    keep(mine, "models-dropped")
    assert mine.url == address
    open_tab(mine, "Models")
    api.expect(box(mine)).to_have_value("avatars-vae")
    others.reload()
    api.expect(others.locator("#sample-gallery img")).to_have_count(16)
    api.expect(others.locator("#sample-model input")).to_have_count(3)
    api.expect(mine.locator("#sample-model input")).to_have_count(4)
    open_tab(others, "Models")
    api.expect(others.locator("#models-memory")).to_contain_text("A dropped file")
    assert "my net" not in others.content()


def test_a_name_that_leads_nowhere_is_told_and_kept(visit: Visit) -> None:
    page = visit()
    open_tab(page, "Models")
    for button in ("#models-inspect", "#models-open"):
        box(page).fill("avatars-gna")
        page.locator(button).click()
        assert "avatars-gan" in toast(page)
        api.expect(box(page)).to_have_value("avatars-gna")
        api.expect(page.get_by_text("Opening")).to_have_count(0)


def test_a_file_that_is_no_checkpoint_is_told(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "notes.pth").write_text("Dear diary, today nothing happened.")
    page = visit()
    open_tab(page, "Models")
    page.locator("#models-file input[type=file]").set_input_files(tmp_path / "notes.pth")
    assert "notes.pth" in toast(page)
    api.expect(card(page)).to_contain_text("Nothing is downloaded before you press Open")


def test_the_address_leads_to_a_bundled_model(visit: Visit) -> None:
    page = visit("/?model=avatars-vae")
    api.expect(page.get_by_role("tab", name="Sample")).to_have_attribute("aria-selected", "true")
    api.expect(page.locator("#sample-status")).to_contain_text("avatars-vae")
    assert picked(page, "sample") == picked(page, "interpolate") == "avatars-vae"
    page = visit("/?model=photo2monet")
    api.expect(page.get_by_role("tab", name="Translate")).to_have_attribute("aria-selected", "true")
    assert picked(page, "translate") == "photo2monet"


def test_an_address_that_leads_nowhere_is_told(visit: Visit) -> None:
    page = visit("/?model=avatars-gna")
    api.expect(page.get_by_role("tab", name="Models")).to_have_attribute("aria-selected", "true")
    api.expect(box(page)).to_have_value("avatars-gna")
    api.expect(card(page)).to_contain_text("No checkpoint is called avatars-gna: try avatars-gan")
    api.expect(page.get_by_test_id("toast-text")).to_have_count(0)


def test_a_class_can_be_chosen_and_carried_over(visit: Visit, tmp_path: Path) -> None:
    network = randomised(StudioGANResNet(latent_dim=8, widths=[16, 8, 8, 8], classes=3), 1)
    page = visit()
    api.expect(page.locator("#sample-class")).to_have_count(0)
    open_tab(page, "Models")
    open_dropped(page, save(network.state_dict(), tmp_path / "by-class.pth"), "Sample")
    api.expect(page.locator("#sample-gallery .caption-label").first).to_have_text("0 · class 0")
    page.locator("#sample-class input").click()
    page.get_by_role("option").nth(2).click()
    api.expect(page.locator("#sample-status")).to_contain_text("class 1")
    page.locator("#sample-to-keyframes").click()
    api.expect(page.locator("#interpolate-class input")).to_have_value("1")
    page.locator("#interpolate-model input[value=avatars-gan]").check()
    api.expect(page.locator("#interpolate-class")).to_have_count(0)
    open_tab(page, "Sample")
    page.locator("#sample-model input[value=avatars-gan]").check()
    api.expect(page.locator("#sample-status")).to_contain_text("avatars-gan")
    api.expect(page.locator("#sample-class")).to_have_count(0)


def test_a_codec_takes_photos_as_keyframes(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    open_tab(page, "Models")
    codec = TAESD(**TAESD_BARE.example)
    open_dropped(page, save(codec.state_dict(), tmp_path / "codec.safetensors"), "Interpolate")
    api.expect(page.locator("#interpolate-keyframes")).to_have_count(0)
    page.locator("#interpolate-go").click()
    assert "two photos" in toast(page)
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(photos):
        path.write_bytes(png(pixels(48, 64, seed=seed)))
    page.locator("#interpolate-photos input[type=file]").set_input_files(photos)
    api.expect(page.locator("#interpolate-strip img")).to_have_count(2)
    page.get_by_label("number input for Frames", exact=True).fill("10")
    page.get_by_label("number input for Frames", exact=True).press("Enter")
    page.locator("#interpolate-go").click()
    api.expect(page.locator("#interpolate-status")).to_contain_text("10 frames · codec · 2 photos")
    page.locator("#interpolate-model input[value=avatars-vae]").check()
    api.expect(page.locator("#interpolate-keyframes")).to_be_visible()
    api.expect(page.locator("#interpolate-photos")).to_be_visible()


def test_a_hub_checkpoint_is_downloaded_cancelled_and_removed(
    visit: Visit, hub_app: tuple[HubServer, AppServer]
) -> None:
    hub, server = hub_app
    page = visit(f"/?model={REPO}", server=server)
    api.expect(box(page)).to_have_value(REPO)
    api.expect(card(page)).to_contain_text("not downloaded yet")
    assert all(asked.range for asked in hub.asked("GET /cdn/")), "more than a header was asked for"
    status = page.locator("#models-status")
    hub.fail("stall", at="GET /cdn/[0-9a-f]+/[a-z.]+$")
    page.locator("#models-open").click()
    api.expect(status).to_contain_text(re.compile(r"0/0(\.\d)? ?MB|Downloading"))
    page.locator("#models-cancel").click()
    api.expect(status).to_have_text("Stopped; nothing has changed.")
    page.locator("#models-open").click()
    api.expect(status).to_contain_text("faces is open")
    assert picked(page, "sample") == REPO
    open_tab(page, "Models")
    keep(page, "models-opened")
    remove = page.locator("#models-remove")
    remove.click()
    api.expect(remove).to_have_text(re.compile("Really remove .*kB"))
    remove.click()
    api.expect(status).to_contain_text("Removed")
    open_tab(page, "Sample")
    api.expect(page.locator("#sample-model input")).to_have_count(3)


def test_a_translator_from_a_file_paints(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    open_tab(page, "Models")
    open_dropped(page, save(tiny_cyclegan(1).state_dict(), tmp_path / "style.pth"), "Translate")
    page.locator("#translate-photo input[type=file]").set_input_files(CHINA)
    api.expect(page.locator("#translate-photo img")).to_have_attribute("src", re.compile("china"))
    page.locator("#translate-go").click()
    api.expect(page.locator("#translate-status")).to_contain_text("style")
    api.expect(page.locator("#translate-result img")).to_have_count(2)
    api.expect(page.get_by_test_id("toast-text")).to_have_count(0)


@pytest.mark.parametrize("case", ["system", "eval", "tensor"])
def test_a_dropped_file_that_would_run_a_command_is_refused_and_runs_nothing(
    visit: Visit, tmp_path: Path, case: str
) -> None:
    marker = tmp_path / "it-ran"
    evil, name = evil_objects(marker)[case]
    torch.save(evil, tmp_path / "evil.pth")
    page = visit()
    open_tab(page, "Models")
    page.locator("#models-file input[type=file]").set_input_files(tmp_path / "evil.pth")
    assert name in toast(page)
    page.locator("#models-open").click()
    assert name in toast(page)
    assert not marker.exists()
