"""Tasks: a seed gives the same pixels in any company, photos keep their size, and only holes change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms
from torch import Tensor, nn

import imgsynth
from builders import (
    BUILDERS,
    all_equal,
    drawn,
    model_of,
    photo,
    pixels,
    tiny_cyclegan,
    tiny_dcgan,
    tiny_lama,
    tiny_vae,
)
from imgsynth.errors import BadMask, BadRequest, TaskNotOffered
from imgsynth.families import LatentModel, Model, Translator
from imgsynth.imaging import grid as sheets
from imgsynth.imaging.masks import feather_weights, grow_mask, mask_sha256
from imgsynth.imaging.read import read_photo
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.interpolate import interpolate
from imgsynth.tasks.requests import (
    LARGEST_SEED,
    InpaintRequest,
    InterpolateRequest,
    SampleRequest,
    TranslateRequest,
)
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import translate
from imgsynth.version import VERSION

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# Sample


@pytest.mark.parametrize("seed", [0, 1, 12345, LARGEST_SEED])
def test_a_seed_is_the_latent_that_other_tools_draw(drawer: LatentModel, seed: int) -> None:
    size = drawer.latent_shape[0]
    expected = np.random.RandomState(seed).randn(1, size).astype(np.float32)
    found = drawer.latents([seed])
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1])
def test_seeds_have_ends(drawer: LatentModel, seed: int) -> None:
    with pytest.raises(BadRequest, match=f"not {seed}"):
        drawer.latents([seed])


def test_a_seed_gives_the_same_pixels_in_any_company(drawer: LatentModel) -> None:
    seeds = list(range(11))  # more than one batch, and the last one not full
    together = drawn(drawer, seeds)
    assert len({image.tobytes() for image in together}) == len(seeds)
    assert all_equal(drawn(drawer, seeds[::-1])[::-1], together)
    assert all_equal([drawn(drawer, [seed])[0] for seed in seeds], together)
    assert all_equal(drawn(drawer, [5, 5, 5]), [together[5]] * 3)


def test_latents_are_rendered_alike_whatever_their_batch(drawer: LatentModel) -> None:
    z = drawer.latents(range(9))
    whole = drawer.render(z)
    assert whole.shape == (9, 3, 32, 32)
    assert whole.dtype == torch.float32
    assert 0 <= whole.min() <= whole.max() <= 1
    assert torch.equal(torch.cat([drawer.render(z[:4]), drawer.render(z[4:])]), whole)


def test_psi_0_always_gives_the_average_picture(drawer: LatentModel) -> None:
    images = drawn(drawer, [1, 2, 3], psi=0)
    assert all_equal(images, [images[0]] * 3)
    assert np.array_equal(images[0], drawn(drawer, [99], psi=0)[0])


def test_psi_scales_the_latent(drawer: LatentModel) -> None:
    z = drawer.latents([4])
    assert torch.equal(drawer.render(z, psi=0.5), drawer.render(z * 0.5))


def test_samples_are_named_and_recorded(models: dict[str, Any]) -> None:
    pictures = list(sample(models["dcgan"], SampleRequest(seeds=[7, 123456789], psi=0.5)))
    assert [p.name for p in pictures] == ["seed00000007", "seed123456789"]
    assert pictures[0].image.mode == "RGB"
    assert pictures[0].record == {
        "imgsynth": VERSION,
        "task": "sample",
        "request": {"seed": 7, "psi": 0.5},
        "checkpoint": models["dcgan"].identity.as_record(),
        "device": "cpu",
        "precision": "fp32",
        "torch": torch.__version__,
        "input_sha256": [],
        "mask_sha256": None,
    }


def test_samples_come_batch_by_batch(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = models["dcgan"], []
    render = model.render
    monkeypatch.setattr(model, "render", lambda z, **options: sizes.append(len(z)) or render(z, **options))
    pictures = sample(model, SampleRequest(seeds=list(range(20))))
    assert sizes == []
    next(pictures)
    assert sizes == [8]
    assert len(list(pictures)) == 19
    assert sizes == [8, 8, 4]


def test_a_grid_holds_every_picture(models: dict[str, Any]) -> None:
    request = SampleRequest(seeds=[1, 2, 3])
    pictures = list(sample(models["dcgan"], request))
    grid = grid_of(models["dcgan"], request, pictures, columns=3)
    assert grid.image.size == (3 * 32 + 2 * 2, 32)
    assert grid.image.crop((68, 0, 100, 32)).tobytes() == pictures[2].image.tobytes()
    assert grid.record["request"] == {"seeds": [1, 2, 3], "psi": 1.0, "columns": 3}


def test_a_grid_too_large_is_refused_before_it_is_drawn(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, request = models["dcgan"], SampleRequest(seeds=[1, 2, 3])
    monkeypatch.setattr(sheets, "MOST_PIXELS", 3 * 32**2)
    assert grid_of(model, request, sample(model, request)).image.size == (66, 66)
    monkeypatch.setattr(sheets, "MOST_PIXELS", 3 * 32**2 - 1)
    undrawn = sample(model, request)
    with pytest.raises(BadRequest, match="ask for fewer pictures"):
        grid_of(model, request, undrawn)
    assert len(list(undrawn)) == 3


def test_grey_networks_give_colour_pictures() -> None:
    image = next(sample(model_of(tiny_dcgan(channels=1)), SampleRequest(seeds=[1]))).image
    assert image.mode == "RGB"
    red, green, blue = image.split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_a_class_is_refused_where_there_are_none(models: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="knows no classes"):
        next(sample(models["dcgan"], SampleRequest(seeds=[1], label=3)))


def walk(keyframes: Sequence[int], frames: int) -> InterpolateRequest:
    return InterpolateRequest(keyframes=list(keyframes), frames=frames)


TASKS: dict[str, Callable[[Model], Any]] = {
    "sample": lambda model: next(sample(model, SampleRequest(seeds=[1]))),
    "interpolate": lambda model: next(interpolate(model, walk([1, 2], 2))),
    "translate": lambda model: translate(model, TranslateRequest(), photo(8, 8)),
    "inpaint": lambda model: inpaint(model, InpaintRequest(), photo(8, 8), np.eye(8, dtype=bool)),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", BUILDERS)
def test_a_model_does_what_it_offers_and_refuses_the_rest(
    models: dict[str, Any], name: str, task: str
) -> None:
    if task in models[name].tasks:
        assert TASKS[task](models[name])
        return
    with pytest.raises(TaskNotOffered, match=r"^tiny cannot .*; it can .*, so choose another checkpoint\.$"):
        TASKS[task](models[name])


# Translate

SIZES = [(1, 1), (5, 3), (3, 5), (33, 70), (64, 64)]


@pytest.mark.parametrize("sizes", [{}, {"upsampling": "nearest"}, {"downsamplings": 3}])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_translation_has_the_size_of_its_photo(height: int, width: int, sizes: dict[str, Any]) -> None:
    picture = translate(model_of(tiny_cyclegan(**sizes)), TranslateRequest(), photo(height, width))
    assert picture.image.size == (width, height)
    assert picture.image.mode == "RGB"


@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_grey_translators_keep_the_size_too(upsampling: str) -> None:
    network = tiny_cyclegan(input_channels=1, output_channels=1, upsampling=upsampling)
    for strength in (1.0, 0.5):
        request = TranslateRequest(strength=strength)
        picture = translate(model_of(network), request, photo(33, 70))
        assert picture.image.size == (70, 33)


class Shift(nn.Module):
    """Moves its input's values by a fifth of the range; stands in where the answer must be known."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.4


