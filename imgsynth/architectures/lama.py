"""LaMa: large-mask inpainting with fast Fourier convolutions (Suvorov et al. 2022, arXiv:2109.07161)."""

from __future__ import annotations

import re
from functools import partial

import torch
from torch import Tensor, nn

from imgsynth.architectures.ffc import Branches, FFCNormAct, Split
from imgsynth.architectures.harmonic import harmonic_fill
from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes, StateDict

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "none": nn.Identity}
# Where a training's keys, or the packages that load them, have the generator.
PREFIXES = ("", "generator.", "model.", "model.generator.")
FIRST = "model.1.ffc.convl2l.weight"
HARMONIC = "harmonic"


class FFCBlock(nn.Module):
    """Two FFCs and an identity on each branch."""

    def __init__(self, split: Split, local_fourier: bool = False) -> None:
        super().__init__()
        self.conv1 = FFCNormAct(split, split, local_fourier=local_fourier)
        self.conv2 = FFCNormAct(split, split, local_fourier=local_fourier)

    def forward(self, branches: Branches) -> Branches:
        x_local, x_global = branches
        local, mixed = self.conv2(self.conv1(branches))
        if x_global is None or mixed is None:
            return x_local + local, None
        return x_local + local, x_global + mixed


class Join(nn.Module):
    """Puts the two branches side by side again."""

    def forward(self, branches: Branches) -> Tensor:
        local, mixed = branches
        return local if mixed is None else torch.cat([local, mixed], dim=1)


class LaMaGenerator(nn.Module):
    """FFC ResNet generator.

    Args:
        input_channels: image channels plus one for the mask.
        output_channels: image channels.
        width: channels after the first convolution (ngf).
        downsamplings: number of stride-2 stages on each side.
        blocks: number of residual FFC blocks.
        global_channels: channels of the global branch inside the blocks (the rest is local).
        most_channels: no stage is wider (max_features); None where that changes nothing.
        early_global_channels: of the first convolution and of all stages but the last, which feeds the
            blocks; None where these are local only.
        local_fourier: the blocks' spectral transforms also look at the quarters of the image (enable_lfu).
        early_local_fourier: so do those of the stages before them.
        output: "sigmoid", "tanh" or "none" (add_out_act).
        harmonic: the hole does not start blank but as the smoothest continuation of what surrounds it, and so
            does what the network misses of that; this is ours, not LaMa's (hint `hole_start`, "harmonic").
    """

    def __init__(
        self,
        input_channels: int = 4,
        output_channels: int = 3,
        width: int = 64,
        downsamplings: int = 3,
        blocks: int = 18,
        global_channels: int = 384,
        most_channels: int | None = None,
        early_global_channels: list[int] | None = None,
        local_fourier: bool = False,
        early_local_fourier: bool = False,
        output: str = "sigmoid",
        harmonic: bool = False,
    ) -> None:
        super().__init__()
        self.harmonic = harmonic
        widths = [width * 2**i for i in range(downsamplings + 1)]
        if most_channels is not None:
            widths = [min(w, most_channels) for w in widths]
        shared = [*(early_global_channels or [0] * downsamplings), global_channels]
        splits = [(w - g, g) for w, g in zip(widths, shared, strict=True)]
        stage = partial(FFCNormAct, local_fourier=early_local_fourier)
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            stage((input_channels, 0), splits[0], kernel=7, padding=0),
        ]
        layers += [stage(splits[i], splits[i + 1], stride=2) for i in range(downsamplings)]
        layers += [FFCBlock(splits[-1], local_fourier) for _ in range(blocks)]
        layers.append(Join())
        for i in reversed(range(downsamplings)):
            layers.append(nn.ConvTranspose2d(widths[i + 1], widths[i], 3, 2, 1, output_padding=1))
            layers += [nn.BatchNorm2d(widths[i]), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(widths[0], output_channels, 7), ACTIVATIONS[output]()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """N×(C+1)×H×W → N×C×H×W in [0, 1].

        The input is the image in [0, 1] with its hole blanked, then the mask (1 = hole); height and width
        must be multiples of 2^downsamplings, twice that with local Fourier units.
        """
        if not self.harmonic:
            return self.run(x)
        image, mask = x[:, :-1], x[:, -1:]
        drawn = self.run(torch.cat([harmonic_fill(image, mask), mask], dim=1))
        # What it misses of the known goes on into the hole, so that the fill meets the photo without a seam:
        # the network has to add only what is not smooth.
        return drawn + harmonic_fill(image - drawn, mask)

    def run(self, x: Tensor) -> Tensor:
        """All layers, one after the other."""
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


def canonical(state: StateDict) -> StateDict:
    """Takes the generator out of what else its keys lie among; nothing else is called `model.N` there."""
    prefix = next((p for p in PREFIXES if p + FIRST in state), "")
    if not prefix:
        return state
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(f"{prefix}model.")}


