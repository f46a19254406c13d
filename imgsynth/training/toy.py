"""Eight Gaussians on a ring: the smallest problem on which a GAN's loss shows whether it finds every mode.

The test of Metz et al. 2017 (Unrolled GANs, arXiv:1611.02163), with networks so small that it takes seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imgsynth.training.losses import AdversarialLoss

MODES, RADIUS, DEVIATION = 8, 2.0, 0.1
NEAR = 4 * DEVIATION  # as far from a mode a sample still counts as one of it
LATENT, WIDTH = 8, 64
BATCH = 128
# Networks of three layers bear larger steps than those that draw pictures, for which the papers' rates are.
RATE = 1e-3
# A mode is found if it gets at least this part of its share.
FOUND = 0.2


@dataclass(frozen=True)
class Verdict:
    """How samples lie on the ring.

    Attributes:
        modes: how many of the eight were found.
        near: part of the samples that lie near a mode.
    """

    modes: int
    near: float


def centres() -> Tensor:
    """8×2."""
    angles = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], 1)


def draw_ring(count: int) -> Tensor:
    """count×2 points of the ring, from the global random numbers."""
    return centres()[torch.randint(MODES, (count,))] + DEVIATION * torch.randn(count, 2)


def judge(points: Tensor) -> Verdict:
    """N×2 points beside the modes."""
    distances, modes = torch.cdist(points, centres()).min(1)
    near = distances < NEAR
    counts = torch.bincount(modes[near], minlength=MODES)
    return Verdict(int((counts >= FOUND * len(points) / MODES).sum()), float(near.float().mean()))


def mlp(inner: int, outer: int) -> nn.Sequential:
    layers = [nn.Linear(inner, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(WIDTH, outer))


class Toy:
    """A generator and a discriminator of points in the plane, which play one loss.

    Norms and rates are left out, which are for pictures; all else is as the loss's paper has it.
    """

    def __init__(self, loss: AdversarialLoss, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.loss = loss
        self.generator, self.discriminator = mlp(LATENT, 2), mlp(2, 1)
        self.steps_taken = 0
        self.generator_step, self.discriminator_step = (
            loss.make_optimiser(network, RATE) for network in (self.generator, self.discriminator)
        )

    def critic(self, points: Tensor) -> Tensor:
        return self.discriminator(points).flatten()

    def train(self, steps: int) -> None:
        for _ in range(steps):
            for i in range(self.loss.critics):
                self.train_discriminator(self.steps_taken * self.loss.critics + i)
            self.train_generator()
            self.steps_taken += 1

    def train_discriminator(self, step: int) -> None:
        real, fake = draw_ring(BATCH), self.sample(BATCH)
        loss = self.loss.discriminator_loss(self.critic, real, fake)
        penalty = self.loss.penalty(self.critic, real, fake, step)
        self.discriminator_step.zero_grad()
        (loss if penalty is None else loss + penalty).backward()
        self.discriminator_step.step()
        self.loss.after_step(self.discriminator)

    def train_generator(self) -> None:
        fake = self.generator(torch.randn(BATCH, LATENT))
        self.generator_step.zero_grad()
        self.loss.generator_loss(self.critic, fake, draw_ring(BATCH)).backward()
        self.generator_step.step()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        return self.generator(torch.randn(count, LATENT))

    def verdict(self, count: int = 2000) -> Verdict:
        """On samples of latents that are always the same."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return judge(self.sample(count))
