"""DeepFill v2: free-form inpainting with gated convolutions (Yu et al. 2019, arXiv:1806.03589).

Two layouts go round. "pt" was trained in PyTorch; "tf" was converted from the authors' TensorFlow files,
keeps that framework's padding, does not fuse attention scores, and spells the same layers otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.contextual_attention import ContextualAttention, require_comparable
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict

DILATIONS = {"conv_bn1": 1, "conv_bn2": 2, "conv_bn3": 4, "conv_bn4": 8, "conv_bn5": 16}
UNGATED = 3
FUSE_WEIGHT = "stage2.contextual_attention.fuse_weight"

# The layers of a stage in the order in which the tf layout numbers them, from 1, and its names of stages.
NUMBERED = (
    "conv1",
    *("down_block1.conv1_downsample", "down_block1.conv2"),
    *("down_block2.conv1_downsample", "down_block2.conv2"),
    *(*DILATIONS, "conv_bn6", "conv_bn7"),
    *("up_block1.conv1_upsample", "up_block1.conv2"),
    *("up_block2.conv1_upsample", "up_block2.conv2"),
    "conv_to_rgb",
)
TF_STAGES = {"": "stage1.", "x": "stage2.conv_", "pm": "stage2.ca_", "all": "stage2."}
OLD_BRANCHES = {"stage2.b1_": "stage2.conv_", "stage2.b2_": "stage2.ca_"}

Layers = dict[str, nn.Module]


class GatedConv(nn.Module):
    """A convolution of which half the channels gate the other half.

    Args:
        same: TensorFlow's SAME padding: what is odd goes to the right and the bottom.
        gated: false for the last layer of a stage.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Callable[[Tensor], Tensor] = F.elu,
        gated: bool = True,
        *,
        same: bool,
    ) -> None:
        super().__init__()
        # The original takes every layer of three channels for a last one.
        self.gated = gated and outer != UNGATED
        # Sizes are even wherever the stride is 2, which leaves SAME one row and one column to add.
        self.uneven = same and stride == 2
        padding = 0 if self.uneven else dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inner, outer * (1 + self.gated), kernel, stride, padding, dilation)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.pad(x, (0, 1, 0, 1)) if self.uneven else x)
        if not self.gated:
            return x
        x, gate = x.chunk(2, dim=1)
        return self.activation(x) * torch.sigmoid(gate)


Conv = Callable[..., GatedConv]


