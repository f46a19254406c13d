"""Finds the architecture of a state dict from its keys and shapes, and builds its network strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from imgsynth.architectures.ranges import TANH, ValueRange
from imgsynth.errors import UnknownArchitecture

Shapes = Mapping[str, tuple[int, ...]]
Hints = Mapping[str, Any]
StateDict = dict[str, Tensor]
Hyperparameters = dict[str, Any]

SHOWN_KEYS = 5
SHOWN_LENGTH = 100


def unchanged(state: StateDict) -> StateDict:
    """The spelling of a state dict that needs no change."""
    return state


@dataclass(frozen=True)
class Architecture:
    """One network that we know: how to recognise it, read its sizes, and build it.

    Attributes:
        name: the name `inspect` gives it.
        title: the name in the literature, with its source.
        family: "generator", "autoencoder", "translator" or "inpainter".
        build: makes the network from its hyper-parameters.
        detect: true when keys and shapes (in `canonical` spelling) are this network's.
        read: hyper-parameters from shapes, plus hints for what no shape can tell.
        example: hyper-parameters of a typical instance, used to explain what differs.
        canonical: brings other spellings of the same network to the keys of `build`.
        output_range, input_range: the network's own pixel values.
        multiple: what height and width must be multiples of (translators, inpainters).
        margin: pixels that the network's picture lacks on each side (translators).
        latent_shape: shape of one latent (generators, autoencoders).
        image_size: side of the pictures the network makes, or None when any size goes.
        channels: (input, output) image channels.
        assemble: image in native range and mask (1 = hole) → the network's input (inpainters).
    """

    name: str
    title: str
    family: str
    build: Callable[..., nn.Module]
    detect: Callable[[Shapes], bool]
    read: Callable[[Shapes, Hints], Hyperparameters]
    example: Hyperparameters
    canonical: Callable[[StateDict], StateDict] = unchanged
    output_range: ValueRange = TANH
    input_range: ValueRange = TANH
    multiple: Callable[[Hyperparameters], int] = lambda _: 1
    margin: Callable[[Hyperparameters], int] = lambda _: 0
    latent_shape: Callable[[Hyperparameters], tuple[int, ...] | None] = lambda _: None
    image_size: Callable[[Hyperparameters], int | None] = lambda _: None
    channels: Callable[[Hyperparameters], tuple[int, int]] = lambda _: (3, 3)
    assemble: Callable[[Tensor, Tensor], Tensor] | None = None


@dataclass
class Opened:
    """A network with its weights, and what was found out about it."""

    architecture: Architecture
    hyperparameters: Hyperparameters
    network: nn.Module
    hints: Hints = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())


@cache
def architectures() -> tuple[Architecture, ...]:
    """Every known architecture, in the order in which they are tried."""
    from imgsynth.architectures import conv_vae, cyclegan_resnet, dcgan, lama

    return (dcgan.DCGAN, conv_vae.CONV_VAE, cyclegan_resnet.CYCLEGAN_RESNET, lama.LAMA)


def shapes_of(state: Mapping[str, Tensor]) -> Shapes:
    return {key: tuple(value.shape) for key, value in state.items()}


def detect(state: StateDict) -> tuple[Architecture, StateDict] | None:
    """The first architecture whose detector accepts the state dict, with the keys as it spells them."""
    for architecture in architectures():
        canonical = architecture.canonical(state)
        if architecture.detect(shapes_of(canonical)):
            return architecture, canonical
    return None


def open_state_dict(state: StateDict, hints: Hints | None = None) -> Opened:
    """Builds the network a state dict belongs to and loads it strictly, upcast to float32, in eval mode.

    Args:
        state: clean tensors by key, of any float type.
        hints: facts from a config.json or the catalog that no shape can tell.

    Raises:
        UnknownArchitecture: no known network has these keys and shapes.
    """
    found = detect(state)
    if found is None:
        raise explain_unknown(state)
    architecture, canonical = found
    hyperparameters, network = build(architecture, canonical, hints or {})
    canonical = with_batch_counters(network, canonical)
    require_equal_layout(architecture, network, canonical)
    network.load_state_dict(upcast(canonical), strict=True, assign=True)
    network.requires_grad_(False).eval()
    return Opened(architecture, hyperparameters, network, hints or {})


def build(architecture: Architecture, state: StateDict, hints: Hints) -> tuple[Hyperparameters, nn.Module]:
    """The network of the sizes that a state dict tells, without values.

    Raises:
        UnknownArchitecture: keys, shapes and hints, all of which a stranger wrote, make no network.
    """
    try:
        hyperparameters = architecture.read(shapes_of(state), hints)
        with torch.device("meta"):
            return hyperparameters, architecture.build(**hyperparameters)
    except (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        lacks = isinstance(error, KeyError)
        reason = f"it lacks {error.args[0]}" if lacks else "its sizes do not fit together"
        difference = differing(expected_shapes(architecture), shapes_of(state))
        raise UnknownArchitecture(
            f"This file is nearly a {architecture.name} network but not quite: {reason}, "
            "so it cannot be loaded.",
            architecture.name,
            *difference,
        ) from error


def with_batch_counters(network: nn.Module, state: StateDict) -> StateDict:
    """Adds `num_batches_tracked`, which files from before PyTorch 0.4.1 lack and inference never reads."""
    counters = {k for k in network.state_dict() if k.endswith("num_batches_tracked")}
    return {**{k: torch.tensor(0) for k in counters}, **state}


def require_equal_layout(architecture: Architecture, network: nn.Module, state: StateDict) -> None:
    """Raises UnknownArchitecture unless keys and shapes are exactly the network's."""
    expected, found = shapes_of(network.state_dict()), shapes_of(state)
    if expected != found:
        raise mismatch(architecture, expected, found)


