"""What the losses of a GAN do not tell: whether its pictures grow alike, and whether the discriminator has
learnt the training pictures by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from imgsynth.training.data import ImageSet, decode, list_entries, split
from imgsynth.training.losses import Critic

COUNT = 32  # pictures of each kind
LEAST = 8  # fewer held-back pictures tell nothing


def spread(pictures: Tensor) -> float:
    """Mean distance of two pictures of a batch, N×C×H×W: the root of their mean squared difference."""
    values = pictures.flatten(1).float()
    return float(torch.pdist(values).mean() / values.shape[1] ** 0.5)


def sureness(train: Tensor, boundary: float) -> float:
    """r_t of Karras et al. 2020 (arXiv:2006.06676): E[sign D(train)]; near 1 the discriminator overfits."""
    return float((train - boundary).sign().mean())


def memorisation(train: Tensor, held: Tensor, fake: Tensor) -> float:
    """r_v of the same paper: 0 where held-back pictures score as those of training, 1 where as fakes.

    Cut off at ±1, as the first scores of all are nearly equal.
    """
    gap, span = train.mean() - held.mean(), train.mean() - fake.mean()
    return float((gap / span).nan_to_num(0.0).clamp(-1, 1))


def held_back(sources: Sequence[Path], size: int, holdout: float) -> ImageSet | None:
    """Some of the pictures that stay untrained, from all over their list; None where there are too few."""
    entries = [e for source in sources for e in split(list_entries(source), holdout)[1]]
    if len(entries) < LEAST:
        return None
    return ImageSet([decode(e, size, True) for e in entries[:: max(1, len(entries) // COUNT)][:COUNT]])


class Watch:
    """Figures of collapse and overfitting, measured now and then on the same pictures.

    Attributes:
        figures: the last ones: `spread` of samples, `real spread`, `r_t` and `r_v` where they can be had.
    """

    def __init__(self, images: ImageSet, held: ImageSet | None, size: int, device: torch.device) -> None:
        self.figures: dict[str, float] = {}
        count = min(COUNT, len(held)) if held else COUNT
        self.reals = fixed_batch(images, count, size).to(device)
        self.held = fixed_batch(held, count, size).to(device) if held else None

    def __len__(self) -> int:
        """How many samples `measure` takes: scores may depend on the size of a batch."""
        return len(self.reals)

    @torch.no_grad()
    def measure(self, samples: Tensor, critic: Critic, boundary: float | None) -> None:
        """Takes new figures.

        Args:
            samples: N×3×S×S in [-1, 1], always of the same latents.
            critic: scores pictures, as in training.
            boundary: the score half-way from fake to real, if there is one.
        """
        train = critic(self.reals)
        self.figures = {"spread": spread(samples), "real spread": spread(self.reals)}
        if boundary is not None:
            self.figures["r_t"] = sureness(train, boundary)
        if self.held is not None:
            self.figures["r_v"] = memorisation(train, critic(self.held), critic(samples))


def fixed_batch(images: ImageSet, count: int, size: int) -> Tensor:
    return images.batch(torch.Generator().manual_seed(0), count, size, flip=False)
