"""Noise → w → picture: generators with a mapping network."""

from __future__ import annotations

from typing import Any

from golden_runs.types import Outputs, Run, Tensors
from imgsynth.families import Model


def run_styles(model: Model, given: Tensors) -> Outputs:
    network: Any = model.network
    if "latent_avg" in given:
        network.set_w_mean(given["latent_avg"])
    noise = [given[name] for name in sorted(given) if name.startswith("noise_")] or None
    w = network.mapping(given["z"])
    image = network.synthesis(w, noise)
    outputs = {"w": w, "image": image, "image_psi1": image}
    if "truncation_psi" in given:
        psi = given["truncation_psi"].item()
        outputs["image_truncated"] = network(given["z"], psi=psi, noise=noise)
    if "z2" in given:
        mixed = network.mix(w, network.mapping(given["z2"]), int(given["inject_index"]))
        outputs["image_mixed"] = network.synthesis(mixed, noise)
    return outputs


STYLES: dict[str, Run] = {
    "stylegan1": run_styles,
    "stylegan2": run_styles,
}
