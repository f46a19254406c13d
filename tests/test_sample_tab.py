"""The Sample tab without a server: what its events draw, keep, find and hand over."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from builders import pixels, png
from imgsynth.errors import BadImage, BadRequest
from imgsynth.imaging.archive import SHEET
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.directions import directions_of
from imgsynth.tasks.redo import redo
from imgsynth.tasks.requests import InvertRequest, parse_seeds
from imgsynth.ui import app, carrying, invert_panel, sample_events
from imgsynth.ui.carrying import OTHERS_LEFT_OUT, Carrier, photo_of
from imgsynth.ui.directions import make_fill, make_rename
from imgsynth.ui.downloads import zipped
from imgsynth.ui.keyframes import EXAMPLE, keyframes_of
from imgsynth.ui.noise import USUAL
from imgsynth.ui.picked import KEEP, KEPT
from imgsynth.ui.sample_events import FOLLOWING, SampleEvents, SampleParts
from imgsynth.ui.sample_tab import make_sample_tab, roll, spread
from imgsynth.ui.session import Session
from imgsynth.ui.shown import GONE, MOST_AT_ONCE, Shown, caption, items, save_grid
from imgsynth.ui.tray import MOST_KEPT, toggled

FIRST_DIRECTION = "component 1"


class Visitor:
    """A page's values, as events change them."""

    def __init__(self, session: Session, parts: SampleParts) -> None:
        self.session, self.parts = session, parts
        self.events = SampleEvents(session, self.parts)
        p, d = self.parts, self.parts.directions
        self.values: dict[Any, Any] = {p.model: "tiny-gan", p.seeds: "0-5", p.label: None, p.psi: 1.0}
        self.values |= {p.shown: (), p.picked.picked: None, p.picked.amount: 0.3, p.tray.kept: ()}
        self.values |= {d.filled: None, **dict.fromkeys(d.every_slider, 0), p.photo.photo: None}
        self.values |= {p.noise: USUAL, d.latents.number: 1}

    def take(self, updates: dict[Any, Any]) -> dict[Any, Any]:
        """Remembers States, and what plain values and components say."""
        for key, value in updates.items():
            given = value.constructor_args if isinstance(value, gr.blocks.Block) else {"value": value}
            self.values |= {key: given["value"]} if "value" in given else {}
        return updates

    def run(self, event: Any) -> list[dict[Any, Any]]:
        """All that an event shows on its way."""
        happened = event(self.values)
        return [self.take(u) for u in ([happened] if isinstance(happened, dict) else happened)]

    def pick(self, index: int) -> dict[Any, Any]:
        event = gr.SelectData(None, {"index": index, "value": None})
        return self.take(self.events.pick(self.values, event))

    def move(self, amount: float) -> None:
        """Drags the first direction."""
        p = self.parts
        if self.values[p.directions.filled] is None:
            fill = make_fill(self.session, p.directions)
            self.take(fill(self.values[p.model], None, {}))
        self.values[p.directions.sliders[0]] = amount

    @property
    def shown(self) -> tuple[Shown, ...]:
        pictures: tuple[Shown, ...] = self.values[self.parts.shown]
        return pictures

    @property
    def picked(self) -> Shown:
        shown: Shown = self.values[self.parts.picked.picked]
        return shown

    def requests(self) -> list[dict[str, Any]]:
        """What the records of the pictures say."""
        return [shown.record["request"] for shown in self.shown]


