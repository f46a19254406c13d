"""Photos too large for one pass: tiles that together are the whole, without seams, and can be made again."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from torch import Tensor, nn

from builders import model_of, photo, randomised, tiny_cyclegan
from imgsynth.architectures.animegan2 import AnimeGenerator
from imgsynth.architectures.pix2pix_unet import UNetGenerator
from imgsynth.errors import BadRequest, OutOfMemory
from imgsynth.families import Translator
from imgsynth.families.tiling import WINDOWS, least_tile, needs_of, reach_of, translate_in_tiles
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.tiles import lay_tiles, least_side, spread_windows
from imgsynth.imaging.write import encode_png
from imgsynth.runtime import memory
from imgsynth.tasks import translate as translating
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIZE = (330, 470)


def calm(network: nn.Module, hints: dict[str, Any] | None = None) -> Translator:
    """A network that keeps the size of numbers from layer to layer, as one that was trained."""
    with torch.no_grad():
        for module in randomised(network, 0).modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.weight.div_(0.3 * module.weight[0].numel() ** 0.5)
    model = model_of(network, hints)
    assert isinstance(model, Translator)
    return model


@pytest.fixture(scope="module")
def normed() -> Translator:
    return calm(tiny_cyclegan())


@pytest.fixture(scope="module")
def norm_free() -> Translator:
    return calm(tiny_cyclegan(norm="none"), {"norm": "none"})


def scene(height: int, width: int) -> Tensor:
    """float32 1×3×H×W: large patches, smaller ones and grain, and a left half that is darker."""
    rng = torch.Generator().manual_seed(3)
    layers = [(64, 0.6), (8, 0.3), (1, 0.1)]
    picture = torch.zeros(1, 3, height, width)
    for size, amount in layers:
        patches = torch.rand(1, 3, height // size + 1, width // size + 1, generator=rng)
        picture += amount * nn.functional.interpolate(patches, size=(height, width), mode="bilinear")
    picture[..., : width // 2] *= 0.5
    return picture


# where tiles lie

lengths = st.integers(1, 700)
trims = st.integers(0, 40)
multiples = st.sampled_from([1, 2, 4, 8])


@settings(deadline=None)
@given(lengths, lengths, trims, multiples, st.integers(0, 60))
def test_tiles_cover_every_pixel_once(height: int, width: int, trim: int, multiple: int, more: int) -> None:
    side = least_side(trim, multiple) + more * multiple
    total = np.zeros((height, width))
    for tile in lay_tiles(height, width, side, trim, multiple):
        total[tile.rows, tile.columns] += tile.weights
        for band, length, weights in (
            (tile.rows, height, tile.row_weights),
            (tile.columns, width, tile.column_weights),
        ):
            assert band.start % multiple == 0 and band.stop - band.start == len(weights) <= side
            assert band.start == 0 or not weights[: max(0, trim - 1)].any()
            assert band.stop == length or not weights[len(weights) - max(0, trim - 1) :].any()
    assert np.abs(total - 1).max() < 1e-6


@given(lengths, lengths, trims, multiples, st.integers(1, 16))
def test_windows_are_alike_and_inside(height: int, width: int, trim: int, multiple: int, most: int) -> None:
    side = least_side(trim, multiple)
    windows = spread_windows(height, width, side, trim, multiple, most)
    assert 1 <= len(windows) <= most
    for rows, columns in windows:
        assert (rows.stop - rows.start, columns.stop - columns.start) == (min(side, height), min(side, width))
        assert 0 <= rows.start <= rows.stop <= height and 0 <= columns.start <= columns.stop <= width


def test_tiles_too_small_for_their_trim_are_refused() -> None:
    with pytest.raises(ValueError, match="trim of 40"):
        lay_tiles(500, 500, 100, 40, 4)


# what they add up to


@pytest.mark.parametrize("size", [SIZE, (601, 203), (90, 633)])
def test_without_norms_tiles_are_the_whole(norm_free: Translator, size: tuple[int, int]) -> None:
    given_photo, side = scene(*size), least_tile(norm_free)
    assert needs_of(norm_free).windows == 1
    whole = norm_free.translate(given_photo)
    tiled = translate_in_tiles(norm_free, given_photo, side)
    assert tiled.shape == whole.shape
    assert (tiled - whole).abs().max() < 1e-5


def steps(difference: Tensor, columns: list[int]) -> tuple[float, float]:
    """How much colours change on the whole from one column to the next: at some columns, and at all."""
    colours = difference.mean(2)
    change = (colours[..., 1:] - colours[..., :-1]).abs().mean((0, 1))
    return float(change[columns].mean()), float(change.mean())


def test_with_norms_no_seam_shows(normed: Translator) -> None:
    given_photo, side = scene(*SIZE), least_tile(normed)
    assert needs_of(normed).windows == WINDOWS
    whole = normed.translate(given_photo)
    tiles = lay_tiles(*SIZE, side, reach_of(normed), normed.multiple)
    tiled = translate_in_tiles(normed, given_photo, side)
    assert (tiled - whole).abs().mean() < 4 / 255

    # The same tiles with statistics of their own, side by side: what both bounds are there to catch.
    apart = torch.zeros_like(whole)
    for tile in tiles:
        apart[..., tile.rows, tile.columns] = normed.translate(given_photo[..., tile.rows, tile.columns])
    assert (apart - whole).abs().mean() > 10 * (tiled - whole).abs().mean()
    seams = sorted({tile.columns.start for tile in tiles if tile.columns.start})
    at_seams, anywhere = steps(apart - whole, [start - 1 for start in seams])
    assert at_seams > 2 * anywhere
    ramps = [start + reach_of(normed) + i for start in seams for i in range(-2, 34)]
    at_seams, anywhere = steps(tiled - whole, ramps)
    assert at_seams < 1.5 * anywhere


def test_layer_norms_take_the_whole_picture_too() -> None:
    model = calm(AnimeGenerator(widths=(4, 8, 8, 8), expansions=(8, 8)))
    given_photo = scene(*SIZE)
    assert needs_of(model).windows == WINDOWS
    difference = translate_in_tiles(model, given_photo, least_tile(model)) - model.translate(given_photo)
    assert difference.abs().mean() < 1 / 255


def test_the_reach_is_measured(norm_free: Translator) -> None:
    # 3 + 1 at full and half size, two blocks of two 3×3 convolutions at a quarter, and the way back.
    assert 3 + 1 + 4 * 4 + 3 <= reach_of(norm_free) <= 48


def test_a_network_that_sees_everything_cannot_be_tiled() -> None:
    model = model_of(randomised(UNetGenerator([4] * 7), 0))
    with pytest.raises(BadRequest, match="looks at the whole picture at once"):
        translate(model, TranslateRequest(tiles=512), photo(40, 40))


# when they are used


def leaving(monkeypatch: pytest.MonkeyPatch, model: Translator, pixels: int) -> None:
    """Lets the memory hold a pass over so many pixels."""
    room = int(pixels * needs_of(model).bytes_per_pixel / translating.SHARE) + 1
    monkeypatch.setattr(translating, "free_memory", lambda _: room)


def test_memory_decides_and_the_record_tells(normed: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    given_photo = photo(600, 700, channels=4)
    assert translate(normed, TranslateRequest(), photo(30, 30)).record["request"] == {"strength": 1.0}
    leaving(monkeypatch, normed, 380_000)
    seen: list[tuple[int, int]] = []
    picture = translate(
        normed, TranslateRequest(strength=0.5), given_photo, lambda done, total: seen.append((done, total))
    )
    side = picture.record["request"]["tiles"]
    assert picture.record["request"] == {"strength": 0.5, "tiles": side}
    assert least_tile(normed) <= side <= (380_000 / WINDOWS) ** 0.5
    assert picture.image.size == (700, 600)
    assert np.array_equal(np.asarray(picture.image)[..., 3], given_photo.alpha)
    total = seen[-1][1]
    assert seen == [(done, total) for done in range(1, total + 1)] and total > 4
    monkeypatch.undo()  # with all memory free again, it is made as it was
    again: Any = redo(normed, picture.record, Inputs([given_photo]))
    assert again.image.tobytes() == picture.image.tobytes() and again.record == picture.record


def test_what_was_made_in_one_piece_is_never_redone_in_tiles(
    normed: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_photo = photo(300, 400)
    record = translate(normed, TranslateRequest(), given_photo).record
    leaving(monkeypatch, normed, 60_000)
    with pytest.raises(OutOfMemory, match="in one piece"):
        redo(normed, record, Inputs([given_photo]))


def test_running_out_of_memory_leads_to_tiles(normed: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = normed.translate, []

    def scarce(photos: Tensor) -> Tensor:
        sizes.append(photos[:, 0].numel())
        if sizes[-1] > 500_000:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(photos)

    needs_of(normed), reach_of(normed)
    leaving(monkeypatch, normed, 10**9)
    monkeypatch.setattr(normed, "translate", scarce)
    given_photo = photo(700, 1050)
    picture = translate(normed, TranslateRequest(), given_photo)
    assert sizes[0] >= 700 * 1050 and picture.record["request"]["tiles"] > 0
    with pytest.raises(OutOfMemory):
        translate(normed, TranslateRequest(tiles=0), given_photo)


def test_too_little_memory_and_too_small_tiles_are_said(
    normed: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_photo = photo(300, 400)
    with pytest.raises(BadRequest, match=f"need {least_tile(normed)} pixels or more, not 64"):
        translate(normed, TranslateRequest(tiles=64), given_photo)
    leaving(monkeypatch, normed, 5_000)
    with pytest.raises(OutOfMemory, match="even in tiles"):
        translate(normed, TranslateRequest(), given_photo)


def test_free_memory_is_what_the_tightest_limit_leaves(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    limit, usage = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(memory, "_GROUPS", ((limit, usage),))
    assert memory.free_memory(cpu) == 5000 * 1024
    limit.write_text("max\n")
    usage.write_text("900000\n")
    assert memory.free_memory(cpu) == 5000 * 1024
    limit.write_text("1000000\n")
    assert memory.free_memory(cpu) == 100_000
    (tmp_path / "memory.stat").write_text("anon 3\ninactive_file 200000\n")
    assert memory.free_memory(cpu) == 300_000


def test_a_phone_photo_keeps_size_uprightness_and_profile_but_not_its_place(normed: Translator) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 12.0, 30.0)
    pixels = (scene(300, 400)[0].permute(1, 2, 0) * 255).byte().numpy()
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, icc_profile=SRGB, quality=95)
    assert Image.open(file).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    given_photo = read_photo(file.getvalue(), name="phone.jpg")
    picture = translate(normed, TranslateRequest(strength=0.0, tiles=least_tile(normed)), given_photo)
    written = Image.open(BytesIO(encode_png(picture.image, picture.record, picture.icc)))
    assert written.size == (300, 400)
    upright = np.rot90(pixels, -1)
    assert np.abs(np.asarray(written).astype(int) - upright).mean() < 4
    assert written.info["icc_profile"] == SRGB
    assert not written.getexif() and "GPS" not in str(written.info)


def test_what_became_of_a_photo_is_passed_on(normed: Translator) -> None:
    deep = read_photo(Image.fromarray(np.full((20, 24), 40_000, np.uint16)))
    assert translate(normed, TranslateRequest(), deep).notes == deep.notes != ()