def test_a_translation_is_what_the_network_says() -> None:
    model = model_of(tiny_cyclegan())
    model.network = Shift()
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    given_photo = read_photo(Image.fromarray(np.dstack([values] * 3)))
    picture = translate(model, TranslateRequest(), given_photo)
    expected = np.minimum(values.astype(int) + 51, 255)
    assert np.array_equal(np.asarray(picture.image)[..., 1], expected)


def test_strength_goes_from_the_photo_to_the_translation(models: dict[str, Any]) -> None:
    model, given_photo = models["cyclegan_resnet"], photo(20, 24)
    none, half, full = (
        np.asarray(translate(model, TranslateRequest(strength=s), given_photo).image).astype(int)
        for s in (0, 0.5, 1)
    )
    assert np.array_equal(none, given_photo.pixels)
    assert not np.array_equal(full, given_photo.pixels)
    assert np.abs(half - (none + full) / 2).max() <= 1


def test_alpha_profile_and_name_are_kept(models: dict[str, Any]) -> None:
    given_photo = photo(21, 34, channels=4, icc=SRGB)
    assert given_photo.alpha is not None
    picture = translate(models["cyclegan_resnet"], TranslateRequest(), given_photo)
    assert picture.image.mode == "RGBA"
    assert np.array_equal(np.asarray(picture.image)[..., 3], given_photo.alpha)
    assert picture.icc == SRGB
    assert picture.name == "photo"
    assert picture.record["input_sha256"] == [given_photo.sha256]
    assert picture.record["request"] == {"strength": 1.0}


def test_padding_reaches_only_the_far_borders() -> None:
    """What is cut off again lies right and below: the picture itself starts at its own first pixel."""
    model = model_of(tiny_cyclegan())
    assert isinstance(model, Translator)
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    batch = torch.rand(1, 3, 17, 30, generator=torch.Generator().manual_seed(0))
    model.translate(batch)
    assert seen[0].shape == (1, 3, 20, 32)
    assert torch.equal(seen[0][..., :17, :30], batch * 2 - 1)
    assert torch.equal(seen[0][..., 16, :30], seen[0][..., 19, :30])


# Inpaint

MASKS = arrays(bool, (13, 19), elements=st.booleans(), fill=st.just(False))


