"""What the tests of the command line share: what a command left behind, and what it works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from builders import pixels as texture
from builders import save
from imgsynth.checkpoints.catalog import Task

IDS: dict[str, tuple[str, tuple[Task, ...]]] = {
    "tiny-gan": ("dcgan", ("sample", "interpolate")),
    "tiny-vae": ("conv_vae", ("sample", "interpolate")),
    "tiny-cyclegan": ("cyclegan_resnet", ("translate",)),
    "tiny-lama": ("lama", ("inpaint",)),
}


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.splitlines()[-1]


Run = Callable[..., Ran]


def assert_refused(ran: Ran, *words: str) -> None:
    """Exit 1, and nothing on stderr but one plain sentence, without a path, that has these words."""
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.count("\n") == 1 and ran.err.endswith(".\n")
    assert "Traceback" not in ran.err and "went wrong" not in ran.err
    assert "/pytest-" not in ran.err and "│" not in ran.err
    for word in words:
        assert word in ran.err


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def make_photo(path: Path, height: int = 40, width: int = 56, channels: int = 3, seed: int = 0) -> Path:
    Image.fromarray(texture(height, width, channels, seed)).save(path)
    return path


def make_mask(path: Path, height: int = 40, width: int = 56) -> Path:
    """A hole of rows 10-19 and columns 12-29."""
    mask = np.zeros((height, width), np.uint8)
    mask[10:20, 12:30] = 255
    Image.fromarray(mask).save(path)
    return path


def unknown_network(folder: Path) -> Path:
    """A file of weights that belong to no network we know."""
    state = {"head.weight": torch.zeros(3, 3), "head.bias": torch.zeros(3)}
    return save(state, folder / "other.safetensors")


def raising(error: BaseException) -> Callable[..., None]:
    """A function that takes anything and raises this."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
