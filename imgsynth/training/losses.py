"""The losses of the four recipes, each from its paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018), discriminator's side."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Hinge loss, generator's side."""
    return -fake.mean()


def least_squares(score: Tensor, target: float) -> Tensor:
    """Least-squares GAN (Mao et al. 2017): scores are drawn to 1 for real and 0 for fake."""
    return (score - target).square().mean()


def gradient_penalty_r1(score: Tensor, images: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): squared gradient norm of the scores at real images, mean over the batch."""
    (gradient,) = torch.autograd.grad(score.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) ‖ N(0, 1)) in nats, summed over z, mean over the batch (Kingma & Welling 2014)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def laplace_likelihood(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood under a Laplace with the best shared scale, in nats an image, up to a constant.

    The scale that fits best is the mean absolute error itself (optimal-sigma VAE, Rybkin et al. 2021,
    carried over to the Laplace), so reconstruction and KL need no hand-set balance. Edges are judged as
    well as values (gradient differences, Mathieu et al. 2016), which keeps outlines sharp.
    """
    dimensions = target[0].numel()
    terms = [prediction - target]
    terms += [terms[0].diff(dim=axis) for axis in (-1, -2)]
    return dimensions * torch.stack([torch.log(t.abs().mean() + 1e-4) for t in terms]).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean L1 distance of discriminator features (Wang et al. 2018), over layers."""
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()
