"""A rein on mode collapse: a GAN also redraws real pictures from their codes in an Autoencoder.

A discriminator sees what is drawn, never what is missing. VAE-GAN (Larsen et al. 2016, arXiv:1512.09300) and
its relatives have the generator answer for every training picture too; here an Autoencoder that is trained
already says which latent each picture belongs to, so that one more term in the generator's loss is all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.errors import TrainingFailed
from imgsynth.families import Autoencoder, Model
from imgsynth.training import parallel
from imgsynth.training.data import ImageSet

# Pictures that say how codes are spread, in each process.
SURVEYED = 2048
AT_ONCE = 64


class Anchor:
    """Latents of pictures, spread over them as a generator's own latents are: normal, each of variance 1.

    Codes are turned to their principal axes. Along an axis on which they vary by more than 1 they are scaled
    down to it; along any other the variance that they lack is made up by noise, so that an axis which tells
    nothing is noise alone.

    Args:
        model: what encodes; pictures are scaled to its size.
        images_at: the training pictures at a side. They are surveyed at the model's own, whatever that of
            training, so that weights which grow to a larger one find the axes that they know.
        latent: length of the generator's z, at least that of a code; what is left of it is noise.

    Raises:
        TrainingFailed: the model cannot encode, or its codes are longer than z.
    """

    def __init__(self, model: Model, images_at: Callable[[int], ImageSet], latent: int) -> None:
        if not isinstance(model, Autoencoder) or model.image_size is None:
            raise TrainingFailed(
                "Only a VAE of one picture size can be an --anchor; choose another checkpoint."
            )
        self.model, self.latent, self.side = model, latent, model.image_size
        self.network: Any = model.network.eval().requires_grad_(False)
        codes = self.survey(images_at(self.side))
        if codes.shape[1] > latent:
            raise TrainingFailed(
                f"Codes of the --anchor have {codes.shape[1]} values, but z only {latent}; "
                "choose a larger --width."
            )
        self.mean = codes.mean(0)
        variances, self.axes = torch.linalg.eigh(torch.cov(codes.T))
        variances = variances.clamp_min(1e-6)
        self.scale = variances.rsqrt().clamp_max(1.0)
        self.missing = (1 - variances * self.scale.square()).clamp_min(0).sqrt()

    def state(self) -> dict[str, Tensor]:
        """How codes become latents: what a generator has learnt to redraw from.

        A survey of other pictures or by other processes finds other axes, or the same ones
        pointing the other way.
        """
        return {"mean": self.mean, "axes": self.axes, "scale": self.scale, "missing": self.missing}

    def load_state(self, state: dict[str, Tensor]) -> None:
        device = self.mean.device
        self.mean, self.axes, self.scale, self.missing = (
            state[name].to(device) for name in ("mean", "axes", "scale", "missing")
        )

    def survey(self, images: ImageSet) -> Tensor:
        """Codes of many pictures, N×code, the same in every process, so that all turn to the same axes."""
        rng = torch.Generator().manual_seed(0)
        own = [self.codes(images.batch(rng, AT_ONCE, self.side)) for _ in range(-(-SURVEYED // AT_ONCE))]
        return torch.cat(parallel.gather(torch.cat(own))).to(self.model.device)

    @torch.no_grad()
    def codes(self, images: Tensor) -> Tensor:
        """N×3×S×S in [-1, 1] → the means of their posteriors, N×code."""
        fitted = F.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)
        given = self.model.from_unit(fitted.clamp(-1, 1) * 0.5 + 0.5)
        return self.network.encode(given)[0].flatten(1).float()

    def latents(self, images: Tensor, noise: Tensor) -> Tensor:
        """Latents from which the pictures should be redrawn.

        Args:
            images: N×3×S×S in [-1, 1].
            noise: N×latent normal numbers.
        """
        along = (self.codes(images) - self.mean) @ self.axes
        known = along * self.scale + noise[:, : len(self.mean)] * self.missing
        return torch.cat([known, noise[:, len(self.mean) :]], 1)
