"""Sliced Wasserstein distance on patches of a Laplacian pyramid (Karras et al. 2018, arXiv:1710.10196).

Each set of pictures becomes a cloud of 7×7 patches, level by level. Projected onto a line, two clouds
are compared by sorting: the mean distance over many random lines is near where their patches are alike,
in colour and in texture of that scale. No network and no download are needed. Settings are the paper's:
128 patches a picture, 512 directions, each set normalised by its own mean and deviation of each channel,
and values times 1,000.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from imgsynth.metrics.pyramid import BATCH, level_sides, pyramid_level

PATCH = 7
PATCHES = 128
DIRECTIONS = 512
BLOCK = 32
SCALE = 1e3


def sliced_wasserstein(reference: Tensor, others: Sequence[Tensor], seed: int = 0) -> list[dict[int, float]]:
    """Distance of each set of pictures from a reference set, by level.

    Args:
        reference, others: uint8 N×C×S×S, the same N and S for all; S at least 16.
        seed: of patches and directions. Patches lie at the same places in all sets, so that a set has no
            distance from itself.

    Returns:
        For each of `others` a distance for every side of `level_sides(S)`.
    """
    distances: list[dict[int, float]] = [{} for _ in others]
    for level, side in enumerate(level_sides(reference.shape[-1])):
        rng = torch.Generator().manual_seed(seed + level)
        places = torch.randint(side - PATCH + 1, (2, len(reference), PATCHES), generator=rng)
        lines = torch.randn(DIRECTIONS, reference.shape[1] * PATCH**2, generator=rng)
        lines /= lines.norm(dim=1, keepdim=True)
        clouds = [patch_cloud(pictures, level, places) for pictures in (reference, *others)]
        for found, distance in zip(distances, sliced_distances(clouds, lines), strict=True):
            found[side] = distance * SCALE
    return distances


def patch_cloud(pictures: Tensor, level: int, places: Tensor) -> Tensor:
    """Patches of a pyramid's level, normalised over the set.

    Args:
        pictures: uint8 or float N×C×S×S.
        places: int64 2×N×P, top and left of P patches of each picture.

    Returns:
        float32 (N·P)×(C·49), each channel of mean 0 and deviation 1.
    """
    # Few pictures at a time: indices take eight times the memory of what they pick.
    batches = zip(pictures.split(BATCH), places.split(BATCH, dim=1), strict=True)
    cut = torch.cat([patches(pyramid_level(some, level), there) for some, there in batches])
    deviation, mean = torch.std_mean(cut, (0, 2, 3), correction=0, keepdim=True)
    # A level without any detail has no deviation to divide by.
    return cut.sub_(mean).div_(deviation.clamp(min=1e-6)).flatten(1)


def patches(level: Tensor, places: Tensor) -> Tensor:
    """float N×C×S×S → (N·P)×C×7×7."""
    n, channels = level.shape[:2]
    steps = torch.arange(PATCH)
    rows = (places[0, ..., None] + steps)[:, :, None, :, None]
    columns = (places[1, ..., None] + steps)[:, :, None, None, :]
    picture = torch.arange(n)[:, None, None, None, None]
    channel = torch.arange(channels)[None, None, :, None, None]
    return level[picture, channel, rows, columns].flatten(0, 1)


def sliced_distances(clouds: Sequence[Tensor], lines: Tensor) -> list[float]:
    """Mean distance of sorted projections of all clouds but the first from those of the first.

    Args:
        clouds: float M×D each.
        lines: float K×D, of length 1.
    """

    def compare(block: Tensor) -> list[float]:
        # NumPy sorts several times faster than torch, and lets other threads run meanwhile.
        first, *rest = (np.sort((block @ cloud.T).numpy(), axis=1) for cloud in clouds)
        return [float(np.abs(first - other).mean(dtype=np.float64)) for other in rest]

    blocks = lines.split(BLOCK)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        found = np.array(list(pool.map(compare, blocks)))
    sizes = [len(block) for block in blocks]
    return [float(d) for d in np.average(found, axis=0, weights=sizes)]
