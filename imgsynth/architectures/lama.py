"""LaMa: large-mask inpainting with fast Fourier convolutions (Suvorov et al. 2022, arXiv:2109.07161;
fast Fourier convolution: Chi et al. 2020)."""

from __future__ import annotations

import re
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

Branches = tuple[Tensor, Tensor | None]


class FourierUnit(nn.Module):
    """A 1×1 convolution over the spectrum: every output pixel sees the whole image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(width * 2, width * 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(width * 2)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        # Transforms run in float32: half types have no FFT on the CPU and only powers of two on CUDA.
        spectrum = torch.fft.rfftn(x.float(), dim=(-2, -1), norm="ortho")
        pairs = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3).reshape(n, 2 * c, h, -1)
        mixed = F.relu(self.bn(self.conv_layer(pairs))).float()
        mixed = mixed.reshape(n, c, 2, h, -1).permute(0, 1, 3, 4, 2).contiguous()
        return torch.fft.irfftn(torch.view_as_complex(mixed), s=(h, w), dim=(-2, -1), norm="ortho").to(
            x.dtype
        )


class SpectralTransform(nn.Module):
    """1×1 convolution in, Fourier unit with a skip, 1×1 convolution out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(width, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.conv2(x + self.fu(x))


class FFC(nn.Module):
    """Fast Fourier convolution: a local and a global branch that feed each other."""

    def __init__(
        self, inner: tuple[int, int], outer: tuple[int, int], kernel: int, stride: int, padding: int
    ) -> None:
        super().__init__()
        conv = partial(
            nn.Conv2d, kernel_size=kernel, stride=stride, padding=padding, bias=False, padding_mode="reflect"
        )
        (local_in, global_in), (local_out, global_out) = inner, outer
        self.convl2l = conv(local_in, local_out)
        self.convl2g = conv(local_in, global_out) if global_out else None
        self.convg2l = conv(global_in, local_out) if global_in else None
        self.convg2g = SpectralTransform(global_out) if global_in and global_out else None

    def forward(self, branches: Branches) -> Branches:
        x_local, x_global = branches
        local = self.convl2l(x_local)
        if self.convg2l is not None and x_global is not None:
            local = local + self.convg2l(x_global)
        if self.convl2g is None:
            return local, None
        mixed = self.convl2g(x_local)
        if self.convg2g is not None and x_global is not None:
            mixed = mixed + self.convg2g(x_global)
        return local, mixed


class FFCNormAct(nn.Module):
    """FFC, then batch norm and ReLU on each branch."""

    def __init__(
        self,
        inner: tuple[int, int],
        outer: tuple[int, int],
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.ffc = FFC(inner, outer, kernel, stride, padding)
        self.bn_l = nn.BatchNorm2d(outer[0])
        self.bn_g = nn.BatchNorm2d(outer[1]) if outer[1] else None

    def forward(self, branches: Branches) -> Branches:
        local, mixed = self.ffc(branches)
        local = F.relu(self.bn_l(local))
        if self.bn_g is None or mixed is None:
            return local, None
        return local, F.relu(self.bn_g(mixed))


class FFCBlock(nn.Module):
    """Two FFCs and an identity on each branch."""

    def __init__(self, split: tuple[int, int]) -> None:
        super().__init__()
        self.conv1, self.conv2 = FFCNormAct(split, split), FFCNormAct(split, split)

    def forward(self, branches: Branches) -> Branches:
        local, mixed = self.conv2(self.conv1(branches))
        assert mixed is not None
        assert branches[1] is not None
        return branches[0] + local, branches[1] + mixed


class Join(nn.Module):
    """Puts the two branches side by side again."""

    def forward(self, branches: Branches) -> Tensor:
        assert branches[1] is not None
        return torch.cat([branches[0], branches[1]], dim=1)


class LaMaGenerator(nn.Module):
    """FFC ResNet generator.

    Args:
        input_channels: image channels plus one for the mask.
        output_channels: image channels.
        width: channels after the first convolution (ngf).
        downsamplings: number of stride-2 stages on each side.
        blocks: number of residual FFC blocks.
        global_channels: channels of the global branch inside the blocks (the rest is local).
    """

    def __init__(
        self,
        input_channels: int = 4,
        output_channels: int = 3,
        width: int = 64,
        downsamplings: int = 3,
        blocks: int = 18,
        global_channels: int = 384,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            FFCNormAct((input_channels, 0), (width, 0), 7, 1, 0),
        ]
        deepest = width * 2**downsamplings
        split = (deepest - global_channels, global_channels)
        for i in range(downsamplings):
            outer = split if i == downsamplings - 1 else (width * 2 ** (i + 1), 0)
            layers.append(FFCNormAct((width * 2**i, 0), outer, 3, 2, 1))
        layers += [FFCBlock(split) for _ in range(blocks)]
        layers.append(Join())
        for i in reversed(range(downsamplings)):
            outer_width = width * 2**i
            layers.append(nn.ConvTranspose2d(outer_width * 2, outer_width, 3, 2, 1, output_padding=1))
            layers += [nn.BatchNorm2d(outer_width), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, output_channels, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """N×(C+1)×H×W → N×C×H×W in [0, 1].

        The input is the image in [0, 1] with its hole blanked, then the mask (1 = hole); height and width
        must be multiples of 2^downsamplings.
        """
        branches: Branches = (self.model[0](x), None)
        stages = iter(self.model[1:])
        for stage in stages:
            out = stage(branches)
            if isinstance(stage, Join):
                break
            branches = out
        for stage in stages:
            out = stage(out)
        return out


def assemble(image: Tensor, mask: Tensor) -> Tensor:
    """The network's input: the image with its hole blanked, and the mask."""
    return torch.cat([image * (1 - mask), mask], dim=1)


def stage_indices(shapes: Shapes) -> tuple[int, list[int]]:
    """Number of downsampling stages and the indices of the residual blocks."""
    stages = [int(m[1]) for k in shapes if (m := re.fullmatch(r"model\.(\d+)\.ffc\.convl2l\.weight", k))]
    blocks = [
        int(m[1]) for k in shapes if (m := re.fullmatch(r"model\.(\d+)\.conv1\.ffc\.convl2l\.weight", k))
    ]
    return max(stages) - 1, sorted(blocks)


def detect(shapes: Shapes) -> bool:
    return "model.1.ffc.convl2l.weight" in shapes and any(
        k.endswith("convg2g.fu.conv_layer.weight") for k in shapes
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    downsamplings, blocks = stage_indices(shapes)
    if downsamplings > len(shapes):
        raise ValueError("more stages than keys")
    last = max(int(m[1]) for k in shapes if (m := re.fullmatch(r"model\.(\d+)\.weight", k)))
    first = shapes["model.1.ffc.convl2l.weight"]
    return {
        "input_channels": first[1],
        "output_channels": shapes[f"model.{last}.weight"][0],
        "width": first[0],
        "downsamplings": downsamplings,
        "blocks": len(blocks),
        "global_channels": shapes[f"model.{blocks[0]}.conv1.ffc.convl2g.weight"][0],
    }


LAMA = Architecture(
    name="lama",
    title="LaMa, fast Fourier convolutions (Suvorov et al. 2022)",
    family="inpainter",
    build=LaMaGenerator,
    detect=detect,
    read=read,
    example={"downsamplings": 3},
    output_range=UNIT,
    input_range=UNIT,
    multiple=lambda h: 2 ** int(h["downsamplings"]),
    channels=lambda h: (h["input_channels"] - 1, h["output_channels"]),
    assemble=assemble,
)
