"""Large photos are filled around their holes, several models fill one hole, and masks are worked on."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms
from torch import Tensor

from builders import model_of, photo, tiny_lama
from imgsynth.errors import BadMask, BadRequest, TaskNotOffered
from imgsynth.families import Inpainter, Model
from imgsynth.imaging.masks import (
    add_to_mask,
    brush_mask,
    encode_mask,
    grow_mask,
    invert_mask,
    read_mask,
    take_from_mask,
    tinted,
)
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.regions import Box, window_of
from imgsynth.imaging.write import encode_png, write_mask
from imgsynth.tasks.inpaint import MOST_SEEN, candidates, inpaint
from imgsynth.tasks.pictures import Picture, as_photo, to_batch
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import InpaintRequest

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LARGE = photo(1100, 1000, channels=4, icc=SRGB)
HOLE = Box(200, 300, 230, 350)


def mask_of(*boxes: Box, of: Photo = LARGE) -> np.ndarray:
    mask = np.zeros((of.height, of.width), dtype=bool)
    for box in boxes:
        mask[box.slices] = True
    return mask


def part_of(whole: Photo, box: Box) -> Photo:
    return read_photo(Image.fromarray(whole.pixels[box.slices]))


class Counting:
    """Stands in for a network's predictions: the n-th call fills with n, and what it was shown is kept."""

    def __init__(self, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []
        monkeypatch.setattr(model, "inpaint", self.predict)

    def predict(self, photos: Tensor, masks: Tensor, most: int | None = None) -> Tensor:
        self.seen.append((photos.clone(), masks.clone()))
        return torch.full_like(photos, len(self.seen) / 255)


@pytest.fixture
def model() -> Model:
    return model_of(tiny_lama())


# Large photos


def test_a_large_photo_is_filled_as_its_part_would_be(model: Model) -> None:
    picture = inpaint(model, InpaintRequest(), LARGE, mask_of(HOLE))
    window = window_of(HOLE, (1100, 1000))
    part = part_of(LARGE, window)
    alone = inpaint(model, InpaintRequest(), part, mask_of(HOLE.within(window), of=part))
    made = np.asarray(picture.image)
    assert np.array_equal(made[..., :3][window.slices], np.asarray(alone.image))
    outside = ~mask_of(HOLE)
    assert np.array_equal(made[..., :3][outside], LARGE.pixels[outside])
    assert np.array_equal(made[..., 3], LARGE.alpha)
    assert not np.array_equal(made[..., :3][HOLE.slices], LARGE.pixels[HOLE.slices])
    assert picture.icc == SRGB
    assert picture.record["request"] == {"grow": 0, "feather": 0, "crop": True}


def test_a_photo_up_to_a_megapixel_is_run_whole_and_its_record_names_nothing_new(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, small = Counting(model, monkeypatch), photo(1024, 1024)
    picture = inpaint(model, InpaintRequest(), small, mask_of(HOLE, Box(900, 900, 910, 910), of=small))
    assert [tuple(shown.shape) for shown, _ in counting.seen] == [(1, 3, 1024, 1024)]
    assert picture.record["request"] == {"grow": 0, "feather": 0}


def test_later_pieces_see_what_earlier_ones_were_filled_with(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, given = Counting(model, monkeypatch), photo(2200, 1100)
    done: list[tuple[int, int]] = []
    line = Box(100, 600, 2100, 605)
    picture = inpaint(
        model, InpaintRequest(), given, mask_of(line, of=given), lambda *part: done.append(part)
    )
    made = np.asarray(picture.image)[..., 0]
    assert done == [(i, 4) for i in range(1, 5)]
    assert made[line.slices][::500, 0].tolist() == [1, 2, 3, 4]
    shown, left = counting.seen[1]
    filled, open_still = (shown * 255).round()[0, 0], left[0, 0].bool()
    assert filled.shape == (1012, 517)
    assert (filled[:256, 256:261] == 1).all()
    assert not open_still[:256].any()
    assert open_still[256:, 256:261].all()


def test_what_progress_raises_stops_the_work(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, given = Counting(model, monkeypatch), photo(2200, 1100)

    def cancel(done: int, of: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        inpaint(model, InpaintRequest(), given, mask_of(Box(100, 600, 2100, 605), of=given), cancel)
    assert len(counting.seen) == 2


def test_a_feathered_edge_is_blended_only_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    Counting(model, monkeypatch)
    mask, grey = mask_of(HOLE), read_photo(Image.new("RGB", (1000, 1100), (101, 101, 101)))
    made = np.asarray(inpaint(model, InpaintRequest(feather=3), grey, mask).image)[..., 0]
    assert made[215, 346:356].tolist() == [1, 1, 1, 1, 26, 51, 76, 101, 101, 101]


def test_a_huge_hole_is_filled_from_a_scaled_down_copy(model: Model) -> None:
    sizes: list[tuple[int, ...]] = []
    model.network.register_forward_pre_hook(lambda _, args: sizes.append(tuple(args[0].shape[-2:])))
    given = photo(1600, 1500)
    hole = mask_of(Box(100, 100, 1200, 1400), of=given)
    made = np.asarray(inpaint(model, InpaintRequest(), given, hole).image)
    [(height, width)] = sizes
    assert 0.9 * MOST_SEEN < height * width < 1.1 * MOST_SEEN
    assert np.array_equal(made[~hole], given.pixels[~hole])


def test_a_large_photo_is_made_again_the_way_its_record_says(model: Model) -> None:
    mask = mask_of(HOLE, Box(800, 900, 803, 1000))
    now = inpaint(model, InpaintRequest(feather=2), LARGE, mask)
    again = redo(model, json.loads(json.dumps(now.record)), Inputs([LARGE], mask))
    assert isinstance(again, Picture)
    assert again.record == now.record
    assert again.image.tobytes() == now.image.tobytes()
    old_record = {**now.record, "request": {"grow": 0, "feather": 2}}
    whole = redo(model, old_record, Inputs([LARGE], mask))
    assert isinstance(whole, Picture)
    assert whole.record == old_record
    hole = torch.from_numpy(grow_mask(mask, 2))[None, None].float()
    assert isinstance(model, Inpainter)
    predicted = (model.inpaint(to_batch(LARGE), hole)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(whole.image)[mask][:, :3], predicted[mask])
    assert whole.image.tobytes() != now.image.tobytes()


def test_a_forged_way_is_refused(model: Model) -> None:
    record = inpaint(model, InpaintRequest(), LARGE, mask_of(HOLE)).record
    for forged in ({"crop": "sideways"}, {"depth": 12}):
        with pytest.raises(BadRequest, match=next(iter(forged))):
            redo(model, {**record, "request": forged}, Inputs([LARGE], mask_of(HOLE)))


def phone_photo() -> bytes:
    """4,000×3,000 as a camera held upright stores it, with a colour profile and where it was taken."""
    rows, columns = np.mgrid[0:3000, 0:4000].astype(np.uint16)
    values = np.dstack([rows // 12, columns // 16, (rows + columns) // 28]).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSProcessingMethod] = b"ASCII\0\0\0by the harbour"
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "JPEG", quality=90, exif=exif, icc_profile=SRGB)
    return buffer.getvalue()


def test_a_phone_s_photo_keeps_all_but_its_hole_and_its_place(model: Model) -> None:
    data = phone_photo()
    assert b"by the harbour" in data
    given = read_photo(data, "IMG_1.jpg")
    assert (given.width, given.height) == (3000, 4000)
    mask = mask_of(Box(2000, 1000, 2040, 1030), of=given)
    picture = inpaint(model, InpaintRequest(), given, mask)
    written = encode_png(picture.image, picture.record, picture.icc)
    assert b"by the harbour" not in written
    with Image.open(BytesIO(written)) as image:
        assert (
            ExifTags.IFD.GPSInfo not in image.getexif() and ExifTags.Base.Orientation not in image.getexif()
        )
    back = read_photo(written)
    assert (back.width, back.height, back.icc) == (3000, 4000, SRGB)
    assert np.array_equal(back.pixels[~mask], given.pixels[~mask])
    assert not np.array_equal(back.pixels[mask], given.pixels[mask])


# Networks


def test_a_prediction_within_a_number_of_pixels_is_the_same_where_they_suffice(model: Model) -> None:
    assert isinstance(model, Inpainter)
    batch, mask = torch.rand(1, 3, 40, 48), torch.zeros(1, 1, 40, 48)
    mask[..., 10:20, 10:20] = 1
    whole = model.inpaint(batch, mask)
    assert torch.equal(model.inpaint(batch, mask, most=40 * 48), whole)
    smaller = model.inpaint(batch, mask, most=20 * 24)
    assert smaller.shape == whole.shape
    assert not torch.equal(smaller, whole)


# Several models, and going on


def test_candidates_are_what_each_model_alone_would_make(models: dict[str, Any]) -> None:
    given, others = photo(30, 40), [models["lama"], models["cyclegan_resnet"], model_of(tiny_lama(seed=1))]
    mask = mask_of(Box(5, 5, 15, 20), of=given)
    first, refused, last = candidates(others, InpaintRequest(grow=1), given, mask)
    assert isinstance(refused, TaskNotOffered)
    for made, by in ((first, others[0]), (last, others[2])):
        assert isinstance(made, Picture)
        alone = inpaint(by, InpaintRequest(grow=1), given, mask)
        assert made.image.tobytes() == alone.image.tobytes()
        assert made.record == alone.record
    assert isinstance(first, Picture) and isinstance(last, Picture)
    assert (first.name, last.name) == ("photo-1", "photo-3")
    assert first.image.tobytes() != last.image.tobytes()


@pytest.mark.parametrize("channels", [3, 4])
def test_a_result_is_the_photo_of_the_next_one(models: dict[str, Any], channels: int) -> None:
    given, model = photo(30, 40, channels, icc=SRGB), models["lama"]
    first = inpaint(model, InpaintRequest(), given, mask_of(Box(5, 5, 15, 20), of=given))
    onward = as_photo(first)
    from_file = read_photo(encode_png(first.image, first.record, first.icc))
    assert (onward.sha256, onward.icc, onward.name) == (from_file.sha256, SRGB, given.name)
    mask = mask_of(Box(10, 10, 25, 30), of=given)
    second = inpaint(model, InpaintRequest(), onward, mask)
    assert second.record["input_sha256"] == [from_file.sha256]
    assert np.array_equal(np.asarray(second.image)[~mask], np.asarray(first.image)[~mask])
    again = redo(model, second.record, Inputs([from_file], mask))
    assert isinstance(again, Picture)
    assert again.image.tobytes() == second.image.tobytes()


# Masks


def test_a_mask_that_is_saved_is_read_back(tmp_path: Path) -> None:
    mask = np.random.RandomState(0).rand(37, 51) < 0.3
    for drawn in (mask, np.zeros_like(mask), ~np.zeros_like(mask)):
        assert np.array_equal(read_mask(encode_mask(drawn), (51, 37)), drawn)
    path = write_mask(tmp_path / "deep" / "mask.png", mask)
    assert np.array_equal(read_mask(path, None), mask)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image.convert("L")) == 255, mask)
    with pytest.raises(BadRequest, match=r"mask\.jpg cannot be written; let the name end in \.png"):
        write_mask(tmp_path / "mask.jpg", mask)


def test_a_brush_adds_an_eraser_takes_and_inversion_swaps() -> None:
    layer = Image.new("RGBA", (10, 8), (255, 0, 0, 0))
    layer.paste((255, 0, 0, 255), (2, 2, 6, 5))
    layer.putpixel((8, 7), (255, 0, 0, 100))
    painted = brush_mask(layer, (10, 8))
    assert np.argwhere(painted).tolist() == [[y, x] for y in range(2, 5) for x in range(2, 6)]
    assert brush_mask(layer, (20, 16)).shape == (16, 20)
    mask = np.zeros((8, 10), dtype=bool)
    mask[4:7, 5:9] = True
    more, less = add_to_mask(mask, painted), take_from_mask(mask, painted)
    assert (more.sum(), less.sum()) == (12 + 12 - 1, 12 - 1)
    assert more[2, 2] and not less[4, 5]
    assert np.array_equal(invert_mask(invert_mask(mask)), mask)
    assert invert_mask(mask).sum() == 80 - 12
    for change in (add_to_mask, take_from_mask):
        with pytest.raises(BadMask, match="10 × 8 pixels but what was painted 5 × 4"):
            change(mask, np.zeros((4, 5), dtype=bool))


def test_the_hole_is_shown_in_a_tint_and_the_rest_as_it_is() -> None:
    given = photo(12, 14)
    before, mask = given.pixels.copy(), mask_of(Box(2, 3, 6, 9), of=given)
    shown = tinted(given.pixels, mask, (200, 0, 100), 0.25)
    assert shown.dtype == np.uint8
    assert np.array_equal(shown[~mask], before[~mask])
    expected = before[mask] * 0.75 + np.array([50, 0, 25])
    assert np.abs(shown[mask] - expected).max() <= 0.5
    assert np.array_equal(given.pixels, before)
    assert np.array_equal(tinted(given.pixels, mask, strength=0), before)
