"""A start for CycleGAN's ResNet without norms from which it already gives back what it is shown.

Norms make every layer blind to how strong its input was, which a translation that is to be undone must
know: generators then learn to smuggle it past them (see `droplets.py`). Without norms nothing has to be
smuggled, but a random start has no scale to go by. This one is `identity.py`'s for LaMa: pixel unshuffling on
the way down, shuffling on the way up, blocks that add nothing yet. Both cycles are closed at step 0, and all
training is paint.
"""

from __future__ import annotations

import torch
from torch import nn

from imgsynth.architectures.cyclegan_resnet import Block, ConvBlock, ResnetGenerator
from imgsynth.training.identity import tap

Convolution = nn.Conv2d | nn.ConvTranspose2d

# Pictures in [-1, 1] pass the ReLUs one higher.
LIFT = 1.0
# tanh of this slope is nearly the identity.
SLOPE = 1.1
# What the upper left one of four shuffled pixels gives to repeated pixels around it; the others' are its
# mirror images. Least squares on paintings: 33 dB, where the mean of the nearest gives 28.
FROM_REPEATED = ((-0.0625, -0.0125, -0.011), (-0.0125, 0.0845, 0.0905), (-0.011, 0.0905, 0.094))


@torch.no_grad()
def start_as_identity(generator: ResnetGenerator) -> None:
    """Overwrites all weights: some copy the picture, the others begin as He et al. (2015) say."""
    for module in generator.modules():
        if isinstance(module, Convolution):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for block in generator.modules():
        if isinstance(block, ConvBlock | Block):
            *_, second = (m for m in block.modules() if isinstance(m, nn.Conv2d))
            nn.init.zeros_(second.weight)
    first, *inner, last = [m for m in generator.model if isinstance(m, Convolution)]
    copied = copy_picture(first)
    for conv in inner:
        copied = shuffle(conv, copied) if is_up(conv) else unshuffle(conv, copied)
    give_picture(last, copied)


def copy_picture(conv: Convolution) -> int:
    """The first channels of the 7×7 convolution become the input's, lifted; returns how many."""
    copied = min(conv.weight.shape[:2])
    conv.weight[:copied] = 0
    for c in range(copied):
        conv.weight[c, c, 3, 3] = 1
    lift(conv, copied)
    return copied


def unshuffle(conv: Convolution, copied: int) -> int:
    """Each copied channel becomes four of half the size, as far as there are channels."""
    made = min(4 * copied, len(conv.weight))
    conv.weight[:made] = 0
    for row in range(made):
        conv.weight[row][tap(row)] = 1
    return made


def shuffle(conv: Convolution, copied: int) -> int:
    """Four copied channels become one of twice the size again.

    A transposed convolution does so exactly. One behind repeated pixels cannot tell the four apart, and comes
    near (`FROM_REPEATED`).
    """
    made = -(-copied // 4)
    if isinstance(conv, nn.ConvTranspose2d):
        conv.weight[:, :made] = 0
        for row in range(copied):
            conv.weight[row][tap(row)] = 1
        return made
    conv.weight[:made] = 0
    kernel = torch.tensor(FROM_REPEATED)
    for row in range(copied):
        channel, phase = divmod(row, 4)
        below, right = divmod(phase, 2)
        conv.weight[channel, row] = kernel.flip([axis for axis, on in enumerate((below, right)) if on])
    return made


def give_picture(conv: Convolution, copied: int) -> None:
    """The last 7×7 convolution takes the lift away."""
    conv.weight.zero_()
    for c in range(min(len(conv.weight), copied)):
        conv.weight[c, c, 3, 3] = SLOPE
    lift(conv, len(conv.weight), -SLOPE)


def lift(conv: Convolution, channels: int, by: float = LIFT) -> None:
    assert conv.bias is not None
    conv.bias[:channels] = by


def is_up(conv: Convolution) -> bool:
    """Whether a convolution stands behind the blocks: it gives fewer channels than it takes."""
    return conv.out_channels < conv.in_channels
