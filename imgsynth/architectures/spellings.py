"""Finds the layers of a plain feed-forward network in a state dict, whatever its author called them.

The same layer is published as `main.3`, `net.1.0`, `deconv2` and `convTr2`, and the batch norm behind it as
`main.4`, `net.1.1`, `deconv2_bn` and `batchNorm2`. Shapes tell which layer feeds which.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from imgsynth.architectures.registry import Shapes, StateDict, shapes_of

Modules = Mapping[str, Shapes]


class WeightLayout(NamedTuple):
    """How many dimensions a layer's weight has, and which of them count its inputs and its outputs."""

    dimensions: int
    inputs: int
    outputs: int


LINEAR = WeightLayout(2, 1, 0)
TRANSPOSED_CONVOLUTION = WeightLayout(4, 0, 1)


def packed(state: StateDict, name: str, layout: WeightLayout) -> StateDict:
    """Brings a chain of layers to the keys of one `nn.Sequential`: layer, batch norm if any, activation, ….

    Layers without parameters, such as dropout, lose their place in the numbering. A state dict that holds
    anything else of two or more dimensions, or whose layers form no chain, comes back as it is.

    Args:
        state: tensors by key, under any module names.
        name: what the `nn.Sequential` shall be called.
        layout: which kind of layer the chain is made of.
    """
    modules = modules_of(shapes_of(state))
    layers = {m for m, tensors in modules.items() if len(tensors.get("weight", ())) == layout.dimensions}
    if any(len(shape) > 1 for m in modules.keys() - layers for shape in modules[m].values()):
        return state
    norms = {m for m in modules.keys() - layers if "running_mean" in modules[m]}
    orders = candidate_orders(modules, layers, norms)
    order = next((order for order in orders if is_chain(order, modules, layout)), [])
    places, index = {}, 0
    for module in order:
        index += module in layers and index > 0  # past the activation of the layer before
        places[module] = f"{name}.{index}"
        index += 1
    renamed = {moved(key, places): value for key, value in state.items()}
    return renamed if len(renamed) == len(state) else state


def modules_of(shapes: Shapes) -> Modules:
    """Shapes by module and by the name of the tensor in it."""
    modules: defaultdict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for key, shape in shapes.items():
        module, _, tensor = key.rpartition(".")
        modules[module][tensor] = shape
    return modules


def candidate_orders(modules: Modules, layers: set[str], norms: set[str]) -> Iterator[list[str]]:
    """Orders in which layers and norms may follow each other, the most telling first."""
    yield sorted(layers | norms, key=naturally)
    yield [m for m in modules if m in layers | norms]
    if len(norms) == len(layers) - 1:
        pairs = zip_longest(sorted(layers, key=naturally), sorted(norms, key=naturally))
        yield [m for pair in pairs for m in pair if m is not None]


def naturally(name: str) -> list[str | int]:
    """Sorts `deconv10` behind `deconv9`."""
    parts = re.split(r"([0-9]{1,9})", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def is_chain(order: Sequence[str], modules: Modules, layout: WeightLayout) -> bool:
    """Whether every layer takes what the one before it gives, and every norm follows a layer of its width.

    The last layer, which makes the picture, has no norm.
    """
    width, bare = None, False  # outputs of the last layer, and whether it still may have a norm
    for module in order:
        weight = modules[module].get("weight", ())
        if len(weight) == layout.dimensions:
            if width not in (None, weight[layout.inputs]):
                return False
            width, bare = weight[layout.outputs], True
        elif bare and modules[module]["running_mean"] == (width,):
            bare = False
        else:
            return False
    return bare


def moved(key: str, places: Mapping[str, str]) -> str:
    module, _, tensor = key.rpartition(".")
    return f"{places[module]}.{tensor}" if module in places else key
