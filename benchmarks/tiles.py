"""What tiles cost and save: one photo translated whole and in tiles, side by side in one run.

python -m benchmarks.tiles photo2monet [--photo examples/china.jpg] [--width 2048] [--sides 384,768,1152]

Seconds are the best of the rounds, the ratio is to the whole photo. Memory is what the process has held
at most until then (on a GPU, what this way held at most): smaller tiles come first, so on a CPU each row
shows its own need as soon as that is larger than those above. The last column is the largest difference
from the whole photo's result, in levels of 255.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from imgsynth import api
from imgsynth.families import Model
from imgsynth.tasks.translate import IN_ONE_PIECE

# Linux tells kilobytes.
MEGABYTE = 1024


def peak(model: Model) -> float:
    """Megabytes held at most, since the last reset where there is one."""
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated(model.device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def measured(model: Model, photo: Image.Image, side: int, rounds: int) -> tuple[float, float, np.ndarray]:
    """Best seconds, megabytes, and the result as H×W×3."""
    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = api.translate(model, photo, tiles=side)  # comes as a picture, so the device is done
        seconds.append(time.perf_counter() - start)
    return min(seconds), peak(model), np.asarray(result).astype(int)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("--photo", type=Path, default=Path("examples/china.jpg"))
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--sides", default="384,768,1152")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = api.open_checkpoint(options.checkpoint)
    photo = Image.open(options.photo).convert("RGB")
    photo = photo.resize((options.width, round(photo.height * options.width / photo.width)))
    sides = sorted(int(side) for side in options.sides.split(","))
    rows = {side: measured(model, photo, side, options.rounds) for side in [*sides, IN_ONE_PIECE]}
    whole, _, expected = rows[IN_ONE_PIECE]
    print(f"{options.checkpoint} on {model.device}, {photo.width}×{photo.height}, best of {options.rounds}")
    print("tiles    seconds  ratio  memory MB  difference")
    for side, (seconds, megabytes, result) in rows.items():
        name = "whole" if side == IN_ONE_PIECE else f"{side}"
        difference = np.abs(result - expected).max()
        print(f"{name:>5} {seconds:10.2f} {seconds / whole:6.2f} {megabytes:10.0f} {difference:11}")


if __name__ == "__main__":
    main()
