"""Walks through latent space: they meet their keyframes and never jump, and every frame can be had alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from builders import all_equal, drawn, photo
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Autoencoder, LatentModel
from imgsynth.tasks.interpolate import frame, interpolate, walk_latents, walk_record
from imgsynth.tasks.paths import Latents, latent_at, lerp, positions, slerp
from imgsynth.tasks.requests import InterpolateRequest, PathKind

PATHS = ["slerp", "lerp", "spline"]
points_of = st.integers(2, 5).flatmap(
    lambda count: arrays(np.float64, (count, 6), elements=st.floats(-3, 3, width=32))
)


def track(points: Latents, frames: int, path: str, loop: bool) -> Latents:
    """The latents of all frames, frames×6."""
    places = positions(len(points), frames, loop)
    return np.stack([latent_at(points, float(place), path, loop) for place in places])


def steps(latents: Latents, loop: bool) -> Latents:
    """Distances of neighbouring frames, from the last to the first included in a loop."""
    after = np.roll(latents, -1, axis=0)
    distances: Latents = np.linalg.norm(after - latents, axis=1)
    return distances if loop else distances[:-1]


# Paths


@pytest.mark.parametrize(
    ("keyframes", "frames", "loop", "expected"),
    [
        (2, 3, False, [0, 0.5, 1]),
        (3, 5, False, [0, 0.5, 1, 1.5, 2]),
        (2, 2, False, [0, 1]),
        (2, 4, True, [0, 0.5, 1, 1.5]),
        (3, 3, True, [0, 1, 2]),
    ],
)
def test_frames_are_spread_evenly(keyframes: int, frames: int, loop: bool, expected: list[float]) -> None:
    assert positions(keyframes, frames, loop).tolist() == expected


@given(st.integers(2, 64), st.integers(2, 3600))
def test_an_open_walk_ends_on_its_last_keyframe(keyframes: int, frames: int) -> None:
    places = positions(keyframes, frames, loop=False)
    assert len(places) == frames
    assert (places[0], places[-1]) == (0, keyframes - 1)


@given(st.integers(2, 64), st.integers(2, 3600))
def test_a_loop_draws_its_first_keyframe_once(keyframes: int, frames: int) -> None:
    places = positions(keyframes, frames, loop=True)
    assert len(places) == frames
    assert places[0] == 0
    assert places[-1] + places[1] == pytest.approx(keyframes)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("loop", [False, True])
@settings(deadline=None)
@given(points=points_of)
def test_every_path_passes_through_its_keyframes(path: str, loop: bool, points: Latents) -> None:
    for index in range(len(points)):
        assert latent_at(points, float(index), path, loop) == pytest.approx(points[index], abs=1e-6)
    if loop:
        nearly_round = latent_at(points, len(points) - 1e-9, path, loop)
        assert nearly_round == pytest.approx(points[0], abs=1e-6)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_step_is_much_longer_than_the_others(path: str, loop: bool, seed: int) -> None:
    """Gaussian keyframes: neighbours are about as far apart everywhere, the seam of a loop included."""
    points = np.random.RandomState(seed).randn(4, 64)
    taken = steps(track(points, 90, path, loop), loop)
    assert taken.max() < 3 * np.median(taken)


@settings(deadline=None)
@given(arrays(np.float64, (2, 6), elements=st.floats(-3, 3, width=32)), st.floats(0, 1))
def test_slerp_goes_straight_in_length(ends: Latents, t: float) -> None:
    a, b = ends
    lengths = np.linalg.norm(ends, axis=1)
    assume(lengths.min() > 0.1 and abs(a @ b) < 0.999 * lengths.prod())
    expected = lengths[0] + (lengths[1] - lengths[0]) * t
    assert np.linalg.norm(slerp(a, b, t)) == pytest.approx(expected)


def test_slerp_turns_evenly() -> None:
    a, b = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    assert slerp(a, b, 0.5) == pytest.approx(np.array([2**0.5, 2**0.5]))
    assert slerp(a, b, 1 / 3) == pytest.approx(np.array([3**0.5, 1.0]))


@pytest.mark.parametrize("b", [[0.0, 0.0], [3.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
def test_without_one_great_circle_slerp_goes_straight(b: list[float]) -> None:
    a = np.array([1.0, 0.0])
    assert np.array_equal(slerp(a, np.array(b), 0.25), lerp(a, np.array(b), 0.25))


@pytest.mark.parametrize("loop", [False, True])
def test_a_spline_has_no_corners(loop: bool) -> None:
    """Before and after a keyframe it goes the same way; straight lines do not."""
    points = np.random.RandomState(0).randn(4, 64)
    bends = {}
    for path in ("spline", "lerp"):
        before, at, after = (latent_at(points, 1 + d, path, loop) for d in (-1e-4, 0.0, 1e-4))
        one, two = at - before, after - at
        bends[path] = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    assert bends["spline"] > 0.98
    assert bends["lerp"] < 0.5


@settings(deadline=None)
@given(points_of, st.floats(0, 1), st.sampled_from(PATHS), st.booleans())
def test_latents_are_always_numbers(points: Latents, part: float, path: str, loop: bool) -> None:
    place = part * (len(points) - 1)
    assert np.isfinite(latent_at(points, place, path, loop)).all()


@pytest.mark.parametrize("path", PATHS)
def test_equal_keyframes_stand_still(path: str) -> None:
    points = np.tile(np.random.RandomState(0).randn(1, 6), (3, 1))
    assert track(points, 7, path, loop=True) == pytest.approx(np.tile(points[:1], (7, 1)))


# Walks of a model


def walk(keyframes: Sequence[Any], frames: int = 7, **options: Any) -> InterpolateRequest:
    return InterpolateRequest(keyframes=list(keyframes), frames=frames, **options)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("loop", [False, True])
def test_any_single_frame_is_the_one_of_the_whole(drawer: LatentModel, path: PathKind, loop: bool) -> None:
    request = walk([3, 1, 2], 10, path=path, loop=loop, psi=0.8)
    whole = list(interpolate(drawer, request))
    assert len(whole) == 10
    assert all_equal([frame(drawer, request, i) for i in range(10)], whole)


@pytest.mark.parametrize("path", PATHS)
def test_a_walk_passes_through_its_keyframes(drawer: LatentModel, path: PathKind) -> None:
    open_walk = list(interpolate(drawer, walk([3, 1, 2], 9, path=path)))
    assert all_equal([open_walk[0], open_walk[4], open_walk[8]], drawn(drawer, [3, 1, 2]))
    loop = list(interpolate(drawer, walk([3, 1, 2], 9, path=path, loop=True)))
    assert all_equal([loop[0], loop[3], loop[6]], drawn(drawer, [3, 1, 2]))


def test_frames_that_are_not_there_are_refused(models: dict[str, Any]) -> None:
    for index in (-1, 7):
        with pytest.raises(BadRequest, match="frames 0 to 6"):
            frame(models["dcgan"], walk([1, 2]), index)


def test_psi_0_stands_still(models: dict[str, Any]) -> None:
    images = list(interpolate(models["dcgan"], walk([1, 2], psi=0)))
    assert all_equal(images, [images[0]] * 7)


def test_photos_are_keyframes_of_an_autoencoder(models: dict[str, Any]) -> None:
    model, given_photo = models["conv_vae"], photo(40, 50)
    latents = walk_latents(model, walk(["photo", 5], 3), [given_photo])
    batch = torch.from_numpy(given_photo.pixels).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(latents[0], model.encode(batch)[0])
    assert torch.equal(latents[-1], model.latents([5])[0])
    assert walk_record(model, walk(["photo", 5]), [given_photo])["input_sha256"] == [given_photo.sha256]


def test_photos_that_cannot_be_keyframes(models: dict[str, Any]) -> None:
    with pytest.raises(TaskNotOffered, match="cannot take photos"):
        list(interpolate(models["dcgan"], walk(["photo", 5]), [photo(8, 8)]))
    with pytest.raises(BadRequest, match="ask for 2 photos and 1"):
        list(interpolate(models["conv_vae"], walk(["photo", "photo"]), [photo(8, 8)]))
    with pytest.raises(BadRequest, match="ask for 0 photos and 1"):
        list(interpolate(models["conv_vae"], walk([1, 2]), [photo(8, 8)]))


def test_the_latent_of_a_photo_does_not_depend_on_its_company(models: dict[str, Any]) -> None:
    model: Autoencoder = models["conv_vae"]
    batch = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([model.encode(batch[i : i + 1]) for i in range(3)])
    assert torch.equal(model.encode(batch), alone)
