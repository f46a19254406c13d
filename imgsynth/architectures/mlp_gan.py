"""Generator of linear layers only, as in the first GAN (Goodfellow et al. 2014, arXiv:1406.2661).

Two layouts are widely copied: numbered layers without norms (`fc1` … `fc4`), and one `nn.Sequential` with
batch norms behind every hidden layer but the first.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from torch import Tensor, nn

from imgsynth.architectures.registry import (
    Architecture,
    Hints,
    Hyperparameters,
    Shapes,
    StateDict,
    shapes_of,
)
from imgsynth.architectures.spellings import LINEAR, packed

LEAST_LAYERS = 3
LONGEST_LATENT = 1024
SMALLEST_PICTURE = 64  # values


class MLPGenerator(nn.Module):
    """Linear layers from a latent to the pixels of a small picture.

    Args:
        latent_dim: length of z.
        widths: outputs of the hidden layers.
        norms: whether each hidden layer has a batch norm.
        channels: image channels.
        image_size: side of the picture.
        norm_eps: epsilon of the batch norms.
        negative_slope: of the leaky ReLUs; 0 makes them ReLUs.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: list[int],
        norms: list[bool],
        channels: int,
        image_size: int,
        norm_eps: float = 1e-5,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        self.picture_shape = (channels, image_size, image_size)
        layers: list[nn.Module] = []
        for inner, outer, norm in zip([latent_dim, *widths[:-1]], widths, norms, strict=True):
            layers.append(nn.Linear(inner, outer))
            if norm:
                layers.append(nn.BatchNorm1d(outer, norm_eps))
            layers.append(nn.LeakyReLU(negative_slope, inplace=True))
        layers += [nn.Linear(widths[-1], math.prod(self.picture_shape)), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """z: N×latent_dim or N×latent_dim×1×1, standard normal → N×channels×H×W in [-1, 1]."""
        return self.model(z.flatten(1)).unflatten(1, self.picture_shape)


def canonical(state: StateDict) -> StateDict:
    """`fc1` … `fc4` and all other spellings become `model.N`."""
    renamed = packed(state, "model", LINEAR)
    return renamed if detect(shapes_of(renamed)) else state


def linear_indices(shapes: Shapes) -> list[int]:
    """Indices of the linear layers `model.N.weight`."""
    named = {key: re.fullmatch(r"model\.([0-9]{1,9})\.weight", key) for key in shapes}
    return sorted(int(m[1]) for key, m in named.items() if m and len(shapes[key]) == 2)


def widths_of(shapes: Shapes) -> list[int]:
    """Length of the latent, outputs of each hidden layer, values of the picture; empty for no chain."""
    weights = [shapes[f"model.{i}.weight"] for i in linear_indices(shapes)]
    fits = all(before[0] == after[1] for before, after in pairwise(weights))
    return [weights[0][1], *(weight[0] for weight in weights)] if weights and fits else []


def detect(shapes: Shapes) -> bool:
    """A chain that widens from a latent to a square picture, which no classifier does, and nothing else."""
    if sum(len(shape) > 1 for shape in shapes.values()) != len(linear_indices(shapes)):
        return False
    widths = widths_of(shapes)
    if len(widths) <= LEAST_LAYERS:
        return False
    latent, *hidden, values = widths
    # The picture may be narrower than the layer before it: 28×28 pixels after 1024 hidden values.
    widens = latent < values and all(before <= after for before, after in pairwise(hidden))
    is_picture = values >= SMALLEST_PICTURE and usual_channels(values) > 0
    return widens and is_picture and latent <= LONGEST_LATENT


def usual_channels(values: int) -> int:
    """1 or 3 channels, whichever makes a square of so many values; 0 where neither does."""
    return next((c for c in (1, 3) if c * math.isqrt(values // c) ** 2 == values), 0)


def picture_shape(values: int, hints: Hints) -> tuple[int, int]:
    """Channels and side of the picture.

    Raises:
        ValueError: the hints `channels` and `img_size` do not make a picture of so many values.
    """
    channels = int(hints.get("channels") or 0)
    size = int(hints.get("img_size") or 0)
    if not channels:
        channels = values // size**2 if size else usual_channels(values)
    if channels < 1 or size < 0:
        raise ValueError("a picture has at least one channel and one pixel")
    size = size or math.isqrt(values // channels)
    if channels * size**2 != values:
        raise ValueError("the last layer makes no picture of this shape")
    return channels, size


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    latent, *hidden, values = widths_of(shapes)
    norms = [f"model.{i + 1}.running_mean" in shapes for i in linear_indices(shapes)[:-1]]
    channels, size = picture_shape(values, hints)
    # The repository that leaves out the first norm alone, and its many copies, gives 0.8 as the second
    # argument of BatchNorm1d, where epsilon stands.
    usual_eps = 0.8 if norms[:2] == [False, True] and all(norms[1:]) else 1e-5
    return {
        "latent_dim": latent,
        "widths": hidden,
        "norms": norms,
        "channels": channels,
        "image_size": size,
        "norm_eps": float(hints.get("norm_eps", usual_eps)),
        "negative_slope": float(hints.get("negative_slope", 0.2)),
    }


MLP_GAN = Architecture(
    name="mlp_gan",
    title="GAN generator of linear layers (Goodfellow et al. 2014)",
    family="generator",
    build=MLPGenerator,
    detect=detect,
    read=read,
    example={
        "latent_dim": 100,
        "widths": [128, 256, 512, 1024],
        "norms": [False, True, True, True],
        "channels": 1,
        "image_size": 28,
    },
    canonical=canonical,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: h["image_size"],
    channels=lambda h: (h["channels"], h["channels"]),
)
