"""The pictures to measure on: held back from training, by the same rule by which training leaves them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgsynth.errors import BadImage, BadRequest
from imgsynth.imaging.read import read_photo
from imgsynth.metrics.pictures import scaled
from imgsynth.metrics.pyramid import SMALLEST
from imgsynth.metrics.request import LEAST_PICTURES, ScoreRequest
from imgsynth.training.data import Entry, decode, list_entries, split


@dataclass(frozen=True)
class Pool:
    """Image files, not yet decoded.

    Attributes:
        measured: those that may be measured on.
        others: the rest, on which the checkpoint may have been trained.
        sources: name, measured and all pictures of each folder or tar.
    """

    measured: Sequence[Entry]
    others: Sequence[Entry]
    sources: Sequence[dict[str, Any]]

    @property
    def largest_pair(self) -> int:
        """The most pictures that each of two sets without a common picture can have, see `draw_pair`."""
        half = len(self.measured) // 2
        return max(half, min(len(self.measured), len(self.others)))

    def draw(self, rng: torch.Generator, count: int) -> list[Entry]:
        """`count` different measured files, or all there are."""
        return shuffled(self.measured, rng)[:count]

    def draw_pair(self, rng: torch.Generator, count: int) -> tuple[list[Entry], list[Entry]]:
        """Two sets of `count` files without a common one; the second from the rest if need be.

        The first is what checkpoints are measured against; the second, real as it is, is what a perfect
        checkpoint would draw, for which pictures that others were trained on will do.
        """
        measured = shuffled(self.measured, rng)
        spare = measured[count:] if self.has_two(count) else shuffled(self.others, rng)
        return measured[:count], spare[:count]

    def has_two(self, count: int) -> bool:
        """Whether two such sets can both be taken from the measured part."""
        return 2 * count <= len(self.measured)


def open_pool(paths: Sequence[Path], request: ScoreRequest) -> Pool:
    """Lists the images of folders and tars; each is split by itself, as training does.

    Raises:
        TrainingFailed: one of them holds no images or cannot be read.
        BadRequest: too few images to measure on.
    """
    measured: list[Entry] = []
    others: list[Entry] = []
    sources = []
    for path in paths:
        entries = list_entries(path)
        trained, held_back = ([], entries) if request.all else split(entries, request.holdout)
        measured += held_back
        others += trained
        sources.append({"name": path.name, "pictures": len(held_back), "of": len(entries)})
    if len(measured) < LEAST_PICTURES:
        raise BadRequest(too_few(len(measured), len(others)))
    return Pool(measured, others, sources)


def too_few(measured: int, others: int) -> str:
    found = f"Only {measured} images are left to measure on" if measured else "No image is left to measure on"
    wanted = f"{found}, and at least {LEAST_PICTURES} are needed"
    if measured + others < LEAST_PICTURES:
        return f"{wanted}; give --data more images."
    return f"{wanted}; measure on every image with --all, or raise --holdout."


def usable_count(pool: Pool, request: ScoreRequest, most: int | None = None) -> tuple[int, list[str]]:
    """How many pictures each set of a pair can have, and what a person should know of that.

    Args:
        most: what else limits it.

    Raises:
        BadRequest: too few to compare sets.
    """
    count = min(n for n in (request.count, pool.largest_pair, most) if n is not None)
    if count < LEAST_PICTURES:
        raise BadRequest(
            f"Sets of real images are compared, and there are {count} for each of two; "
            f"at least {LEAST_PICTURES} are needed, so give more images."
        )
    notes = []
    if count < request.count:
        notes.append(f"There are pictures for sets of {count}, not of {request.count}.")
    if not pool.has_two(count):
        notes.append("The second real set, of the floor, comes from the part that training saw.")
    return count, notes


def shuffled(entries: Sequence[Entry], rng: torch.Generator) -> list[Entry]:
    return [entries[i] for i in torch.randperm(len(entries), generator=rng).tolist()]


def photo_square(entry: Entry, most: int) -> Tensor:
    """The middle square of a photo, scaled down to `most` pixels if it is larger: uint8 1×3×S×S.

    Raises:
        BadImage: it is no picture, or too small a one.
    """
    photo = read_photo(entry.read(), name=entry.name)
    side = min(most, photo.width, photo.height)
    if side < SMALLEST:
        raise BadImage(
            f"{entry.name} is {photo.width} × {photo.height} pixels; "
            f"at least {SMALLEST} × {SMALLEST} are needed, so leave it out."
        )
    return scaled(torch.from_numpy(photo.pixels).permute(2, 0, 1)[None], side)


def squares(entries: Sequence[Entry], side: int) -> Tensor:
    """Decoded middle squares, uint8 N×3×side×side.

    Raises:
        BadImage: one of them is no picture.
    """
    return torch.stack([decode(entry, side, square=True) for entry in entries])
