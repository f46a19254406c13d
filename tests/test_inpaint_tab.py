"""The Inpaint tab without a browser: the hole that a visitor makes, its tools, and what the buttons do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from builders import model_of, pixels, png, tiny_dcgan, tiny_lama
from imgsynth.errors import BadMask, CheckpointNotFound, ImgsynthError
from imgsynth.imaging.masks import grow_mask, mask_sha256, read_mask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.write import write_mask
from imgsynth.ui import candidates_panel, hole, mask_tools
from imgsynth.ui.candidates_panel import Candidate, choose, make_fill_all
from imgsynth.ui.endpoints import Endpoints
from imgsynth.ui.hole import Shown, at, hole_of, overlay, painted_hole, placed, shown_mask, shown_size
from imgsynth.ui.inpaint_tab import make_fill
from imgsynth.ui.keys import SCRIPT, SHORTCUTS, sheet
from imgsynth.ui.outpaint_panel import make_extend
from imgsynth.ui.picker import Offer
from imgsynth.ui.result_panel import go_on, part_bar

HEIGHT, WIDTH = 600, 2000  # more than the editor shows, by no whole factor


@pytest.fixture(autouse=True)
def results_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "wide.png").write_bytes(png(pixels(HEIGHT, WIDTH)))
    return str(tmp_path / "wide.png")


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small.png").write_bytes(png(pixels(40, 56, 4)))
    return str(tmp_path / "small.png")


@pytest.fixture
def session() -> Any:
    """Two inpainters, a generator, and a name that leads nowhere."""
    models = {name: model_of(tiny_lama(seed), name=name) for seed, name in enumerate(("one", "two"))}
    models["gan"] = model_of(tiny_dcgan(), name="gan")

    def model(name: str) -> Any:
        if name not in models:
            raise CheckpointNotFound(f"No checkpoint is called {name}.")
        return models[name]

    return SimpleNamespace(model=model)


def layer(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    """A transparent layer with opaque boxes (left, top, right, bottom) painted on it."""
    image = Image.new("RGBA", size)
    for box in boxes:
        image.paste((225, 29, 72, 255), box)
    return image


def painted(*layers: Image.Image) -> dict[str, Any]:
    return {"background": None, "layers": list(layers), "composite": None}


def put_there(value: dict[str, Any]) -> Image.Image:
    """The layer that the editor was given, as it gives it back when nobody painted."""
    return Image.open(value["layers"][0])


def speckles() -> np.ndarray:
    """A mask far finer than what the editor shows: single pixels, lines, and a box."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[100:500:7, 200:900:11] = True
    mask[300, 1000:1400] = True
    mask[50:250, 1500:1700] = True
    return mask


def test_the_editor_shows_a_small_photo_with_an_empty_layer(path: str) -> None:
    value, shown = placed(path, read_photo(path))
    with Image.open(value["background"]) as background:
        assert background.size == (960, 288) == shown_size(read_photo(path))
    assert put_there(value).size == (960, 288)
    assert not np.asarray(put_there(value)).any()
    assert shown == Shown(path, None)


def test_a_photo_that_is_put_there_again_has_other_addresses(path: str) -> None:
    """The page keeps what it has when it is told the same address twice, strokes included."""
    first, second = (placed(path, read_photo(path))[0] for _ in range(2))
    assert first["background"] != second["background"]
    assert first["layers"] != second["layers"]


def test_strokes_are_scaled_to_the_photo(path: str) -> None:
    photo = read_photo(path)
    mask = hole_of(painted(layer((960, 288), (96, 48, 192, 96))), photo, Shown(path))
    assert mask.shape == (HEIGHT, WIDTH)
    expected = np.zeros_like(mask)
    expected[100:200, 200:400] = True
    assert (mask != expected).mean() < 0.001


@pytest.mark.parametrize("editor", [None, {}, painted()])
def test_nothing_painted_is_told(path: str, editor: Any) -> None:
    photo = read_photo(path)
    assert not hole_of(editor, photo, Shown(path)).any()
    with pytest.raises(BadMask, match="Nothing is painted yet"):
        painted_hole(editor, photo, Shown(path))