@settings(deadline=None, max_examples=25)
@given(MASKS, st.integers(0, 3), st.integers(0, 3))
def test_only_the_hole_changes(models: dict[str, Any], mask: np.ndarray, grow: int, feather: int) -> None:
    given_photo = photo(13, 19)
    hole = feather_weights(grow_mask(mask, grow), feather) > 0
    request = InpaintRequest(grow=grow, feather=feather)
    if not mask.any() or hole.all():
        with pytest.raises(BadMask):
            inpaint(models["lama"], request, given_photo, mask)
        return
    picture = inpaint(models["lama"], request, given_photo, mask)
    assert np.array_equal(np.asarray(picture.image)[~hole], given_photo.pixels[~hole])
    assert picture.record["mask_sha256"] == mask_sha256(hole)


def test_the_hole_is_filled_by_the_network(models: dict[str, Any]) -> None:
    given_photo, mask = photo(40, 44), np.zeros((40, 44), bool)
    mask[10:20, 12:30] = True
    batch = torch.from_numpy(given_photo.pixels).permute(2, 0, 1)[None].float() / 255
    predicted = models["lama"].inpaint(batch, torch.from_numpy(mask)[None, None].float())
    expected = (predicted[0] * 255).round().byte().permute(1, 2, 0).numpy()
    filled = np.asarray(inpaint(models["lama"], InpaintRequest(), given_photo, mask).image)
    assert np.array_equal(filled[mask], expected[mask])
    feathered = np.asarray(inpaint(models["lama"], InpaintRequest(feather=3), given_photo, mask).image)
    weights = feather_weights(mask, 3)[..., None]
    assert not np.array_equal(feathered, filled)
    assert weights[9, 12] == pytest.approx(0.75)


def test_what_is_in_the_hole_does_not_matter(models: dict[str, Any]) -> None:
    one = photo(24, 24, seed=1)
    mask = np.zeros((24, 24), bool)
    mask[4:9, 5:15] = True
    other_pixels = np.where(mask[..., None], 255 - one.pixels, one.pixels)
    other = read_photo(Image.fromarray(other_pixels))
    pictures = [inpaint(models["lama"], InpaintRequest(), p, mask).image for p in (one, other)]
    assert all_equal(*[[p] for p in pictures])


@pytest.mark.parametrize(("height", "width"), [(1, 2), (5, 3), (33, 70)])
@pytest.mark.parametrize("downsamplings", [1, 3])
def test_a_filled_photo_keeps_size_alpha_and_profile(height: int, width: int, downsamplings: int) -> None:
    model = model_of(tiny_lama(downsamplings=downsamplings, global_channels=6))
    given_photo = photo(height, width, channels=4, icc=SRGB)
    mask = np.zeros((height, width), bool)
    mask[0, 0] = True
    picture = inpaint(model, InpaintRequest(), given_photo, mask)
    assert picture.image.size == (width, height)
    assert np.array_equal(np.asarray(picture.image)[..., 3], given_photo.alpha)
    assert picture.icc == SRGB


@pytest.mark.parametrize(
    ("mask", "about"),
    [
        (np.zeros((8, 8), bool), "marks nothing"),
        (np.ones((8, 8), bool), "covers the whole picture"),
        (np.ones((8, 9), bool), "9×8"),
    ],
)
def test_unfit_masks_are_refused(models: dict[str, Any], mask: np.ndarray, about: str) -> None:
    with pytest.raises(BadMask, match=about):
        inpaint(models["lama"], InpaintRequest(), photo(8, 8), mask)


# The Python API


def test_python_calls_are_the_tasks(models: dict[str, Any]) -> None:
    assert all_equal(imgsynth.sample(models["dcgan"], seeds=range(3)), drawn(models["dcgan"], range(3)))
    assert all_equal(imgsynth.sample(models["dcgan"], np.arange(3)), drawn(models["dcgan"], range(3)))
    frames = imgsynth.interpolate(models["dcgan"], keyframes=[1, 5], frames=4)
    assert all_equal(list(frames), list(interpolate(models["dcgan"], walk([1, 5], 4))))
    image = Image.fromarray(pixels(20, 31))
    assert imgsynth.translate(models["cyclegan_resnet"], image).size == (31, 20)
    mask = Image.new("L", (31, 20))
    mask.putpixel((3, 4), 255)
    filled = imgsynth.inpaint(models["lama"], image, mask)
    assert np.argwhere((np.asarray(filled) != pixels(20, 31)).any(-1)).tolist() in ([], [[4, 3]])
    assert all_equal([imgsynth.inpaint(models["lama"], image, np.asarray(mask) > 0)], [filled])


def test_python_takes_photos_as_keyframes() -> None:
    image = Image.fromarray(pixels(40, 40))
    frames = imgsynth.interpolate(model_of(tiny_vae()), keyframes=[image, 5, image], frames=3)
    first, _, last = list(frames)
    assert first.tobytes() == last.tobytes()
