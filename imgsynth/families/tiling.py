"""A photo too large for one pass, translated in tiles that together are what the whole would have been.

Convolutions look no further than their reach, so tiles that overlap by twice as much give exactly the whole.
Instance and layer norms do not: their statistics are the whole picture's. Exact ones would take as many
passes as there are norms. Those of a scaled-down copy are off, for smaller pixels are rougher, and networks
answer to that. So a first pass takes them from full-resolution windows spread over the picture, as many
pixels as memory holds, all in one batch with common statistics; then every tile runs with these. All tiles
use the same numbers, so no seam can show; what is left is one slight change of the whole against a single
pass, which shrinks as the windows cover more of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from imgsynth.errors import BadRequest, OutOfMemory
from imgsynth.families.latent import Codec
from imgsynth.families.model import Model
from imgsynth.families.statistics import Footprint, Frozen, Measuring, Moments
from imgsynth.families.translator import Translator
from imgsynth.imaging.tiles import lay_tiles, least_side, rounded_up, spread_windows

Repainter = Translator | Codec
Progress = Callable[[int, int], None]

WINDOWS = 9
# In memory at the widest place: a layer's input, its padded copy, its output, and the kernel's workspace.
LIVE_MAPS = 4
LARGEST_TILE = 4096
_PROBE_HEIGHT, _PROBE_WIDTH = 64, 512
_UNSEEN = 1e-6  # an 8-bit value shows 4000 times as much


@dataclass(frozen=True)
class Needs:
    """What a pass of a network needs.

    Attributes:
        bytes_per_pixel: an estimate of the memory it takes for each pixel of the photo.
        windows: how many tiles have to fit into memory at once.
    """

    bytes_per_pixel: int
    windows: int


_NEEDS: WeakKeyDictionary[Model, Needs] = WeakKeyDictionary()
_REACHES: WeakKeyDictionary[Model, int | None] = WeakKeyDictionary()


def needs_of(model: Repainter) -> Needs:
    """Found out by watching the network work on a little noise, once."""
    if model not in _NEEDS:
        side = rounded_up(max(_PROBE_HEIGHT, model.least), model.multiple)
        with Footprint() as footprint:
            model.translate(_noise(side, side))
        bytes_per_pixel = max(1, LIVE_MAPS * footprint.largest // side**2)
        _NEEDS[model] = Needs(bytes_per_pixel, WINDOWS if footprint.norms else 1)
    return _NEEDS[model]


def reach_of(model: Repainter) -> int:
    """Pixels at a tile's edges that the edge has an influence on, norms aside.

    Raises:
        BadRequest: the network looks at the whole picture at once, and cannot be run in tiles.
    """
    if model not in _REACHES:
        # A codec runs one picture at a time, so its windows could not share their statistics.
        alone = isinstance(model, Codec) and needs_of(model).windows > 1
        _REACHES[model] = None if alone else _measured_reach(model)
    reach = _REACHES[model]
    if reach is None:
        raise BadRequest(
            f"{model.identity.id} looks at the whole picture at once, so it cannot work in tiles; "
            "make the photo smaller."
        )
    return reach


def least_tile(model: Repainter) -> int:
    """The smallest side of tiles that a model can be run in.

    Raises:
        BadRequest: it cannot be run in tiles.
    """
    return rounded_up(max(least_side(reach_of(model), model.multiple), model.least), model.multiple)


def side_for(model: Repainter, pixels: int) -> int:
    """The side of tiles where a pass over so many pixels fits into memory.

    Raises:
        OutOfMemory: even the smallest tiles are too large.
        BadRequest: the model cannot be run in tiles.
    """
    side = min(math.isqrt(pixels // needs_of(model).windows), LARGEST_TILE)
    if side < least_tile(model):
        raise OutOfMemory("There is too little memory left for this photo, even in tiles; use a smaller one.")
    return side - side % model.multiple


@torch.inference_mode()
def translate_in_tiles(
    model: Repainter, photo: Tensor, side: int, progress: Progress | None = None
) -> Tensor:
    """As `model.translate`, a part at a time; the same sides give the same result, bit for bit.

    Args:
        photo: float32 1×3×H×W in [0, 1].
        side: of the tiles, in pixels; rounded down to what the network can take.
        progress: called with (tiles done, tiles in all).

    Raises:
        BadRequest: the tiles are too small for this network, or it cannot be run in tiles.
    """
    if side < least_tile(model):
        raise BadRequest(
            f"Tiles for {model.identity.id} need {least_tile(model)} pixels or more, not {side}."
        )
    side -= side % model.multiple
    moments = _shared_moments(model, photo, side)
    height, width = photo.shape[-2:]
    tiles = lay_tiles(height, width, side, reach_of(model), model.multiple)
    result = torch.zeros_like(photo)
    for done, tile in enumerate(tiles, 1):
        with Frozen(moments):
            part = model.translate(photo[..., tile.rows, tile.columns])
        result[..., tile.rows, tile.columns] += part * torch.from_numpy(tile.weights)
        if progress:
            progress(done, len(tiles))
    return result.clamp_(0, 1)


def _shared_moments(model: Repainter, photo: Tensor, side: int) -> list[Moments]:
    """The statistics of each norm, from windows spread over the photo."""
    if needs_of(model).windows == 1:
        return []
    whole, trim = model.padded(photo), reach_of(model)
    height, width = whole.shape[-2:]
    windows = spread_windows(height, width, side, trim, model.multiple, WINDOWS)
    insets = [(*_inset(rows, height, trim), *_inset(columns, width, trim)) for rows, columns in windows]
    with Measuring(insets) as measuring:
        model.translate(torch.cat([whole[..., rows, columns] for rows, columns in windows]))
    return measuring.moments


def _inset(window: slice, length: int, trim: int) -> tuple[float, float]:
    """The shares of a window that lie too near to its two ends, where these are not the picture's own."""
    share = trim / (window.stop - window.start)
    return share * (window.start > 0), share * (window.stop < length)


@torch.inference_mode()
def _measured_reach(model: Repainter) -> int | None:
    """How far to the right a change of the left half shows, and a little more; None where no end is seen."""
    height, width = (
        rounded_up(max(side, model.least), model.multiple) for side in (_PROBE_HEIGHT, _PROBE_WIDTH)
    )
    noise, middle = _noise(height, width), width // 2
    changed = torch.cat([1 - noise[..., :middle], noise[..., middle:]], dim=-1)
    with Measuring([(0, 0, 0, 0)]) as measuring:
        before = model.translate(noise)
    with Frozen(measuring.moments):
        after = model.translate(changed)
    differs = ((after - before).abs().amax((0, 1, 2)) > _UNSEEN)[middle:].nonzero()
    reach = rounded_up(int(differs.max()) + 1, model.multiple) if len(differs) else 0
    return None if reach + model.multiple >= middle else reach + model.multiple


def _noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