def test_a_mask_that_nobody_touched_comes_back_to_the_pixel(path: str) -> None:
    photo, mask = read_photo(path), speckles()
    value, shown = placed(path, photo, mask)
    np.testing.assert_array_equal(hole_of(painted(put_there(value)), photo, shown), mask)
    np.testing.assert_array_equal(hole_of(painted(), photo, shown), mask)


def test_every_speck_of_a_mask_is_seen_in_the_editor(path: str) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[301, 1001] = True
    photo = read_photo(path)
    changed = (np.asarray(overlay(photo, mask)) != np.asarray(hole.shown_photo(photo))).any(axis=2)
    assert changed.any()
    with Image.open(placed(path, photo, mask | speckles())[0]["background"]) as shown:
        red = np.asarray(shown, dtype=int)[40:110, 730:800]
    assert (red[..., 0] - red[..., 1]).mean() > 60


def test_strokes_over_a_mask_are_added_to_it(path: str) -> None:
    photo, mask = read_photo(path), speckles()
    _, shown = placed(path, photo, mask)
    stroke = (780, 60, 860, 100)  # over the box and beyond its right side
    alone = hole_of(painted(layer((960, 288), stroke)), photo, Shown(path))
    np.testing.assert_array_equal(hole_of(painted(layer((960, 288), stroke)), photo, shown), mask | alone)


def test_a_mask_that_has_been_cleared_away_is_told(path: str) -> None:
    photo = read_photo(path)
    value, shown = placed(path, photo, speckles())
    Path(str(shown.mask)).unlink()
    with pytest.raises(BadMask, match="cleared away, as happens after an hour; choose the photo again"):
        painted_hole(painted(put_there(value)), photo, shown)


def test_inverting_twice_gives_the_same_hole(path: str) -> None:
    photo, mask = read_photo(path), speckles()
    value, shown = placed(path, photo, mask)
    version, history = 0, (shown,)
    for expected in (~mask, mask):
        value, version, history, line = mask_tools.invert(path, painted(put_there(value)), version, history)
        shown = history[version]
        np.testing.assert_array_equal(hole_of(painted(put_there(value)), photo, shown), expected)
        assert f"{expected.mean():.1%}" in line


def test_a_mask_from_a_file_is_added_to_what_is_painted(path: str, tmp_path: Path) -> None:
    photo, mask = read_photo(path), speckles()
    file = str(write_mask(tmp_path / "mask.png", mask))
    strokes = painted(layer((960, 288), (850, 200, 900, 250)))
    before = hole_of(strokes, photo, Shown(path))
    value, version, history, _, left = mask_tools.add(file, path, strokes, 0, (Shown(path),))
    assert left is None
    result = hole_of(painted(put_there(value)), photo, history[version])
    np.testing.assert_array_equal(result, mask | before)


def test_a_mask_of_another_shape_is_told(path: str, tmp_path: Path) -> None:
    file = str(write_mask(tmp_path / "mask.png", np.eye(50, dtype=bool)))
    with pytest.raises(gr.Error, match="50 × 50"):
        mask_tools.add(file, path, painted(), 0, (Shown(path),))


def test_the_saved_mask_is_the_hole(path: str) -> None:
    mask = speckles()
    value, shown = placed(path, read_photo(path), mask)
    saved = mask_tools.keep(path, painted(put_there(value)), 0, (shown,))
    assert Path(saved).name == "wide-mask.png"
    np.testing.assert_array_equal(read_mask(saved, None), mask)
    with pytest.raises(gr.Error, match="Nothing is painted yet"):
        mask_tools.keep(path, painted(), 0, (Shown(path),))


def test_clear_and_a_new_photo_begin_anew(path: str, small: str) -> None:
    history = Shown(), Shown(path, "mask.png")
    value, version, history, line = mask_tools.clear(path, history)
    assert not np.asarray(put_there(value)).any()
    assert (version, history[version], line) == (2, Shown(path), "The hole is empty again.")
    value, version, history = mask_tools.show(small, history)
    assert (version, history[version]) == (3, Shown(small))
    assert put_there(value).size == (56, 40)
    value, version, history = mask_tools.show(None, history)
    assert (value, version, history[version]) == (None, 4, Shown())


