"""How well a checkpoint fills holes of several sizes in photos that it never saw, beside simpler ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from imgsynth.families import Inpainter
from imgsynth.imaging.masks import random_boxes, random_strokes
from imgsynth.metrics.fidelity import psnr, ssim
from imgsynth.metrics.holes import OPENCV, OWN, Fill, opencv_fills
from imgsynth.metrics.intervals import interval
from imgsynth.metrics.pictures import require_numbers, to_bytes, to_floats
from imgsynth.metrics.pool import Pool, photo_square
from imgsynth.metrics.progress import Track
from imgsynth.metrics.report import Figure, Findings, NotMeasured
from imgsynth.metrics.request import ScoreRequest
from imgsynth.runtime.device import memory_guard

Size = tuple[int, int]

# Per cent of the photo that a hole covers.
SIZES: tuple[Size, ...] = ((5, 10), (10, 25), (25, 40))
MADE = "made"


@dataclass(frozen=True)
class Filled:
    """How near a filled hole came to what was there: PSNR in dB, and SSIM."""

    psnr: float
    ssim: float


def score_filling(model: Inpainter, pool: Pool, request: ScoreRequest, track: Track) -> Findings:
    """PSNR and SSIM in the hole, by the hole's size, and how much the checkpoint gains over simpler ways.

    Every photo gets a hole of each size; two thirds of the photos get strokes, the others boxes.
    """
    findings = Findings()
    fills = dict(OWN)
    try:
        fills |= opencv_fills()
    except NotMeasured as why:
        missing = (gain_name(size, way) for size in SIZES for way in OPENCV)
        findings.miss(missing, why)
    entries = pool.draw(torch.Generator().manual_seed(request.seed), request.count)
    found: dict[Size, dict[str, list[Filled]]] = {size: defaultdict(list) for size in SIZES}
    for index, entry in track(list(enumerate(entries)), "photo"):
        photo = photo_square(entry, request.photo_size)[0].permute(1, 2, 0).numpy()
        for size in SIZES:
            hole = random_hole(len(photo), size, request.seed + index)
            for way, filled in fill_by_all(model, photo, hole, fills).items():
                found[size][way].append(judge(photo, filled, hole))
    for size, ways in found.items():
        findings.figures |= figures_of(size, ways)
    return findings


def random_hole(side: int, size: Size, seed: int) -> np.ndarray:
    """bool side×side; every third seed gives boxes, the others strokes."""
    rng = np.random.RandomState([seed % 2**32, *size])
    draw = random_boxes if seed % 3 == 2 else random_strokes
    return draw(side, side, rng, low=size[0] / 100, high=size[1] / 100)


def fill_by_all(
    model: Inpainter, photo: np.ndarray, hole: np.ndarray, fills: Mapping[str, Fill]
) -> dict[str, np.ndarray]:
    """The photo, uint8 H×W×3, with its hole filled by the model and by each of the other ways.

    What is in the hole is hidden from all of them, should one look.
    """
    hidden = np.where(hole[..., None], np.uint8(0), photo)
    return {MADE: fill(model, hidden, hole)} | {way: other(hidden, hole) for way, other in fills.items()}


def fill(model: Inpainter, photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    with memory_guard():
        predicted = model.inpaint(as_batch(photo), torch.from_numpy(hole)[None, None].float())
    pixels = to_bytes(require_numbers(predicted, model))[0].permute(1, 2, 0).numpy()
    return np.where(hole[..., None], pixels, photo)


def as_batch(photo: np.ndarray) -> Tensor:
    return to_floats(torch.from_numpy(photo)).permute(2, 0, 1)[None]


def judge(photo: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> Filled:
    pair, mask = (as_batch(filled), as_batch(photo)), torch.from_numpy(hole)[None, None].float()
    return Filled(psnr(*pair, mask).item(), ssim(*pair, mask).item())


def figures_of(size: Size, ways: Mapping[str, list[Filled]]) -> dict[str, Figure]:
    """PSNR and SSIM of all ways, and the model's gain in PSNR over each other way, photo by photo."""
    others = {way: results for way, results in ways.items() if way != MADE}

    def figure(unit: str, measure: Callable[[Filled], float]) -> Figure:
        against = {way: interval(map(measure, results)) for way, results in others.items()}
        value = interval(map(measure, ways[MADE]))
        return Figure(value, "pictures", value.n, "higher", unit, against=against)

    def gain(results: list[Filled]) -> Figure:
        value = interval(ours.psnr - theirs.psnr for ours, theirs in zip(ways[MADE], results, strict=True))
        return Figure(value, "pictures", value.n, "higher", "dB")

    return {
        f"psnr_{named(size)}": figure("dB", lambda filled: filled.psnr),
        f"ssim_{named(size)}": figure("", lambda filled: filled.ssim),
        **{gain_name(size, way): gain(results) for way, results in others.items()},
    }


def named(size: Size) -> str:
    return f"hole_{size[0]}_{size[1]}"


def gain_name(size: Size, way: str) -> str:
    return f"psnr_{named(size)}_over_{way}"
