"""DCGAN generator (Radford et al. 2016, arXiv:1511.06434), in the layout of the PyTorch example."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict


class DCGANGenerator(nn.Module):
    """Transposed 4×4 convolutions from a latent to a picture.

    Args:
        latent_dim: length of z.
        widths: channels after each stage but the last, deepest first.
        channels: image channels.
        last_kernel: 4 doubles the size once more; 1 (a published variant) only mixes channels.
        last_padding: padding of the last layer: 1 for a 4×4 kernel; for a 1×1 kernel, 0 or a crop.
    """

    def __init__(
        self, latent_dim: int, widths: list[int], channels: int, last_kernel: int = 4, last_padding: int = 1
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (inner, outer) in enumerate(zip([latent_dim, *widths], widths, strict=False)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers += [nn.ConvTranspose2d(inner, outer, 4, stride, padding, bias=False)]
            layers += [nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
        stride = 2 if last_kernel == 4 else 1
        layers += [
            nn.ConvTranspose2d(widths[-1], channels, last_kernel, stride, last_padding, bias=False),
            nn.Tanh(),
        ]
        self.main = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """z: N×latent_dim or N×latent_dim×1×1, standard normal → N×channels×H×W in [-1, 1]."""
        return self.main(z.reshape(z.shape[0], -1, 1, 1))


def stage_indices(shapes: Shapes) -> list[int]:
    """Indices of the transposed convolutions `main.N.weight`."""
    return sorted(
        int(m[1]) for k, s in shapes.items() if (m := re.fullmatch(r"main\.(\d+)\.weight", k)) and len(s) == 4
    )


def canonical(state: StateDict) -> StateDict:
    """`model.N` (the huggan spelling) becomes `main.N`."""
    if "model.0.weight" in state:
        return {re.sub(r"^model\.", "main.", k): v for k, v in state.items()}
    return state


def detect(shapes: Shapes) -> bool:
    first = shapes.get("main.0.weight", ())
    return (
        len(first) == 4
        and first[2:] == (4, 4)
        and "main.1.running_mean" in shapes
        and stage_indices(shapes)[1:2] == [3]
    )


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    indices = stage_indices(shapes)
    last = shapes[f"main.{indices[-1]}.weight"]
    default_padding = 1 if last[2] == 4 else 0
    sizes: Hyperparameters = {
        "latent_dim": shapes["main.0.weight"][0],
        "widths": [shapes[f"main.{i}.weight"][1] for i in indices[:-1]],
        "channels": last[1],
        "last_kernel": last[2],
        "last_padding": int(hints.get("last_padding", default_padding)),
    }
    if sizes["last_padding"] < 0 or image_size(sizes) < 1:
        raise ValueError("the padding leaves no picture")
    return sizes


def image_size(h: Hyperparameters) -> int:
    inner = 4 * 2 ** (len(h["widths"]) - 1)
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
)
