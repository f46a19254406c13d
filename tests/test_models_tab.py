"""The Models tab without a server: what its table, cards and events say, download and delete."""

from __future__ import annotations

import contextvars
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch
from gradio.context import LocalContext
from safetensors.torch import save as packed

from builders import model_of, save, tiny_cyclegan, tiny_dcgan
from hub_server import HubServer
from imgsynth.architectures.studiogan_resnet import StudioGANResNet
from imgsynth.checkpoints.catalog import Checkpoint, load_catalog
from imgsynth.errors import BadRequest, CheckpointNotFound, DownloadFailed
from imgsynth.families import Identity
from imgsynth.runtime.opening import Runtime
from imgsynth.summaries import TASKS
from imgsynth.ui.arrival import MODELS, Arrival
from imgsynth.ui.catalog_table import rows
from imgsynth.ui.classes import ALL, chosen_label, fitting_classes
from imgsynth.ui.dropped import Dropped, is_token
from imgsynth.ui.facts import found_card, memory_card, terms
from imgsynth.ui.models_events import FILE, STOPPED, TEXT, settled, stopping
from imgsynth.ui.models_tab import ModelsTab
from imgsynth.ui.picker import card, choices, make_picker, offered
from imgsynth.ui.removal import is_local, remove_for
from imgsynth.ui.session import Session, download_bar, most_megabytes

FILE_NAME = "model.safetensors"
GAN = packed(tiny_dcgan(1).state_dict())
SIZE = f"{len(GAN) / 1000:.0f} kB"
REPO = "someone/faces"


def request(host: str = "127.0.0.1", query: dict[str, str] | None = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(headers=named, client=SimpleNamespace(host=host), query_params=query or {})


@pytest.fixture
def tab(tiny_catalog: None, monkeypatch: pytest.MonkeyPatch) -> ModelsTab:
    monkeypatch.delenv("SPACE_ID", raising=False)
    with gr.Blocks():
        opened: gr.State = gr.State(())
        pickers = [make_picker(task, opened) for task in TASKS]
        return ModelsTab(Session(Runtime("cpu")), opened, pickers)


def told(tab: ModelsTab, updates: dict[Any, Any]) -> str:
    return re.sub(r"<[^>]+>", " ", updates[tab.parts.found])


def values(picker: gr.Radio) -> list[str]:
    return [value for _, value in picker.choices]


def open_here(tab: ModelsTab, what: str, source: str = TEXT, token: str = "") -> dict[Any, Any]:
    *_, last = tab.events.open_chosen(what, token, source, (), "All", request())
    return last


# --- the catalog ---


def test_a_row_is_known_by_its_title() -> None:
    titles = [c.title for c in load_catalog().values()]
    assert len(set(titles)) == len(titles)


def test_what_every_licence_of_the_catalog_comes_down_to_is_said() -> None:
    assert [c.id for c in load_catalog().values() if not terms(c.licence)] == []


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("Apache-2.0", "any use"),
        ("MIT, parts under NVIDIA Source Code License", "Not for commercial use"),
        ("Apache-2.0; CelebA allows non-commercial research only", "Not for commercial use"),
        ("Unstated; the photographs forbid commercial use", "Not for commercial use"),
        ("Unstated for the weights; the code is MIT", "Nobody states"),
    ],
)
def test_a_licence_that_forbids_something_is_not_called_free(licence: str, words: str) -> None:
    assert words in terms(licence)


def test_the_table_shows_one_task_or_all() -> None:
    every = {c.title: c for c in load_catalog().values()}
    assert {row[0] for row in rows()} <= set(every)
    for task in TASKS:
        shown = rows(task.capitalize())
        assert shown
        assert all(task in every[row[0]].tasks for row in shown)
    here = [row[-1] for row in rows()]
    assert here == sorted(here, key=lambda where: where == "to download")


def test_a_clicked_row_fills_the_box(tab: ModelsTab) -> None:
    click: Any = SimpleNamespace(row_value=["Tiny-Gan", "Sample"])
    updates = tab.events.pick(click, request())
    assert updates[tab.parts.what] == "tiny-gan"
    assert "Licence" in told(tab, updates)
    assert updates[tab.parts.open].value == "Open"


# --- inspect ---


