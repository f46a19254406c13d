"""How near one picture is to another, and a code to its prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.metrics.bands import laplacian_bands


def kl_per_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) ‖ N(0, 1)) in nats of each latent, mean over the batch (Kingma & Welling 2014)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)


def kl_divergence(mean: Tensor, log_variance: Tensor, free_bits: float = 0.0) -> Tensor:
    """KL divergence in nats, summed over the latents.

    Args:
        mean, log_variance: N×latents.
        free_bits: below so many nats a latent costs the same, so that none is given up for a small gain
            (Kingma et al. 2016, arXiv:1606.04934).
    """
    return kl_per_latent(mean, log_variance).clamp_min(free_bits).sum()


def edges(difference: Tensor) -> list[Tensor]:
    """A difference and its gradients (Mathieu et al. 2016, arXiv:1511.05440), which keep outlines sharp."""
    return [difference, *(difference.diff(dim=axis) for axis in (-1, -2))]


RECONSTRUCTIONS: dict[str, Callable[[Tensor], list[Tensor]]] = {"edges": edges, "pyramid": laplacian_bands}


def compared_at(side: int | None, *images: Tensor) -> tuple[Tensor, ...]:
    """Square pictures, N×C×S×S, scaled down to `side` by their means; smaller ones stay as they are."""
    if side is None or side >= images[0].shape[-1]:
        return images
    return tuple(F.adaptive_avg_pool2d(each, side) for each in images)


def multi_scale_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean L1 over the bands of a Laplacian pyramid, each counting the same (Bojanowski et al. 2018,
    arXiv:1707.05776)."""
    return torch.stack([band.abs().mean() for band in laplacian_bands(prediction - target)]).mean()


def laplace_likelihood(
    prediction: Tensor, target: Tensor, views: Callable[[Tensor], list[Tensor]] = edges
) -> Tensor:
    """Negative log-likelihood under a Laplace with the best shared scale, in nats an image, up to a constant.

    The scale that fits best is the mean absolute error itself (optimal-sigma VAE, Rybkin et al. 2021,
    arXiv:2006.13202, carried over to the Laplace), so reconstruction and KL need no hand-set balance.

    Args:
        prediction, target: N×C×H×W.
        views: what is judged of the difference, each view with a scale of its own.
    """
    scales = torch.stack([view.abs().mean() for view in views(prediction - target)])
    return target[0].numel() * torch.log(scales + 1e-4).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean L1 distance of a discriminator's features (Wang et al. 2018, arXiv:1711.11585), over layers."""
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()
