"""Picture ↔ latent."""

from __future__ import annotations

from typing import Any

from golden_runs.types import Outputs, Run, Tensors
from imgsynth.families import Model


def run_conv_vae(model: Model, given: Tensors) -> Outputs:
    """The decoder gives logits; pictures are their sigmoid."""
    network: Any = model.network
    outputs = {}
    if "x" in given:
        mu, logvar = network.encode(given["x"])
        outputs = {"mu": mu, "logvar": logvar, "reconstruction": network.decode(mu).sigmoid()}
    if "z" in given:
        logits = network.decode(given["z"])
        outputs |= {"logits": logits, "decoded": logits.sigmoid()}
    return outputs


def run_mlp_vae(model: Model, given: Tensors) -> Outputs:
    """The original takes and gives flattened pictures."""
    network: Any = model.network
    outputs = {}
    if "x" in given:
        mu, logvar = network.encode(given["x"])
        outputs = {"mu": mu, "logvar": logvar, "reconstruction": network.decode(mu).flatten(1)}
    if "z" in given:
        samples = network.decode(given["z"]).flatten(1)
        outputs |= {"samples": samples, "decoded": samples}
    return outputs


def run_pythae(model: Model, given: Tensors) -> Outputs:
    """The encoder and decoder alone, as the original has them, before latents are put on any sphere."""
    network: Any = model.network
    outputs = {}
    if "x" in given:
        mean, log_variance = network.encoder(given["x"])
        outputs = {"embedding": mean, "reconstruction": network.decoder(mean)}
        outputs |= {} if log_variance is None else {"log_covariance": log_variance}
    if "z" in given:
        outputs["decoded"] = network.decoder(given["z"])
    return outputs


def run_taesd(model: Model, given: Tensors) -> Outputs:
    network: Any = model.network
    outputs = {}
    if "x" in given:
        latents, _ = network.encode(given["x"])
        rebuilt = network.decode(latents)
        # Against a photo of whole bytes, the original clamps.
        rebuilt = rebuilt.clamp(0, 1) if "x_uint8" in given else rebuilt
        scaled = (latents / 6 + 0.5).clamp(0, 1)
        outputs = {"latents": latents, "reconstruction": rebuilt, "scaled": scaled}
    if "z" in given:
        outputs["decoded"] = network.decode(given["z"])
    return outputs


def run_autoencoder_kl(model: Model, given: Tensors) -> Outputs:
    network: Any = model.network
    outputs = {}
    if "x" in given:
        mean, logvar = network.encode(given["x"])
        outputs = {"mean": mean, "logvar": logvar, "reconstruction": network.decode(mean)}
    if "z" in given:
        outputs["decoded"] = network.decode(given["z"])
    return outputs


AUTOENCODERS: dict[str, Run] = {
    "conv_vae": run_conv_vae,
    "mlp_vae": run_mlp_vae,
    "pythae": run_pythae,
    "taesd": run_taesd,
    "autoencoder_tiny": run_taesd,
    "autoencoder_kl": run_autoencoder_kl,
}
