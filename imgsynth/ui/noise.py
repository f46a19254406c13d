"""Choosing the noise, shown only for models with noise inputs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from imgsynth.families import LatentModel, Model
from imgsynth.seeds import NoiseKind

USUAL = "usual"
LABELS: dict[NoiseKind, str] = {
    "random": "Its own for each seed",
    "constant": "The same for all",
    "none": "None",
}


def make_noise_choice() -> gr.Radio:
    """Hidden until a model with noise inputs is chosen."""
    return gr.Radio(
        [("As usual", USUAL)],
        value=USUAL,
        label="Noise",
        info="Chance in the finest detail, such as single hairs; without any, pictures are smoother.",
        visible=False,
        elem_id="sample-noise",
    )


def takes_noise(model: Model) -> bool:
    return isinstance(model, LatentModel) and bool(model.noise_shapes)


def fitting_noise(model: Model, chosen: Any) -> gr.Radio:
    """The choice for a model, what it usually has first; keeps what is chosen where that is on offer."""
    if not isinstance(model, LatentModel) or not takes_noise(model):
        return gr.Radio(visible=False)
    usual = model.usual_noise
    listed: list[tuple[str, str | int | float]] = [(LABELS[usual], USUAL)]
    listed += [(label, kind) for kind, label in LABELS.items() if kind != usual]
    kept = chosen if chosen in [value for _, value in listed] else USUAL
    return gr.Radio(listed, value=kept, visible=True)


def chosen_noise(model: Model, chosen: Any) -> NoiseKind | None:
    """The noise to ask a model for; None for what it has anyway, and for a model without noise inputs."""
    if not isinstance(model, LatentModel) or not takes_noise(model) or chosen == model.usual_noise:
        return None
    return chosen if chosen in LABELS else None
