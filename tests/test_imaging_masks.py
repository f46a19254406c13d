"""Masks: the rule of what is hole, exact growth, feathering, and random holes."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import ExifTags, Image

from imgsynth.errors import BadImage, BadMask, BadRequest
from imgsynth.imaging.masks import (
    check_mask,
    feather_weights,
    grow_mask,
    mask_image,
    mask_sha256,
    random_boxes,
    random_strokes,
    read_mask,
)

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14))


def as_file(image: Image.Image, kind: str = "PNG", exif: Image.Exif | None = None) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, exif=exif or Image.Exif())
    return buffer.getvalue()


def distances(mask: np.ndarray) -> np.ndarray:
    """float64 H×W: Euclidean distance to the nearest hole pixel, by looking at every pair."""
    grid = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), axis=-1)[..., None, :]
    holes = np.argwhere(mask)
    if not len(holes):
        return np.full(mask.shape, np.inf)
    nearest: np.ndarray = ((grid - holes) ** 2).sum(-1).min(-1)
    return np.asarray(np.sqrt(nearest))


def test_any_pixel_that_is_not_black_is_hole() -> None:
    image = Image.new("RGB", (4, 2))
    image.putpixel((1, 0), (0, 0, 1))
    image.putpixel((3, 1), (255, 255, 255))
    assert read_mask(as_file(image), (4, 2)).tolist() == [
        [False, True, False, False],
        [False, False, False, True],
    ]


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "F"])
def test_single_channel_masks(mode: str) -> None:
    values = np.array([[0, 1, 0, 1]])
    if mode == "P":
        image = Image.fromarray(values.astype(np.uint8))
        image.putpalette([0, 0, 0, 0, 200, 0])
    else:
        kinds = {"1": bool, "L": np.uint8, "I;16": np.uint16, "F": np.float32}
        image = Image.fromarray(values.astype(kinds[mode]))
    assert image.mode == mode
    data = as_file(image, "TIFF" if mode == "F" else "PNG")
    assert read_mask(data, (4, 1)).tolist() == [[False, True, False, True]]


def test_with_alpha_only_alpha_counts() -> None:
    image = Image.new("RGBA", (3, 1), (255, 255, 255, 0))
    image.putpixel((1, 0), (0, 0, 0, 1))
    assert read_mask(as_file(image), None).tolist() == [[False, True, False]]
    assert read_mask(image.convert("LA"), None).tolist() == [[False, True, False]]
    assert read_mask(image.convert("RGBa"), None).tolist() == [[False, True, False]]
    assert read_mask(as_file(Image.new("RGBA", (3, 1), (0, 0, 0, 255))), None).all()


def test_mask_stands_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # shown after a quarter turn clockwise
    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 255)
    assert read_mask(as_file(image, exif=exif), (2, 3)).tolist() == [
        [False, True],
        [False, False],
        [False, False],
    ]


def test_another_size_of_the_same_shape_is_scaled_without_new_values() -> None:
    mask = np.zeros((4, 8), bool)
    mask[1, 2] = True
    large = read_mask(mask_image(mask), (24, 12))
    np.testing.assert_array_equal(large, np.kron(mask, np.ones((3, 3), bool)))
    assert read_mask(mask_image(large), (8, 4)).tolist() == mask.tolist()
    assert read_mask(mask_image(np.ones((100, 200), bool)), (201, 100)).shape == (100, 201)


def test_another_shape_is_refused_with_both_sizes() -> None:
    with pytest.raises(BadMask, match=r"300 × 200 pixels but the photo is 512 × 512; .*\.$"):
        read_mask(Image.new("L", (300, 200)), (512, 512))
    with pytest.raises(BadMask):
        read_mask(Image.new("L", (200, 100)), (203, 100))


def test_a_file_that_is_no_picture() -> None:
    with pytest.raises(BadImage):
        read_mask(b"no mask", None)


def test_check_mask() -> None:
    with pytest.raises(BadMask, match="marks nothing"):
        check_mask(np.zeros((3, 3), bool))
    with pytest.raises(BadMask, match="covers the whole picture"):
        check_mask(np.ones((3, 3), bool))
    check_mask(np.eye(3, dtype=bool))


@settings(max_examples=150, deadline=None)
@given(MASKS, st.integers(0, 20))
def test_growth_is_an_exact_disc(mask: np.ndarray, pixels: int) -> None:
    before = mask.copy()
    np.testing.assert_array_equal(grow_mask(mask, pixels), distances(mask) <= pixels)
    np.testing.assert_array_equal(mask, before)


@settings(max_examples=100, deadline=None)
@given(MASKS, st.integers(0, 20))
def test_feather_falls_linearly_with_distance(mask: np.ndarray, pixels: int) -> None:
    weights, far = feather_weights(mask, pixels), distances(mask)
    assert weights.dtype == np.float32 and weights.shape == mask.shape
    expected = np.where(far <= pixels, 1 - np.minimum(far, pixels) / (pixels + 1), 0)
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    np.testing.assert_array_equal(weights == 1, mask)
    np.testing.assert_array_equal(weights > 0, grow_mask(mask, pixels))
    order = np.argsort(far, axis=None, kind="stable")
    assert (np.diff(weights.ravel()[order]) <= 0).all()


def test_large_pictures_cross_bands_and_far_reaches() -> None:
    mask = np.zeros((300, 40), bool)
    mask[63, 20] = mask[200, 0] = True
    np.testing.assert_array_equal(grow_mask(mask, 30), distances(mask) <= 30)
    assert grow_mask(mask, 100_000).all()
    assert not grow_mask(np.zeros((5, 5), bool), 100_000).any()


def test_negative_pixels_are_refused() -> None:
    for change in (grow_mask, feather_weights):
        with pytest.raises(BadRequest, match="0 or more"):
            change(np.eye(3, dtype=bool), -1)


def test_hash_and_picture_of_a_mask() -> None:
    mask = np.array([[True, False, True], [False, False, True]])
    assert mask_sha256(mask) == hashlib.sha256(bytes([1, 0, 1, 0, 0, 1])).hexdigest()
    turned = np.asfortranarray(mask)
    assert mask_sha256(turned) == mask_sha256(mask) == mask_sha256(mask.astype(np.uint8))
    image = mask_image(mask)
    assert image.mode == "L" and image.tobytes() == bytes([255, 0, 255, 0, 0, 255])
    np.testing.assert_array_equal(read_mask(image, (3, 2)), mask)


@pytest.mark.parametrize("draw", [random_strokes, random_boxes])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_random_holes_cover_what_was_asked(draw: object, data: st.DataObject) -> None:
    assert callable(draw)
    height, width = data.draw(st.integers(8, 80)), data.draw(st.integers(8, 80))
    low = data.draw(st.floats(0.02, 0.6))
    high = low + data.draw(st.floats(0.05, 0.3))
    seed = data.draw(st.integers(0, 2**32 - 1))
    mask = draw(height, width, np.random.RandomState(seed), low, high)
    assert mask.shape == (height, width) and mask.dtype == bool
    assert low <= mask.mean() <= high
    np.testing.assert_array_equal(mask, draw(height, width, np.random.RandomState(seed), low, high))


@pytest.mark.parametrize("draw", [random_strokes, random_boxes])
def test_random_holes_differ_and_fill_the_range(draw: object) -> None:
    assert callable(draw)
    rng = np.random.RandomState(0)
    shares = [draw(64, 64, rng).mean() for _ in range(100)]
    assert min(shares) < 0.12 and max(shares) > 0.18


def test_shares_no_mask_can_have() -> None:
    for low, high in ((0.3, 0.2), (0.3, 0.4), (-0.5, -0.1)):
        with pytest.raises(BadRequest, match=r"choose other shares\.$"):
            random_strokes(1, 2, np.random.RandomState(0), low, high)
