"""Fast neural style: a feed-forward network for one painting (Johnson et al. 2016, arXiv:1603.08155).

The layout is that of PyTorch's own example, with instance norm (Ulyanov et al. 2016, arXiv:1607.08022).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.layers import STATISTICS, named
from imgsynth.architectures.ranges import BYTES
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict

instance_norm = partial(nn.InstanceNorm2d, affine=True)


def mirrored(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, kernel, stride, kernel // 2, padding_mode="reflect")


def conv(inner: int, outer: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return named(conv2d=mirrored(inner, outer, kernel, stride))


def upsampling_conv(inner: int, outer: int) -> nn.Sequential:
    """Nearest neighbours, then a convolution, which shows no checkerboard (Odena et al. 2016)."""
    return named(upsample=nn.Upsample(scale_factor=2), conv2d=mirrored(inner, outer, 3))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm; no activation after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.in1 = conv(width, width), instance_norm(width)
        self.conv2, self.in2 = conv(width, width), instance_norm(width)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.in1(self.conv1(x)))
        return x + self.in2(self.conv2(h))


class TransformerNet(nn.Sequential):
    """Two stride-2 convolutions, residual blocks, two upsampling convolutions.

    Args:
        widths: channels at full, half and quarter size.
        input_channels, output_channels: image channels.
        blocks: number of residual blocks.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128),
        input_channels: int = 3,
        output_channels: int = 3,
        blocks: int = 5,
    ) -> None:
        full, half, quarter = widths
        stages: list[nn.Module] = [conv(input_channels, full, 9)]
        stages += [conv(full, half, stride=2), conv(half, quarter, stride=2)]
        layers: dict[str, nn.Module] = {}
        for i, (stage, width) in enumerate(zip(stages, widths, strict=True), 1):
            layers |= {f"conv{i}": stage, f"in{i}": instance_norm(width), f"relu{i}": nn.ReLU(inplace=True)}
        layers |= {f"res{i + 1}": ResidualBlock(quarter) for i in range(blocks)}
        layers |= {"deconv1": upsampling_conv(quarter, half), "in4": instance_norm(half), "relu4": nn.ReLU()}
        layers |= {"deconv2": upsampling_conv(half, full), "in5": instance_norm(full), "relu5": nn.ReLU()}
        layers["deconv3"] = conv(full, output_channels, 9)
        super().__init__(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [0, 255], height and width multiples of 4 → the same size, around [0, 255]."""
        return super().forward(x)


def canonical(state: StateDict) -> StateDict:
    """Drops the running statistics that PyTorch 0.3 stored for instance norms and never used."""
    unused = re.compile(rf"(?:.+\.)?in[0-9]\.(?:{'|'.join(STATISTICS)})")
    return {k: v for k, v in state.items() if not unused.fullmatch(k)}


def detect(shapes: Shapes) -> bool:
    needed = ("conv1.conv2d.weight", "conv2.conv2d.weight", "conv3.conv2d.weight", "deconv3.conv2d.weight")
    return all(len(shapes.get(k, ())) == 4 for k in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    return {
        "widths": [shapes[f"conv{i}.conv2d.weight"][0] for i in (1, 2, 3)],
        "input_channels": shapes["conv1.conv2d.weight"][1],
        "output_channels": shapes["deconv3.conv2d.weight"][0],
        "blocks": sum(bool(re.fullmatch(r"res[0-9]+\.conv1\.conv2d\.weight", k)) for k in shapes),
    }


FAST_NEURAL_STYLE = Architecture(
    name="fast_neural_style",
    title="Fast neural style, TransformerNet (Johnson et al. 2016)",
    family="translator",
    build=TransformerNet,
    detect=detect,
    read=read,
    example={},
    canonical=canonical,
    output_range=BYTES,
    input_range=BYTES,
    multiple=lambda _: 4,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
