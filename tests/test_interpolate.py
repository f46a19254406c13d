"""Walks through latent space: they meet their keyframes and never jump, and every frame can be had alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import imgsynth
from builders import all_equal, drawn, photo
from cli_runs import Run, assert_refused
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import Autoencoder, LatentModel
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.interpolate import frame, frame_index, interpolate, still, walk_latents, walk_record
from imgsynth.tasks.keyframes import keyframe_pictures
from imgsynth.tasks.paths import Latents, eased, latent_at, lerp, positions, slerp
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Walk, redo
from imgsynth.tasks.requests import InterpolateRequest, LengthRequest, PathKind, make_request
from imgsynth.ui.session import Session
from imgsynth.ui.walk_endpoints import WalkEndpoints

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


# Easing


@given(st.integers(2, 64), st.integers(2, 3600), st.booleans())
def test_easing_keeps_keyframes_and_order(keyframes: int, frames: int, loop: bool) -> None:
    places = positions(keyframes, frames, loop)
    slowed = eased(places, "smoothstep")
    assert np.array_equal(np.floor(slowed), np.floor(places))
    assert (np.diff(slowed) > 0).all()
    at_keyframes = places == np.floor(places)
    assert np.array_equal(slowed[at_keyframes], places[at_keyframes])


def test_smoothstep_rests_at_keyframes_and_is_fastest_between() -> None:
    places = np.linspace(0, 2, 201)
    slowed = eased(places, "smoothstep")
    assert slowed[[25, 50, 75, 150]] == pytest.approx([0.15625, 0.5, 0.84375, 1.5])
    speed = np.diff(slowed) / np.diff(places)
    assert speed[[0, 99, 100, 199]] == pytest.approx(0, abs=0.04)
    assert speed[[49, 149]] == pytest.approx(1.5, abs=0.01)


def test_no_easing_is_constant_speed() -> None:
    places = positions(3, 50, loop=True)
    assert np.array_equal(eased(places, "none"), places)


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


@pytest.mark.parametrize("path", PATHS)
def test_easing_keeps_keyframes_and_changes_what_lies_between(drawer: LatentModel, path: PathKind) -> None:
    slow = list(interpolate(drawer, walk([3, 1, 2], 9, path=path, easing="smoothstep")))
    even = list(interpolate(drawer, walk([3, 1, 2], 9, path=path)))
    assert all_equal([slow[i] for i in (0, 2, 4, 6, 8)], [even[i] for i in (0, 2, 4, 6, 8)])
    assert not any(all_equal([slow[i]], [even[i]]) for i in (1, 3, 5, 7))


def test_the_record_names_easing_only_where_there_is_any(models: dict[str, Any]) -> None:
    """An older record has no easing and means constant speed, as it did then."""
    model, request = models["dcgan"], walk([3, 1], 7, easing="smoothstep")
    record = walk_record(model, request)
    assert record["request"]["easing"] == "smoothstep"
    remade = redo(model, record)
    assert isinstance(remade, Walk)
    assert remade.record["request"] == record["request"]
    assert all_equal(list(remade.frames), list(interpolate(model, request)))
    older = walk_record(model, walk([3, 1], 7))
    assert "easing" not in older["request"]
    remade = redo(model, older)
    assert isinstance(remade, Walk)
    assert all_equal(list(remade.frames), list(interpolate(model, walk([3, 1], 7))))


def test_a_single_frame_carries_a_record_of_its_own(models: dict[str, Any]) -> None:
    model, request = models["dcgan"], walk([3, 1], 7, easing="smoothstep", path="lerp")
    picture = still(model, request, 5)
    assert picture.record["request"]["frame"] == 5
    again = redo(model, picture.record)
    assert isinstance(again, Picture)
    assert (again.name, again.record) == ("frame00005", picture.record)
    assert all_equal([again.image, picture.image], [frame(model, request, 5)] * 2)


@pytest.mark.parametrize(("part", "index"), [(0, 0), (0.24, 1), (0.5, 3), (0.9, 5), (1, 6), (-1, 0), (2, 6)])
def test_a_part_of_the_time_leads_to_the_nearest_frame(part: float, index: int) -> None:
    assert frame_index(walk([1, 2], 7), part) == index


def test_pictures_of_keyframes_are_those_of_the_walk(models: dict[str, Any]) -> None:
    model, given_photo = models["conv_vae"], photo(40, 50)
    keyframes = [5, "photo", 2]
    frames = list(interpolate(model, walk(keyframes, 3, psi=0.8), [given_photo]))
    assert all_equal(keyframe_pictures(model, keyframes, [given_photo], psi=0.8), frames)
    assert all_equal(keyframe_pictures(model, [5], psi=0.8), frames[:1])


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


# Length and easing at the command line and the endpoint


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"), [(2, 30, 60), (0.5, 25, 12), (0.001, 1, 2), (1.51, 2, 3)]
)
def test_seconds_are_frames(seconds: float, fps: int, frames: int) -> None:
    assert make_request(LengthRequest, seconds=seconds, fps=fps).frames == frames


def test_the_command_line_takes_seconds_and_easing(run: Run, tiny_catalog: None, tmp_path: Path) -> None:
    words = ("interpolate", "--checkpoint", "tiny-gan", "--keyframes", "1,2", "--fps", 10)
    out = tmp_path / "walk.webp"
    assert run(*words, "--seconds", 1.2, "--easing", "smoothstep", "--out", out).code == 0
    request = read_record(out)["request"]
    assert (request["frames"], request["easing"], count_frames(out)) == (12, "smoothstep", 12)
    again = tmp_path / "again.webp"
    assert run("redo", out, "--out", again).code == 0
    assert again.read_bytes() == out.read_bytes()


def test_lengths_and_easings_that_cannot_be(run: Run, tiny_catalog: None) -> None:
    words = ("interpolate", "--checkpoint", "tiny-gan", "--keyframes", "1,2", "--out", "walk.mp4")
    assert_refused(run(*words, "--seconds", 2, "--frames", 60), "frames and in seconds")
    assert_refused(run(*words, "--seconds", 0), "seconds", "greater than 0")
    assert_refused(run(*words, "--seconds", "long"), "seconds")
    assert_refused(run(*words, "--seconds", 3000), "frames", "3600")
    assert_refused(run(*words, "--easing", "bounce"), "easing")


def test_python_takes_an_easing(models: dict[str, Any]) -> None:
    frames = list(imgsynth.interpolate(models["dcgan"], [3, 1], frames=7, easing="smoothstep"))
    assert all_equal(frames, list(interpolate(models["dcgan"], walk([3, 1], 7, easing="smoothstep"))))


def test_the_endpoint_takes_seconds_and_easing(
    tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    endpoints = WalkEndpoints(Session(Runtime("cpu", "fp32")))
    timed = endpoints.interpolate("tiny-gan", "1,2", fps=10, format="webp", easing="smoothstep", seconds=0.7)
    request = read_record(timed)["request"]
    assert (request["frames"], request["easing"]) == (7, "smoothstep")
    plain = endpoints.interpolate("tiny-gan", "1,2", frames=5.0, format="webp")
    assert read_record(plain)["request"]["frames"] == 5
    assert "easing" not in read_record(plain)["request"]
