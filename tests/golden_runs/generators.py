"""Noise → picture, without a mapping network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from golden_runs.types import Outputs, Run, Tensors
from imgsynth.families import Model


def run_dcgan(model: Model, given: Tensors) -> Outputs:
    return {"image": model.network(given["z"])}


def run_lightweight_gan(model: Model, given: Tensors) -> Outputs:
    maps = [given[name] for name in sorted(given) if name.startswith("noise_")]
    return {"image": model.network(given["z"], maps)}


def run_conditional(model: Model, given: Tensors) -> Outputs:
    """The class is given to unconditional networks too, which have none."""
    labels = [given["class_index"]] if model.classes else []
    return {"image": model.network(given["z"], *labels)}


class ByTruncation(Outputs):
    """Pictures at whatever truncation their names say, such as `image_truncation_0.4`."""

    def __init__(self, generate: Callable[[float], Tensor]) -> None:
        super().__init__()
        self.generate = generate

    def __missing__(self, name: str) -> Tensor:
        return self.generate(float(name.removeprefix("image_truncation_")))


def run_biggan_deep(model: Model, given: Tensors) -> Outputs:
    """z is given as the network takes it, truncated and scaled."""
    network: Any = model.network
    return ByTruncation(lambda t: network.generate(given["z"], given["class_index"], t))


GENERATORS: dict[str, Run] = {
    "dcgan": run_dcgan,
    "lightweight_gan": run_lightweight_gan,
    "studiogan_resnet": run_conditional,
    "biggan_deep": run_biggan_deep,
    "r3gan": run_conditional,
}