def detect(shapes: Shapes) -> bool:
    return FIRST in shapes


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    downsamplings = len(numbers(shapes, r"model\.(\d+)\.ffc\.convl2l\.weight")) - 1
    last = max(numbers(shapes, r"model\.(\d+)\.weight"))
    splits = [split_of(shapes, i + 1) for i in range(downsamplings + 1)]
    width, deepest = sum(splits[0]), sum(splits[-1])
    early = [shared for _, shared in splits[:-1]]
    sizes: Hyperparameters = {
        "input_channels": shapes[FIRST][1],
        "output_channels": shapes[f"model.{last}.weight"][0],
        "width": width,
        "downsamplings": downsamplings,
        "blocks": len(numbers(shapes, r"model\.(\d+)\.conv1\.ffc\.convl2l\.weight")),
        "global_channels": splits[-1][1],
    }
    # What no published network has is named only where it is there.
    unusual = {
        "most_channels": deepest if deepest < width * 2**downsamplings else None,
        "early_global_channels": early if any(early) else None,
        "local_fourier": has_local_fourier(shapes, r"\.conv1"),
        "early_local_fourier": has_local_fourier(shapes, ""),
        "output": read_output(hints),
        "harmonic": hints.get("hole_start") == HARMONIC,
    }
    return sizes | {k: v for k, v in unusual.items() if v not in (None, False, "sigmoid")}


def numbers(shapes: Shapes, pattern: str) -> set[int]:
    """The numbers that keys have where the pattern's group is."""
    return {int(m[1]) for key in shapes if (m := re.fullmatch(pattern, key))}


def has_local_fourier(shapes: Shapes, part: str) -> bool:
    """Whether any FFC at `model.N` + part has a second Fourier unit."""
    return bool(numbers(shapes, rf"model\.(\d+){part}\.ffc\.convg2g\.lfu\.bn\.weight"))


def split_of(shapes: Shapes, index: int) -> Split:
    """Channels that the stage `model.index` gives to its local and its global branch."""
    return shapes[f"model.{index}.bn_l.weight"][0], shapes.get(f"model.{index}.bn_g.weight", (0,))[0]


def read_output(hints: Hints) -> str:
    """The last activation, which no key tells, as upstream's `add_out_act` has it: true is tanh.

    Raises:
        ValueError: there is no such activation.
    """
    given = hints.get("add_out_act", "sigmoid")
    output = {True: "tanh", False: "none", None: "none"}.get(given, given)
    if output not in ACTIVATIONS:
        raise ValueError(f"there is no activation {output}")
    return str(output)


def multiple(h: Hyperparameters) -> int:
    """Quarters, where a Fourier unit sees them, need an even size on the lowest level too."""
    quarters = h.get("local_fourier", False) or h.get("early_local_fourier", False)
    return 2 ** (int(h["downsamplings"]) + quarters)


LAMA = Architecture(
    name="lama",
    title="LaMa, fast Fourier convolutions (Suvorov et al. 2022)",
    family="inpainter",
    build=LaMaGenerator,
    detect=detect,
    read=read,
    example={"downsamplings": 3},
    canonical=canonical,
    output_range=UNIT,
    input_range=UNIT,
    multiple=multiple,
    channels=lambda h: (h["input_channels"] - 1, h["output_channels"]),
    assemble=assemble,
)