def test_a_photo_that_is_told_of_twice_keeps_what_was_painted(path: str) -> None:
    assert mask_tools.show(path, (Shown(), Shown(path, "mask.png"))) == (gr.skip(),) * 3


def test_a_fill_that_waited_is_read_against_what_was_shown_when_it_was_sent(path: str) -> None:
    """Inverted, the mask would turn what the editor sent before into one great erasure."""
    photo, mask = read_photo(path), speckles()
    value, version, history = mask_tools.put((Shown(),), path, photo, mask)
    sent = painted(put_there(value)), version
    history = mask_tools.invert(path, *sent, history)[2]
    np.testing.assert_array_equal(hole_of(sent[0], photo, at(history, sent[1])), mask)


@pytest.mark.parametrize("version", [None, -1, 2, 1e9, float("nan")])
def test_a_number_that_no_version_has_stands_for_the_newest(version: float | None) -> None:
    assert at((Shown(), Shown("new")), version) == Shown("new")


def test_tools_without_a_photo_say_so() -> None:
    for tool in (mask_tools.invert, mask_tools.keep):
        with pytest.raises(gr.Error, match="no photo yet"):
            tool(None, None, 0, (Shown(),))


def test_the_look_shows_the_hole_grown(path: str) -> None:
    photo = read_photo(path)
    strokes = painted(layer((960, 288), (400, 100, 440, 140)))
    picture, line, looking = mask_tools.look(path, strokes, 0, (Shown(path),), 40, 0)
    grown = grow_mask(hole_of(strokes, photo, Shown(path)), 40)
    assert looking
    assert f"{grown.mean():.1%}" in line
    with Image.open(picture.value["path"]) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(overlay(photo, grown)))
    tinted = (np.asarray(overlay(photo, grown)) != np.asarray(hole.shown_photo(photo))).any(axis=2)
    assert tinted.sum() > 0.95 * shown_mask(grown, (960, 288)).sum()


def test_the_look_follows_the_sliders_only_once_it_is_asked_for(path: str) -> None:
    strokes = painted(layer((960, 288), (400, 100, 440, 140)))
    assert mask_tools.look_again(False, path, strokes, 0, (Shown(path),), 1, 1) == (gr.skip(),) * 3
    assert mask_tools.look_again(True, path, strokes, 0, (Shown(path),), 1, 1)[2] is True


def test_a_fill_changes_the_hole_alone_and_can_be_gone_on_from(session: Any, small: str) -> None:
    strokes = painted(layer((56, 40), (20, 10, 30, 20)))
    pair, line, *_, made = make_fill(session)("one", small, strokes, 0, (Shown(small),), 0, 0)
    before, after = (read_photo(file) for file in pair)
    changed = (before.pixels != after.pixels).any(axis=2)
    assert changed[10:20, 20:30].mean() > 0.9
    changed[10:20, 20:30] = False
    assert not changed.any()
    np.testing.assert_array_equal(after.alpha, read_photo(small).alpha)
    assert line.startswith("4.5% of 56×40 filled · **one**")
    assert go_on(made)[0] == made == pair[1]
    assert read_record(made)["mask_sha256"] == mask_sha256(hole_of(strokes, before, Shown(small)))


def test_going_on_needs_a_result() -> None:
    with pytest.raises(gr.Error, match="no result yet"):
        go_on(None)


def test_what_became_of_the_photo_is_said(session: Any, tmp_path: Path) -> None:
    cmyk = tmp_path / "print.jpg"
    Image.fromarray(pixels(40, 56)).convert("CMYK").save(cmyk)
    strokes = painted(layer((56, 40), (20, 10, 30, 20)))
    line = make_fill(session)("one", str(cmyk), strokes, 0, (Shown(str(cmyk)),), 0, 0)[1]
    assert "CMYK" in line


