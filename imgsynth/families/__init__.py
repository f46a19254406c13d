"""What a loaded model can do: the families, their value ranges and size rules.

At a family's edge every image batch is float32 N×3×H×W in [0, 1] and every mask N×1×H×W, 1 = hole.
What the network itself wants is known by its architecture and handled here, once.
"""

from __future__ import annotations

import torch

from imgsynth.architectures.registry import Opened
from imgsynth.families.inpainter import Inpainter, widest_square
from imgsynth.families.latent import Autoencoder, Codec, Generator, LatentModel
from imgsynth.families.model import Identity, Model, require_task
from imgsynth.families.translator import Translator

__all__ = [
    "Autoencoder",
    "Codec",
    "Generator",
    "Identity",
    "Inpainter",
    "LatentModel",
    "Model",
    "Translator",
    "family_of",
    "require_task",
    "tasks_of",
    "widest_square",
    "wrap",
]

FAMILIES: dict[str, type[Model]] = {
    "generator": Generator,
    "autoencoder": Autoencoder,
    "translator": Translator,
    "inpainter": Inpainter,
}


def family_of(opened: Opened) -> type[Model]:
    """The family of an opened network."""
    family = FAMILIES[opened.architecture.family]
    return Codec if family is Autoencoder and not opened.architecture.prior else family


def wrap(opened: Opened, identity: Identity, device: torch.device, precision: str) -> Model:
    """An opened network as a model of its family."""
    return family_of(opened)(opened, identity, device, precision)


def tasks_of(opened: Opened) -> tuple[str, ...]:
    """What an opened network can do, whether or not its values were read."""
    return family_of(opened).tasks_for(opened)
