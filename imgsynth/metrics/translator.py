"""How near translated photos are to the target domain, and how much of a photo survives the way back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from imgsynth.families import Translator
from imgsynth.metrics.classifier import MOST_PICTURES, SIDE, takes_for_second, train_classifier
from imgsynth.metrics.fidelity import psnr
from imgsynth.metrics.inception import Inception
from imgsynth.metrics.intervals import interval, share_interval
from imgsynth.metrics.pictures import require_numbers, scaled, to_bytes, to_floats
from imgsynth.metrics.pool import Pool, photo_square, shuffled, squares, usable_count
from imgsynth.metrics.progress import Track
from imgsynth.metrics.report import Figure, Findings
from imgsynth.metrics.request import LEAST_PICTURES, ScoreRequest
from imgsynth.metrics.sets import INCEPTION_FIGURES, MADE, REAL, compare, figures_of
from imgsynth.runtime.device import memory_guard
from imgsynth.training.data import Entry

UNTRANSLATED = "untranslated"
NO_TARGET = "It needs pictures of the target domain; give them with --data-b."
NO_WAY_BACK = "It needs a checkpoint for the way back; name one with --back."
CYCLE_FIGURES = ("cycle_l1", "cycle_psnr")
SET_FIGURES = ("swd", "precision", "recall")
OPINIONS = ("classifier_share", "classifier_accuracy")


@dataclass(frozen=True)
class Translated:
    """Photos and what became of them.

    Attributes:
        entries: the photos' files.
        before, after: uint8 N×3×S×S, scaled to be compared as sets.
        cycle_l1, cycle_psnr: of each photo, once it was brought back; empty without a way back.
    """

    entries: list[Entry]
    before: Tensor
    after: Tensor
    cycle_l1: list[float]
    cycle_psnr: list[float]


def score_translations(
    model: Translator,
    back: Translator | None,
    pool: Pool,
    pool_b: Pool | None,
    request: ScoreRequest,
    inception: Inception | None,
    track: Track,
) -> Findings:
    """Cycle error where there is a way back; where the target domain is known, distances and an opinion.

    Args:
        back: a checkpoint that undoes the model.
        pool: photos to translate.
        pool_b: pictures of the target domain.
    """
    findings = Findings()
    entries = pool.draw(torch.Generator().manual_seed(request.seed), request.count)
    translated = translate_all(model, back, entries, request, track)
    if back is None:
        findings.miss(CYCLE_FIGURES, NO_WAY_BACK)
    else:
        findings.figures |= cycle_figures(translated)
    if pool_b is None:
        findings.miss((*SET_FIGURES, *INCEPTION_FIGURES, *OPINIONS), NO_TARGET)
    else:
        findings.add(score_sets(translated, pool_b, request, inception, track))
        findings.add(ask_classifier(translated, pool, pool_b, request))
    return findings


def side_of(request: ScoreRequest) -> int:
    """Side at which sets are compared: nothing is scaled up, for that would look like blur."""
    return min(request.size, request.photo_size)


def translate_all(
    model: Translator, back: Translator | None, entries: list[Entry], request: ScoreRequest, track: Track
) -> Translated:
    """Every photo there and, with a way back, back again; in between it is rounded to bytes, as in a file."""
    before, after, side = [], [], side_of(request)
    l1: list[float] = []
    ratios: list[float] = []
    for entry in track(entries, "photo"):
        photo = photo_square(entry, request.photo_size)
        painted = translated_by(model, photo)
        before.append(scaled(photo, side))
        after.append(scaled(painted, side))
        if back is not None:
            again, origin = to_floats(translated_by(back, painted)), to_floats(photo)
            l1.append((again - origin).abs().mean().item() * 255)
            ratios += psnr(again, origin).tolist()
    return Translated(entries, torch.cat(before), torch.cat(after), l1, ratios)


def translated_by(model: Translator, photos: Tensor) -> Tensor:
    with memory_guard():
        return to_bytes(require_numbers(model.translate(to_floats(photos)), model))


def cycle_figures(translated: Translated) -> dict[str, Figure]:
    l1, ratio = interval(translated.cycle_l1), interval(translated.cycle_psnr)
    return {
        "cycle_l1": Figure(l1, "pictures", l1.n, "lower", "of 255"),
        "cycle_psnr": Figure(ratio, "pictures", ratio.n, "higher", "dB"),
    }


def score_sets(
    translated: Translated, pool_b: Pool, request: ScoreRequest, inception: Inception | None, track: Track
) -> Findings:
    """Distances of the translated photos from the target domain, beside those of the untranslated."""
    count, notes = usable_count(pool_b, request, most=len(translated.after))
    side = side_of(request)
    if side < request.size:
        notes.append(f"Sets are compared at {side} px, for no larger photos are translated.")
    draws = []
    for draw in track(range(request.draws), "draw"):
        rng = torch.Generator().manual_seed(request.seed + draw)
        reference, spare = (squares(entries, side) for entries in pool_b.draw_pair(rng, count))
        picks = torch.randperm(len(translated.after), generator=rng)[:count]
        made, untranslated = translated.after[picks], translated.before[picks]
        sets = {MADE: made, REAL: spare, UNTRANSLATED: untranslated}
        draws.append(compare(reference, sets, request.seed + draw, inception))
    return Findings(figures_of(draws, count), notes=notes)


def ask_classifier(translated: Translated, pool: Pool, pool_b: Pool, request: ScoreRequest) -> Findings:
    """How many translated photos a small classifier takes for the target's, and how far to trust it.

    It learns from pictures of both domains that nothing is measured on.
    """
    rng = torch.Generator().manual_seed(request.seed)
    side = min(side_of(request), SIDE)
    target = pool_b.draw(rng, request.count)
    lessons = unused(pool, translated.entries, rng), unused(pool_b, target, rng)
    if min(map(len, lessons)) < LEAST_PICTURES:
        findings = Findings()
        findings.miss(OPINIONS, "It needs pictures of both domains that are not measured; give more.")
        return findings
    photos, paintings = (squares(entries, side) for entries in lessons)
    network = train_classifier(photos, paintings, request.seed)
    asked = (scaled(translated.after, side), squares(target, side), scaled(translated.before, side))
    return Findings(opinion_figures(*((takes_for_second(network, each), len(each)) for each in asked)))


def unused(pool: Pool, measured: list[Entry], rng: torch.Generator) -> list[Entry]:
    """Some of a pool's pictures that are not measured."""
    taken = {id(entry) for entry in measured}
    return [e for e in shuffled([*pool.measured, *pool.others], rng) if id(e) not in taken][:MOST_PICTURES]


def opinion_figures(
    made: tuple[int, int], target: tuple[int, int], photos: tuple[int, int]
) -> dict[str, Figure]:
    """Each as (taken for the target's, of how many): translated photos, real target pictures, photos."""
    right = target[0] + photos[1] - photos[0]
    accuracy = share_interval(right, target[1] + photos[1])
    against = {UNTRANSLATED: share_interval(*photos)}
    floor = share_interval(*target)
    share = Figure(share_interval(*made), "pictures", made[1], "higher", "", floor, against)
    return {
        "classifier_share": share,
        "classifier_accuracy": Figure(accuracy, "pictures", accuracy.n, "higher"),
    }
