"""How well and how fast holes of 10 to 25 % are filled: by a checkpoint, and by simpler ways.

    python -m benchmarks.inpaint_quality inpaint-small --data photos.tar [--count 50] [--all]

The quality alone, for more sizes of holes and with its confidence, is what `imgsynth score` tells.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from imgsynth import api
from imgsynth.families import Inpainter
from imgsynth.metrics.holes import OWN, Fill, opencv_fills
from imgsynth.metrics.inpainter import fill, judge, random_hole
from imgsynth.metrics.pool import open_pool, photo_square
from imgsynth.metrics.report import NotMeasured
from imgsynth.metrics.request import ScoreRequest

SIZE = (10, 25)


def other_ways() -> dict[str, Fill]:
    try:
        return {**OWN, **opencv_fills()}
    except NotMeasured as why:
        print(f"Without Telea and Navier-Stokes. {why}")
        return OWN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    request = ScoreRequest(count=options.count, all=options.all)
    model = api.open_checkpoint(options.checkpoint)
    assert isinstance(model, Inpainter)
    ways: dict[str, Fill] = {options.checkpoint: lambda photo, hole: fill(model, photo, hole), **other_ways()}
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    entries = open_pool([options.data], request).draw(torch.Generator().manual_seed(0), request.count)
    for index, entry in enumerate(entries):
        photo = photo_square(entry, request.photo_size)[0].permute(1, 2, 0).numpy()
        hole = random_hole(len(photo), SIZE, index)
        for way, fill_hole in ways.items():
            start = time.perf_counter()
            filled = fill_hole(np.where(hole[..., None], np.uint8(0), photo), hole)
            seconds = time.perf_counter() - start
            quality = judge(photo, filled, hole)
            found[way].append((quality.psnr, quality.ssim, seconds))
    print(f"{len(entries)} photos, holes of {SIZE[0]} to {SIZE[1]} %")
    for way, rows in found.items():
        psnr, ssim, seconds = np.mean(rows, axis=0)
        print(f"{way:<16} {psnr:6.2f} dB  SSIM {ssim:.3f}  {seconds * 1000:7.1f} ms")


if __name__ == "__main__":
    main()
