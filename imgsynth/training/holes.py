"""Holes that an inpainting network learns to fill."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from imgsynth.imaging.masks import random_boxes, random_strokes

Draw = Callable[[int, int, np.random.RandomState, float, float], np.ndarray]
# Cells of the noise along a side, coarse and fine: the fine one makes the outline ragged.
CELLS, FINENESS, RAGGEDNESS = 5, 5, 0.35


def random_irregular(
    height: int, width: int, rng: np.random.RandomState, low: float = 0.1, high: float = 0.2
) -> np.ndarray:
    """Islands with ragged shores, as what is cut out of a photo leaves (after Liu et al. 2018,
    arXiv:1804.07723): where smooth noise is highest, over a part between `low` and `high` of the area.

    Returns:
        bool height×width, true in the hole.
    """
    relief = smooth_noise(height, width, rng, CELLS)
    relief = relief + RAGGEDNESS * smooth_noise(height, width, rng, CELLS * FINENESS)
    count = max(1, round(rng.uniform(low, high) * height * width))
    mask = np.zeros(height * width, bool)
    # By rank, not by a threshold: equal heights then cannot make the hole larger.
    mask[np.argsort(relief, axis=None, kind="stable")[-count:]] = True
    return mask.reshape(height, width)


def smooth_noise(height: int, width: int, rng: np.random.RandomState, cells: int) -> np.ndarray:
    """float32 height×width, bicubic between cells×cells normal numbers."""
    coarse = Image.fromarray(rng.randn(cells, cells).astype(np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


HOLES: dict[str, Draw] = {
    "strokes": random_strokes,
    "boxes": random_boxes,
    "irregular": random_irregular,
}