def test_a_file_on_the_hub_is_told_without_its_download(tab: ModelsTab, hub: HubServer) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    updates = tab.events.examine(REPO, "", TEXT, request())
    said = told(tab, updates)
    for words in ("DCGAN generator", "32 × 32", f"not downloaded yet, {SIZE}", f"{FILE_NAME} was taken"):
        assert words in said
    assert updates[tab.parts.open].value == f"Open (download {SIZE})"
    assert updates[tab.parts.remove].visible is False
    assert all(asked.range for asked in hub.asked("GET /cdn/")), "more than a header was asked for"


def test_a_file_without_a_header_is_not_downloaded_to_be_told(
    tab: ModelsTab, hub: HubServer, tmp_path: Path
) -> None:
    pickled = save(tiny_dcgan(1).state_dict(), tmp_path / "netG.pth").read_bytes()
    hub.add(REPO, {"netG.pth": pickled}, lfs=("netG.pth",))
    said = told(tab, tab.events.examine(f"{REPO}:netG.pth", "", TEXT, request()))
    assert "not downloaded yet" in said
    assert "Open downloads it" in said
    assert hub.asked("GET /cdn/") == []


def test_an_unknown_network_is_compared_with_the_nearest(tab: ModelsTab, hub: HubServer) -> None:
    hub.add(REPO, {FILE_NAME: packed({"<b>odd</b>.weight": torch.zeros(3, 3)})})
    updates = tab.events.examine(REPO, "", TEXT, request())
    said = re.sub(r"\s+", " ", told(tab, updates))
    assert "belongs to no network" in said
    assert re.search(r"Nearest \w.* It lacks \w+.* It also has &lt;b&gt;odd&lt;/b&gt;.weight \[3, 3\]", said)


def test_what_strangers_wrote_is_shown_letter_by_letter() -> None:
    evil = "<img src=x onerror=alert(1)>"
    facts = {
        **{"title": evil, "family": "generator", "tasks": ["sample"], "resolution": 8, "classes": 0},
        **{"parameters": 1, "value_range": evil, "file": evil, "bytes": 1, "downloaded": True},
        **{"sha256": evil, "verified": None, "unwrapped": [evil], "warnings": [evil]},
        "hyperparameters": {evil: evil},
    }
    shown = found_card(Checkpoint(evil, evil, (), "upload", evil, description=evil), facts)
    assert "<img" not in shown
    assert shown.count("&lt;img") == 10


# --- open ---


def test_opening_downloads_tells_and_offers(tab: ModelsTab, hub: HubServer) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    updates = open_here(tab, REPO)
    p = tab.parts
    assert updates[p.status] == "**faces** is open: DCGAN generator. Sample and Interpolate now have it."
    assert "checksum agrees" in told(tab, updates)
    assert updates[p.address] == REPO
    assert [button.visible for button in (updates[b] for b in p.go)] == [True, True, False, False]
    sample, interpolate, translate, _ = (updates[picker] for picker in p.pickers)
    assert (sample.value, interpolate.value) == (REPO, REPO)
    assert REPO not in values(translate)
    assert updates[p.remove].visible is True
    [offer] = updates[p.opened]
    assert card(offer) == "32 px\nfaces"


def test_a_row_is_one_checkpoint_however_it_is_named(
    tab: ModelsTab, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Checkpoint("faces", "Faces", ("sample",), "hub", FILE_NAME, repo=REPO)
    monkeypatch.setattr("imgsynth.checkpoints.catalog._shipped_catalog", lambda: {"faces": row})
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    assert offered("sample") == []
    for name in ("faces", f"{REPO}:{FILE_NAME}"):
        updates = open_here(tab, name)
        assert updates[tab.parts.address] == "faces"
        assert values(updates[tab.parts.pickers[0]]) == ["faces"]
    assert [offer.name for offer in offered("sample")] == ["faces"]


def test_a_dropped_file_is_offered_to_its_session_alone(tab: ModelsTab, tmp_path: Path) -> None:
    p, path = tab.parts, save(tiny_cyclegan(1).state_dict(), tmp_path / "my style.pth")
    dropped = tab.events.drop(str(path))
    token = dropped[p.token]
    assert is_token(token)
    assert dropped[p.source] == FILE
    updates = open_here(tab, "tiny-gan", FILE, token)
    assert updates[p.pickers[2]].value == token
    assert updates[p.status].startswith("**my style** is open")
    assert "value" not in updates[p.address]  # the address of the page stays as it is
    assert token in dict(map(reversed, choices("translate", updates[p.opened])))
    assert token not in dict(map(reversed, choices("translate")))
    assert "my style" not in memory_card(tab.events.session.runtime.pool.loaded())


def test_a_cancelled_download_ends_at_once_and_can_be_made_again(
    tab: ModelsTab, hub: HubServer, tmp_path: Path
) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    waiting: dict[str, Any] = {"opening": object()}
    came: list[int] = []

    def opening() -> None:
        LocalContext.event_id.set("opening")
        LocalContext.blocks.set(SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events=waiting)))
        bar = download_bar(lambda done, **_: came.append(done[0]))  # type: ignore[arg-type, return-value]

        def progress(done: int, total: int) -> None:
            if done > len(GAN) // 2:
                waiting.clear()
            bar(done, total)

        tab.events.session.open(REPO, progress)

    with pytest.raises(gr.Error, match="Cancelled"):
        contextvars.copy_context().run(opening)
    assert came
    assert max(came) < len(GAN)
    assert not list((tmp_path / "home").rglob(FILE_NAME))
    assert open_here(tab, REPO)[tab.parts.address] == REPO


