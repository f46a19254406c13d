"""Any checkpoint by name or as a file, through /open: its name from then on, and who may use it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client
from PIL import Image

import imgsynth
from app_server import AppServer, NewClient, send, sentence_of
from builders import pixels, randomised, save, tiny_dcgan
from evil_files import evil_objects
from imgsynth.architectures.studiogan_resnet import StudioGANResNet
from imgsynth.architectures.taesd import TAESD, TAESD_BARE
from imgsynth.checkpoints.verify import current_sha256
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames

pytest_plugins = ["app_fixtures"]

TOKEN = re.compile(r"upload-[0-9a-f]{32}")
CLASSES = 3


@pytest.fixture
def dcgan(tmp_path: Path) -> Path:
    """A checkpoint as trainings leave them: in a container, with a prefix, in torch's format."""
    state = {f"module.{key}": value for key, value in tiny_dcgan(1).state_dict().items()}
    torch.save({"netG": state, "epoch": 3}, tmp_path / "my net.weights")
    return tmp_path / "my net.weights"


def opened(client: Client, path: Path) -> Any:
    return client.predict(file=send(path), api_name="/open")


def values(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def test_a_sent_file_is_told_and_can_be_used(client: Client, dcgan: Path) -> None:
    told = opened(client, dcgan)
    assert (told["architecture"], told["tasks"]) == ("dcgan", ["sample", "interpolate"])
    assert told["unwrapped"] == ["netG", "module."]
    assert told["sha256"] == current_sha256(dcgan)
    assert TOKEN.fullmatch(told["checkpoint"])
    [path] = client.predict(checkpoint=told["checkpoint"], seeds="7", api_name="/sample")
    [here] = imgsynth.sample(imgsynth.open_checkpoint(str(dcgan), device="cpu"), seeds=[7])
    np.testing.assert_array_equal(values(path), np.asarray(here))
    checkpoint = read_record(path)["checkpoint"]
    wanted = {"id": "my net", "source": "upload", "file": "my net.weights", "revision": None}
    assert checkpoint == wanted | {"sha256": told["sha256"]}
    assert told["checkpoint"] not in str(read_record(path))


def test_a_checkpoint_opened_by_name_keeps_it(client: Client) -> None:
    told = client.predict(what=" avatars-vae ", api_name="/open")
    assert (told["checkpoint"], told["architecture"]) == ("avatars-vae", "conv_vae")


def test_two_files_of_one_name_are_two_checkpoints(client: Client, dcgan: Path) -> None:
    first = opened(client, dcgan)
    save(tiny_dcgan(2).state_dict(), dcgan)
    second = opened(client, dcgan)
    pictures = [
        client.predict(checkpoint=told["checkpoint"], seeds="7", api_name="/sample")[0]
        for told in (first, second)
    ]
    assert first["sha256"] != second["sha256"]
    assert (values(pictures[0]) != values(pictures[1])).any()


def test_only_who_knows_the_token_can_use_the_file(
    new_client: NewClient, app_server: AppServer, dcgan: Path
) -> None:
    owner, other = new_client(), new_client()
    token = opened(owner, dcgan)["checkpoint"]
    guessed = token[:-1] + ("0" if token[-1] != "0" else "1")
    assert "no longer here" in sentence_of(other, checkpoint=guessed, seeds="1", api_name="/sample")
    for name in ("my net", "my net.weights", str(dcgan), f"{token}/my net.weights"):
        sentence_of(other, checkpoint=name, seeds="1", api_name="/sample")
    assert token not in str(other.predict(api_name="/models"))
    assert other.predict(checkpoint=token, seeds="1", api_name="/sample")


@pytest.mark.parametrize("case", ["system", "eval", "tensor"])
def test_a_file_that_would_run_a_command_is_refused(client: Client, tmp_path: Path, case: str) -> None:
    marker = tmp_path / "it-ran"
    evil, name = evil_objects(marker)[case]
    torch.save(evil, tmp_path / "net.pth")
    sentence = sentence_of(client, file=send(tmp_path / "net.pth"), api_name="/open")
    assert f"net.pth asks Python for {name}" in sentence
    assert not marker.exists()


def conditional(folder: Path) -> Path:
    network = StudioGANResNet(latent_dim=8, widths=[16, 8, 8, 8], classes=CLASSES)
    return save(randomised(network, 1).state_dict(), folder / "by-class.pth")


def codec(folder: Path) -> Path:
    return save(TAESD(**TAESD_BARE.example).state_dict(), folder / "codec.safetensors")


def test_a_class_can_be_asked_for(client: Client, tmp_path: Path) -> None:
    told = opened(client, conditional(tmp_path))
    assert told["classes"] == CLASSES
    name = told["checkpoint"]
    one = client.predict(checkpoint=name, seeds="0-5", label=2, api_name="/sample")
    turns = client.predict(checkpoint=name, seeds="0-5", api_name="/sample")
    assert [read_record(p)["request"]["label"] for p in one] == [2] * 6
    assert [read_record(p)["request"]["label"] for p in turns] == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(values(one[2]), values(turns[2]))
    assert (values(one[0]) != values(turns[0])).any()
    assert "classes 0 to 2" in sentence_of(client, checkpoint=name, seeds="1", label=3, api_name="/sample")
    walk = client.predict(checkpoint=name, keyframes="1,2", frames=4, label=1, api_name="/interpolate")
    assert read_record(walk)["request"]["label"] == 1


def refused_walk(client: Client, name: str, photos: list[Any], keyframes: str) -> str:
    return sentence_of(
        client, checkpoint=name, keyframes=keyframes, photos=photos, frames=3, api_name="/interpolate"
    )


def test_a_codec_walks_between_photos_and_repaints_them(client: Client, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path, shape in zip(paths, [(50, 66), (90, 60)], strict=True):
        Image.fromarray(pixels(*shape)).save(path)
    name = opened(client, codec(tmp_path))["checkpoint"]
    photos = [send(p) for p in paths]
    between = {"checkpoint": name, "keyframes": "photo,photo", "photos": photos, "frames": 3}
    walk = client.predict(api_name="/interpolate", **between)
    assert count_frames(walk) == 3
    assert "1 were given" in refused_walk(client, name, photos[:1], "photo,photo")
    assert "give photos" in refused_walk(client, name, photos[:1], "1,photo")
    rebuilt = client.predict(checkpoint=name, photo=photos[0], api_name="/translate")
    assert values(rebuilt).shape == (50, 66, 3)


@pytest.mark.parametrize("make", [conditional, codec])
def test_what_cannot_encode_or_draw_says_so(
    client: Client, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    name = opened(client, make(tmp_path))["checkpoint"]
    if make is codec:
        assert "cannot draw samples" in sentence_of(client, checkpoint=name, seeds="1", api_name="/sample")
    else:
        Image.fromarray(pixels(40, 40)).save(tmp_path / "a.png")
        said = refused_walk(client, name, [send(tmp_path / "a.png")], "1,photo")
        assert "cannot take photos" in said
