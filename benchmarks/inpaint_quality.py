"""How well a checkpoint fills holes: PSNR inside them, beside filling with the photo's mean colour.

    python -m benchmarks.inpaint_quality inpaint-small --data photos.tar [--count 50]

The photos are the part that training holds back (the last tenth by file name), unless --all is given.
Holes are random strokes over 10 to 20 % of the photo, the same for the same photo every time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from imgsynth import api
from imgsynth.families import Inpainter
from imgsynth.imaging.masks import random_strokes
from imgsynth.imaging.read import read_photo
from imgsynth.training.data import list_entries, split


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of 8-bit values, in dB."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def measure(model: Inpainter, pixels: np.ndarray, seed: int) -> tuple[float, float]:
    """PSNR inside the hole, of the model and of the photo's mean colour outside the hole."""
    mask = random_strokes(*pixels.shape[:2], np.random.RandomState(seed), low=0.1, high=0.2)
    filled = np.asarray(api.inpaint(model, Image.fromarray(pixels), mask))
    mean = pixels[~mask].mean(0)
    return psnr(filled[mask], pixels[mask]), psnr(np.broadcast_to(mean, pixels[mask].shape), pixels[mask])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    entries = list_entries(options.data)
    held_back = entries if options.all else split(entries, 0.1)[1]
    model = api.open_checkpoint(options.checkpoint)
    assert isinstance(model, Inpainter)
    figures = [
        measure(model, read_photo(e.read()).pixels, i) for i, e in enumerate(held_back[: options.count])
    ]
    ours, mean = np.array(figures).T
    gain = ours - mean
    error = gain.std(ddof=1) / len(gain) ** 0.5
    print(f"{len(gain)} photos: {ours.mean():.2f} dB in the hole, mean colour {mean.mean():.2f} dB")
    print(f"gain {gain.mean():.2f} ± {error:.2f} dB (standard error), median {np.median(gain):.2f} dB")


if __name__ == "__main__":
    main()