def test_the_status_follows_a_cancelled_opening() -> None:
    assert settled(stopping("Opening faces …")) == STOPPED
    assert settled("Opening faces …") == ""  # it failed, and a toast says why
    assert stopping("**faces** is open.") == settled("**faces** is open.") == "**faces** is open."


def test_a_file_beyond_the_visitors_limit_is_not_begun(
    hub: HubServer, tab: ModelsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = packed(tiny_dcgan(1, widths=[256, 128, 64]).state_dict())
    assert len(big) > 1_000_000
    hub.add(REPO, {FILE_NAME: big}, lfs=(FILE_NAME,))
    monkeypatch.setenv("IMGSYNTH_VISITOR_MB", "1")
    session = Session(tab.events.session.runtime)
    tab.events.session = session
    assert "at most 1.0 MB" in told(tab, tab.events.examine(REPO, "", TEXT, request()))
    with pytest.raises(DownloadFailed, match="at most 1 MB"):
        session.open(REPO)
    assert all(asked.range for asked in hub.asked("GET /cdn/"))


@pytest.mark.parametrize("given", ["abc", "0", "-5", "1.5", "²"])
def test_a_limit_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("IMGSYNTH_VISITOR_MB", given)
    with pytest.raises(BadRequest, match=r"IMGSYNTH_VISITOR_MB is .*; make it a whole number"):
        most_megabytes()


def test_no_limit_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("", "500"):
        monkeypatch.setenv("IMGSYNTH_VISITOR_MB", given)
        assert most_megabytes() == 500


# --- remove ---


def test_removing_takes_two_clicks(tab: ModelsTab, hub: HubServer, tmp_path: Path) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    p, mine = tab.parts, open_here(tab, REPO)[tab.parts.opened]
    held: tuple[Any, ...] = (mine, "All", REPO, "tiny-vae", "tiny-cyclegan", "tiny-lama", request())
    asked = tab.events.remove(REPO, "", *held)
    assert asked[p.remove].value == f"Really remove {SIZE}"
    assert list((tmp_path / "home").rglob(FILE_NAME))
    done = tab.events.remove(REPO, asked[p.armed], *held)
    assert not list((tmp_path / "home").rglob(FILE_NAME))
    assert done[p.opened] == ()
    assert done[p.remove].visible is False
    assert [done[picker].value for picker in p.pickers[:2]] == ["tiny-gan", "tiny-vae"]


@pytest.mark.parametrize(
    "stranger",
    [request("192.168.1.7"), request(x_forwarded_for="10.0.0.1"), request(forwarded="for=10.0.0.1"), None],
)
def test_strangers_remove_nothing(tab: ModelsTab, hub: HubServer, tmp_path: Path, stranger: Any) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    open_here(tab, REPO)
    assert tab.events.look(REPO, stranger)[tab.parts.remove].visible is False
    with pytest.raises(BadRequest, match="only from the machine itself"):
        remove_for(tab.events.session.checkpoint(REPO), stranger)
    assert list((tmp_path / "home").rglob(FILE_NAME))


def test_on_a_space_nobody_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert is_local(request())
    assert is_local(request("::1"))
    monkeypatch.setenv("SPACE_ID", "someone/space")
    assert not is_local(request())


# --- dropped files ---


def test_the_oldest_dropped_files_make_room(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.pth" for name in "abc"]
    for path in paths:
        path.write_bytes(b"x" * 60)
    dropped = Dropped(most_bytes=150)
    first, second = (dropped.add(path) for path in paths[:2])
    assert dropped.get(first).id == "a"  # used last, so the other one goes
    third = dropped.add(paths[2])
    assert [dropped.get(token).path.read_bytes() for token in (first, third)] == [b"x" * 60] * 2
    with pytest.raises(CheckpointNotFound, match="drop it again"):
        dropped.get(second)


def test_a_dropped_file_outlives_the_upload(tmp_path: Path) -> None:
    path = save(tiny_dcgan(1).state_dict(), tmp_path / "net.safetensors")
    session = Session(Runtime("cpu"))
    token = session.uploads.add(path)
    path.unlink()
    facts, model = session.open(token)
    assert (facts["architecture"], model.identity.source, model.identity.id) == ("dcgan", "upload", "net")


# --- the page's address ---


@pytest.fixture
def arrival(tab: ModelsTab) -> Arrival:
    with gr.Blocks():
        return Arrival(tab.events.session, tab.events, gr.Tabs())


def arrived(arrival: Arrival, what: str) -> dict[Any, Any]:
    return arrival.arrive(request(query={"model": what}))


@pytest.mark.parametrize(("what", "tab_id"), [("tiny-vae", "sample"), ("tiny-lama", "inpaint")])
def test_an_address_leads_to_a_bundled_model(arrival: Arrival, what: str, tab_id: str) -> None:
    updates, p = arrived(arrival, what), arrival.events.parts
    assert updates[arrival.tabs].selected == tab_id
    assert updates[p.pickers[TASKS.index(tab_id)]].value == what


def test_an_address_leads_to_a_model_that_is_here(arrival: Arrival, hub: HubServer) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    arrival.session.open(f"{REPO}:{FILE_NAME}")
    updates = arrived(arrival, f"{REPO}:{FILE_NAME}")
    assert updates[arrival.tabs].selected == "sample"
    assert updates[arrival.events.parts.pickers[0]].value == f"{REPO}:{FILE_NAME}"


def test_an_address_downloads_nothing(arrival: Arrival, hub: HubServer) -> None:
    hub.add(REPO, {FILE_NAME: GAN}, lfs=(FILE_NAME,))
    updates, p = arrived(arrival, REPO), arrival.events.parts
    assert updates[arrival.tabs].selected == MODELS
    assert (updates[p.what], updates[arrival.asked]) == (REPO, REPO)
    assert "not downloaded yet" in arrival.look(updates[arrival.asked], request())[p.found]
    assert all(asked.range for asked in hub.asked("GET /cdn/"))


@pytest.mark.parametrize("what", ["tiny-gna", "/etc/passwd", "<script>", "upload-" + "0" * 32, "no/repo"])
def test_an_address_that_leads_nowhere_is_told(arrival: Arrival, hub: HubServer, what: str) -> None:
    updates, p = arrived(arrival, what), arrival.events.parts
    if arrival.asked in updates:
        updates |= arrival.look(updates[arrival.asked], request())
    assert updates[arrival.tabs].selected == MODELS
    assert updates[p.what] == what
    assert updates[p.found].endswith(".</p></div>")
    assert "<script" not in updates[p.found]


# --- classes ---


def by_class(names: list[str] | None) -> Any:
    network = StudioGANResNet(latent_dim=8, widths=[8, 4, 4, 4], classes=3)
    return model_of(network, {"class_names": names} if names else None)


def test_classes_are_shown_by_name_where_they_have_any() -> None:
    shown = fitting_classes(by_class(["cat", "dog", "owl"]), None, all_in_turn=True)
    assert shown.choices == [("All in turn", ALL), ("0 · cat", 0), ("1 · dog", 1), ("2 · owl", 2)]
    assert (shown.visible, shown.value) == (True, ALL)
    shown = fitting_classes(by_class(["too", "few"]), 2, all_in_turn=False)
    assert shown.choices == [("0", 0), ("1", 1), ("2", 2)]
    assert shown.value == 2


def test_a_class_of_another_model_is_not_asked_for() -> None:
    model = by_class(None)
    assert [chosen_label(model, chosen) for chosen in (1, 3, ALL, None)] == [1, None, None, None]
    plain = model_of(tiny_dcgan())
    assert chosen_label(plain, 1) is None
    assert fitting_classes(plain, 1, all_in_turn=True).visible is False


def test_memory_names_catalog_and_hub_alone() -> None:
    model = model_of(tiny_dcgan(), name="secret")
    model.identity = Identity("secret", "upload", "secret.pth", None, "0" * 64)
    assert "secret" not in memory_card([model])
    assert "tiny" in memory_card([model_of(tiny_dcgan())])
    assert "No model is in memory yet" in memory_card([])