class Named(nn.Sequential):
    """A sequence of layers with names."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


def encoder(conv: Conv, inner: int, c: int, hidden: tuple[int, int]) -> Layers:
    """From `inner` channels at full size to 2·c at a quarter; `hidden` channels between two strides."""

    def down(start: int, middle: int, end: int) -> Named:
        return Named({"conv1_downsample": conv(start, middle, stride=2), "conv2": conv(middle, end)})

    return {
        "conv1": conv(inner, c // 2, 5),
        "down_block1": down(c // 2, hidden[0], c),
        "down_block2": down(c, hidden[1], 2 * c),
    }


def decoder(conv: Conv, c: int, outer: int) -> Layers:
    """From 2·c channels at a quarter of the size to `outer` at full size."""

    def up(start: int, middle: int, end: int) -> Named:
        doubled = Named({"upsample": nn.Upsample(scale_factor=2), "conv": conv(start, middle)})
        return Named({"conv1_upsample": doubled, "conv2": conv(middle, end)})

    return {
        "up_block1": up(2 * c, c, c),
        "up_block2": up(c, c // 2, c // 4),
        "conv_to_rgb": conv(c // 4, outer, gated=False),
    }


class CoarseStage(Named):
    """The image with its hole blanked → a rough picture."""

    def __init__(self, conv: Conv, c: int, channels: int) -> None:
        dilated = {name: conv(2 * c, 2 * c, dilation=dilation) for name, dilation in DILATIONS.items()}
        plain = {name: conv(2 * c, 2 * c) for name in ("conv_bn6", "conv_bn7")}
        layers = encoder(conv, channels + 2, c, (c, 2 * c)) | dilated | plain
        super().__init__(layers | decoder(conv, c, channels) | {"tanh": nn.Tanh()})


class FineStage(nn.Module):
    """The rough picture → the final one, by dilated convolutions and, beside them, by attention."""

    def __init__(self, conv: Conv, c: int, channels: int, attention: ContextualAttention) -> None:
        super().__init__()
        dilated = {name: conv(2 * c, 2 * c, dilation=dilation) for name, dilation in DILATIONS.items()}
        self.conv_branch = self._add("conv_", encoder(conv, channels, c, (c // 2, c)) | dilated)
        before = {"conv_bn1": conv(2 * c, 2 * c, activation=F.relu)}
        self.before_attention = self._add("ca_", encoder(conv, channels, c, (c // 2, 2 * c)) | before)
        self.contextual_attention = attention
        after = {name: conv(2 * c, 2 * c) for name in ("conv_bn4", "conv_bn5")}
        self.after_attention = self._add("ca_", after)
        merged = {"conv_bn6": conv(4 * c, 2 * c), "conv_bn7": conv(2 * c, 2 * c)}
        self.merged = self._add("", merged | decoder(conv, c, channels))

    def _add(self, prefix: str, layers: Mapping[str, nn.Module]) -> list[str]:
        for name, layer in layers.items():
            self.add_module(prefix + name, layer)
        return [prefix + name for name in layers]

    def _run(self, names: Iterable[str], x: Tensor) -> Tensor:
        for name in names:
            x = self.get_submodule(name)(x)
        return x

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        convolved = self._run(self.conv_branch, x)
        attended = self.contextual_attention(self._run(self.before_attention, x), mask)
        attended = self._run(self.after_attention, attended)
        return torch.tanh(self._run(self.merged, torch.cat([convolved, attended], dim=1)))


class DeepFillGenerator(nn.Module):
    """Two stages, the second with contextual attention.

    Args:
        cnum: channels are multiples of this or of half or a quarter of it.
        channels: image channels; the network's input has two more, for the sketch and the mask.
        layout: "pt" or "tf"; see the module.
    """

    def __init__(self, cnum: int = 48, channels: int = 3, layout: str = "pt") -> None:
        super().__init__()
        tf = layout == "tf"
        conv = partial(GatedConv, same=tf)
        self.stage1 = CoarseStage(conv, cnum, channels)
        self.stage2 = FineStage(conv, cnum, channels, ContextualAttention(fuse=not tf, aligned=tf))
        self.channels = channels

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with the rough picture first.

        Raises:
            BadRequest: the picture is too large for contextual attention.
        """
        require_comparable(*x.shape[-2:])
        image, mask = x[:, : self.channels], x[:, -1:]
        coarse = self.stage1(x)
        return coarse, self.stage2(coarse * mask + image * (1 - mask), mask)

    def forward(self, x: Tensor) -> Tensor:
        """N×(C+2)×H×W → N×C×H×W in [-1, 1].

        The input is the image in [-1, 1] with its hole blanked, ones (where an edge sketch would go), and the
        mask (1 = hole); height and width must be multiples of 8.
        """
        return self.stages(x)[1]


def assemble(image: Tensor, mask: Tensor) -> Tensor:
    """The network's input: the image with its hole blanked, an empty sketch, and the mask."""
    return torch.cat([image * (1 - mask), torch.ones_like(mask), mask], dim=1)


def canonical(state: StateDict) -> StateDict:
    """The tf layout's names and those of early pt files become those of pt; tf stays without fuse weight."""
    if "xconv1.conv.weight" in state and "pmconv1.conv.weight" in state:
        return {from_tf(key): value for key, value in state.items()}
    if "stage2.b1_conv1.conv.weight" in state:
        renamed = {from_old(key): value for key, value in state.items()}
        return {FUSE_WEIGHT: torch.eye(3)[None, None], **renamed}
    return state


def from_tf(key: str) -> str:
    """`xconv2_downsample.conv.weight` → `stage2.conv_down_block1.conv1_downsample.conv.weight`."""
    match = re.fullmatch(r"(x|pm|all|)conv(\d{1,2})(?:_[a-z]+)?(\..+)", key)
    if match is None or not 1 <= int(match[2]) <= len(NUMBERED):
        return key
    return TF_STAGES[match[1]] + NUMBERED[int(match[2]) - 1] + match[3]


def from_old(key: str) -> str:
    """`stage2.b1_conv1.conv.weight` → `stage2.conv_conv1.conv.weight`."""
    for old, new in OLD_BRANCHES.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def detect(shapes: Shapes) -> bool:
    needed = ("stage1.conv_bn1.conv.weight", "stage2.conv_conv1.conv.weight", "stage2.ca_conv1.conv.weight")
    return all(key in shapes for key in needed)


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    return {
        "cnum": shapes["stage1.conv_bn1.conv.weight"][0] // 4,
        "channels": shapes["stage2.conv_to_rgb.conv.weight"][0],
        "layout": "pt" if FUSE_WEIGHT in shapes else "tf",
    }


DEEPFILLV2 = Architecture(
    name="deepfillv2",
    title="DeepFill v2, gated convolution and contextual attention (Yu et al. 2019)",
    family="inpainter",
    build=DeepFillGenerator,
    detect=detect,
    read=read,
    example={"cnum": 48},
    canonical=canonical,
    multiple=lambda _: 8,
    channels=lambda h: (h["channels"], h["channels"]),
    assemble=assemble,
)
