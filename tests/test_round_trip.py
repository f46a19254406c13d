"""There and back: both steps and their difference, each of which can be made again; several models."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from builders import model_of, photo, tiny_cyclegan, tiny_dcgan
from imgsynth.errors import BadImage, NoRecord, TaskNotOffered
from imgsynth.families import Model
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.write import encode_png
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.round_trip import AMPLIFICATION, compare, difference, psnr, round_trip
from imgsynth.tasks.translate import translate

REQUEST = TranslateRequest(strength=0.6)


@pytest.fixture(scope="module")
def pair() -> tuple[Model, Model]:
    return model_of(tiny_cyclegan(0), name="there"), model_of(tiny_cyclegan(1), name="owner/back:x@1")


def saved(picture: Picture) -> Photo:
    """The picture as it is read from its own file."""
    return read_photo(encode_png(picture.image, picture.record, picture.icc))


def values(picture: Picture) -> np.ndarray:
    return np.asarray(picture.image)


def test_a_photo_goes_there_and_back(pair: tuple[Model, Model]) -> None:
    given_photo = photo(30, 41)
    trip = round_trip(*pair, REQUEST, given_photo)
    assert np.array_equal(values(trip.there), values(translate(pair[0], REQUEST, given_photo)))
    assert np.array_equal(values(trip.back), values(translate(pair[1], REQUEST, saved(trip.there))))
    apart = np.abs(given_photo.pixels.astype(int) - values(trip.back)) * AMPLIFICATION
    assert np.array_equal(values(trip.difference), np.minimum(apart, 255))
    assert trip.psnr == pytest.approx(psnr(given_photo.pixels, values(trip.back)))
    names = [trip.there.name, trip.back.name, trip.difference.name]
    assert names == ["photo-there", "photo-back", "photo-difference"]
    assert trip.back.record["checkpoint"]["id"] == pair[1].identity.id


def test_each_step_can_be_made_again(pair: tuple[Model, Model]) -> None:
    given_photo = photo(30, 41, channels=4)
    trip = round_trip(*pair, REQUEST, given_photo)
    there, back = saved(trip.there), saved(trip.back)
    for picture, model, inputs in (
        (trip.there, pair[0], [given_photo]),
        (trip.back, pair[1], [there]),
        (trip.difference, pair[1], [given_photo, back]),
    ):
        record = json.loads(json.dumps(picture.record))
        again: Any = redo(model, record, Inputs(inputs))
        assert again.image.tobytes() == picture.image.tobytes()
        assert again.record == picture.record
    assert there.alpha is not None and np.array_equal(there.alpha, given_photo.alpha)
    with pytest.raises(BadImage, match="not the photo"):
        redo(pair[1], trip.difference.record, Inputs([given_photo, there]))


@pytest.mark.parametrize("amplification", ["4", 0, -1, 10**9, None, [4]])
def test_forged_differences_are_refused(pair: tuple[Model, Model], amplification: Any) -> None:
    record = round_trip(*pair, REQUEST, photo(20, 20)).difference.record
    forged = {**record, "request": {"difference": amplification}, "input_sha256": []}
    with pytest.raises(NoRecord) as caught:
        redo(pair[1], forged)
    assert str(caught.value).endswith(".")


def test_a_trip_that_changes_nothing_has_no_difference(pair: tuple[Model, Model]) -> None:
    trip = round_trip(*pair, TranslateRequest(strength=0), photo(20, 24))
    assert trip.psnr == math.inf
    assert not values(trip.difference).any()


def test_the_profile_travels_along(pair: tuple[Model, Model]) -> None:
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    trip = round_trip(*pair, REQUEST, photo(20, 24, icc=icc))
    assert trip.there.icc == trip.back.icc == icc


def test_psnr_is_the_known_one() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr(black, black + np.uint8(255)) == pytest.approx(0)
    assert psnr(black, black + np.uint8(1)) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(black + np.uint8(1), black) == psnr(black, black + np.uint8(1))


def test_pictures_of_two_sizes_are_not_compared(pair: tuple[Model, Model]) -> None:
    with pytest.raises(BadImage, match="differ in size"):
        difference(pair[0], photo(20, 24), photo(24, 20))


def test_several_models_repaint_one_photo(pair: tuple[Model, Model]) -> None:
    given_photo = photo(20, 24)
    pictures = list(compare(pair, REQUEST, given_photo))
    assert [p.name for p in pictures] == ["photo-there", "photo-owner-back-x-1"]
    for model, picture in zip(pair, pictures, strict=True):
        assert np.array_equal(values(picture), values(translate(model, REQUEST, given_photo)))
        assert picture.record["checkpoint"] == model.identity.as_record()


def test_models_that_cannot_are_refused_before_any_work(pair: tuple[Model, Model]) -> None:
    other = model_of(tiny_dcgan())
    for work in (
        lambda: round_trip(pair[0], other, REQUEST, photo(20, 24)),
        lambda: compare([pair[0], other], REQUEST, photo(20, 24)),
    ):
        with pytest.raises(TaskNotOffered):
            work()
