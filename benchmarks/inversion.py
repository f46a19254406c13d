"""How near and how fast photos are found in a generator, told by its own samples, which it surely can draw.

python -m benchmarks.inversion avatars-gan [--count 16] [--steps 300]
"""

from __future__ import annotations

import argparse
import statistics
import time

from imgsynth import api
from imgsynth.tasks.requests import InvertRequest

FIRST_SEED = 1000  # apart from the seed that the search begins with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--steps", type=int, default=InvertRequest().steps)
    options = parser.parse_args()
    model = api.open_checkpoint(options.checkpoint)
    found: list[tuple[float, float]] = []
    for wanted in api.sample(model, range(FIRST_SEED, FIRST_SEED + options.count)):
        start = time.perf_counter()
        quality = api.invert(model, wanted, steps=options.steps).psnr
        found.append((quality, time.perf_counter() - start))
        print(f"{quality:6.2f} dB  {found[-1][1]:6.1f} s", flush=True)
    quality, seconds = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"median {quality:6.2f} dB  {seconds:6.1f} s, {options.steps} steps, on {model.device}")


if __name__ == "__main__":
    main()
