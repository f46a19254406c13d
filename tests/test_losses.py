"""Adversarial losses: values by hand, which way each pulls its scores, and all of them on eight Gaussians."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from imgsynth.training import losses
from imgsynth.training.losses import LAZY, LOSSES, AdversarialLoss
from imgsynth.training.toy import MODES, Toy, centres, draw_ring, judge

NAMES = sorted(LOSSES)
REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.5, 1.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def score(images: Tensor) -> Tensor:
    """A critic whose scores are the pictures themselves."""
    return images.flatten()


# Values


# Sums over the three scores of (discriminator, generator).
BY_HAND = {
    "minimax": (
        sum(softplus(-s) for s in (2, 0.5, -1)) + sum(softplus(s) for s in (-2, 0.5, 1)),
        -sum(softplus(s) for s in (-2, 0.5, 1)),
    ),
    "non-saturating": (
        sum(softplus(-s) for s in (2, 0.5, -1)) + sum(softplus(s) for s in (-2, 0.5, 1)),
        sum(softplus(-s) for s in (-2, 0.5, 1)),
    ),
    "least-squares": ((1 + 0.25 + 4) / 2 + (4 + 0.25 + 1) / 2, (9 + 0.25 + 0) / 2),
    "wasserstein": (-0.5 - 1.5, 0.5),
    "wasserstein-gp": (-0.5 - 1.5, 0.5),
    "hinge": (0 + 0.5 + 2 + 0 + 1.5 + 2, 0.5),
    "relativistic": (
        softplus(-4) + softplus(0) + softplus(2),
        softplus(4) + softplus(0) + softplus(-2),
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_losses_by_hand(name: str) -> None:
    loss = LOSSES[name]
    found = loss.discriminator_loss(score, REAL, FAKE), loss.generator_loss(score, FAKE, REAL)
    assert [3 * f.item() for f in found] == pytest.approx(BY_HAND[name], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_side_pulls_scores_its_own_way(name: str) -> None:
    """The discriminator parts reals from fakes; the generator raises the scores of fakes."""
    loss = LOSSES[name]
    real, fake = (torch.zeros(4, requires_grad=True) for _ in range(2))
    loss.discriminator_loss(score, real, fake).backward()
    assert real.grad is not None and fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad >= 0).all()
    assert (fake.grad > 0).any() or name == "least-squares"  # there, 0 is where a fake belongs
    fake = torch.zeros(4, requires_grad=True)
    loss.generator_loss(score, fake, torch.zeros(4)).backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_where_only_differences_count_no_boundary_is_claimed(name: str) -> None:
    loss = LOSSES[name]
    one, shifted = (loss.discriminator_loss(score, REAL + by, FAKE + by) for by in (0.0, 3.0))
    assert torch.isclose(one, shifted, rtol=1e-5) == (loss.boundary is None)


def test_the_first_loss_saturates_where_the_second_does_not() -> None:
    slopes = []
    for name in ("minimax", "non-saturating"):
        fake = torch.tensor([-10.0], requires_grad=True)
        LOSSES[name].generator_loss(score, fake, fake).backward()
        assert fake.grad is not None
        slopes.append(-fake.grad.item())
    assert slopes[0] < 1e-4 < 0.99 < slopes[1]


def test_each_loss_trains_as_its_paper_does() -> None:
    clipped, penalised, paired = (LOSSES[name] for name in ("wasserstein", "wasserstein-gp", "relativistic"))
    assert (clipped.clip, clipped.optimiser, clipped.rate, clipped.critics) == (0.01, "RMSprop", 5e-5, 5)
    assert (penalised.lipschitz, penalised.betas, penalised.rate) == (10.0, (0.0, 0.9), 1e-4)
    assert (paired.r1 > 0, paired.r2 > 0, paired.penalise_every) == (True, True, 1)
    spectral = {name for name, loss in LOSSES.items() if loss.norm == "spectral"}
    assert spectral == {"minimax", "non-saturating", "least-squares", "hinge"}
    optimiser = clipped.make_optimiser(nn.Linear(2, 1), 1e-3)
    assert isinstance(optimiser, torch.optim.RMSprop)


# Penalties


def test_r1_of_a_linear_score_is_its_squared_weight() -> None:
    weight = noise(3, 8, 8)
    penalty = losses.zero_centred_penalty(lambda x: (x * weight).sum((1, 2, 3)), noise(5, 3, 8, 8, seed=1))
    assert penalty.item() == pytest.approx(weight.square().sum().item(), rel=1e-5)


def test_r1_of_a_quadratic_score_and_its_own_gradient() -> None:
    """D(x) = a‖x‖²: R1 = 4a² mean‖x‖², whose derivative by a is 8a mean‖x‖²."""
    a = torch.tensor(0.3, requires_grad=True)
    images = noise(5, 3, 4, 4)
    mean = images.square().sum((1, 2, 3)).mean().item()
    penalty = losses.zero_centred_penalty(lambda x: a * x.square().sum((1, 2, 3)), images)
    assert penalty.item() == pytest.approx(4 * 0.09 * mean, rel=1e-5)
    penalty.backward()
    assert a.grad is not None
    assert a.grad.item() == pytest.approx(8 * 0.3 * mean, rel=1e-5)


def test_the_penalty_of_patches_is_that_of_one() -> None:
    weight = noise(3, 8, 8)
    one = losses.zero_centred_penalty(lambda x: (x * weight).sum((1, 2, 3)), noise(2, 3, 8, 8, seed=1))

    def patches(x: Tensor) -> Tensor:
        """Four corners of twice the side."""
        scores = nn.functional.conv2d(x, weight[None], stride=8)
        assert scores.shape == (2, 1, 2, 2)
        return losses.patch_score(scores)

    four = losses.zero_centred_penalty(patches, noise(2, 3, 16, 16, seed=1))
    assert four.item() == pytest.approx(one.item(), rel=1e-5)


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_the_gradient_penalty_wants_a_slope_of_one(slope: float) -> None:
    direction = torch.tensor([0.6, 0.8]) * slope
    direction.requires_grad_(True)
    penalty = losses.gradient_penalty(lambda x: x @ direction, noise(6, 2), noise(6, 2, seed=1))
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-4)
    penalty.backward()
    assert direction.grad is not None and torch.isfinite(direction.grad).all()


def test_the_gradient_penalty_looks_between_reals_and_fakes() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(1)

    losses.gradient_penalty(critic, torch.zeros(500, 1), torch.ones(500, 1))
    assert 0 < seen[0].min() < 0.1 < 0.9 < seen[0].max() < 1


def slanted(real: float, fake: float) -> tuple[losses.Critic, Tensor, Tensor]:
    """A critic with one slope at reals (-1) and another at fakes (+1)."""
    return lambda x: torch.where(x < 0, real * x, fake * x).flatten(), -torch.ones(4, 1), torch.ones(4, 1)


def test_penalties_are_weighed_and_lazy() -> None:
    critic, real, fake = slanted(2.0, 3.0)
    none, lazy = LOSSES["hinge"], replace(LOSSES["hinge"], r1=0.5)
    assert none.penalty(critic, real, fake, 0) is None
    assert [lazy.penalty(critic, real, fake, step) is None for step in (0, 1, LAZY)] == [False, True, False]
    found = lazy.penalty(critic, real, fake, 0)
    assert found is not None and found.item() == pytest.approx(0.5 / 2 * 4 * LAZY)
    both = replace(LOSSES["relativistic"], r1=1.0, r2=0.1).penalty(critic, real, fake, 7)
    assert both is not None and both.item() == pytest.approx(1 / 2 * 4 + 0.1 / 2 * 9)


def test_only_clipping_losses_clip() -> None:
    for name, loss in LOSSES.items():
        layer = nn.Linear(4, 4)
        nn.init.constant_(layer.weight, -3.0)
        loss.after_step(layer)
        assert layer.weight.min().item() == pytest.approx(-0.01 if name == "wasserstein" else -3.0)


# Eight Gaussians


def test_the_ring_is_known_by_its_modes() -> None:
    torch.manual_seed(0)
    assert judge(draw_ring(4000)).modes == MODES
    assert judge(draw_ring(4000)).near > 0.99
    assert judge(centres()[:3].repeat(50, 1)).modes == 3
    assert judge(torch.zeros(100, 2)) == judge(centres() * 2)


def mean_distance(toy: Toy) -> float:
    torch.manual_seed(1)
    return torch.cdist(toy.sample(500), centres()).min(1).values.mean().item()


@pytest.mark.parametrize("name", NAMES)
def test_each_loss_moves_a_generator_to_the_ring(name: str) -> None:
    toy = Toy(LOSSES[name])
    before, far = toy.verdict().near, mean_distance(toy)
    toy.train(80 if LOSSES[name].critics > 1 else 250)
    assert toy.verdict().near > before + 0.05
    assert mean_distance(toy) < 0.75 * far


def test_a_generator_that_helps_the_discriminator_stays_where_it_was() -> None:
    toy = Toy(replace(LOSSES["hinge"], generator=torch.mean))
    toy.train(100)
    assert toy.verdict().near < 0.05


def test_a_seed_decides_a_toy_run() -> None:
    def run(seed: int, loss: AdversarialLoss = LOSSES["wasserstein-gp"]) -> Tensor:
        toy = Toy(loss, seed)
        toy.train(3)
        return toy.generator[0].weight.detach()

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
