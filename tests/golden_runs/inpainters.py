"""Picture and hole → picture."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from golden_runs.types import Outputs, Run, Tensors
from imgsynth.families import Model


def assembled(model: Model, image: Tensor, hole: Tensor) -> Tensor:
    assert model.architecture.assemble is not None
    return model.architecture.assemble(image, hole)


def composite(image: Tensor, hole: Tensor, predicted: Tensor) -> Tensor:
    return predicted * hole + image * (1 - hole)


def run_hole(model: Model, given: Tensors) -> Outputs:
    image, hole = given["image"], given["mask"]
    predicted = model.network(assembled(model, image, hole))
    return {"predicted": predicted, "composite": composite(image, hole, predicted)}


def run_known(model: Model, given: Tensors) -> Outputs:
    """The file's mask is 1 where the picture is known."""
    image, hole = given["image"], 1 - given["mask"]
    output = model.network(assembled(model, image, hole))
    return {"output": output, "composite": composite(image, hole, output)}


def run_stages(model: Model, given: Tensors) -> Outputs:
    image, hole = given["image"], given["mask"]
    network: Any = model.network
    coarse, fine = network.stages(assembled(model, image, hole))
    return {"stage1": coarse, "stage2": fine, "composite": composite(image, hole, fine)}


INPAINTERS: dict[str, Run] = {
    "lama": run_hole,
    "aotgan": run_hole,
    "migan": run_known,
    "deepfillv2": run_stages,
}
