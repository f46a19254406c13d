"""Every adversarial loss on eight Gaussians, and on pictures at 32 px if some are given.

    python -m benchmarks.losses [--toy-steps 2000] [--data avatars96.tar --steps 1000 --sheets DIR]

Prints a table: of eight modes how many were found, the part of samples near one; and the sliced Wasserstein
distance of drawn pictures from held-back ones, beside that of pictures that were trained on (the floor).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from imgsynth.metrics.swd import sliced_wasserstein
from imgsynth.training.collapse import spread
from imgsynth.training.data import decode, list_entries, split
from imgsynth.training.gan import GANRecipe
from imgsynth.training.losses import LOSSES
from imgsynth.training.recipe import Settings
from imgsynth.training.toy import Toy, Verdict

SIZE, WIDTH, BATCH = 32, 24, 32
HOLDOUT = 0.1
MOST = 500  # pictures compared


def on_the_ring(name: str, steps: int, seed: int) -> Verdict:
    toy = Toy(LOSSES[name], seed)
    toy.train(steps)
    return toy.verdict()


def real_pictures(sources: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Held-back pictures and as many of those trained on, uint8 N×3×32×32, from all over their lists."""
    pairs = [split(list_entries(source), HOLDOUT) for source in sources]
    trained, held = ([entry for pair in pairs for entry in pair[i]] for i in (0, 1))
    count = min(MOST, len(held))
    chosen = (entries[:: len(entries) // count][:count] for entries in (held, trained))
    one, other = (torch.stack([decode(entry, SIZE, True) for entry in entries]) for entries in chosen)
    return one, other


def trained_recipe(name: str, options: argparse.Namespace) -> GANRecipe:
    out = (options.sheets or Path()) / f"{name}.safetensors"  # names the run; nothing is written there
    told = {"loss": name, "generator": options.generator, "collapse_every": 0}
    sizes = {"size": SIZE, "width": WIDTH, "batch": BATCH, "holdout": HOLDOUT, "seed": options.seed}
    recipe = GANRecipe(Settings(tuple(options.data), out, options=told, **sizes))
    for step in tqdm(range(options.steps), desc=name, leave=False, disable=None):
        recipe.step(step, step / options.steps)
    return recipe


def distance(reference: Tensor, pictures: Tensor) -> float:
    """Mean over the levels of the pyramid, as SWD is usually quoted."""
    (levels,) = sliced_wasserstein(reference, [pictures])
    return sum(levels.values()) / len(levels)


def rows(options: argparse.Namespace) -> Iterator[list[str]]:
    reals = real_pictures(options.data) if options.data else None
    if reals:
        floor = f"{distance(*reals):.1f}"
        yield ["real against real", "", "", floor, f"{spread(reals[0] / 127.5 - 1):.3f}"]
    for name in options.losses or LOSSES:
        verdict = on_the_ring(name, options.toy_steps, options.seed)
        row = [name, f"{verdict.modes} of 8", f"{verdict.near:.0%}"]
        if reals:
            recipe = trained_recipe(name, options)
            pictures = recipe.samples(len(reals[0]))
            row.append(f"{distance(reals[0], (pictures * 255).round().byte()):.1f}")
            row.append(f"{spread(pictures * 2 - 1):.3f}")
            if options.sheets:
                options.sheets.mkdir(parents=True, exist_ok=True)
                recipe.sheet().save(options.sheets / f"{name}.png")
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("losses", nargs="*", metavar="LOSS", help="all if unsaid")
    parser.add_argument("--toy-steps", type=int, default=2000)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders or tars of pictures")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--generator", default="dcgan")
    parser.add_argument("--sheets", type=Path, help="folder for a sheet of each loss")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head = ["loss", "modes", "near a mode", *(["SWD ×1000", "spread"] if options.data else [])]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows(options):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
