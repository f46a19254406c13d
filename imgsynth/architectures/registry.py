"""Finds the architecture of a state dict from its keys and shapes, and builds its network strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from imgsynth.architectures.explain import (
    Shapes,
    differing,
    expected_shapes,
    explain_unknown,
    first_difference,
    nearly,
    shapes_of,
)
from imgsynth.architectures.ranges import BY_NAME, TANH, ValueRange

# Pixels. Many tiny layers make a small file, and could still ask for a picture that no memory holds.
LARGEST_SIDE = 4096

Hints = Mapping[str, Any]
StateDict = dict[str, Tensor]
Hyperparameters = dict[str, Any]


def unchanged(state: StateDict) -> StateDict:
    """The spelling of a state dict that needs no change."""
    return state


def nothing_to_finish(_: nn.Module, __: Mapping[str, Tensor]) -> list[str]:
    """For a network that is complete once its weights are loaded."""
    return []


@dataclass(frozen=True, eq=False)
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
        least: smallest height and width that the network runs at; 0 stands for four multiples.
        margin: pixels that the network's picture lacks on each side (translators).
        latent_shape: shape of one latent (generators, autoencoders).
        image_size: side of the pictures the network makes, or None when any size goes.
        channels: (input, output) image channels.
        assemble: image in native range and mask (1 = hole) → the network's input (inpainters).
        classes: how many classes a conditional network draws; its forward takes `labels`, int64 N.
        noise_shapes: H×W of each noise map that a forward pass draws, in order; forward takes `noise`.
        stored_noise_shapes: the same of maps that lie with the weights, and that `noise` may stand in for.
        truncation: "latent" where psi scales z; "network" where forward takes `psi` itself.
        prior: false for codecs, whose latents of standard normal noise decode to nothing.
        finish: takes what lay beside the weights (`latent_avg`) or completes what the file lacks, after
            loading; returns warnings.
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
    least: Callable[[Hyperparameters], int] = lambda _: 0
    margin: Callable[[Hyperparameters], int] = lambda _: 0
    latent_shape: Callable[[Hyperparameters], tuple[int, ...] | None] = lambda _: None
    image_size: Callable[[Hyperparameters], int | None] = lambda _: None
    channels: Callable[[Hyperparameters], tuple[int, int]] = lambda _: (3, 3)
    assemble: Callable[[Tensor, Tensor], Tensor] | None = None
    classes: Callable[[Hyperparameters], int] = lambda _: 0
    noise_shapes: Callable[[Hyperparameters], tuple[tuple[int, int], ...]] = lambda _: ()
    stored_noise_shapes: Callable[[Hyperparameters], tuple[tuple[int, int], ...]] = lambda _: ()
    truncation: Literal["latent", "network"] = "latent"
    prior: bool = True
    finish: Callable[[nn.Module, Mapping[str, Tensor]], list[str]] = nothing_to_finish


@dataclass
class Opened:
    """A network with its weights, and what was found out about it.

    Attributes:
        hints: facts from a config.json or the catalog that no shape can tell.
        warnings: sentences that a person should see.
        directions: what was shipped with the weights to move latents along, by name: flat, float64.
    """

    architecture: Architecture
    hyperparameters: Hyperparameters
    network: nn.Module
    hints: Hints = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    directions: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    @property
    def output_range(self) -> ValueRange:
        """The architecture's, unless a config.json or the catalog knows better (hint `value_range`)."""
        return BY_NAME.get(str(self.hints.get("value_range")), self.architecture.output_range)

    @property
    def input_range(self) -> ValueRange:
        return BY_NAME.get(str(self.hints.get("value_range")), self.architecture.input_range)


@cache
def architectures() -> tuple[Architecture, ...]:
    """Every known architecture, in the order in which they are tried."""
    # Every network's module needs this one.
    from imgsynth.architectures.known import KNOWN

    return KNOWN


