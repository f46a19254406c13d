"""Contextual attention (Yu et al. 2018, arXiv:1801.07892): holes are filled with patches from around them.

Every place of a feature map is compared with every other, which makes a matrix of (places × places) scores.
It is never held as a whole: softmax runs over the patches to copy from, so that any set of places to fill can
be worked on alone, once the scores of their neighbours have been made along with their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.errors import BadRequest

SHARPNESS = 10.0  # of the softmax over patches
LEAST_NORM = 1e-4
MASK_FACTOR = 8  # a mask's size over that of the maps that are compared
SCORES_AT_ONCE = 2**24  # 64 MB
MOST_PLACES = 2**16


@dataclass(frozen=True)
class Patches:
    """What one sample's places are compared by and filled with; L places, row by row.

    Attributes:
        order: the L places in the order in which they are filled.
        places: (9·C)×(L+2), the patch around each place, between two patches of zeros.
        keys: (9·C)×L, the same patches at length 1.
        usable: L, in `order`: 1 where the patch around a place lies wholly outside the hole, else 0.
        values: L×(16·C), in `order`: what is pasted; 0 where not usable.
        height: places in a column.
    """

    order: Tensor
    places: Tensor
    keys: Tensor
    usable: Tensor
    values: Tensor
    height: int


class ContextualAttention(nn.Module):
    """Replaces each 4×4 patch of a feature map by the known patches most like its surroundings.

    Args:
        fuse: a place's score also counts its neighbours', so that large regions are copied from one place.
        aligned: which pixels stand for a place: those of TensorFlow's `align_corners`, else every second.
    """

    fuse_weight: Tensor

    def __init__(self, fuse: bool, aligned: bool) -> None:
        super().__init__()
        self.fuse, self.aligned = fuse, aligned
        if fuse:
            self.register_buffer("fuse_weight", torch.eye(3)[None, None])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """N×C×H×W features and N×1×4H×4W masks (1 = hole) → N×C×H×W; H and W must be even.

        As published, the whole batch is filled from where the first sample has no hole.
        """
        with torch.autocast(x.device.type, enabled=False):
            hole = mask[:1].float()
            return torch.cat([self._fill(features, hole) for features in x.float().split(1)]).to(x.dtype)

    def _fill(self, x: Tensor, hole: Tensor) -> Tensor:
        patches = self._patches(x, hole)
        pasted = torch.empty_like(patches.values)
        # Whole columns: what fused scores need beyond their own is a column on each side.
        step = patches.height * max(1, SCORES_AT_ONCE // (len(pasted) * patches.height))
        for start in range(0, len(pasted), step):
            end = min(start + step, len(pasted))
            scores = self._fused(patches, start, end) if self.fuse else compare(patches, start, end)
            # An unusable patch counts with a score of 0 rather than not at all: so it was trained.
            weights = torch.softmax(scores.mul_(patches.usable * SHARPNESS), dim=1)
            pasted[patches.order[start:end]] = weights @ patches.values
        return F.fold(pasted.T[None], x.shape[-2:], kernel_size=4, stride=2, padding=1) / 4

    def _patches(self, x: Tensor, hole: Tensor) -> Patches:
        small, hole = self._smaller(x, 2), self._smaller(hole, MASK_FACTOR)
        height, width = small.shape[-2:]
        order = torch.arange(height * width, device=x.device)
        if self.fuse:
            order = order.view(height, width).T.flatten()
        around = F.unfold(small, 3, padding=1)[0]
        usable = (F.max_pool2d(hole, 3, stride=1, padding=1) == 0).float().flatten()[order]
        return Patches(
            order=order,
            places=F.pad(around, (1, 1)),
            keys=around / around.norm(dim=0).clamp_min(LEAST_NORM),
            usable=usable,
            values=F.unfold(x, 4, stride=2, padding=1)[0].T[order] * usable[:, None],
            height=height,
        )

    def _smaller(self, x: Tensor, factor: int) -> Tensor:
        if not self.aligned:
            return x[..., ::factor, ::factor]
        rows, columns = (aligned_indices(side, factor).to(x.device) for side in x.shape[-2:])
        return x[..., rows, :][..., columns]

    def _fused(self, patches: Patches, start: int, end: int) -> Tensor:
        """Scores of `order[start:end]` that count their neighbours': along rows, then along columns.

        Either time a place's neighbours are those before and after it in one long list of all places, so
        that the end of a row (column) touches the start of the next.
        """
        total, height = len(patches.order), patches.height
        taps = self.fuse_weight[0, 0].tolist()
        wanted = torch.arange(start - 1, end + 1, device=patches.order.device)
        beyond = (wanted < 0) | (wanted >= total)
        around = patches.order[wanted.clamp(0, total - 1)] + torch.arange(3, device=wanted.device)[:, None]
        needed, position = around.unique(return_inverse=True)
        scores = patches.places[:, needed].T @ patches.keys
        scores = shifted_sum([scores[rows] for rows in position], taps)
        scores[beyond] = 0
        scores = scores.view(-1, height, total // height).transpose(1, 2).reshape(-1, total)
        return shifted_sum([scores[j : j + end - start] for j in range(3)], taps)


def require_comparable(height: int, width: int) -> None:
    """Raises BadRequest for a picture, of the mask's size, that has too many places to compare them all."""
    most = MOST_PLACES * MASK_FACTOR**2
    if height * width > most:
        raise BadRequest(
            "This network compares every part of a picture with every other, which takes too long above "
            f"{most // 10**6} megapixels; scale the picture down."
        )


def compare(patches: Patches, start: int, end: int) -> Tensor:
    """Scores of `order[start:end]`: cosines with each patch, times the place's own length."""
    return patches.places[:, patches.order[start:end] + 1].T @ patches.keys


def shifted_sum(rows: Sequence[Tensor], taps: list[list[float]]) -> Tensor:
    """Σ taps[i][j] · rows[j], whose column b - 1 + i goes to column b; beyond the ends there is nothing."""
    total = torch.zeros_like(rows[0])
    width = total.shape[1]
    for i, weights in enumerate(taps):
        left, right = max(0, 1 - i), max(0, i - 1)
        for scores, weight in zip(rows, weights, strict=True):
            if weight:
                total[:, left : width - right].add_(scores[:, right : width - left], alpha=weight)
    return total


def aligned_indices(side: int, factor: int) -> Tensor:
    """Which of `side` pixels stand for side/factor: the first, the last, and even steps between.

    Made on the CPU, so that no device rounds a tie another way.
    """
    return (torch.linspace(0, side - 1, steps=side // factor) + 0.5).floor().long()
