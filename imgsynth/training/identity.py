"""A start for LaMa generators from which they already pass the picture through.

Stride-2 convolutions begin as pixel unshuffling and transposed ones as pixel shuffling (Shi et al. 2016;
the idea of an exact start is that of Aitken et al. 2017), and the residual blocks add little. A network
without skip connections otherwise spends its first thousands of steps on learning to copy what it sees;
this one begins with what is asked of it: filling the hole.
"""

from __future__ import annotations

import torch
from torch import nn

from imgsynth.architectures.lama import FFCBlock, FFCNormAct, LaMaGenerator

# Of pictures in [0, 1]: what batch norm must give back for its output to look like its input.
SPREAD, MEAN = 0.25, 0.5
QUIET = 0.005
# A sigmoid of this slope is nearly the identity between 0.1 and 0.9.
SLOPE = 4.5

Kept = dict[nn.BatchNorm2d, int]  # how many of a norm's first channels pass a picture through


@torch.no_grad()
def start_as_identity(generator: LaMaGenerator) -> Kept:
    """Overwrites some of a fresh generator's weights; the others keep their random start.

    Returns:
        Which channels pass the picture through: as it is where norms go by the means and variances that they
        have, up to brightness and contrast where they look at the batch.
    """
    kept: Kept = {}
    stages = list(generator.model)
    downs = [s for s in stages if isinstance(s, FFCNormAct)]
    copied = copy_picture(downs[0], kept)
    for down in downs[1:]:
        copied = unshuffle(down, copied, kept)
    for block in (s for s in stages if isinstance(s, FFCBlock)):
        quieten(block)
    for i, stage in enumerate(stages):
        if isinstance(stage, nn.ConvTranspose2d):
            copied = shuffle(stage, stages[i + 1], copied, kept)
    last, activation = stages[-2:]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    bounded = not isinstance(activation, nn.Identity)
    last.weight.zero_()
    for c in range(min(len(last.weight), copied)):
        last.weight[c, c, 3, 3] = SLOPE if bounded else 1.0
    last.bias.fill_(-SLOPE * MEAN if bounded else 0.0)
    return kept


def copy_picture(stage: FFCNormAct, kept: Kept) -> int:
    """The first channels of a 7×7 stage become the input's; returns how many."""
    weight = stage.ffc.convl2l.weight
    copied = min(weight.shape[:2])
    for c in range(copied):
        weight[c].zero_()
        weight[c, c, 3, 3] = 1
    keep_scale(stage.bn_l, copied, kept)
    return copied


def unshuffle(stage: FFCNormAct, copied: int, kept: Kept) -> int:
    """Each copied channel becomes four of half the size; a twelfth of the channels stays free to learn."""
    parts = [(stage.ffc.convl2l.weight, stage.bn_l)]
    if stage.ffc.convl2g is not None and stage.bn_g is not None:
        parts.append((stage.ffc.convl2g.weight, stage.bn_g))
    total = sum(len(weight) for weight, _ in parts)
    made = min(4 * copied, total - total // 12)
    start = 0
    for weight, norm in parts:
        here = max(0, min(len(weight), made - start))
        for row in range(here):
            weight[row].zero_()
            weight[row][tap(start + row)] = 1
        keep_scale(norm, here, kept)
        start += len(weight)
    return made


def shuffle(stage: nn.ConvTranspose2d, norm: nn.Module, copied: int, kept: Kept) -> int:
    """Four copied channels become one of twice the size again."""
    assert isinstance(norm, nn.BatchNorm2d)
    made = -(-copied // 4)
    stage.weight[:, :made].zero_()
    for row in range(copied):
        stage.weight[row][tap(row)] = 1
    assert stage.bias is not None
    stage.bias.zero_()
    keep_scale(norm, made, kept)
    return made


def tap(index: int) -> tuple[int, int, int]:
    """Where in a 3×3 kernel the `index`-th of four phases of a channel lies: (channel, row, column)."""
    channel, phase = divmod(index, 4)
    return channel, 1 + phase // 2, 1 + phase % 2


def quieten(block: FFCBlock) -> None:
    """Lets a residual block add little."""
    nn.init.constant_(block.conv2.bn_l.weight, QUIET)
    if block.conv2.bn_g is not None:
        nn.init.constant_(block.conv2.bn_g.weight, QUIET)


def keep_scale(norm: nn.BatchNorm2d, channels: int, kept: Kept) -> None:
    """Lets the first channels of a batch norm come out as pictures in [0, 1]."""
    assert norm.running_mean is not None and norm.running_var is not None
    norm.weight[:channels], norm.running_var[:channels] = SPREAD, SPREAD**2 - norm.eps
    norm.bias[:channels] = norm.running_mean[:channels] = MEAN
    kept[norm] = channels
