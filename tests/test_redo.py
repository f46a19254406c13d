"""What a record holds is enough to make a result again, pixel by pixel; nothing else passes for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from builders import all_equal, model_of, photo, tiny_dcgan
from imgsynth.checkpoints.naming import resolve
from imgsynth.errors import BadImage, BadMask, BadRequest, ChecksumMismatch, ImgsynthError, NoRecord
from imgsynth.families import Identity, Model
from imgsynth.imaging.masks import grow_mask
from imgsynth.imaging.record import Record
from imgsynth.tasks.blend import blend
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.interpolate import frame, interpolate, walk_record
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Inputs, Walk, checkpoint_name, recorded, redo
from imgsynth.tasks.requests import (
    BlendRequest,
    InpaintRequest,
    InterpolateRequest,
    SampleRequest,
    TranslateRequest,
)
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.tasks.translate import translate

PHOTO = photo(30, 41, channels=4)
MASK = np.zeros((30, 41), bool)
MASK[5:12, 7:20] = True
WALK = InterpolateRequest(
    keyframes=["photo", 3, "photo"], frames=5, path="spline", loop=True, psi=0.7, fps=12
)


def read_back(record: Record) -> Record:
    """As it comes out of a file."""
    copy: Record = json.loads(json.dumps(record))
    return copy


def single(model: Model) -> Picture:
    return list(sample(model, SampleRequest(seeds=[4, 7, 9], psi=0.6)))[1]


def grid(model: Model, columns: int | None = 2) -> Picture:
    request = SampleRequest(seeds=[4, 7, 9])
    return grid_of(model, request, list(sample(model, request)), columns)


def edited(model: Model, **options: Any) -> Picture:
    request = {"variation_seed": 5, "variation_amount": 0.3, "directions": {"component 2": -1.5}, **options}
    return list(sample(model, SampleRequest(seeds=[4, 7], **request)))[1]


def edited_grid(model: Model) -> Picture:
    request = SampleRequest(
        seeds=[4, 7], variation_seed=5, variation_amount=0.3, directions={"component 1": 1}
    )
    return grid_of(model, request, list(sample(model, request)))


def from_latent(model: Model) -> Picture:
    text = Latent("z", torch.linspace(-2, 2, 6)).text
    return next(sample(model, SampleRequest(latent=text, psi=0.7), [PHOTO]))


def translated(model: Model) -> Picture:
    return translate(model, TranslateRequest(strength=0.4), PHOTO)


def filled(model: Model) -> Picture:
    return inpaint(model, InpaintRequest(grow=2, feather=3), PHOTO, MASK)


MADE: dict[str, tuple[str, Callable[[Model], Picture], Inputs]] = {
    "picture": ("dcgan", single, Inputs()),
    "picture of a VAE": ("conv_vae", single, Inputs()),
    "grid": ("dcgan", grid, Inputs()),
    "square grid": ("dcgan", lambda model: grid(model, None), Inputs()),
    "variation": ("dcgan", lambda model: edited(model, directions={}), Inputs()),
    "variation of a VAE, moved along a direction": ("conv_vae", edited, Inputs()),
    "grid of edited pictures": ("dcgan", edited_grid, Inputs()),
    "picture of a latent": ("dcgan", from_latent, Inputs()),
    "picture of a latent, with its photo": ("dcgan", from_latent, Inputs([PHOTO])),
    "translation": ("cyclegan_resnet", translated, Inputs([PHOTO])),
    "filled photo": ("lama", filled, Inputs([PHOTO], MASK)),
}


@pytest.mark.parametrize("what", MADE)
def test_every_picture_can_be_made_again(models: dict[str, Any], what: str) -> None:
    name, make, inputs = MADE[what]
    picture = make(models[name])
    again = redo(models[name], read_back(picture.record), inputs)
    assert isinstance(again, Picture)
    assert again.image.mode == picture.image.mode
    assert again.image.tobytes() == picture.image.tobytes()
    assert again.record == picture.record


def test_a_walk_can_be_made_again(models: dict[str, Any]) -> None:
    photos = [PHOTO, photo(50, 40, seed=2)]
    record = walk_record(models["conv_vae"], WALK, photos)
    again = redo(models["conv_vae"], read_back(record), Inputs(photos))
    assert isinstance(again, Walk)
    assert again.fps == 12
    assert again.record == record
    assert all_equal(list(again.frames), list(interpolate(models["conv_vae"], WALK, photos)))


def test_a_single_frame_can_be_made_again(models: dict[str, Any]) -> None:
    photos = [PHOTO, PHOTO]
    record = walk_record(models["conv_vae"], WALK, photos)
    record["request"]["frame"] = 3
    again = redo(models["conv_vae"], read_back(record), Inputs(photos))
    assert isinstance(again, Picture)
    assert again.image.tobytes() == frame(models["conv_vae"], WALK, 3, photos).tobytes()
    assert again.record == record


def test_what_is_no_longer_wanted_is_not_made_to_its_end(models: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        raise KeyboardInterrupt

    sheet = blend(models["dcgan"], BlendRequest(keyframes=[1, 2, 3, 4], columns=8, rows=8))
    with pytest.raises(KeyboardInterrupt):
        redo(models["dcgan"], sheet.record, Inputs(progress=stop))
    with pytest.raises(KeyboardInterrupt):
        redo(models["lama"], filled(models["lama"]).record, Inputs([PHOTO], MASK, stop))
    assert len(told) == 2


def test_another_checkpoint_is_refused(models: dict[str, Any]) -> None:
    record = single(models["dcgan"]).record
    other = model_of(tiny_dcgan(seed=1))
    other.identity = Identity("other", "file", "other.safetensors", None, "1" * 64)
    with pytest.raises(ChecksumMismatch, match="other is not the checkpoint that made this picture"):
        redo(other, record)


def test_missing_and_other_photos_are_refused(models: dict[str, Any]) -> None:
    record = translated(models["cyclegan_resnet"]).record
    for photos in ([], [PHOTO, PHOTO]):
        with pytest.raises(BadImage, match=f"from 1 photos and {len(photos)} were given"):
            redo(models["cyclegan_resnet"], record, Inputs(photos))
    with pytest.raises(BadImage, match="photo is not the photo that was used"):
        redo(models["cyclegan_resnet"], record, Inputs([photo(30, 41, seed=1)]))


def test_photos_count_in_their_order(models: dict[str, Any]) -> None:
    photos = [PHOTO, photo(50, 40, seed=2)]
    record = walk_record(models["conv_vae"], WALK, photos)
    with pytest.raises(BadImage, match="not the photo that was used"):
        redo(models["conv_vae"], record, Inputs(photos[::-1]))


def test_missing_and_other_masks_are_refused(models: dict[str, Any]) -> None:
    record = filled(models["lama"]).record
    with pytest.raises(BadMask, match="give the same mask"):
        redo(models["lama"], record, Inputs([PHOTO]))
    with pytest.raises(BadMask, match="not the mask that was used"):
        redo(models["lama"], record, Inputs([PHOTO], np.roll(MASK, 1)))


def test_the_final_mask_is_told_from_the_drawn_one(models: dict[str, Any]) -> None:
    picture = inpaint(models["lama"], InpaintRequest(grow=2), PHOTO, MASK)
    with pytest.raises(BadMask, match="already grown"):
        redo(models["lama"], picture.record, Inputs([PHOTO], grow_mask(MASK, 2)))


def test_a_checkpoint_is_named_by_its_id_or_its_commit() -> None:
    commit = "0123456789" * 4
    assert checkpoint_name({"checkpoint": {"id": "avatars-gan", "revision": None}}) == "avatars-gan"
    on_hub = {"id": "owner/name:file.safetensors", "revision": commit}
    assert checkpoint_name({"checkpoint": on_hub}) == f"owner/name:file.safetensors@{commit}"
    again = {"id": f"owner/name:file.safetensors@{commit}", "revision": commit}
    assert checkpoint_name({"checkpoint": again}) == f"owner/name:file.safetensors@{commit}"


@pytest.mark.parametrize("name", ["mnist-dcgan", "owner/name", "owner/name:old.bin", "taesdxl"])
def test_a_file_of_the_hub_is_asked_for_as_it_was(name: str) -> None:
    """Its repository may have another file or another commit by now."""
    commit = "0123456789" * 4
    made_with = {"id": name, "source": "hub", "file": "some/model.bin", "revision": commit}
    found = resolve(name)
    asked = recorded(found, {"checkpoint": made_with})
    assert (asked.id, asked.repo, asked.hints) == (found.id, found.repo, found.hints)
    assert (asked.file, asked.revision, asked.sha256) == ("some/model.bin", commit, None)


@pytest.mark.parametrize("file", ["../../other.bin", "a:b.bin", None, 3, ""])
def test_a_record_cannot_lead_out_of_a_repository(file: Any) -> None:
    found = resolve("mnist-dcgan")
    assert recorded(found, {"checkpoint": {"file": file, "revision": "main"}}) is found


def test_what_is_pinned_or_on_this_disk_stays_as_it_is() -> None:
    for name in ("big-lama", "avatars-gan"):
        found = resolve(name)
        assert recorded(found, {"checkpoint": {"file": found.file, "revision": found.revision}}) is found


@pytest.mark.parametrize("checkpoint", [None, "avatars-gan", {}, {"id": 3}, []])
def test_a_record_without_a_checkpoint_is_refused(models: dict[str, Any], checkpoint: Any) -> None:
    record = {**single(models["dcgan"]).record, "checkpoint": checkpoint}
    with pytest.raises(NoRecord, match="names no checkpoint"):
        checkpoint_name(record)
    with pytest.raises(ChecksumMismatch):
        redo(models["dcgan"], record)


@pytest.mark.parametrize("task", [None, "score", 3, ["sample"]])
def test_tasks_of_other_versions_are_refused(models: dict[str, Any], task: Any) -> None:
    record = {**single(models["dcgan"]).record, "task": task}
    with pytest.raises(NoRecord, match="this version does not know"):
        redo(models["dcgan"], record)


# What somebody else may have written into a file.
FORGED: list[dict[str, Any]] = [
    {"request": None},
    {"request": []},
    {"request": {}},
    {"request": {"seed": None}},
    {"request": {"seed": "7; rm -rf"}},
    {"request": {"seed": -1}},
    {"request": {"seed": [1]}},
    {"request": {"seeds": []}},
    {"request": {"seeds": [1, 2], "columns": 0}},
    {"request": {"seeds": [1, 2], "columns": "two"}},
    {"request": {"seed": 1, "psi": 1e9}},
    {"request": {"seed": 1, "kind": "x"}},
    {"request": {"seed": 1, "self": "x"}},
    {"request": {"seed": 1, "seeds": [2], "colour": 1}},
    {"request": {"seed": 1, "variation_amount": 0.5}},
    {"request": {"seed": 1, "variation_seed": "x", "variation_amount": 0.5}},
    {"request": {"seed": 1, "directions": {"component 1": 11}}},
    {"request": {"seed": 1, "directions": {"smile": 1}}},
    {"request": {"seed": 1, "directions": ["component 1"]}},
    {"request": {"latent": None}},
    {"request": {"latent": 7}},
    {"request": {"latent": "latent:z:AAAA"}},
    {"request": {"latent": "latent:z:AAAA", "seed": 1}},
    {"request": {"latent": "latent:z:" + "A" * 1_000_000}},
    {"task": "interpolate", "request": {"keyframes": [1, "latent:z:AAAA"], "frames": 5, "frame": 0}},
    {"task": "interpolate", "request": {"keyframes": [1, 2], "frames": 10**9}},
    {"task": "interpolate", "request": {"keyframes": [1, 2], "frames": 5, "frame": 5}},
    {"task": "interpolate", "request": {"keyframes": [1, 2], "frames": 5, "frame": "first"}},
    {"task": "interpolate", "request": {"keyframes": [1, "photo"], "frames": 5, "frame": 0}},
    {"task": "translate", "request": {}},
    {"task": "inpaint", "request": {}},
    {"input_sha256": "abc"},
    {"input_sha256": {"0": "abc"}},
    {"input_sha256": ["0" * 64]},
]


@pytest.mark.parametrize("forged", FORGED)
def test_forged_records_are_refused_in_a_sentence(models: dict[str, Any], forged: dict[str, Any]) -> None:
    record = {**single(models["dcgan"]).record, **forged}
    with pytest.raises(ImgsynthError) as caught:
        redo(models["dcgan"], record)
    assert str(caught.value).endswith(".")


def test_a_record_asks_for_no_class_of_a_model_without() -> None:
    model = model_of(tiny_dcgan())
    record = single(model).record
    record["request"]["label"] = 3
    with pytest.raises(BadRequest, match="knows no classes"):
        redo(model, record)
