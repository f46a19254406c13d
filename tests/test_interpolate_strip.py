"""The strip of keyframes without a server: it shows what the field says, and changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from builders import model_of, pixels, png, tiny_dcgan, tiny_vae
from imgsynth.architectures.taesd import TAESD, TAESD_BARE
from imgsynth.errors import BadRequest
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.requests import MOST_KEYFRAMES, SampleRequest
from imgsynth.tasks.sample import sample
from imgsynth.ui.keyframes import EXAMPLE, Photos, free_name, keyframes_of, points_of, text_of, with_photos
from imgsynth.ui.session import Session
from imgsynth.ui.strip import (
    NO_PHOTOS_TAKEN,
    NO_PHOTOS_YET,
    NONE_YET,
    ONE_MORE,
    Strip,
    add_random,
    drawn_strip,
    note_on,
)
from walkers import Walker, given


@pytest.fixture
def walker(tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walker:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Walker(Session(Runtime("cpu", "fp32")))


@pytest.fixture
def two_photos(tmp_path: Path) -> list[str]:
    for seed, name in enumerate("ab"):
        (tmp_path / f"{name}.png").write_bytes(png(pixels(40, 56, seed=seed)))
    return [str(tmp_path / f"{name}.png") for name in "ab"]


def seen(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


# The strip


def test_what_was_typed_is_not_lost_to_a_strip_that_lags_behind(walker: Walker) -> None:
    walker.refresh(keyframes="1,2,3")
    walker.choose(1)
    walker.having(keyframes="1,2,3,4,five")
    for press in (walker.remove, lambda: walker.move(1)):
        with pytest.raises(BadRequest, match="does not show the keyframes in the field"):
            press()
    walker.refresh()  # cannot be read, so the strip stays as it was
    with pytest.raises(BadRequest):
        walker.remove()
    assert walker.text == "1,2,3,4,five"
    walker.refresh(keyframes=" 1-3, 4")
    walker.remove()
    assert walker.text == "1,3,4"
    walker.remove()
    assert walker.text == "1,4"


def test_a_reason_is_shown_letter_by_letter(walker: Walker) -> None:
    note = walker.refresh(keyframes="1,*two* <b>")[walker.panel.note]
    assert r"\*two\* \<b\>" in given(note)


# The field


def test_photos_join_the_field_by_their_names(two_photos: list[str]) -> None:
    text, photos = with_photos("1,2", (), two_photos)
    assert text == "1,2,a.png,b.png"
    assert photos == (("a.png", two_photos[0]), ("b.png", two_photos[1]))
    text, more = with_photos(text, photos, two_photos[:1])
    assert text == "1,2,a.png,b.png,a 2.png"
    assert dict(more)["a 2.png"] == two_photos[0]
    assert with_photos(EXAMPLE, (), two_photos[:1])[0] == "a.png"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one,two.jpg", "one two.jpg"),
        ("7", "photo 7"),
        ("1-5", "photo 1-5"),
        ("photo", "photo photo"),
        (",", "photo 1"),
        ("latent:z:AAAA", "photo z:AAAA"),
        ("a" * 60 + ".png", "a" * 36 + ".png"),
    ],
)
def test_no_name_of_a_file_reads_as_something_else(name: str, expected: str) -> None:
    assert free_name(name, {}) == expected
    photos: Photos = ((expected, "there.png"),)
    [point] = points_of(model_of(tiny_vae()), expected, photos)
    assert (point.keyframe, point.path) == ("photo", "there.png")


def test_every_name_is_taken_once() -> None:
    taken: dict[str, str] = {}
    for _ in range(5):
        taken[free_name("a.png", taken)] = ""
    assert list(taken) == ["a.png", "a 2.png", "a 3.png", "a 4.png", "a 5.png"]


def test_keyframes_are_what_the_model_takes(two_photos: list[str]) -> None:
    text, photos = with_photos("4-5", (), two_photos)
    assert text_of(points_of(model_of(tiny_vae()), text, photos)) == "4,5,a.png,b.png"
    assert text_of(points_of(model_of(tiny_dcgan()), text, photos)) == "4,5"
    assert text_of(points_of(model_of(TAESD(**TAESD_BARE.example)), f"abc,{text}", photos)) == "a.png,b.png"


def test_a_photo_can_be_passed_twice(two_photos: list[str]) -> None:
    photos = (("a.png", two_photos[0]),)
    keyframes, opened = keyframes_of(model_of(tiny_vae()), "a.png,3,a.png", photos)
    assert keyframes == ["photo", 3, "photo"]
    assert [photo.name for photo in opened] == ["a", "a"]


def test_more_keyframes_than_a_walk_takes_are_refused() -> None:
    with pytest.raises(BadRequest, match=f"{MOST_KEYFRAMES} keyframes at most"):
        points_of(model_of(tiny_dcgan()), f"0-{MOST_KEYFRAMES}", ())


# The strip


def test_every_keyframe_is_drawn_by_the_model(walker: Walker) -> None:
    model = walker.session.model("tiny-gan")
    edited = Latent("z", model.latents([9])[0] * 0.5).text
    updates = walker.refresh(keyframes=f"3,{edited},1", psi=0.7)
    assert walker.captions == ["3", "edited", "1"]
    assert given(updates[walker.panel.gallery], "label") == "Keyframes: 3"
    requests = [{"seeds": [3]}, {"latent": edited}, {"seeds": [1]}]
    for path, start in zip(walker.strip.thumbnails, requests, strict=True):
        [expected] = sample(model, SampleRequest(psi=0.7, **start))
        np.testing.assert_array_equal(seen(path), np.asarray(expected.image))


def test_a_photo_is_shown_as_the_model_sees_it(walker: Walker, two_photos: list[str]) -> None:
    walker.having(model="tiny-vae", keyframes="5")
    walker.add_photos(*two_photos)
    walker.refresh()
    assert walker.captions == ["5", "a.png", "b.png"]
    first, second = (seen(path) for path in walker.strip.thumbnails[1:])
    assert first.shape == (32, 32, 3)
    assert (first != second).any()


def test_only_what_is_new_is_drawn(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    walker.refresh(keyframes="1,2")
    before = walker.strip.thumbnails
    model, rendered = walker.session.model("tiny-gan"), []
    render = model.render
    monkeypatch.setattr(model, "render", lambda z, **kw: (rendered.append(len(z)), render(z, **kw))[1])
    walker.refresh(keyframes="2,1,4,4")
    assert rendered == [1]
    assert walker.strip.thumbnails[:2] == before[::-1]
    assert walker.strip.thumbnails[2] == walker.strip.thumbnails[3]
    walker.refresh(psi=0.5)
    assert rendered == [1, 3]


def test_a_thumbnail_that_was_cleared_away_is_drawn_again(walker: Walker) -> None:
    walker.refresh(keyframes="1,2")
    first = seen(walker.strip.thumbnails[0])
    Path(walker.strip.thumbnails[0]).unlink()
    walker.refresh()
    np.testing.assert_array_equal(seen(walker.strip.thumbnails[0]), first)


def test_all_pictures_of_a_codec_have_the_aspect_of_the_first(tmp_path: Path, walker: Walker) -> None:
    codec = model_of(TAESD(**TAESD_BARE.example))
    sizes = {"wide": (40, 80), "tall": (80, 40)}
    photos: Photos = ()
    for name, size in sizes.items():
        (tmp_path / f"{name}.png").write_bytes(png(pixels(*size)))
        photos = (*photos, (f"{name}.png", str(tmp_path / f"{name}.png")))
    strip = Strip()
    for text, (height, width) in (
        ("wide.png", (40, 80)),
        ("wide.png,tall.png", (40, 80)),
        ("tall.png,wide.png", (80, 40)),
    ):
        strip = drawn_strip(codec, points_of(codec, text, photos), strip, ("codec", None, 1.0))
        assert {seen(path).shape[:2] for path in strip.thumbnails} == {(height, width)}


def test_a_keyframe_is_moved(walker: Walker) -> None:
    walker.refresh(keyframes="1-3")
    assert not given(walker.choose(0)[walker.panel.earlier], "interactive")
    pictures = dict(zip(walker.captions, walker.strip.thumbnails, strict=True))
    for text, chosen in (("2,1,3", 1), ("2,3,1", 2)):
        updates = walker.move(1)
        assert (walker.text, walker.chosen) == (text, chosen)
        assert given(updates[walker.panel.gallery], "selected_index") == chosen
    assert not given(updates[walker.panel.later], "interactive")
    assert walker.strip.thumbnails == tuple(pictures[caption] for caption in ("2", "3", "1"))
    assert walker.move(1) == {walker.panel.chosen: gr.skip()}
    walker.move(-1)
    assert walker.text == "2,1,3"


def test_keyframes_are_removed_one_after_the_other(walker: Walker) -> None:
    walker.refresh(keyframes="1-3")
    assert walker.remove() == {walker.panel.chosen: gr.skip()}  # none was chosen
    walker.choose(1)
    for text, chosen in (("1,3", 1), ("1", 0), ("", None)):
        updates = walker.remove()
        assert (walker.text, walker.chosen) == (text, chosen)
    assert not given(updates[walker.panel.remove], "interactive")


def test_what_was_chosen_stays_so_while_it_is_there(walker: Walker) -> None:
    walker.refresh(keyframes="1-3")
    walker.choose(2)
    walker.refresh(keyframes="1-4")
    assert walker.chosen == 2
    walker.refresh(keyframes="1,2")
    assert walker.chosen is None
    walker.choose(5)  # a click on one that has gone meanwhile
    assert walker.chosen is None


def test_while_the_field_cannot_be_read_the_strip_stays(walker: Walker) -> None:
    walker.refresh(keyframes="1,2")
    before = walker.strip
    updates = walker.refresh(keyframes="1,2,hou")
    assert list(updates) == [walker.panel.note]
    assert "hou" in given(updates[walker.panel.note])
    assert walker.strip == before
    assert not given(walker.refresh(keyframes="1,2,5")[walker.panel.note], "visible")


@pytest.mark.parametrize(("text", "note"), [("", NONE_YET), ("7", ONE_MORE), ("7,8", "")])
def test_what_is_missing_is_told(walker: Walker, text: str, note: str) -> None:
    assert given(walker.refresh(keyframes=text)[walker.panel.note]) == note


def test_photos_that_the_model_does_not_take_are_told(walker: Walker, two_photos: list[str]) -> None:
    walker.add_photos(*two_photos)
    assert given(walker.refresh(keyframes="1,a.png,2")[walker.panel.note]) == NO_PHOTOS_TAKEN
    assert walker.captions == ["1", "2"]
    assert note_on(model_of(TAESD(**TAESD_BARE.example)), (), left_out=False) == NO_PHOTOS_YET


def test_a_random_seed_joins_at_the_end() -> None:
    seeds = set()
    for _ in range(8):
        start, _, seed = add_random("1, 2,").rpartition(",")
        assert start == "1,2"
        seeds.add(int(seed))
    assert len(seeds) > 1


def test_the_photos_of_one_visitor_are_not_anothers(walker: Walker, two_photos: list[str]) -> None:
    walker.add_photos(*two_photos)
    other: Any = Walker(walker.session)
    assert other.values[other.controls.photos] == ()
    with pytest.raises(BadRequest, match="no photo that is there"):
        keyframes_of(walker.session.model("tiny-vae"), "a.png,1", other.values[other.controls.photos])
