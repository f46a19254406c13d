"""Why a state dict is no network of ours: the nearest one, and the first keys that differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from imgsynth.errors import UnknownArchitecture

if TYPE_CHECKING:
    from imgsynth.architectures.registry import Architecture

Shapes = Mapping[str, tuple[int, ...]]

SHOWN_KEYS = 5
SHOWN_LENGTH = 100

# What files on the Hub often are instead, by a pattern that some key has.
OTHER_KINDS = (
    (r"(^|[._])lora[._]", "a LoRA, which only changes another network"),
    (
        r"^state\.\d+\.(exp_avg|momentum_buffer|square_avg)",
        "an optimizer's state, so give the checkpoint saved beside it",
    ),
    (r"transformer_blocks\.|time_embed(ding)?\.|^model\.diffusion_model\.", "a diffusion model"),
    (
        r"(^|\.)(wte|word_embeddings|embed_tokens|token_embedding|shared)\.weight$",
        "a network for text",
    ),
    (r"^(fc|classifier|head)(\.\d+)?\.weight$", "a network that classifies"),
)


def shapes_of(state: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(value.shape) for key, value in state.items()}


@lru_cache(maxsize=256)
def expected_shapes(architecture: Architecture) -> Shapes:
    """Keys and shapes of a typical instance."""
    with torch.device("meta"):
        return shapes_of(architecture.build(**architecture.example).state_dict())


def differing(expected: Shapes, found: Shapes) -> tuple[list[str], list[str]]:
    """First keys only in `expected` and only in `found`, shapes attached; another shape counts as both."""
    missing = [describe_key(k, s) for k, s in expected.items() if found.get(k) != s]
    unexpected = [describe_key(k, s) for k, s in found.items() if expected.get(k) != s]
    return missing[:SHOWN_KEYS], unexpected[:SHOWN_KEYS]


def describe_key(key: str, shape: tuple[int, ...]) -> str:
    return f"{key} {list(shape)}"


def nearly(name: str, reason: str, missing: Sequence[str], unexpected: Sequence[str]) -> UnknownArchitecture:
    """The error for a state dict that one architecture claims and that does not fit it."""
    return UnknownArchitecture(
        f"This file is nearly a {name} network but not quite: {reason}, so it cannot be loaded.",
        name,
        missing,
        unexpected,
    )


def first_difference(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    if missing and unexpected:
        return f"it has {shown(unexpected[0])} where {missing[0]} is expected"
    return f"it lacks {missing[0]}" if missing else f"it also has {shown(unexpected[0])}"


def shown(key: str) -> str:
    """A key as a sentence can hold it: a stranger chose it, at any length."""
    printable = "".join(c if c.isprintable() else "?" for c in key[:SHOWN_LENGTH])
    return printable + ("…" if len(key) > SHOWN_LENGTH else "")


def pattern(key: str) -> str:
    """A key with its numbers blanked, so that networks of other depths look alike."""
    return re.sub(r"\d+", "N", key)


def likeness(expected: Shapes, found: Shapes) -> float:
    """Jaccard index of (key pattern, number of dimensions) pairs, in [0, 1]."""
    a = {(pattern(k), len(s)) for k, s in expected.items()}
    b = {(pattern(k), len(s)) for k, s in found.items()}
    return len(a & b) / max(1, len(a | b))


def other_kind(keys: Iterable[str]) -> str | None:
    """What a file plainly is, where that is no network for pictures that we could know."""
    every = list(keys)
    return next((what for p, what in OTHER_KINDS if any(re.search(p, key) for key in every)), None)


def explain_unknown(
    state: Mapping[str, Tensor], architectures: Sequence[Architecture]
) -> UnknownArchitecture:
    """The error for a state dict that no detector accepts: the nearest architecture and what differs."""
    found = shapes_of(state)
    scored = [(likeness(expected_shapes(a), shapes_of(a.canonical(dict(state)))), a) for a in architectures]
    score, nearest = max(scored, key=lambda pair: pair[0])
    missing, unexpected = differing(expected_shapes(nearest), found)
    reason = (
        f"the nearest is {nearest.name}, but {first_difference(missing, unexpected)}"
        if score
        else f"its keys, such as {shown(next(iter(found), 'none at all'))}, are like none of ours "
        f"(a {nearest.name}, say, has {missing[0]})"
    )
    kind = other_kind(found)
    looks = f"it looks like {kind}; " if kind else ""
    return UnknownArchitecture(
        f"This file belongs to no network that imgsynth knows: {looks}{reason}.",
        nearest.name,
        missing,
        unexpected,
    )
