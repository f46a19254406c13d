"""DCGAN generator (Radford et al. 2016, arXiv:1511.06434), in the layout of the PyTorch example.

A conditional one (Mirza & Osindero 2014, arXiv:1411.1784) takes its class one-hot behind the latent. Nothing
in a file tells how many of the inputs are classes: the hint `num_classes` does.
"""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.registry import (
    Architecture,
    Hints,
    Hyperparameters,
    Shapes,
    StateDict,
    shapes_of,
)
from imgsynth.architectures.spellings import TRANSPOSED_CONVOLUTION, packed

# What the PyTorch example has; only what differs from it is listed among a file's hyper-parameters.
USUAL: Hyperparameters = {"first_kernel": 4, "bias": False, "last_bias": False, "num_classes": 0}
SIZE_HINTS = ("image_size", "img_size", "imageSize")


class DCGANGenerator(nn.Module):
    """Transposed 4×4 convolutions from a latent to a picture.

    Args:
        latent_dim: length of z.
        widths: channels after each stage but the last, deepest first.
        channels: image channels.
        last_kernel: 4 doubles the size once more; 1 (a published variant) only mixes channels.
        last_padding: padding of the last layer: 1 for a 4×4 kernel; for a 1×1 kernel, 0 or a crop.
        first_kernel: side of the first feature map.
        bias: whether the convolutions before batch norms have a bias.
        last_bias: whether the last convolution has one.
        num_classes: classes of a conditional generator, told to it one-hot behind z.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: list[int],
        channels: int,
        last_kernel: int = 4,
        last_padding: int = 1,
        first_kernel: int = 4,
        bias: bool = False,
        last_bias: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (inner, outer) in enumerate(zip([latent_dim + num_classes, *widths], widths, strict=False)):
            kernel, stride, padding = (first_kernel, 1, 0) if i == 0 else (4, 2, 1)
            layers += [nn.ConvTranspose2d(inner, outer, kernel, stride, padding, bias=bias)]
            layers += [nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        stride = 2 if last_kernel == 4 else 1
        layers += [
            nn.ConvTranspose2d(widths[-1], channels, last_kernel, stride, last_padding, bias=last_bias),
            nn.Tanh(),
        ]
        self.main = nn.Sequential(*layers)
        self.num_classes = num_classes

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents to pictures.

        Args:
            z: N×latent_dim or N×latent_dim×1×1, standard normal.
            labels: int64 N, the classes to draw; needed by a conditional generator, and only by it.

        Returns:
            N×channels×H×W in [-1, 1].
        """
        z = z.flatten(1)
        if self.num_classes:
            if labels is None:
                raise ValueError("a conditional generator needs labels")
            z = torch.cat([z, F.one_hot(labels, self.num_classes).to(z.dtype)], dim=1)
        return self.main(z[..., None, None])


def stage_indices(shapes: Shapes) -> list[int]:
    """Indices of the transposed convolutions `main.N.weight`."""
    named = {key: re.fullmatch(r"main\.([0-9]{1,9})\.weight", key) for key in shapes}
    return sorted(int(m[1]) for key, m in named.items() if m and len(shapes[key]) == 4)


def canonical(state: StateDict) -> StateDict:
    """`model.N` (the huggan spelling), `deconvN` with `deconvN_bn`, and all others become `main.N`."""
    renamed = packed(state, "main", TRANSPOSED_CONVOLUTION)
    return renamed if detect(shapes_of(renamed)) else state


def detect(shapes: Shapes) -> bool:
    first, second = shapes.get("main.0.weight", ()), shapes.get("main.3.weight", ())
    return (
        len(first) == len(second) == 4
        and first[2] == first[3] > 1
        and first[1] == second[0]
        and shapes.get("main.1.running_mean") == (first[1],)
        and stage_indices(shapes)[:2] == [0, 3]
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    indices = stage_indices(shapes)
    first, last = (shapes[f"main.{i}.weight"] for i in (indices[0], indices[-1]))
    # Other kernels than these two have no padding that can be inferred: they will be named as misfits.
    last_kernel = 1 if last[2] == 1 else 4
    num_classes = int(hints.get("num_classes") or 0)
    sizes: Hyperparameters = {
        "latent_dim": first[0] - num_classes,
        "widths": [shapes[f"main.{i}.weight"][1] for i in indices[:-1]],
        "channels": last[1],
        "last_kernel": last_kernel,
    }
    sizes["last_padding"] = read_last_padding(sizes, first[2], hints)
    found = {
        "first_kernel": first[2],
        "bias": "main.0.bias" in shapes,
        "last_bias": f"main.{indices[-1]}.bias" in shapes,
        "num_classes": num_classes,
    }
    sizes |= {name: value for name, value in found.items() if value != USUAL[name]}
    if sizes["last_padding"] < 0 or image_size(sizes) < 1:
        raise ValueError("the padding leaves no picture")
    if num_classes < 0 or sizes["latent_dim"] < 1:
        raise ValueError("the classes leave no latent")
    return sizes


def read_last_padding(sizes: Hyperparameters, first_kernel: int, hints: Hints) -> int:
    """Padding of the last layer, which crops the picture where the kernel is 1×1.

    The same shapes are published with 0 (CIFAR, 32 pixels) and 2 (MNIST, 28): `last_padding` or the picture's
    size in the hints tells which.
    """
    if "last_padding" in hints or sizes["last_kernel"] == 4:
        return int(hints.get("last_padding", 1))
    inner = last_input_size(sizes["widths"], first_kernel)
    crops = [inner - hints[name] for name in SIZE_HINTS if isinstance(hints.get(name), int)]
    return next((crop // 2 for crop in crops if crop in range(0, inner, 2)), 0)


def last_input_size(widths: list[int], first_kernel: int) -> int:
    """Side of the map that the last layer takes."""
    return first_kernel * 2 ** (len(widths) - 1)


def image_size(h: Hyperparameters) -> int:
    inner = last_input_size(h["widths"], {**USUAL, **h}["first_kernel"])
    return inner * 2 if h["last_kernel"] == 4 else inner - 2 * h["last_padding"]


def init_weights(module: nn.Module) -> None:
    """Normal(0, 0.02) filters and Normal(1, 0.02) gains, as the paper trains them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def widths_for(size: int, width: int) -> list[int]:
    """Stage widths of a DCGAN for `size`×`size` pictures: `width` at the end, doubling inwards up to 8×."""
    stages = int(torch.tensor(size // 4).log2().item())
    return [width * min(8, 2**i) for i in reversed(range(stages))]


DCGAN = Architecture(
    name="dcgan",
    title="DCGAN generator (Radford et al. 2016)",
    family="generator",
    build=DCGANGenerator,
    detect=detect,
    read=read,
    example={"latent_dim": 100, "widths": [512, 256, 128, 64], "channels": 3},
    canonical=canonical,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=image_size,
    channels=lambda h: (h["channels"], h["channels"]),
    classes=lambda h: {**USUAL, **h}["num_classes"],
)