def upcast(state: StateDict) -> StateDict:
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def expected_shapes(architecture: Architecture) -> Shapes:
    with torch.device("meta"):
        return shapes_of(architecture.build(**architecture.example).state_dict())


def differing(expected: Shapes, found: Shapes) -> tuple[list[str], list[str]]:
    """First keys only in `expected` and only in `found`, shapes attached; another shape counts as both."""
    missing = [describe_key(k, s) for k, s in expected.items() if found.get(k) != s]
    unexpected = [describe_key(k, s) for k, s in found.items() if expected.get(k) != s]
    return missing[:SHOWN_KEYS], unexpected[:SHOWN_KEYS]


def describe_key(key: str, shape: tuple[int, ...]) -> str:
    return f"{key} {list(shape)}"


def mismatch(architecture: Architecture, expected: Shapes, found: Shapes) -> UnknownArchitecture:
    missing, unexpected = differing(expected, found)
    return UnknownArchitecture(
        f"This file is nearly a {architecture.name} network but not quite: "
        f"{first_difference(missing, unexpected)}, so it cannot be loaded.",
        architecture.name,
        missing,
        unexpected,
    )


def first_difference(missing: list[str], unexpected: list[str]) -> str:
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


def explain_unknown(state: StateDict) -> UnknownArchitecture:
    """The error for a state dict that no detector accepts: the nearest architecture and what differs."""
    found = shapes_of(state)
    scored = [(likeness(expected_shapes(a), shapes_of(a.canonical(state))), a) for a in architectures()]
    score, nearest = max(scored, key=lambda pair: pair[0])
    missing, unexpected = differing(expected_shapes(nearest), found)
    known = ", ".join(a.name for a in architectures())
    reason = (
        f"the nearest is {nearest.name}, but {first_difference(missing, unexpected)}"
        if score
        else f"its keys, such as {shown(next(iter(found), 'none at all'))}, are like none of {known}"
    )
    return UnknownArchitecture(
        f"This file belongs to no network that imgsynth knows: {reason}.", nearest.name, missing, unexpected
    )
