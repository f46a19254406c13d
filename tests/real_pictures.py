"""Synthetic pictures that stand for real ones where something is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def scenes(count: int, side: int, seed: int = 0, tint: tuple[float, float, float] = (1, 1, 1)) -> Tensor:
    """uint8 N×3×S×S: a disc somewhere on a ground of a random colour, with grain."""
    rng = np.random.RandomState(seed)
    rows, columns = np.mgrid[:side, :side] / side
    pictures = []
    for _ in range(count):
        middle, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.3)
        disc = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < radius**2
        ground, colour = rng.uniform(0, 1, (2, 3, 1, 1))
        picture = np.where(disc, colour, ground) * np.array(tint)[:, None, None]
        pictures.append(picture * 230 + rng.uniform(0, 25, picture.shape))
    return torch.from_numpy(np.stack(pictures)).round().to(torch.uint8)


def write_scenes(
    folder: Path, count: int, side: int = 40, seed: int = 0, tint: tuple[float, float, float] = (1, 1, 1)
) -> Path:
    """A folder of them, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, picture in enumerate(scenes(count, side, seed, tint)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{index:04d}.png")
    return folder
