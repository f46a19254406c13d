"""CycleGAN's ResNet generator (Zhu et al. 2017, arXiv:1703.10593; Johnson et al. 2016).

Two layouts are in use: the published one with transposed convolutions, and the one of the
huggan sprint with nearest-neighbour upsampling, which shows no checkerboard (Odena et al. 2016).
"""

from __future__ import annotations

import re
from functools import partial
from typing import Literal

from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict


def make_norm(norm: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)


def residual_layers(width: int, norm: str, dropout: bool, bias: bool) -> nn.Sequential:
    conv = partial(nn.Conv2d, width, width, 3, bias=bias)
    layers = [nn.ReflectionPad2d(1), conv(), make_norm(norm, width), nn.ReLU(inplace=True)]
    layers += [nn.Dropout(0.5)] if dropout else []
    return nn.Sequential(*layers, nn.ReflectionPad2d(1), conv(), make_norm(norm, width))


class ConvBlock(nn.Module):
    """Residual block under its published name; no activation after the sum."""

    def __init__(self, width: int, norm: str, dropout: bool, bias: bool) -> None:
        super().__init__()
        self.conv_block = residual_layers(width, norm, dropout, bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Block(nn.Module):
    """The same residual block as the huggan layout names it."""

    def __init__(self, width: int, norm: str, dropout: bool, bias: bool) -> None:
        super().__init__()
        self.block = residual_layers(width, norm, dropout, bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class ResnetGenerator(nn.Module):
    """Downsampling convolutions, residual blocks, upsampling convolutions.

    Args:
        input_channels, output_channels: image channels.
        width: channels after the first convolution (ngf).
        blocks: number of residual blocks.
        downsamplings: number of stride-2 stages on each side.
        norm: "instance" (no parameters) or "batch".
        dropout: whether the blocks hold a dropout layer (moves the second convolution's index).
        bias: whether inner convolutions have a bias.
        upsampling: "transposed" (published) or "nearest" (huggan).
        padding: padding of the stride-2 and upsampling convolutions, "zeros" or "reflect" (no shape tells).
    """

    def __init__(
        self,
        input_channels: int = 3,
        output_channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        downsamplings: int = 2,
        norm: str = "instance",
        dropout: bool = False,
        bias: bool = True,
        upsampling: str = "transposed",
        padding: Literal["zeros", "reflect"] = "zeros",
    ) -> None:
        super().__init__()
        nearest = upsampling == "nearest"
        # The huggan layout pads by the number of image channels, which is 3 only for RGB.
        border = input_channels if nearest else 3
        conv = partial(nn.Conv2d, kernel_size=3, padding=1, bias=bias, padding_mode=padding)
        layers: list[nn.Module] = [nn.ReflectionPad2d(border), nn.Conv2d(input_channels, width, 7, bias=bias)]
        layers += [make_norm(norm, width), nn.ReLU(inplace=True)]
        for _ in range(downsamplings):
            layers += [conv(width, 2 * width, stride=2), make_norm(norm, 2 * width), nn.ReLU(inplace=True)]
            width *= 2
        block = Block if nearest else ConvBlock
        layers += [block(width, norm, dropout, bias) for _ in range(blocks)]
        for _ in range(downsamplings):
            half = width // 2
            if nearest:
                layers += [nn.Upsample(scale_factor=2), conv(width, half)]
            else:
                layers += [nn.ConvTranspose2d(width, half, 3, 2, 1, output_padding=1, bias=bias)]
            layers += [make_norm(norm, half), nn.ReLU(inplace=True)]
            width = half
        layers += [nn.ReflectionPad2d(border), nn.Conv2d(width, output_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W in [-1, 1], height and width multiples of 2^downsamplings → the same size, [-1, 1]."""
        return self.model(x)


def block_indices(shapes: Shapes) -> list[int]:
    return sorted(
        {int(m[1]) for k in shapes if (m := re.match(r"model\.(\d+)\.(?:conv_block|block)\.1\.weight", k))}
    )


def is_nearest(shapes: Shapes) -> bool:
    return any(re.match(r"model\.\d+\.block\.", k) for k in shapes)


def canonical(state: StateDict) -> StateDict:
    """Drops the running statistics that PyTorch 0.3 stored for instance norms and never used."""
    if "model.2.weight" in state or "model.2.running_mean" not in state:
        return state
    unused = ("running_mean", "running_var", "num_batches_tracked")
    return {k: v for k, v in state.items() if not k.endswith(unused)}


def detect(shapes: Shapes) -> bool:
    return len(shapes.get("model.1.weight", ())) == 4 and bool(block_indices(shapes))


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    indices, nearest = block_indices(shapes), is_nearest(shapes)
    name = "block" if nearest else "conv_block"
    last = max(
        int(m[1]) for k in shapes if (m := re.fullmatch(r"model\.(\d+)\.weight", k)) and len(shapes[k]) == 4
    )
    downsamplings = (indices[0] - 4) // 3
    if downsamplings > len(shapes):
        raise ValueError("more stages than keys")
    return {
        "input_channels": shapes["model.1.weight"][1],
        "output_channels": shapes[f"model.{last}.weight"][0],
        "width": shapes["model.1.weight"][0],
        "blocks": len(indices),
        "downsamplings": downsamplings,
        "norm": "batch" if "model.2.weight" in shapes else "instance",
        "dropout": f"model.{indices[0]}.{name}.6.weight" in shapes
        and len(shapes[f"model.{indices[0]}.{name}.6.weight"]) == 4,
        "bias": "model.1.bias" in shapes,
        "upsampling": "nearest" if nearest else "transposed",
        "padding": str(hints.get("padding", "zeros")),
    }


def margin(h: Hyperparameters) -> int:
    """The huggan layout pads its 7×7 convolutions by the number of channels, which is too little for grey."""
    return 2 * max(0, 3 - h["input_channels"]) if h["upsampling"] == "nearest" else 0


CYCLEGAN_RESNET = Architecture(
    name="cyclegan_resnet",
    title="CycleGAN ResNet generator (Zhu et al. 2017)",
    family="translator",
    build=ResnetGenerator,
    detect=detect,
    read=read,
    example={},
    canonical=canonical,
    multiple=lambda h: 2 ** int(h["downsamplings"]),
    margin=margin,
    channels=lambda h: (h["input_channels"], h["output_channels"]),
)
