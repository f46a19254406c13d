"""Training images from folders, tars and the Hub: listed by name, split, decoded once, cropped on the fly."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from imgsynth.errors import BadImage, TrainingFailed
from imgsynth.imaging.read import read_photo
from imgsynth.training import parallel
from imgsynth.training.hub_data import hub_entries, on_hub

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class Entry:
    """One image file: its name and how to read its bytes."""

    name: str
    read: Callable[[], bytes]


def list_entries(source: Path) -> list[Entry]:
    """Images of a folder, `.tar` or Hub dataset, sorted by file name (folders inside do not matter).

    Raises:
        TrainingFailed: there is no such folder, tar or dataset, or it holds no images.
    """
    if on_hub(source):
        entries = hub_entries(source)
    elif source.is_dir():
        # Sorted by path first, so that files of one name come in the same order everywhere.
        files = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
        entries = [Entry(p.name, p.read_bytes) for p in files]
    elif source.is_file() and tarfile.is_tarfile(source):
        entries = read_tar(source)
    else:
        raise TrainingFailed(
            f"{source.name} is neither a folder nor a .tar; give --data a folder or tar of images."
        )
    if not entries:
        raise TrainingFailed(
            f"{source.name} holds no images; give --data a folder or tar of JPEG or PNG files."
        )
    return sorted(entries, key=lambda e: e.name)


def title_of(source: Path) -> str:
    """What a card calls a source: it says no path."""
    return source.as_posix() if on_hub(source) else source.name


def read_tar(source: Path) -> list[Entry]:
    try:
        return list(tar_entries(source))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise TrainingFailed(f"{source.name} is damaged or cut off; copy it again.") from error


def tar_entries(source: Path) -> Iterator[Entry]:
    with tarfile.open(source) as tar:
        for member in tar:
            if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                handle = tar.extractfile(member)
                assert handle is not None
                data = handle.read()
                yield Entry(Path(member.name).name, lambda data=data: data)  # type: ignore[misc]


def split(entries: Sequence[Entry], holdout: float) -> tuple[list[Entry], list[Entry]]:
    """(trained, held back): the last `holdout` part by name stays untrained, for measuring."""
    kept = len(entries) - int(len(entries) * holdout)
    return list(entries[:kept]), list(entries[kept:])


def decode(entry: Entry, short_side: int, square: bool) -> Tensor:
    """uint8 3×H×W with the given short side; `square` crops the middle."""
    image = Image.fromarray(read_photo(entry.read(), name=entry.name).pixels)
    scale = short_side / min(image.size)
    image = image.resize([max(short_side, round(s * scale)) for s in image.size], Image.Resampling.LANCZOS)
    if square:
        left, top = (image.width - short_side) // 2, (image.height - short_side) // 2
        image = image.crop((left, top, left + short_side, top + short_side))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


class ImageSet:
    """Decoded images in memory, as uint8, with random crops drawn from a generator."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        self.images = list(images)

    def __len__(self) -> int:
        return len(self.images)

    def batch(
        self,
        rng: torch.Generator,
        count: int,
        size: int,
        flip: bool = True,
        zoom: tuple[float, float] = (1.0, 1.0),
    ) -> Tensor:
        """`count` random crops, float32 N×3×size×size in [-1, 1].

        Of several processes (parallel.py) each draws the numbers of all and crops its own pictures.

        Args:
            zoom: range of the crop's side before it is scaled to `size`, as a multiple of `size`.
        """
        total, own = count * parallel.world_size(), parallel.own(count)
        picks = torch.randint(len(self), (total,), generator=rng)[own].tolist()
        places = torch.rand(total, 4, generator=rng)[own].tolist()
        return torch.stack(
            [random_crop(self.images[i], u, size, flip, zoom) for i, u in zip(picks, places, strict=True)]
        )


def random_crop(
    image: Tensor, u: Sequence[float], size: int, flip: bool, zoom: tuple[float, float]
) -> Tensor:
    """One crop, float32 3×size×size in [-1, 1]; `u`, in [0, 1), tells its zoom, top, left and flip."""
    side = min(round(size * (zoom[0] + (zoom[1] - zoom[0]) * u[0])), *image.shape[1:])
    top, left = (int(u[k] * (image.shape[k] - side + 1)) for k in (1, 2))
    crop = image[:, top : top + side, left : left + side].float()
    if side != size:
        crop = F.interpolate(crop[None], size=(size, size), mode="bilinear", antialias=True)[0]
    crop = crop / 127.5 - 1
    return crop.flip(-1) if flip and u[3] < 0.5 else crop


def load(
    sources: Sequence[Path], short_side: int, square: bool, holdout: float, minimum: int = 8
) -> ImageSet:
    """Decodes the trained part of every source.

    Raises:
        TrainingFailed: too few images remain, or one cannot be read.
    """
    entries = [e for source in sources for e in split(list_entries(source), holdout)[0]]
    if len(entries) < minimum:
        raise TrainingFailed(
            f"Only {len(entries)} images are left to train on; at least {minimum} are needed."
        )
    try:
        return ImageSet([decode(e, short_side, square) for e in entries])
    except BadImage as error:
        raise TrainingFailed(f"A training image cannot be used: {error}") from error
