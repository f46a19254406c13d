"""How near what a checkpoint draws from seeds is to real pictures, as sets."""

from __future__ import annotations

import torch

from imgsynth.families import LatentModel
from imgsynth.metrics.inception import Inception
from imgsynth.metrics.pictures import drawn
from imgsynth.metrics.pool import Pool, squares, usable_count
from imgsynth.metrics.progress import Track
from imgsynth.metrics.report import Findings
from imgsynth.metrics.request import ScoreRequest
from imgsynth.metrics.sets import MADE, REAL, compare, figures_of
from imgsynth.seeds import LARGEST_SEED


def score_samples(
    model: LatentModel, pool: Pool, request: ScoreRequest, inception: Inception | None, track: Track
) -> Findings:
    """SWD, precision, recall and, with Inception, its figures, each beside those of real pictures.

    Every draw has its own seeds, its own real pictures, and its own patches and directions.

    Raises:
        BadRequest: too few pictures, or no such class.
        TaskNotOffered: the model draws nothing.
    """
    count, notes = usable_count(pool, request)
    # Nothing is scaled up, for that would look like blur.
    side = min(request.size, model.image_size or request.size)
    if side < request.size:
        notes.append(f"Sets are compared at {side} px, for the model draws no larger pictures.")
    draws = []
    for draw in track(range(request.draws), "draw"):
        rng = torch.Generator().manual_seed(request.seed + draw)
        reference, spare = (squares(entries, side) for entries in pool.draw_pair(rng, count))
        first = request.seed + draw * count
        seeds = [seed % (LARGEST_SEED + 1) for seed in range(first, first + count)]
        made = drawn(model, seeds, side, request.psi, request.label)
        draws.append(compare(reference, {MADE: made, REAL: spare}, request.seed + draw, inception))
    return Findings(figures_of(draws, count), notes=notes)
