"""The spellings of pythae's many nets, brought to those that `PythaeAutoencoder` has."""

from __future__ import annotations

import re

from torch import Tensor

from imgsynth.architectures.registry import Shapes, StateDict, shapes_of

# Discriminators, pseudo-inputs, metrics and flows only train a model. What these name changes its latents: it
# stays, so that such a file is refused.
KEPT = ("encoder.", "decoder.", "quantizer.", "_pz_")
NUMBERED = re.compile(r"(encoder|decoder)\.fc([1-9][0-9]?)\.")
WRAPPED = re.compile(r"(encoder\.log_var|decoder\.layers\.[0-9]+\.[0-9]+)\.linear\.")
LAYER = re.compile(r"(encoder|decoder)\.layers\.([0-9]{1,3})\.(?:([0-9]{1,3})\.)?(weight|bias)")


def canonical(state: StateDict) -> StateDict:
    """One linear layer to each place of an `nn.ModuleList`, convolutions' own in an `nn.Sequential` there.

    Numbered layers (`fc1`, …, with tanh in the IWAE nets) become bare ones as in the β-TCVAE's decoder, which
    has tanh too.
    """
    if "encoder.embedding.weight" not in state:
        return state
    kept = {k: flat_bias(k, v) for k, v in state.items() if k.startswith(KEPT)}
    named = {WRAPPED.sub(r"\1.", NUMBERED.sub(as_bare, k)): v for k, v in kept.items()}
    shapes = shapes_of(named)
    places = places_of("encoder", shapes) | places_of("decoder", shapes)
    return {moved(key, places): value for key, value in named.items()}


def flat_bias(key: str, value: Tensor) -> Tensor:
    """A bias as a vector; the IWAE nets have them as one row of a matrix."""
    return value.flatten() if key.endswith(".bias") and value.ndim == 2 else value


def as_bare(match: re.Match[str]) -> str:
    return f"{match[1]}.layers.{2 * int(match[2]) - 2}."


def places_of(half: str, shapes: Shapes) -> dict[str, str]:
    """Where the layers of one half go, by the names of their modules."""
    layers = {}
    for key, shape in shapes.items():
        match = LAYER.fullmatch(key)
        if match and match[1] == half and match[4] == "weight" and len(shape) > 1:
            layers[key.removesuffix(".weight")] = (int(match[2]), match[3] and int(match[3]))
    convolutional = any(len(s) == 4 for k, s in shapes.items() if k.startswith(f"{half}.layers."))
    if convolutional:
        return {name: f"{half}.layers.{i}.0" for name, (i, j) in layers.items() if j is None}
    nested = sorted((place, name) for name, place in layers.items() if place[1] is not None)
    start = nested[0][0][0] if nested else 0  # 1 where gated layers come first
    return {name: f"{half}.layers.{i}.0" for i, (_, name) in enumerate(nested, start)}


def moved(key: str, places: dict[str, str]) -> str:
    module, _, tensor = key.rpartition(".")
    return f"{places[module]}.{tensor}" if module in places else key
