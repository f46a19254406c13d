"""Adversarial losses, each from its paper, and the penalties on a discriminator's gradient.

A score is what a discriminator gives before any sigmoid: the higher, the more real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["spectral", "batch", "none"]
Critic = Callable[[Tensor], Tensor]  # pictures → N scores

# Lazy regularisation (Karras et al. 2020, arXiv:1912.04958): R1 now and then does as much as at every step.
LAZY = 16


@dataclass(frozen=True)
class AdversarialLoss:
    """How a generator and a discriminator play against each other, with what the paper trains them by.

    Attributes:
        title: its name, and its paper.
        discriminator: scores of reals and of fakes → what the discriminator minimises.
        generator: scores of fakes → what the generator minimises.
        paired: the generator is judged by how far its scores lie above those of reals.
        boundary: the score half-way from fake to real; None where only differences of scores mean anything.
        norm: of the discriminator's layers.
        compares: whether the discriminator may see how much the pictures of a batch differ.
        critics: steps of the discriminator for one of the generator.
        clip: weights of the discriminator are cut off here after every step; 0 leaves them.
        lipschitz: weight of the gradient penalty between reals and fakes.
        r1, r2: weights γ of the gradient penalties at reals and at fakes.
        penalise_every: steps from one R1 and R2 to the next.
        optimiser, rate, betas: of both networks.
    """

    title: str
    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    paired: bool = False
    boundary: float | None = 0.0
    norm: Norm = "spectral"
    compares: bool = True
    critics: int = 1
    clip: float = 0.0
    lipschitz: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
    penalise_every: int = LAZY
    optimiser: Literal["Adam", "RMSprop"] = "Adam"
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)

    def generator_loss(self, critic: Critic, fake: Tensor, real: Tensor) -> Tensor:
        """What the generator minimises; fakes are real to it where the critic cannot tell."""
        scores = critic(fake)
        return self.generator(scores - critic(real) if self.paired else scores)

    def discriminator_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises, without `penalty`."""
        return self.discriminator(critic(real), critic(fake))

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, step: int) -> Tensor | None:
        """What this step adds to the discriminator's loss, or None.

        Args:
            critic: scores pictures, augmented where training does so.
            real, fake: N pictures each.
        """
        terms = []
        if self.lipschitz:
            terms.append(self.lipschitz * gradient_penalty(critic, real, fake))
        if step % self.penalise_every == 0:
            weighted = ((self.r1, real), (self.r2, fake))
            terms += [
                gamma / 2 * self.penalise_every * zero_centred_penalty(critic, images)
                for gamma, images in weighted
                if gamma
            ]
        return torch.stack(terms).sum() if terms else None

    def make_optimiser(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """The paper's optimiser of one of the two networks."""
        if self.optimiser == "RMSprop":
            return torch.optim.RMSprop(network.parameters(), rate)
        return torch.optim.Adam(network.parameters(), rate, self.betas)

    def after_step(self, discriminator: nn.Module) -> None:
        """Clips the discriminator's weights where the loss wants that."""
        if self.clip:
            with torch.no_grad():
                for parameter in discriminator.parameters():
                    parameter.clamp_(-self.clip, self.clip)


# The two sides of each loss


def minimax_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of telling real from fake (Goodfellow et al. 2014)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_generator(fake: Tensor) -> Tensor:
    """log(1 - D), as first derived: it saturates while the discriminator is sure of itself."""
    return -F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """-log D, which the same paper trains with: strong gradients just where the generator fails."""
    return F.softplus(-fake).mean()


def least_squares(score: Tensor, target: float) -> Tensor:
    """Mean squared distance of scores of any shape from their target: 1 for real, 0 for fake."""
    return (score - target).square().mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return (least_squares(real, 1) + least_squares(fake, 0)) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    return least_squares(fake, 1) / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """The negative earth mover's distance, as far as the critic is 1-Lipschitz."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Scores beyond ±1 are sure enough."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Each real is to be more real than the fake it is paired with, so no mode can be left out for good."""
    return F.softplus(fake - real).mean()


LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(
        "minimax (Goodfellow et al. 2014, arXiv:1406.2661)", minimax_discriminator, minimax_generator
    ),
    "non-saturating": AdversarialLoss(
        "non-saturating (Goodfellow et al. 2014, arXiv:1406.2661)",
        minimax_discriminator,
        non_saturating_generator,
    ),
    "least-squares": AdversarialLoss(
        "least squares (Mao et al. 2017, arXiv:1611.04076)",
        least_squares_discriminator,
        least_squares_generator,
        boundary=0.5,
    ),
    # Batch norm gives back the scale that clipped weights take; momentum made the paper's critic unstable.
    "wasserstein": AdversarialLoss(
        "Wasserstein with clipped weights (Arjovsky et al. 2017, arXiv:1701.07875)",
        wasserstein_discriminator,
        wasserstein_generator,
        boundary=None,
        norm="batch",
        compares=False,
        critics=5,
        clip=0.01,
        optimiser="RMSprop",
        rate=5e-5,
    ),
    # The penalty is on each picture's own gradient, so nothing may pass between the pictures of a batch.
    "wasserstein-gp": AdversarialLoss(
        "Wasserstein with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028)",
        wasserstein_discriminator,
        wasserstein_generator,
        boundary=None,
        norm="none",
        compares=False,
        critics=5,
        lipschitz=10.0,
        rate=1e-4,
        betas=(0.0, 0.9),
    ),
    "hinge": AdversarialLoss(
        "hinge (Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957)",
        hinge_discriminator,
        wasserstein_generator,
    ),
    # R1 alone lets a paired discriminator diverge (section 2.2): both, and at every step.
    "relativistic": AdversarialLoss(
        "relativistic pairing, R1 and R2 (R3GAN, Huang et al. 2024, arXiv:2501.05441)",
        relativistic_discriminator,
        non_saturating_generator,
        paired=True,
        boundary=None,
        norm="none",
        compares=False,
        r1=1.0,
        r2=1.0,
        penalise_every=1,
        betas=(0.0, 0.99),
    ),
}


# Penalties


def squared_gradient(scores: Tensor, images: Tensor) -> Tensor:
    """Squared norm of each image's gradient of its own score, N; can be differentiated again.

    Scores of images that see each other, as with a minibatch deviation, count for both.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def zero_centred_penalty(critic: Critic, images: Tensor) -> Tensor:
    """R1 at reals, R2 at fakes (Mescheder et al. 2018, arXiv:1801.04406), without its factor γ/2."""
    images = images.detach().requires_grad_(True)
    return squared_gradient(critic(images), images).mean()


def patch_score(scores: Tensor) -> Tensor:
    """Scores of patches, N×1×H×W → N, of which R1 and R2 penalise as much as of one patch's score.

    Patches share few pixels, so the squared gradient of their mean is that of one, divided by their number.
    """
    return scores.mean((1, 2, 3)) * scores[0].numel() ** 0.5


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """How far the gradient's norm is from 1 between reals and fakes (Gulrajani et al. 2017), squared."""
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = torch.lerp(real, fake, share).detach().requires_grad_(True)
    # The root has no gradient at zero.
    norm = squared_gradient(critic(between), between).clamp_min(1e-12).sqrt()
    return (norm - 1).square().mean()
