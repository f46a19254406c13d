"""How well a checkpoint rebuilds pictures that it never saw, and how many bits it needs for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from imgsynth.families import Autoencoder, Codec
from imgsynth.metrics.elbo import fitted_scale, kl_bits, laplace_bits
from imgsynth.metrics.fidelity import luma, psnr, ssim
from imgsynth.metrics.intervals import interval
from imgsynth.metrics.perceptual import Distance, load_lpips
from imgsynth.metrics.pictures import require_numbers, scaled, to_bytes, to_floats
from imgsynth.metrics.pool import Pool, photo_square, squares
from imgsynth.metrics.progress import Track
from imgsynth.metrics.report import Better, Figure, Findings, NotMeasured
from imgsynth.metrics.request import ScoreRequest
from imgsynth.runtime.device import memory_guard
from imgsynth.training.data import Entry

Values = Mapping[str, list[float]]

BATCH = 8
# Enough values to fit one number to.
FITTED_ON = 64
DIRECTIONS: dict[str, tuple[Better, str]] = {
    "psnr": ("higher", "dB"),
    "ssim": ("higher", ""),
    "lpips": ("lower", ""),
}


def score_rebuilding(model: Autoencoder, pool: Pool, request: ScoreRequest, track: Track) -> Findings:
    """PSNR, SSIM and, where they can be had, LPIPS and the ELBO, over held-back pictures.

    The floor is what another real picture would get in the rebuilt one's place.
    """
    findings = Findings()
    entries = pool.draw(torch.Generator().manual_seed(request.seed), request.count)
    distances: dict[str, Distance] = {"psnr": psnr, "ssim": ssim}
    try:
        distances["lpips"] = load_lpips(model.device)
    except NotMeasured as why:
        findings.miss(["lpips"], why)
    made, floors = rebuild_all(model, entries, request, distances, track)
    for name, (better, unit) in DIRECTIONS.items():
        if name in distances:
            value, floor = interval(made[name]), interval(floors[name])
            findings.figures[name] = Figure(value, "pictures", value.n, better, unit, floor)
    try:
        findings.figures["elbo"] = score_elbo(model, entries, request, track)
    except NotMeasured as why:
        findings.miss(["elbo"], why)
    return findings


def chunks_of(model: Autoencoder, entries: list[Entry]) -> list[list[Entry]]:
    """Several pictures at a time where all are of one size."""
    size = BATCH if model.image_size else 1
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def load(model: Autoencoder, chunk: list[Entry], request: ScoreRequest) -> Tensor:
    """Pictures as the model takes them, uint8 N×3×S×S."""
    side = model.image_size
    return squares(chunk, side) if side else photo_square(chunk[0], request.photo_size)


def rebuild_all(
    model: Autoencoder,
    entries: list[Entry],
    request: ScoreRequest,
    distances: Mapping[str, Distance],
    track: Track,
) -> tuple[Values, Values]:
    """Each distance of each picture from what it is rebuilt to, and from the picture before it."""
    made: defaultdict[str, list[float]] = defaultdict(list)
    floors: defaultdict[str, list[float]] = defaultdict(list)
    before = load(model, entries[-1:], request)
    for chunk in track(chunks_of(model, entries), "rebuilt"):
        batch = load(model, chunk, request)
        others = torch.cat([scaled(before, batch.shape[-1]), batch])[: len(batch)]
        before = batch[-1:]
        photos = to_floats(batch)
        rebuilt = to_floats(to_bytes(rebuild(model, photos)))
        for name, distance in distances.items():
            made[name] += distance(photos, rebuilt).tolist()
            floors[name] += distance(photos, to_floats(others)).tolist()
    return made, floors


def rebuild(model: Autoencoder, photos: Tensor) -> Tensor:
    height, width = photos.shape[-2:]
    with memory_guard():
        rebuilt = model.render(model.encode(photos))[..., :height, :width]
    return require_numbers(rebuilt, model)


def score_elbo(model: Autoencoder, entries: list[Entry], request: ScoreRequest, track: Track) -> Figure:
    """The negative ELBO in bits per dimension, each picture's latents drawn anew in every draw.

    Raises:
        NotMeasured: the model is no VAE.
    """
    if isinstance(model, Codec):
        raise NotMeasured("It needs a prior that latents are drawn from, and this checkpoint has none.")
    rng = torch.Generator().manual_seed(request.seed)
    fitting = squares(entries[:FITTED_ON], side_of(model))
    scale = fitted_scale(*decoded(model, fitting, *posterior(model, fitting), rng))
    bits: list[float] = []
    for chunk in track(chunks_of(model, entries), "encoded"):
        batch = load(model, chunk, request)
        mean, log_variance = posterior(model, batch)
        total = kl_bits(mean, log_variance)
        for _ in range(request.draws):
            values, predicted = decoded(model, batch, mean, log_variance, rng)
            total = total + laplace_bits(values, predicted, scale).flatten(1).sum(1) / request.draws
        bits += (total / values[0].numel()).tolist()
    value = interval(bits)
    return Figure(value, "pictures", value.n, "lower", "bits/dim")


def side_of(model: Autoencoder) -> int:
    """
    Raises:
        NotMeasured: pictures of any size have latents of any size.
    """
    if model.image_size is None:
        raise NotMeasured("It needs pictures of one size, and this checkpoint takes any.")
    return model.image_size


@torch.inference_mode()
def posterior(model: Autoencoder, photos: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the latents of uint8 pictures, on the CPU.

    Raises:
        NotMeasured: the encoder gives no variance.
    """
    network: Any = model.network
    with memory_guard(), model.running():
        mean, log_variance = network.encode(model.from_unit(to_floats(photos)))
    if log_variance is None:
        raise NotMeasured("It needs an encoder that gives a variance, and this checkpoint's gives none.")
    return mean.float().cpu(), log_variance.float().cpu()


def decoded(
    model: Autoencoder, photos: Tensor, mean: Tensor, log_variance: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The pictures' values and the means predicted for them from drawn latents; grey where the model is."""
    z = mean + torch.randn(mean.shape, generator=rng) * (log_variance / 2).exp()
    with memory_guard():
        predicted = require_numbers(model.render(z), model)
    values = to_floats(photos)
    if model.channels[1] == 1:
        return to_floats(to_bytes(luma(values))), predicted[:, :1]
    return values, predicted
