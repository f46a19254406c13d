"""ResNet generator of SNGAN (Miyato et al. 2018, arXiv:1802.05957), in the layout of PyTorch-StudioGAN.

With classes, batch norms are conditional (Miyato & Koyama 2018, arXiv:1802.05637); self-attention is that of
SAGAN (Zhang et al. 2019, arXiv:1805.08318).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes
from imgsynth.architectures.spectral import attend, fold, spectral, upsample

BASE = 4  # side of the first feature map, whatever the picture's size
EPS = 1e-4
PARTS = {"linear0", "blocks", "bn4", "conv2d5"}
# As upstream's configuration spells them; no key tells which one a network was trained with.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "ReLU": torch.relu_,
    "Leaky_ReLU": partial(F.leaky_relu, negative_slope=0.1),
    "ELU": F.elu,
    "GELU": F.gelu,
}


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and bias are linear in the one-hot class."""

    def __init__(self, width: int, classes: int, normalised: bool) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(width, EPS, affine=False)
        self.gain = spectral(nn.Linear(classes, width, bias=False), normalised)
        self.bias = spectral(nn.Linear(classes, width, bias=False), normalised)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return torch.addcmul(bias[..., None, None], self.bn(x), gain[..., None, None])


class GeneratorBlock(nn.Module):
    """Residual block that doubles the size, normalising and activating before each convolution."""

    def __init__(
        self,
        inner: int,
        outer: int,
        classes: int,
        normalised: bool,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        if classes:
            self.bn1: nn.Module = ConditionalBatchNorm(inner, classes, normalised)
            self.bn2: nn.Module = ConditionalBatchNorm(outer, classes, normalised)
        else:
            self.bn1, self.bn2 = nn.BatchNorm2d(inner, EPS), nn.BatchNorm2d(outer, EPS)
        self.conv2d0 = spectral(nn.Conv2d(inner, outer, 1), normalised)
        self.conv2d1 = spectral(nn.Conv2d(inner, outer, 3, padding=1), normalised)
        self.conv2d2 = spectral(nn.Conv2d(outer, outer, 3, padding=1), normalised)
        self.activation = activation

    def forward(self, x: Tensor, *condition: Tensor) -> Tensor:
        h = self.conv2d1(upsample(self.activation(self.bn1(x, *condition))))
        h = self.conv2d2(self.activation(self.bn2(h, *condition)))
        # Upstream upsamples first; a 1×1 convolution gives the same values on a quarter of the pixels.
        return h + upsample(self.conv2d0(x))


class SelfAttention(nn.Module):
    """Attention from every pixel to every 2×2 patch, added with a learnt weight `sigma`."""

    def __init__(self, width: int, normalised: bool) -> None:
        super().__init__()
        self.conv1x1_theta = spectral(nn.Conv2d(width, width // 8, 1, bias=False), normalised)
        self.conv1x1_phi = spectral(nn.Conv2d(width, width // 8, 1, bias=False), normalised)
        self.conv1x1_g = spectral(nn.Conv2d(width, width // 2, 1, bias=False), normalised)
        self.conv1x1_attn = spectral(nn.Conv2d(width // 2, width, 1, bias=False), normalised)
        self.sigma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, *_: Tensor) -> Tensor:
        attended = attend(self.conv1x1_theta(x), self.conv1x1_phi(x), self.conv1x1_g(x))
        return x + self.sigma * self.conv1x1_attn(attended)


class StudioGANResNet(nn.Module):
    """Residual blocks from a latent, and a class where it knows any, to a picture.

    Args:
        latent_dim: length of z.
        widths: channels before the first block and after each block; every block doubles the size from 4×4.
        classes: number of classes, 0 for an unconditional network.
        attention_after: self-attention follows the blocks of these numbers, counted from 1.
        channels: image channels.
        spectral_norm: whether every linear and convolution is normalised.
        activation: "ReLU", "Leaky_ReLU", "ELU" or "GELU".
    """

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        classes: int = 0,
        attention_after: Sequence[int] = (),
        channels: int = 3,
        spectral_norm: bool = False,
        activation: str = "ReLU",
    ) -> None:
        super().__init__()
        self.classes = classes
        self.activation = ACTIVATIONS[activation]
        self.linear0 = spectral(nn.Linear(latent_dim, widths[0] * BASE * BASE), spectral_norm)
        layers: list[nn.Module] = []
        for number, (inner, outer) in enumerate(pairwise(widths), start=1):
            layers.append(GeneratorBlock(inner, outer, classes, spectral_norm, self.activation))
            if number in attention_after:
                layers.append(SelfAttention(outer, spectral_norm))
        self.blocks = nn.ModuleList(nn.ModuleList([layer]) for layer in layers)
        self.bn4 = nn.BatchNorm2d(widths[-1], EPS)
        self.conv2d5 = spectral(nn.Conv2d(widths[-1], channels, 3, padding=1), spectral_norm)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents to pictures.

        Args:
            z: N×latent_dim, standard normal.
            labels: int64 N; needed by a conditional network, unused by another.

        Returns:
            N×channels×H×W in [-1, 1].

        Raises:
            ValueError: a conditional network was given no labels.
        """
        x = self.linear0(z.flatten(1)).unflatten(1, (-1, BASE, BASE))
        condition = self.one_hot(labels, x.dtype)
        for holder in self.blocks:
            for layer in holder.children():
                x = layer(x, *condition)
        return self.conv2d5(self.activation(self.bn4(x))).tanh()

    def one_hot(self, labels: Tensor | None, dtype: torch.dtype) -> list[Tensor]:
        if not self.classes:
            return []
        if labels is None:
            raise ValueError("This network draws classes: give labels, one for each latent.")
        return [F.one_hot(labels, self.classes).to(dtype)]


def detect(shapes: Shapes) -> bool:
    """StudioGAN's BigGAN has these blocks too, and parts for a shared embedding besides."""
    return (
        {key.split(".")[0] for key in shapes} == PARTS
        and "bn4.running_mean" in shapes
        and any(len(shapes.get(f"blocks.0.0.conv2d0.{w}", ())) == 4 for w in ("weight", "weight_orig"))
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    weight = "weight_orig" if "linear0.weight_orig" in shapes else "weight"
    widths, attention_after = read_blocks(shapes, weight)
    gain = shapes.get(f"blocks.0.0.bn1.gain.{weight}")
    activation = str(hints.get("g_act_fn", "ReLU"))
    if activation not in ACTIVATIONS:
        raise ValueError(f"no activation {activation}")
    return {
        "latent_dim": shapes[f"linear0.{weight}"][1],
        "widths": widths,
        "classes": gain[1] if gain else 0,
        "attention_after": attention_after,
        "channels": shapes[f"conv2d5.{weight}"][0],
        "spectral_norm": weight == "weight_orig",
        "activation": activation,
    }


def read_blocks(shapes: Shapes, weight: str) -> tuple[list[int], list[int]]:
    """Widths before the first and after each residual block, and after which of them attention stands."""
    layers = {m[1] for k in shapes if (m := re.match(r"blocks\.(\d+)\.", k))}
    widths = [shapes[f"blocks.0.0.conv2d1.{weight}"][1]]
    attention_after = []
    for i in range(len(layers)):
        if f"blocks.{i}.0.sigma" in shapes:
            attention_after.append(len(widths) - 1)
        else:
            widths.append(shapes[f"blocks.{i}.0.conv2d1.{weight}"][0])
    return widths, attention_after


STUDIOGAN_RESNET = Architecture(
    name="studiogan_resnet",
    title="SNGAN ResNet generator of PyTorch-StudioGAN (Miyato et al. 2018)",
    family="generator",
    build=StudioGANResNet,
    detect=detect,
    read=read,
    example={"latent_dim": 128, "widths": [256, 256, 256, 256], "classes": 10},
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: BASE * 2 ** (len(h["widths"]) - 1),
    channels=lambda h: (h["channels"], h["channels"]),
    classes=lambda h: h["classes"],
    finish=fold,
)
