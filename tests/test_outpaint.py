"""A larger canvas: what is new is filled from the photo outwards, and the photo itself is never touched."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torch import Tensor

import imgsynth
from builders import photo
from cli_runs import Run, assert_refused, make_photo, pixels
from imgsynth.errors import BadImage, BadRequest, TaskNotOffered
from imgsynth.families import Model
from imgsynth.imaging.masks import mask_sha256
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.regions import MARGIN, Box
from imgsynth.imaging.write import encode_png
from imgsynth.tasks.outpaint import MIRRORED, outpaint, rings
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import OutpaintRequest, make_request

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIDES = st.integers(0, 9)


def place_of(photo: Photo, request: OutpaintRequest) -> tuple[slice, slice]:
    return Box(request.top, request.left, request.top + photo.height, request.left + photo.width).slices


@settings(deadline=None, max_examples=20)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from([(7, 9), (1, 1), (16, 3)]))
def test_the_photo_stays_where_it_was(
    models: dict[str, Any], left: int, top: int, right: int, bottom: int, size: tuple[int, int]
) -> None:
    request, given_photo = OutpaintRequest(left=left, top=top, right=right, bottom=bottom), photo(*size, 4)
    if not left + top + right + bottom:
        with pytest.raises(BadRequest, match="Nothing is to be added"):
            outpaint(models["lama"], request, given_photo)
        return
    made = np.asarray(outpaint(models["lama"], request, given_photo).image)
    assert made.shape == (size[0] + top + bottom, size[1] + left + right, 4)
    assert np.array_equal(made[place_of(given_photo, request)][..., :3], given_photo.pixels)
    assert np.array_equal(made[place_of(given_photo, request)][..., 3], given_photo.alpha)
    new = np.ones(made.shape[:2], dtype=bool)
    new[place_of(given_photo, request)] = False
    assert (made[new][:, 3] == 255).all()


def test_the_record_says_what_was_added_and_makes_it_again(models: dict[str, Any]) -> None:
    request, given_photo = OutpaintRequest(left=5, bottom=12), photo(20, 30, icc=SRGB)
    picture = outpaint(models["lama"], request, given_photo)
    hole = np.ones((32, 35), dtype=bool)
    hole[:20, 5:] = False
    assert picture.icc == SRGB
    assert picture.record["task"] == "outpaint"
    assert picture.record["request"] == {"left": 5, "top": 0, "right": 0, "bottom": 12}
    assert picture.record["input_sha256"] == [given_photo.sha256]
    assert picture.record["mask_sha256"] == mask_sha256(hole)
    again = redo(models["lama"], json.loads(json.dumps(picture.record)), Inputs([given_photo]))
    assert isinstance(again, Picture)
    assert again.image.tobytes() == picture.image.tobytes()
    assert again.record == picture.record
    with pytest.raises(BadImage, match="from 1 photos and 0 were given"):
        redo(models["lama"], picture.record, Inputs())


class Watched:
    """Stands in for a network's predictions: the n-th call fills with n, and what it was shown is kept."""

    def __init__(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []
        monkeypatch.setattr(model, "inpaint", self.predict)

    def predict(self, photos: Tensor, masks: Tensor, most: int | None = None) -> Tensor:
        shown = (photos[0] * 255).round().byte().permute(1, 2, 0).numpy()
        self.seen.append((shown, masks[0, 0].bool().numpy()))
        return torch.full_like(photos, len(self.seen) / 255)


def test_a_network_sees_the_mirror_image_beyond_what_it_fills(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, given_photo = Watched(models["lama"], monkeypatch), photo(40, 300)
    made = np.asarray(outpaint(models["lama"], OutpaintRequest(right=10), given_photo).image)
    [(shown, hole)] = watched.seen
    assert shown.shape == (40, 300 + 10 + MIRRORED, 3)
    assert np.array_equal(shown[:, :300], given_photo.pixels)
    assert np.array_equal(shown[:, 310:], given_photo.pixels[:, 289 : 289 - MIRRORED : -1])
    assert np.flatnonzero(hole.all(0)).tolist() == list(range(300, 310))
    assert not hole[:, :300].any() and not hole[:, 310:].any()
    assert (made[:, 300:] == 1).all()


def test_a_wide_extension_goes_on_from_its_own_first_step(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, given_photo = Watched(models["lama"], monkeypatch), photo(50, 60)
    done: list[tuple[int, int]] = []
    picture = outpaint(
        models["lama"], OutpaintRequest(left=100, top=10), given_photo, lambda *part: done.append(part)
    )
    made = np.asarray(picture.image)[..., 0]
    assert done == [(1, 2), (2, 2)]
    assert (made[10:, 40:100] == 1).all() and (made[:10, 40:] == 1).all()
    assert (made[:, :40] == 2).all()
    shown, hole = watched.seen[1]
    assert shown.shape == (60, 120 + 40 + MIRRORED, 3)
    assert np.array_equal(shown[10:, -60:], given_photo.pixels)
    assert np.flatnonzero(hole.any(0)).tolist() == list(range(MIRRORED, MIRRORED + 40))


def test_rings_grow_no_faster_than_what_is_known() -> None:
    found = list(rings(Box(0, 900, 30, 1000), Box(0, 0, 2000, 1000)))
    assert [ring.height for ring in found[:4]] == [60, 120, 240, 480]
    assert [ring.width for ring in found[:4]] == [200, 400, 656, 912]
    steps = [b.height - a.height for a, b in pairwise(found)]
    assert max(steps) == MARGIN
    assert found[-1] == Box(0, 0, 2000, 1000)


def test_a_large_photo_is_extended_piece_by_piece(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, given_photo = Watched(models["lama"], monkeypatch), photo(1200, 1100)
    request = OutpaintRequest(right=30)
    made = np.asarray(outpaint(models["lama"], request, given_photo).image)
    assert len(watched.seen) == 3
    assert all(shown.shape[0] * shown.shape[1] <= 2**20 for shown, _ in watched.seen)
    assert np.array_equal(made[:, :1100], given_photo.pixels)
    assert set(np.unique(made[:, 1100:])) == {1, 2, 3}


def test_what_cannot_be_extended_is_refused(models: dict[str, Any]) -> None:
    with pytest.raises(TaskNotOffered):
        outpaint(models["dcgan"], OutpaintRequest(left=1), photo(8, 8))
    with pytest.raises(BadRequest, match="8,200 × 8,200 pixels; pictures may have at most 64 million"):
        outpaint(models["lama"], OutpaintRequest(left=4096, right=4096, top=4096, bottom=4096), photo(8, 8))
    for values in ({"left": -1}, {"top": 5000}, {"right": "far"}, {"up": 3}):
        with pytest.raises(BadRequest, match=next(iter(values))):
            make_request(OutpaintRequest, **values)


def test_a_larger_result_can_be_extended_again(models: dict[str, Any]) -> None:
    first = outpaint(models["lama"], OutpaintRequest(left=4), photo(20, 20))
    onward = read_photo(encode_png(first.image, first.record))
    second = outpaint(models["lama"], OutpaintRequest(top=3), onward)
    assert second.record["input_sha256"] == [onward.sha256]
    assert np.array_equal(np.asarray(second.image)[3:], np.asarray(first.image))


def test_python_calls_are_the_task(models: dict[str, Any]) -> None:
    image = Image.fromarray(photo(20, 31).pixels)
    made = imgsynth.outpaint(models["lama"], image, left=3, bottom=2)
    expected = outpaint(models["lama"], OutpaintRequest(left=3, bottom=2), read_photo(image)).image
    assert made.size == (34, 22)
    assert made.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("tiny_catalog")
def test_the_command_extends_and_redo_makes_it_again(run: Run, tmp_path: Path) -> None:
    source, out, back = make_photo(tmp_path / "photo.png"), tmp_path / "out.png", tmp_path / "again.png"
    ran = run("outpaint", "--checkpoint", "tiny-lama", source, "--out", out, "--left", 6, "--bottom", 4)
    assert (ran.code, ran.out) == (0, f"{out}\n")
    assert ran.last == "Extended photo.png to 62×44 pixels."
    assert np.array_equal(pixels(out)[:40, 6:], pixels(source))
    assert read_record(out)["request"] == {"left": 6, "top": 0, "right": 0, "bottom": 4}
    assert run("redo", out, "--input", source, "--out", back).code == 0
    assert np.array_equal(pixels(back), pixels(out))


@pytest.mark.usefixtures("tiny_catalog")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "a.png"], ["Nothing is to be added"]),
        (["--out", "a.png", "--left", "wide"], ["left", "wide"]),
        (["--out", "a.jpg", "--left", "4"], ["JPEG", ".png"]),
    ],
)
def test_the_command_refuses_in_a_sentence(
    run: Run, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    ran = run("outpaint", "--checkpoint", "tiny-lama", make_photo(tmp_path / "photo.png"), *options)
    assert_refused(ran, *words)
