"""Which file of a Hub repository holds the weights, when nobody has said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

# The safe format first; what runs code when opened (.pkl) or is no state dict (.onnx, .h5) never.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
NAMES = ("model", "diffusion_pytorch_model", "pytorch_model", "generator", "netg", "gen", "g")
_LEFT_OUT = re.compile(
    r"d|dis|disc\w*|netd\w*|critic|optim\w*|opt|sched\w*|trainer|training|rng|random|scaler|args|onnx|lora"
    r"|directions"
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def choose_weights(files: Iterable[str]) -> list[str]:
    """The files that can hold a network's weights, most likely first; empty where there is none."""
    return sorted((f for f in files if _can_be_weights(PurePosixPath(f))), key=_rank)


def _can_be_weights(path: PurePosixPath) -> bool:
    if path.suffix.lower() not in SUFFIXES or _SHARD.search(path.stem):
        return False
    return not any(_LEFT_OUT.fullmatch(word) for word in _words(path.with_suffix("")))


def _words(path: PurePosixPath) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", str(path).lower()) if word]


def _rank(file: str) -> tuple[bool, bool, int, int, int, str]:
    """Sorts by: safe format, averaged weights, a usual name, few folders, suffix, spelling."""
    path = PurePosixPath(file)
    stem = path.stem.lower()
    usual = NAMES.index(stem) if stem in NAMES else _usual_word(path)
    suffix = SUFFIXES.index(path.suffix.lower())
    return (suffix > 0, "ema" not in _words(path), usual, len(path.parts), suffix, file)


def _usual_word(path: PurePosixPath) -> int:
    """Behind every exact name, but ahead of the rest, a name that mentions the generator."""
    return len(NAMES) if {"generator", "netg", "gen", "g"} & set(_words(path)) else len(NAMES) + 1
