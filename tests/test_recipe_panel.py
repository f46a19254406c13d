"""'Open a recipe' without a server: what a dropped file tells, what it sets, and how it is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import pixels, png
from imgsynth.errors import BadImage, BadMask, BadRequest
from imgsynth.imaging import read as reading
from imgsynth.imaging.clips import read_clip
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames, write_clip, write_video
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.outpaint import outpaint
from imgsynth.tasks.requests import (
    InpaintRequest,
    InterpolateRequest,
    OutpaintRequest,
    SampleRequest,
    TranslateRequest,
)
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import translate
from imgsynth.tasks.translate_video import translate_video
from imgsynth.ui import session as sessions
from imgsynth.ui.inpaint_tab import make_fill
from imgsynth.ui.recipe_events import ADD_MASK, ADD_PHOTO, ADD_VIDEO
from imgsynth.ui.remaking import MADE, SAME
from page_parts import Visitor, drawn_by, shown, value_of, values_of

pytest_plugins = ["page_fixtures"]

Updates = dict[Any, Any]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    drawn = np.zeros((48, 64), np.uint8)
    drawn[10:20, 12:40] = 255
    path = tmp_path / "mask.png"
    path.write_bytes(png(drawn))
    return path


# --- what is told ---


def test_a_recipe_is_told_before_anything_is_changed(visit: Visitor) -> None:
    updates = visit.drop(drawn_by(visit, "tiny-gan", seeds=[7], psi=0.7, directions={"component 1": 2.0}))
    p = visit.parts
    card = updates[p.card]
    for words in ("Drawn by tiny-gan", "Truncation (psi)", "0.7", "component 1 +2", "imgsynth"):
        assert words in card
    assert updates[p.raw]["request"]["seed"] == 7
    assert value_of(updates[p.apply]) == "Apply in Sample"
    assert updates[p.apply].visible and updates[p.again].visible and not updates[p.lead].visible
    assert not updates[p.needed].visible
    assert set(updates) <= set(p.shown)


def test_nothing_is_left_of_a_file_that_is_taken_away(visit: Visitor) -> None:
    visit.drop(drawn_by(visit, "tiny-gan", seeds=[1]))
    updates = visit.drop(None)
    assert updates[visit.parts.recipe] is None
    assert updates[visit.parts.raw] is None
    with pytest.raises(BadRequest, match="no recipe yet"):
        visit.apply()


# --- Sample ---

DRAWN: dict[str, dict[str, Any]] = {
    "a seed": {"seeds": [7], "psi": 0.7},
    "moved": {"seeds": [7], "directions": {"component 2": 1.5}},
    "a variation": {"seeds": [7], "variation_seed": 3, "variation_amount": 0.3},
    "far": {"seeds": [7], "psi": 2.0, "directions": {"component 1": 9.0}},
}


@pytest.mark.parametrize("case", DRAWN)
def test_a_sample_is_drawn_again_in_its_tab(visit: Visitor, case: str) -> None:
    made = drawn_by(visit, "tiny-gan", **DRAWN[case])
    visit.drop(made)
    updates, page = visit.apply(), visit.page
    assert updates[page.arrival.tabs].selected == "sample"
    assert set(updates) <= {*page.arrival.outputs, *page.recipes.targets.outputs, *own(visit)}
    (picture,) = shown(visit)
    np.testing.assert_array_equal(values_of(picture.path), values_of(made))
    assert read_record(picture.path)["request"] == read_record(made)["request"]
    assert visit.values[page.sampling.parts.picked.picked] is picture
    asked = visit.set_to("sample")
    assert asked["seeds"] == [7]
    if case != "far":
        assert asked.get("directions", {}) == DRAWN[case].get("directions", {})
        assert asked["psi"] == DRAWN[case].get("psi", 1.0)
    else:
        assert "Truncation" in updates[visit.parts.status]


def own(visit: Visitor) -> list[Any]:
    p = visit.parts
    return [p.panel, p.status, p.press, p.ordered]


def test_a_grid_fills_the_gallery_and_is_made_again_whole(visit: Visitor) -> None:
    model, request = visit.page.session.model("tiny-gan"), SampleRequest(seeds=[3, 4, 9])
    grid = sessions.save(grid_of(model, request, list(sample(model, request)), columns=2))
    visit.drop(grid)
    visit.apply()
    assert [picture.request.seeds for picture in shown(visit)] == [[3], [4], [9]]
    assert visit.values[visit.page.sampling.parts.seeds] == "3,4,9"
    np.testing.assert_array_equal(values_of(visit.again()), values_of(grid))
    assert visit.values[visit.parts.status] == SAME


def test_a_result_larger_than_any_photo_is_made_again(
    visit: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, request = visit.page.session.model("tiny-gan"), SampleRequest(seeds=[3, 4])
    grid = sessions.save(grid_of(model, request, sample(model, request)))
    visit.drop(grid)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "MAX_PIXELS", 32 * 32)
        again = visit.again()
    assert visit.values[visit.parts.status] == MADE
    np.testing.assert_array_equal(values_of(again), values_of(grid))


def test_a_latent_keeps_what_it_was_found_from(visit: Visitor) -> None:
    first = next(sample(visit.page.session.model("tiny-gan"), SampleRequest(seeds=[1])))
    picture = next(
        sample(visit.page.session.model("tiny-gan"), SampleRequest(latent=latent_text(visit)), [some_photo()])
    )
    made = sessions.save(picture)
    visit.drop(made)
    assert not visit.values[visit.parts.note].startswith("The recipe knows")
    visit.apply()
    (again,) = shown(visit)
    np.testing.assert_array_equal(values_of(again.path), values_of(made))
    assert read_record(again.path)["input_sha256"] == [some_photo().sha256]
    assert first.record["input_sha256"] == []


def some_photo() -> Any:
    return read_photo(png(pixels(8, 8)))


def latent_text(visit: Visitor) -> str:
    from imgsynth.tasks.sample import latent_of

    model: Any = visit.page.session.model("tiny-gan")
    return latent_of(model, SampleRequest(seeds=[5])).text


# --- walks ---


def walk(visit: Visitor, file: Path, **request: Any) -> Path:
    asked = InterpolateRequest(frames=12, fps=10, **request)
    model = visit.page.session.model("tiny-vae")
    write_video(file, interpolate(model, asked), asked.fps, walk_record(model, asked))
    return file


@pytest.mark.parametrize("kind", ["webp", "gif", "mp4"])
def test_a_walk_sets_its_tab_and_is_made_again(visit: Visitor, tmp_path: Path, kind: str) -> None:
    path = walk(visit, tmp_path / f"walk.{kind}", keyframes=[1, 5, 9], path="spline", easing="smoothstep")
    visit.drop(path)
    updates = visit.apply()
    assert updates[visit.page.arrival.tabs].selected == "interpolate"
    assert updates[visit.parts.press] == "interpolate-go"
    asked = visit.set_to("interpolate")
    expected = {"keyframes": [1, 5, 9], "frames": 12, "fps": 10, "path": "spline", "loop": False}
    assert asked == asked | expected | {"easing": "smoothstep", "format": kind, "psi": 1.0}
    again = visit.again()
    assert again.endswith(f".{kind}")
    assert count_frames(again) == 12
    assert read_record(again)["request"] == read_record(path)["request"]
    assert Path(again).read_bytes() == path.read_bytes()


def test_photos_become_keyframes_in_their_places(visit: Visitor, tmp_path: Path) -> None:
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(photos):
        path.write_bytes(png(pixels(40, 40, seed=seed)))
    request = InterpolateRequest(keyframes=["photo", 5, "photo"], frames=10)
    model = visit.page.session.model("tiny-vae")
    read = [read_photo(path) for path in photos]
    made = tmp_path / "walk.webp"
    write_video(made, interpolate(model, request, read), 30, walk_record(model, request, read))
    updates, p = visit.drop(made), visit.parts
    assert updates[p.needed].visible
    assert "2 photos" in updates[p.note]
    updates = visit.apply()
    assert (updates[p.press], updates[p.status]) == ("", ADD_PHOTO)
    visit.give(*reversed(photos))
    with pytest.raises(BadImage, match="not the photo that was used"):
        visit.apply()
    visit.give(*photos)
    assert visit.apply()[p.press] == "interpolate-go"
    controls = visit.page.walking.controls
    assert visit.values[controls.keyframes] == "a.png,5,b.png"
    asked = controls.asked(visit.page.session, visit.values)
    assert asked.request.keyframes == ["photo", 5, "photo"]
    assert [photo.sha256 for photo in asked.photos] == [photo.sha256 for photo in read]


# --- photos ---


def test_a_translation_needs_its_photo(visit: Visitor, photo: Path, tmp_path: Path) -> None:
    request = TranslateRequest(strength=0.4)
    made = sessions.save(translate(visit.page.session.model("tiny-cyclegan"), request, read_photo(photo)))
    updates, p = visit.drop(made), visit.parts
    assert "add the photo" in updates[p.note]
    updates = visit.apply()
    assert updates[visit.page.arrival.tabs].selected == "translate"
    assert visit.set_to("translate") == {"strength": 0.4}
    assert (updates[p.press], updates[p.status]) == ("", ADD_PHOTO)
    other = tmp_path / "other.png"
    other.write_bytes(png(pixels(48, 64, seed=9)))
    visit.give(other)
    for press in (visit.apply, visit.again):
        with pytest.raises(BadImage, match="other is not the photo that was used"):
            press()
    visit.give(photo)
    updates = visit.apply()
    assert updates[p.press] == "translate-go"
    assert updates[visit.page.translating.photo] == str(photo)
    np.testing.assert_array_equal(values_of(visit.again()), values_of(made))
    assert visit.values[p.status] == SAME


def test_a_fill_is_set_with_its_photo_and_mask(visit: Visitor, photo: Path, mask: Path) -> None:
    model, request = visit.page.session.model("tiny-lama"), InpaintRequest(grow=3, feather=2)
    hole = read_mask(mask, (64, 48))
    made = sessions.save(inpaint(model, request, read_photo(photo), hole))
    updates, p = visit.drop(made), visit.parts
    assert "and the mask" in updates[p.note]
    assert updates[p.mask].visible
    visit.give(photo)
    updates = visit.apply()
    assert (updates[p.press], updates[p.status]) == ("", ADD_MASK)
    visit.give(photo, mask=mask)
    assert visit.apply()[p.press] == "inpaint-go"
    inpainting = visit.page.inpainting
    _, version, history = (visit.values[part] for part in inpainting.hole)
    assert history[-1].photo == visit.values[inpainting.photo] == str(photo)
    edge = [visit.values[slider] for slider in inpainting.edge]
    assert edge == [3, 2]
    fill = make_fill(visit.page.session)
    pair, *_ = fill("tiny-lama", str(photo), None, version, history, *edge)
    np.testing.assert_array_equal(values_of(pair[1]), values_of(made))
    visit.give(photo, mask=photo)
    with pytest.raises(BadMask):
        visit.again()
    visit.give(photo, mask=mask)
    np.testing.assert_array_equal(values_of(visit.again()), values_of(made))


def test_an_extended_canvas_is_set_and_made_again(visit: Visitor, photo: Path) -> None:
    model, request = visit.page.session.model("tiny-lama"), OutpaintRequest(left=16, bottom=8)
    made = sessions.save(outpaint(model, request, read_photo(photo)))
    visit.drop(made)
    visit.give(photo)
    updates = visit.apply()
    assert updates[visit.page.arrival.tabs].selected == "inpaint"
    assert updates[visit.parts.press] == "inpaint-extend-go"
    asked = visit.set_to("inpaint")
    assert asked == asked | {"left": 16, "top": 0, "right": 0, "bottom": 8}
    np.testing.assert_array_equal(values_of(visit.again()), values_of(made))


def test_a_translated_video_is_made_again_from_its_own(visit: Visitor, tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(32, 32, seed=seed)) for seed in range(3)]
    source = tmp_path / "clip.gif"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=100)
    film = translate_video(visit.page.session.model("tiny-cyclegan"), TranslateRequest(), read_clip(source))
    made = tmp_path / "film.gif"
    write_clip(made, film.frames, film.pace, film.record)
    updates, p = visit.drop(made), visit.parts
    assert "add that video" in updates[p.note]
    updates = visit.apply()
    assert (updates[p.press], updates[p.status]) == ("", ADD_VIDEO)
    with pytest.raises(BadImage, match="add that video"):
        visit.again()
    visit.give(source)
    assert Path(visit.again()).read_bytes() == made.read_bytes()
