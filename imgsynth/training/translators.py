"""What a CycleGAN's generators look like, how they start, and what fits together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from imgsynth.architectures.cyclegan_resnet import ResnetGenerator
from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training.discriminators import check_crops
from imgsynth.training.identity_resnet import start_as_identity
from imgsynth.training.options import CycleGANOptions
from imgsynth.training.recipe import Settings

BLOCKS = 6
MOST_LEVELS = 7


def check(settings: Settings, options: CycleGANOptions, size: int) -> None:
    """
    Raises:
        TrainingFailed: there are not two domains, crops that cannot be judged or that generators give back at
            another size, or weights to start from with norms where this run's have none, or the other way
            round.
    """
    if not settings.data_b or settings.out_back is None:
        raise TrainingFailed(
            "CycleGAN learns two domains; give --data-b for the second and --out-back for B to A."
        )
    check_crops("A CycleGAN", size, 4)
    if options.generator == "resnet":
        check_norms(settings.init_sizes, options)


def check_norms(begun: Sequence[Hyperparameters], options: CycleGANOptions) -> None:
    """Weights fit a ResNet with norms and one without alike, and mean nothing in the wrong one.

    Args:
        begun: sizes of the networks that training starts from.

    Raises:
        TrainingFailed: one of them has norms where this run's has none, or the other way round.
    """
    wanted = "instance" if options.fold_norms else options.norm
    others = [sizes["norm"] for sizes in begun if sizes.get("norm", wanted) != wanted]
    if "none" in others:
        raise TrainingFailed("The network of --init has no norms; give --norm none, without --fold-norms.")
    if others and options.norm == "none":
        raise TrainingFailed(
            "The network of --init has norms; add --fold-norms on, or leave out --norm none."
        )


def resnet_sizes(width: int, options: CycleGANOptions) -> Hyperparameters:
    """Reflection everywhere: zero padding learns bright bands along the borders."""
    chosen = {"upsampling": options.upsampling, "norm": options.norm}
    return {"width": width, "blocks": BLOCKS, "padding": "reflect", **chosen}


def start(generator: nn.Module) -> None:
    """The published start; a ResNet without norms, to which scale matters, starts as the identity."""
    if isinstance(generator, ResnetGenerator) and generator.norm == "none":
        start_as_identity(generator)
        return
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)


def unet_sizes(size: int, width: int, most: int) -> Hyperparameters:
    """Levels until the map is two pixels a side, which an instance norm can still work on, or odd."""
    levels = 0
    while size % 2 == 0 and size > 2 and levels < most:
        size, levels = size // 2, levels + 1
    widths = [width * min(8, 2**i) for i in range(levels)]
    return {"widths": widths, "norm": "instance", "bias": True}
