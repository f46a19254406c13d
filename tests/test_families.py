"""Classes, noise maps, truncation inside the network, and codecs, as the tasks use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from builders import all_equal, model_of, photo, randomised
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.stylegan1 import StyleGAN1Generator
from imgsynth.architectures.taesd import AutoencoderTiny
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Codec, LatentModel, Model
from imgsynth.imaging.read import Photo
from imgsynth.tasks.interpolate import interpolate
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import InterpolateRequest, SampleRequest, TranslateRequest
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import translate


def conditional() -> LatentModel:
    """32 px, three classes."""
    network = randomised(DCGANGenerator(4, [8, 6, 4], 3, num_classes=3), seed=1)
    model = model_of(network, {"num_classes": 3})
    assert isinstance(model, LatentModel)
    return model


def noisy() -> LatentModel:
    """16 px, noise maps of 4, 8 and 16 px, truncation towards its own mean of w."""
    sizes: dict[str, Any] = {"z_dim": 5, "w_dim": 6, "mapping_layers": 2, "widths": [6, 5, 4], "channels": 3}
    model = model_of(randomised(StyleGAN1Generator(**sizes), seed=2))
    assert isinstance(model, LatentModel)
    return model


def codec() -> Codec:
    """Any size that is a multiple of 8."""
    widths, blocks = [4, 4, 4, 4], [1, 1, 1, 1]
    network = AutoencoderTiny(
        channels=3,
        output_channels=3,
        latent_channels=4,
        encoder_widths=widths,
        encoder_blocks=blocks,
        decoder_widths=widths,
        decoder_blocks=blocks,
        pooled=False,
        stem="plain",
    )
    model = model_of(randomised(network, seed=3))
    assert isinstance(model, Codec)
    return model


def pictures(model: Model, seeds: list[int], **options: Any) -> list[np.ndarray]:
    return [np.asarray(p.image) for p in sample(model, SampleRequest(seeds=seeds, **options))]


# Classes


def test_without_a_label_all_classes_come_in_turn_by_seed() -> None:
    model = conditional()
    every = list(sample(model, SampleRequest(seeds=[4, 5, 6])))
    assert [p.record["request"]["label"] for p in every] == [1, 2, 0]
    assert all_equal([np.asarray(every[1].image)], pictures(model, [5], label=2))


def test_a_label_draws_that_class_and_no_other() -> None:
    model = conditional()
    first, second = (pictures(model, [7], label=label)[0] for label in (0, 1))
    assert not np.array_equal(first, second)
    assert all_equal(pictures(model, [1, 7], label=1)[1:], [second])


@pytest.mark.parametrize("label", [3, 100])
def test_a_class_that_is_not_there_is_told(label: int) -> None:
    with pytest.raises(BadRequest, match=f"knows classes 0 to 2, not {label}"):
        pictures(conditional(), [1], label=label)


def test_a_walk_keeps_its_class() -> None:
    model = conditional()
    frames = list(interpolate(model, InterpolateRequest(keyframes=[1, 2], frames=3, label=2)))
    ends = pictures(model, [1, 2], label=2)
    assert all_equal([np.asarray(frames[0]), np.asarray(frames[-1])], ends)


@pytest.mark.parametrize("label", [None, 2])
def test_classes_are_made_again_from_the_record(label: int | None) -> None:
    model = conditional()
    request = SampleRequest(seeds=[3, 4], label=label)
    every = list(sample(model, request))
    for made in [*every, grid_of(model, request, every)]:
        again = redo(model, made.record, Inputs())
        assert np.array_equal(np.asarray(again.image), np.asarray(made.image))  # type: ignore[union-attr]


# Noise and truncation


def test_noise_is_drawn_after_the_latent_from_the_seed_alone() -> None:
    model = noisy()
    state = np.random.RandomState(9)
    latent = state.randn(5)
    maps = [state.randn(1, *shape) for shape in model.noise_shapes]
    assert np.allclose(model.latents([9])[0], latent)
    assert len(maps) > 3
    for found, drawn in zip(model.noise([2, 9]), maps, strict=True):
        assert np.allclose(found[1], drawn)


def test_a_seed_gives_the_same_bits_in_any_company() -> None:
    model = noisy()
    together = pictures(model, [5, 1, 8, 2, 9, 3, 7, 4, 6, 0])
    assert all_equal([together[0], together[-1]], [pictures(model, [s])[0] for s in (5, 0)])
    assert not np.array_equal(together[0], together[1])


def test_noise_matters() -> None:
    model = noisy()
    z = model.latents([1])
    assert not torch.equal(model.render(z, noise=model.noise([1])), model.render(z, noise=model.noise([2])))


def test_psi_0_is_one_picture_but_for_the_noise() -> None:
    model = noisy()
    z, noise = model.latents([1, 2]), model.noise([3, 3])
    first, second = model.render(z, psi=0, noise=noise)
    assert torch.allclose(first, second, atol=1e-6)
    varied = model.render(z, psi=1, noise=noise)
    assert not torch.allclose(varied[0], varied[1], atol=1e-2)


def test_frames_of_a_walk_share_their_noise() -> None:
    model = noisy()
    still = list(interpolate(model, InterpolateRequest(keyframes=[4, 4], frames=3)))
    assert still[0].tobytes() == still[1].tobytes() == still[2].tobytes()


# Codecs


@pytest.mark.parametrize("size", [(40, 56), (7, 5), (33, 65)])
def test_a_codec_rebuilds_photos_at_their_size(size: tuple[int, int]) -> None:
    given = photo(*size, channels=4)
    rebuilt = translate(codec(), TranslateRequest(), given)
    assert rebuilt.image.size == (size[1], size[0])
    assert np.array_equal(np.asarray(rebuilt.image)[..., 3], given.alpha)


def test_a_codec_draws_nothing_from_seeds() -> None:
    assert codec().tasks == ("interpolate", "translate")
    for attempt in (
        lambda: pictures(codec(), [1]),
        lambda: codec().latents([1]),
        lambda: list(interpolate(codec(), InterpolateRequest(keyframes=[1, 2], frames=2))),
    ):
        with pytest.raises(TaskNotOffered):
            attempt()


def blended(photos: list[Photo]) -> list[np.ndarray]:
    request = InterpolateRequest(keyframes=["photo"] * len(photos), frames=3)
    return [np.asarray(frame) for frame in interpolate(codec(), request, photos)]


def test_a_codec_blends_photos_of_any_sizes_at_the_first_ones() -> None:
    frames = blended([photo(40, 60, seed=1), photo(90, 50, seed=2)])
    assert {frame.shape for frame in frames} == {(40, 64, 3)}
    same = blended([photo(40, 60, seed=1), photo(40, 60, seed=1)])
    assert np.array_equal(same[0], frames[0])
    assert not np.array_equal(frames[0], frames[2])


def test_large_photos_are_blended_at_a_size_that_plays() -> None:
    frames = blended([photo(300, 1200, seed=1), photo(300, 1200, seed=2)])
    assert frames[0].shape == (128, 512, 3)
