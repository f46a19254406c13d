"""What `train gan` plays with: the options of a run, and what suits the generator where they say nothing."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from imgsynth.architectures.registry import Hyperparameters
from imgsynth.architectures.stylegan2 import LR_MLP
from imgsynth.errors import TrainingFailed
from imgsynth.training.generators import PLANS, GeneratorPlan
from imgsynth.training.losses import LOSSES, AdversarialLoss, Norm
from imgsynth.training.options import GANOptions

# Two time scales (Heusel et al. 2017, arXiv:1706.08500): spectral norm slows the discriminator down.
SPECTRAL_HASTE = 2.0


def chosen_plan(options: GANOptions) -> GeneratorPlan:
    """The kind of generator, with what was asked of it."""
    plan = copy(PLANS[options.generator])
    if plan.mixing is not None and options.mixing is not None:
        plan.mixing = options.mixing
    if plan.judge is not None:
        # Spectral norm is only for the plain one: weights of the other are scaled as they are used.
        plan.judge = options.discriminator or ("plain" if options.spectral_norm else plan.judge)
    return plan


def chosen_sizes(options: GANOptions, plan: GeneratorPlan, size: int, width: int) -> Hyperparameters:
    """The generator's hyper-parameters."""
    sizes = plan.hyperparameters(size, width)
    # The usual pace is not named: a run that asks for it has the same network as one that says nothing.
    return sizes if options.mapping_rate in (None, LR_MLP) else sizes | {"lr_mlp": options.mapping_rate}


def chosen_loss(options: GANOptions, plan: GeneratorPlan, size: int, batch: int) -> AdversarialLoss:
    """The loss with what was asked of it, else with what suits the generator.

    Args:
        size: side of the pictures.
        batch: pictures a step, of all processes together.

    Raises:
        TrainingFailed: this generator's discriminator cannot be trained so.
    """
    loss = LOSSES[options.loss or plan.loss]
    if loss.clip and not plan.clips:
        raise TrainingFailed(
            f"The weights of a {plan.title}'s discriminator cannot be clipped; choose wasserstein-gp instead."
        )
    norm = chosen_norm(options.spectral_norm, plan.usual_norm or loss.norm, plan.norms)
    held = loss.clip or loss.lipschitz or norm == "spectral"
    own_r1 = 0.0 if held else plan.r1(size, batch)
    r1 = options.r1 if options.r1 is not None else loss.r1 or own_r1
    return replace(
        loss,
        norm=norm,
        critics=options.critics or loss.critics,
        r1=r1,
        # A loss that has both has one γ for them, as its paper does.
        r2=r1 if loss.r2 else 0.0,
    )


def chosen_norm(spectral: bool | None, usual: Norm, possible: tuple[Norm, ...]) -> Norm:
    if spectral:
        return "spectral"
    if usual not in possible or (spectral is False and usual == "spectral"):
        return "none"
    return usual


def chosen_rates(options: GANOptions, plan: GeneratorPlan, loss: AdversarialLoss) -> dict[str, float]:
    """Learning rates of both networks, by the names of their optimisers."""
    rate = options.rate or loss.rate * plan.pace
    haste = SPECTRAL_HASTE if loss.norm == "spectral" else 1.0
    judge_rate = rate * haste * plan.judge_pace() / plan.pace
    return {"generator": rate, "discriminator": options.discriminator_rate or judge_rate}