def detect(state: StateDict) -> tuple[Architecture, StateDict] | None:
    """The first architecture whose detector accepts the state dict, with the keys as it spells them."""
    for architecture in architectures():
        canonical = architecture.canonical(state)
        if architecture.detect(shapes_of(canonical)):
            return architecture, canonical
    return None


def recognise(state: StateDict, hints: Hints | None = None) -> tuple[Opened, StateDict]:
    """Finds the architecture of a state dict and checks that it fits exactly; reads no values.

    Args:
        state: tensors by key, on any device: those of the "meta" device, which hold no values, will do.
        hints: facts from a config.json or the catalog that no shape can tell.

    Returns:
        The network on the "meta" device, and the state dict as its keys spell it.

    Raises:
        UnknownArchitecture: no known network has these keys and shapes.
    """
    found = detect(state)
    if found is None:
        raise explain_unknown(state, architectures())
    architecture, canonical = found
    hyperparameters, network = build(architecture, canonical, hints or {})
    canonical = with_batch_counters(network, canonical)
    require_equal_layout(architecture, network, canonical)
    return Opened(architecture, hyperparameters, network, hints or {}), canonical


def open_state_dict(
    state: StateDict, hints: Hints | None = None, beside: Mapping[str, Tensor] | None = None
) -> Opened:
    """Builds the network a state dict belongs to and loads it strictly, upcast to float32, in eval mode.

    Args:
        state: clean tensors by key, of any float type; they are copied.
        hints: facts from a config.json or the catalog that no shape can tell.
        beside: tensors that lay beside the weights in the file, such as `latent_avg`.

    Raises:
        UnknownArchitecture: no known network has these keys and shapes.
    """
    opened, canonical = recognise(state, hints)
    network = opened.network
    network.load_state_dict(owned(canonical), strict=True, assign=True)
    network.requires_grad_(False).eval()
    opened.warnings += opened.architecture.finish(network, beside or {})
    return opened


def build(architecture: Architecture, state: StateDict, hints: Hints) -> tuple[Hyperparameters, nn.Module]:
    """The network of the sizes that a state dict tells, without values.

    Raises:
        UnknownArchitecture: keys, shapes and hints, all of which a stranger wrote, make no network.
    """
    try:
        hyperparameters = architecture.read(shapes_of(state), hints)
        if (architecture.image_size(hyperparameters) or 0) > LARGEST_SIDE:
            raise ValueError("no network draws pictures of this size")
        with torch.device("meta"):
            return hyperparameters, architecture.build(**hyperparameters)
    except (LookupError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        lacks = isinstance(error, KeyError)
        reason = f"it lacks {error.args[0]}" if lacks else "its sizes do not fit together"
        difference = differing(expected_shapes(architecture), shapes_of(state))
        raise nearly(architecture.name, reason, *difference) from error


def with_batch_counters(network: nn.Module, state: StateDict) -> StateDict:
    """Adds `num_batches_tracked`, which files from before PyTorch 0.4.1 lack and inference never reads."""
    counters = {k for k in network.state_dict() if k.endswith("num_batches_tracked")}
    return {**{k: torch.tensor(0) for k in counters}, **state}


def require_equal_layout(architecture: Architecture, network: nn.Module, state: StateDict) -> None:
    """Raises UnknownArchitecture unless keys and shapes are exactly the network's."""
    expected, found = shapes_of(network.state_dict()), shapes_of(state)
    if expected != found:
        missing, unexpected = differing(expected, found)
        reason = first_difference(missing, unexpected)
        raise nearly(architecture.name, reason, missing, unexpected)


def owned(state: StateDict) -> StateDict:
    """Copies in float32, out of the mapped file, which may be overwritten while a network lives."""
    return {k: own(v) for k, v in state.items()}


def own(tensor: Tensor) -> Tensor:
    kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(kind, copy=True, memory_format=torch.contiguous_format)
