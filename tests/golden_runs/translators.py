"""Picture → picture."""

from __future__ import annotations

from golden_runs.types import Outputs, Run, Tensors
from imgsynth.families import Model


def run_image(model: Model, given: Tensors) -> Outputs:
    return {"image": model.network(given["x"])}


def run_fast_neural_style(model: Model, given: Tensors) -> Outputs:
    image = model.network(given["x"])
    return {"image_raw": image, "image_0_255": image.clamp(0, 255)}


TRANSLATORS: dict[str, Run] = {
    "animegan2": run_image,
    "cyclegan_resnet": run_image,
    "fast_neural_style": run_fast_neural_style,
    "informative_drawings": run_image,
    "johko_cyclegan": run_image,
    "pix2pix_unet": run_image,
}