def test_extending_shows_the_photo_where_it_lies_on_the_new_canvas(session: Any, small: str) -> None:
    pair, line, *_ = make_extend(session)("one", small, 8, None, 0, 3)
    before, after = (read_photo(file) for file in pair)
    photo = read_photo(small)
    assert (before.width, before.height) == (after.width, after.height) == (64, 43)
    own = slice(0, 40), slice(8, 64)
    np.testing.assert_array_equal(before.pixels[own][photo.alpha > 0], photo.pixels[photo.alpha > 0])
    np.testing.assert_array_equal(after.pixels[own], photo.pixels)
    assert before.alpha is not None
    assert not before.alpha[:, :8].any()
    assert line.startswith("56×40 is now 64×43 · **one**")
    assert read_record(pair[1])["request"] == {"left": 8, "top": 0, "right": 0, "bottom": 3}


@pytest.mark.parametrize(
    ("sides", "sentence"), [((0, 0, None, 0), "at least one side"), ((-1, 0, 0, 0), "left")]
)
def test_an_extension_that_cannot_be_is_told(session: Any, small: str, sides: Any, sentence: str) -> None:
    with pytest.raises(gr.Error, match=sentence):
        make_extend(session)("one", small, *sides)


def test_every_model_fills_and_a_click_takes_one(
    session: Any, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = [Offer(name, name, ("inpaint",), None, "") for name in ("one", "gone", "gan", "two")]
    monkeypatch.setattr(candidates_panel, "offered", lambda task, opened: offers)
    strokes = painted(layer((56, 40), (20, 10, 30, 20)))
    steps = list(make_fill_all(session)((), small, strokes, 0, (Shown(small),), 0, 0))
    gallery, drawn, line = steps[-1]
    assert [candidate.name for candidate in drawn] == ["one", "two"]
    assert len(gallery.value) == 2
    assert line.startswith("2 candidates")
    assert "gone" in line
    assert "gan" in line
    pair, told, *_, made = choose(drawn, SimpleNamespace(index=1))
    assert read_record(made)["checkpoint"]["id"] == "two"
    assert "**two**" in told
    assert pair[1] == made


@pytest.mark.parametrize("index", [-1, 1, 99])
def test_a_candidate_that_is_not_there_is_told(index: int) -> None:
    drawn = (Candidate("one", ("before.png", "after.png"), "line"),)
    with pytest.raises(gr.Error, match="gone"):
        choose(drawn, SimpleNamespace(index=index))


def test_parts_are_counted_as_they_are_begun() -> None:
    told: list[str] = []
    report = part_bar(lambda done, desc, unit: told.append(desc), "Filling")  # type: ignore[arg-type]
    for done in (1, 2, 3):
        report(done, 3)
    assert told == ["Filling part 2 of 3", "Filling part 3 of 3"]


def test_the_endpoint_extends(session: Any, small: str) -> None:
    made = Endpoints(session).outpaint("one", small, right=5.0)
    after, photo = read_photo(made), read_photo(small)
    assert (after.width, after.height) == (61, 40)
    np.testing.assert_array_equal(after.pixels[:, :56], photo.pixels)
    for wrong in ({}, {"left": 0.5}, {"top": -3}):
        with pytest.raises(ImgsynthError):
            Endpoints(session).outpaint("one", small, **wrong)


def test_the_sheet_lists_every_key_that_the_script_knows() -> None:
    listed = {keys.split()[-1] for keys, _, _ in SHORTCUTS}
    assert {"Z", "[", "]", "B", "?", "Enter", "Esc"} == listed
    for keys, what, _ in SHORTCUTS:
        assert what in sheet()
        assert all(f"<kbd>{key}</kbd>" in sheet() for key in keys.split())
    for key in ("[", "]", "b", "?"):
        assert f'case "{key}"' in SCRIPT


def test_a_photo_with_nothing_but_one_row_is_shown(tmp_path: Path) -> None:
    (tmp_path / "line.png").write_bytes(png(pixels(1, 4000)))
    photo: Photo = read_photo(tmp_path / "line.png")
    assert shown_size(photo) == (960, 1)
    assert shown_size(replace(photo, pixels=pixels(4000, 1))) == (1, 960)