@pytest.fixture
def session(tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Session(Runtime("cpu", "fp32"))


@pytest.fixture(scope="module")
def parts() -> SampleParts:
    """The tab's components; events take values by them."""
    with gr.Blocks():
        return make_sample_tab(Session(Runtime("cpu")), gr.State(())).parts


@pytest.fixture
def visitor(session: Session, parts: SampleParts) -> Visitor:
    return Visitor(session, parts)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page says in passing."""
    sentences: list[str] = []
    monkeypatch.setattr(carrying.gr, "Info", lambda text, **_: sentences.append(text))
    return sentences


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "face.png"
    path.write_bytes(png(pixels(50, 70)))
    return str(path)


def values_of(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def assert_made_again(session: Session, shown: Shown) -> None:
    """The file's record gives the file's pixels."""
    remade: Any = redo(session.model(shown.model), shown.record)
    np.testing.assert_array_equal(np.asarray(remade.image), values_of(shown.path))


def test_seeds_in_a_row() -> None:
    assert spread("7,20", 4) == "7-10"
    assert parse_seeds(spread("4294967295", 3))[-1] == 4294967295
    assert len(parse_seeds(roll(256))) == 256


def test_the_first_pictures_show_before_the_last_are_drawn(visitor: Visitor) -> None:
    visitor.values[visitor.parts.seeds] = "0-299"
    counts = [len(updates[visitor.parts.shown]) for updates in visitor.run(visitor.events.draw)]
    assert (counts[0], counts[-1]) == (8, 256)
    assert max(b - a for a, b in itertools.pairwise(counts)) == MOST_AT_ONCE
    assert [caption for _, caption in items(visitor.shown)] == [str(seed) for seed in range(256)]
    assert "256 pictures" in visitor.values[visitor.parts.status]


def test_a_clicked_picture_opens_with_its_recipe(visitor: Visitor) -> None:
    visitor.run(visitor.events.draw)
    panel, updates = visitor.parts.picked, visitor.pick(3)
    assert updates[panel.picked] is visitor.shown[3]
    assert updates[panel.line] == "seed 3 · psi 1 · **tiny-gan**"
    assert updates[panel.recipe] == read_record(visitor.shown[3].path)
    assert panel.picked not in visitor.pick(99)  # the gallery was longer when it was clicked


def test_variations_are_neighbours_of_the_picked_picture_and_come_again(visitor: Visitor) -> None:
    visitor.run(visitor.events.draw)
    visitor.pick(2)
    visitor.run(visitor.events.vary)
    requests = visitor.requests()
    assert len(requests) == 16
    assert {(r["seed"], r["variation_amount"]) for r in requests} == {(2, 0.3)}
    assert len({r["variation_seed"] for r in requests}) == 16
    last = visitor.shown[15]
    assert (caption(last, 16), caption(last)) == ("variation 16", "near 2")
    assert_made_again(visitor.session, visitor.shown[5])
    visitor.pick(5)
    assert "30% towards seed" in visitor.values[visitor.parts.picked.line]
    visitor.run(visitor.events.vary)  # of a variation: from its latent
    assert {r["latent"][:9] for r in visitor.requests()} == {"latent:z:"}
    assert_made_again(visitor.session, visitor.shown[1])


def test_nothing_lies_nearer_than_the_picture_itself(visitor: Visitor) -> None:
    visitor.run(visitor.events.draw)
    visitor.pick(2)
    origin = values_of(visitor.picked.path)
    visitor.values[visitor.parts.picked.amount] = 0.0
    visitor.run(visitor.events.vary)
    assert all(np.array_equal(values_of(shown.path), origin) for shown in visitor.shown)


def test_the_first_pictures_follow_psi_and_all_come_on_release(visitor: Visitor) -> None:
    p = visitor.parts
    visitor.values[p.seeds] = "0-29"
    visitor.run(visitor.events.draw)
    visitor.pick(20)
    before, visitor.values[p.psi] = visitor.shown, 0.5
    visitor.run(visitor.events.drag)
    followed = [n for n, r in enumerate(visitor.requests()) if r["psi"] == 0.5]
    assert followed == [*range(FOLLOWING), 20]
    assert visitor.picked is visitor.shown[20]  # the large one follows too
    assert "psi 0.5" in visitor.values[p.picked.line]
    after = visitor.shown
    visitor.run(visitor.events.release)
    assert {r["psi"] for r in visitor.requests()} == {0.5}
    assert visitor.shown[:FOLLOWING] == after[:FOLLOWING]  # what is right already is not drawn again
    assert [s.request.seeds for s in visitor.shown] == [s.request.seeds for s in before]
    assert_made_again(visitor.session, visitor.shown[29])
    rested = visitor.shown
    visitor.run(visitor.events.release)
    assert visitor.shown is rested


def test_large_models_wait_for_the_release(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_events, "SMALL_SIDE", 16)
    visitor.run(visitor.events.draw)
    visitor.values[visitor.parts.psi] = 0.4
    visitor.run(visitor.events.drag)
    assert {r["psi"] for r in visitor.requests()} == {1.0}
    visitor.run(visitor.events.release)
    assert {r["psi"] for r in visitor.requests()} == {0.4}


@pytest.mark.parametrize("name", ["tiny-gan", "tiny-vae"])
def test_directions_move_what_is_shown_and_what_is_drawn_next(visitor: Visitor, name: str) -> None:
    visitor.values[visitor.parts.model] = name
    visitor.run(visitor.events.draw)
    still = values_of(visitor.shown[0].path)
    visitor.move(2.5)
    visitor.run(visitor.events.drag)
    assert {r["directions"][FIRST_DIRECTION] for r in visitor.requests()} == {2.5}
    assert (values_of(visitor.shown[0].path) != still).any()
    visitor.values[visitor.parts.seeds] = "40-41"
    visitor.run(visitor.events.draw)
    assert [r["directions"] for r in visitor.requests()] == [{FIRST_DIRECTION: 2.5}] * 2
    assert_made_again(visitor.session, visitor.shown[1])
    visitor.move(0)
    visitor.run(visitor.events.release)
    assert all("directions" not in r for r in visitor.requests())


def test_directions_of_another_model_move_nothing(visitor: Visitor) -> None:
    visitor.move(3)
    visitor.values[visitor.parts.model] = "tiny-vae"
    visitor.run(visitor.events.draw)
    assert all("directions" not in r for r in visitor.requests())


def test_directions_are_filled_once_and_keep_their_names(visitor: Visitor) -> None:
    panel = visitor.parts.directions
    fill = make_fill(visitor.session, panel)
    updates = fill("tiny-gan", None, {})
    core = directions_of(visitor.session.model("tiny-gan")).names
    assert updates[panel.filled].names == core[: len(panel.sliders)]
    assert [updates[row].visible for row in panel.rows] == [n < len(core) for n in range(len(panel.rows))]
    rename = make_rename(panel)
    renamed = rename(updates[panel.filled], {}, "smile", *core[1:])[panel.renamed]
    assert fill("tiny-gan", updates[panel.filled], renamed) == {panel.note: gr.skip()}
    other = fill("tiny-vae", updates[panel.filled], renamed)
    assert other[panel.names[0]] == FIRST_DIRECTION
    assert other[panel.sliders[0]] == 0
    assert fill("tiny-gan", other[panel.filled], renamed)[panel.names[0]] == "smile"
    cleared = rename(updates[panel.filled], renamed, "", *core[1:])[panel.renamed]
    assert fill("tiny-gan", None, cleared)[panel.names[0]] == FIRST_DIRECTION


def test_a_model_without_directions_says_so(visitor: Visitor) -> None:
    panel = visitor.parts.directions
    updates = make_fill(visitor.session, panel)("tiny-cyclegan", None, {})
    assert updates[panel.filled] is None
    assert "tiny-cyclegan" in updates[panel.note]
    assert not any(updates[row].visible for row in panel.rows)


def test_a_picture_is_kept_once_and_goes_again(visitor: Visitor) -> None:
    visitor.run(visitor.events.draw)
    first, second = visitor.shown[:2]
    kept = toggled(second, toggled(first, ()))
    assert kept == (first, second)
    assert toggled(first, kept) == (second,)
    tray, panel = visitor.parts.tray, visitor.parts.picked
    assert tray.holding(kept)[tray.panel].visible and not tray.holding(())[tray.panel].visible
    assert panel.show(first, kept)[panel.keep].value == KEPT
    assert panel.show(first, (second,))[panel.keep].value == KEEP
    many = visitor.shown * 20
    full: tuple[Shown, ...] = ()
    for number, shown in enumerate(many):
        full = toggled(Shown(f"{shown.path}{number}", shown.model, shown.request), full)
    assert len(full) == MOST_KEPT and full[-1].path.endswith(str(len(many) - 1))


def test_all_pictures_in_one_zip_and_in_one_picture(visitor: Visitor) -> None:
    visitor.values[visitor.parts.seeds] = "5,5,9"
    visitor.run(visitor.events.draw)
    with zipfile.ZipFile(zipped(visitor.shown)) as archive:
        names = archive.namelist()
        assert len(set(names)) == 4 and names[-1] == SHEET
        assert read_record(archive.read(names[2]))["request"]["seed"] == 9
    grid = save_grid(visitor.session, visitor.shown)
    assert read_record(grid)["request"]["seeds"] == [5, 5, 9]
    remade: Any = redo(visitor.session.model("tiny-gan"), read_record(grid))
    np.testing.assert_array_equal(np.asarray(remade.image), values_of(grid))
    visitor.pick(0)
    visitor.run(visitor.events.vary)
    for refused, reason in ((visitor.shown, "ZIP"), ((), "draw some first")):
        with pytest.raises(BadRequest, match=reason):
            save_grid(visitor.session, refused)
    with pytest.raises(BadRequest, match="nothing"):
        zipped(())


def test_the_file_itself_goes_to_other_tabs_and_is_missed_once_cleared_away(visitor: Visitor) -> None:
    visitor.run(visitor.events.draw)
    path, tabs = photo_of(visitor.shown[1], "translate")
    assert (path, tabs.selected) == (visitor.shown[1].path, "translate")
    Path(path).unlink()
    for use in (lambda: visitor.pick(1), lambda: photo_of(visitor.shown[1], "inpaint")):
        with pytest.raises(BadRequest) as refused:
            use()
        assert str(refused.value) == GONE
    with pytest.raises(BadRequest, match="cleared away"):
        zipped(visitor.shown)


def test_a_picked_picture_joins_the_keyframes(visitor: Visitor, told: list[str]) -> None:
    carrier = Carrier(visitor.session)
    visitor.run(visitor.events.draw)
    plain_one = visitor.shown[4]
    model, text, _, tabs = carrier.appended(plain_one, "tiny-gan", EXAMPLE)
    assert (model, text) == ("tiny-gan", "4")  # the example gives way
    assert tabs == gr.skip()
    visitor.pick(1)
    visitor.run(visitor.events.vary)
    _, text, *_ = carrier.appended(visitor.shown[0], model, text)
    assert text.startswith("4,latent:z:")
    keyframes, photos = keyframes_of(visitor.session.model("tiny-gan"), text, ())
    assert keyframes == [4, text.partition(",")[2]]
    assert photos == []
    assert carrier.appended(plain_one, "tiny-vae", text)[:2] == ("tiny-gan", "4")  # another model's
    assert told[1] == "Keyframes in Interpolate now: 2."
    with pytest.raises(BadRequest, match="no seed"):
        keyframes_of(visitor.session.model("tiny-gan"), "1,photo", ())


def test_pictures_become_keyframes_as_they_are(visitor: Visitor, told: list[str]) -> None:
    carrier = Carrier(visitor.session)
    visitor.run(visitor.events.draw)
    assert carrier.seeds("tiny-gan", "7", None, visitor.shown)[:2] == ("tiny-gan", "7,8")
    with pytest.raises(BadRequest, match="abc"):
        carrier.seeds("tiny-gan", "abc", None, visitor.shown)
    kept = visitor.shown[1:4]
    visitor.move(1)
    visitor.run(visitor.events.release)
    moved = carrier.seeds("tiny-gan", "0-5", None, visitor.shown)[1].split(",")
    assert len(moved) == 6 and all(keyframe.startswith("latent:") for keyframe in moved)
    visitor.values[visitor.parts.model] = "tiny-vae"
    visitor.run(visitor.events.draw)
    assert carrier.pictures((*kept, visitor.shown[0]))[:2] == ("tiny-gan", "1,2,3")
    assert told == [OTHERS_LEFT_OUT]
    for few in ((), kept[:1]):
        with pytest.raises(BadRequest, match="two pictures"):
            carrier.pictures(few)


def test_a_photo_is_found_step_by_step(visitor: Visitor, photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invert_panel, "InvertRequest", partial(InvertRequest, steps=12))
    with pytest.raises(BadImage, match="no photo yet"):
        visitor.run(visitor.events.find)
    p = visitor.parts
    visitor.values[p.photo.photo] = photo
    happened = visitor.run(visitor.events.find)
    previews = [u[p.photo.after] for u in happened if isinstance(u.get(p.photo.after), Image.Image)]
    assert len(previews) == 3  # steps 1, 11, 12
    [found] = visitor.shown
    assert found is visitor.picked
    assert "dB" in visitor.values[p.photo.status]
    assert visitor.values[p.photo.after] == found.path
    assert found.record["input_sha256"] == [read_photo(photo).sha256]


def test_what_was_found_is_moved_varied_and_walked_to(visitor: Visitor, photo: str) -> None:
    p = visitor.parts
    visitor.values |= {p.model: "tiny-vae", p.photo.photo: photo}
    visitor.run(visitor.events.find)
    still = visitor.picked
    visitor.move(2)
    visitor.run(visitor.events.drag)
    assert visitor.picked is visitor.shown[0] is not still
    assert (values_of(visitor.picked.path) != values_of(still.path)).any()
    assert_made_again(visitor.session, visitor.picked)
    assert visitor.picked.record["input_sha256"] == [read_photo(photo).sha256]
    assert "from a photo" in visitor.values[p.picked.line]
    visitor.run(visitor.events.vary)
    assert len(visitor.shown) == 16
    assert visitor.shown[3].record["input_sha256"] == [read_photo(photo).sha256]
    text = Carrier(visitor.session).text([still, visitor.shown[0]])
    assert [k[:9] for k in text.split(",")] == ["latent:z:"] * 2


def test_the_whole_page_is_wired(session: Session) -> None:
    page = app.build(session.runtime)
    labels: Iterator[Any] = (block.value for block in page.blocks.values() if isinstance(block, gr.Button))
    assert {"Variations", "Use in Inpaint", "Find it", "Download all as ZIP"} <= set(labels)
