"""Directions shipped with a checkpoint: `directions/<Attribute>.pt`, one tensor in each, as long as a latent.

The layout is that of `ayushshah/beta-vae-capacity-annealing-celeba`. They are extras: whatever is wrong with
one, the checkpoint opens without it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.client import bring, explained, names_of, size_of
from imgsynth.checkpoints.formats import identify
from imgsynth.checkpoints.hub import Plan
from imgsynth.checkpoints.verify import check_hub_sum
from imgsynth.errors import ImgsynthError

Found = tuple[dict[str, Tensor], tuple[str, ...]]  # float64 and flat, by name; and notes on them

FOLDER, SUFFIX = "directions", ".pt"
MOST = 64
LARGEST = (
    256_000  # bytes, of a file and of what it unfolds to: 2¹⁴ numbers of eight bytes, and their wrapping
)
LONGEST_LATENT = 2**14
# Names are shown on the page and typed into a terminal.
NAME = re.compile(r"[^\W_][\w '().+-]{0,59}")


def directions_beside(path: Path) -> Found:
    """Those beside weights on this disk."""
    return read_directions(sorted(path.with_name(FOLDER).glob(f"*{SUFFIX}")))


def directions_on_hub(plan: Plan, access: Access) -> Found:
    """Those beside weights on the Hub, or in its cache where the Hub does not answer."""
    from imgsynth.checkpoints.hub_errors import FAILURES

    folder = PurePosixPath(plan.checkpoint.file).with_name(FOLDER)
    try:
        names = [PurePosixPath(name) for name in names_of(plan.pinned, access)]
    except FAILURES:
        return {}, ()
    files = sorted(str(name) for name in names if name.parent == folder and name.suffix == SUFFIX)
    directions = [replace(plan.pinned, file=file) for file in files[:MOST]]
    try:
        with explained(plan.pinned):
            paths = [brought(direction, access) for direction in directions]
    except ImgsynthError:
        return {}, ("The directions beside this checkpoint could not be downloaded, so they are left out.",)
    return read_directions(paths)


def brought(direction: Checkpoint, access: Access) -> Path | None:
    """A file of the Hub on this disk; None where it is too large for a direction, or for whom it is asked."""
    most = LARGEST if access.most_bytes is None else min(LARGEST, access.most_bytes)
    if size_of(direction, access) > most:
        return None
    path = bring(direction, access)
    check_hub_sum(path)
    return path


def read_directions(paths: Iterable[Path | None]) -> Found:
    """The directions in files, by name, and a note where some are none or, None, were not fetched."""
    found: dict[str, Tensor] = {}
    unread = 0
    for path in list(paths)[:MOST]:
        name, values = (name_of(path.stem), read_direction(path)) if path else (None, None)
        if name is None or values is None:
            unread += 1
        else:
            found.setdefault(name, values)
    files = "1 of the files" if unread == 1 else f"{unread} of the files"
    left = f"{files} in its folder 'directions' could not be read, so it opens without."
    return found, (left,) if unread else ()


def name_of(stem: str) -> str | None:
    """`Blond_Hair` → "Blond hair"; None for what cannot be shown as a name."""
    words = stem.replace("_", " ").strip()
    spoken = words[:1].upper() + words[1:].lower()
    return spoken if NAME.fullmatch(spoken) else None


def read_direction(path: Path) -> Tensor | None:
    """A tensor as flat float64; None where the file is none that can be moved along."""
    try:
        if path.stat().st_size > LARGEST or identify(path) != "zip" or unfolded(path) > LARGEST:
            return None
        with path.open("rb") as handle:
            values = torch.load(handle, map_location="cpu", weights_only=True)
    except Exception:  # damaged pickles fail in every way, as in `state_dict`
        return None
    return checked(values)


def unfolded(path: Path) -> int:
    """Bytes of all that is in a zip."""
    with zipfile.ZipFile(path) as archive:
        return sum(record.file_size for record in archive.infolist())


def checked(values: object) -> Tensor | None:
    if not isinstance(values, Tensor) or values.layout != torch.strided or values.is_meta:
        return None
    if values.is_quantized or not values.is_floating_point() or not 0 < values.numel() <= LONGEST_LATENT:
        return None
    flat = values.detach().flatten().double()
    return flat if 0 < flat.norm() < torch.inf else None
