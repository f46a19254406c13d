"""Variational autoencoders of linear layers (Kingma & Welling 2014, arXiv:1312.6114).

Two layouts are known: numbered layers with ReLU, as in PyTorch's example (`fc1`, `fc21`, `fc22`, `fc3`,
`fc4`), and `encodeLayers`, `fc_mu`, `fc_logvar`, `decoder_bernoulli` with tanh. Both end in a sigmoid.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isqrt, prod
from typing import Literal, NamedTuple

from torch import Tensor, nn

from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import (
    Architecture,
    Hints,
    Hyperparameters,
    Shapes,
    StateDict,
    shapes_of,
)

Activation = Literal["relu", "tanh"]
NONLINEARITIES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
# The names of encoder and decoder where each activation is used.
PARTS = {"relu": ("fc_encoder", "fc_decoder"), "tanh": ("encodeLayers", "decoder_bernoulli")}


class MLPVAE(nn.Module):
    """Linear layers from a picture to a latent and back.

    Args:
        latent_dim: length of z.
        encoder_widths, decoder_widths: hidden layers in the order in which they run.
        shape: the picture's channels, height and width.
        activation: of every hidden layer.
    """

    def __init__(
        self,
        latent_dim: int,
        encoder_widths: Sequence[int],
        decoder_widths: Sequence[int],
        shape: Sequence[int] = (1, 28, 28),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.encoder_name, self.decoder_name = PARTS[activation]
        inwards = linear_chain([prod(shape), *encoder_widths], NONLINEARITIES[activation])
        outwards = linear_chain([latent_dim, *decoder_widths, prod(shape)], NONLINEARITIES[activation])
        self.add_module(self.encoder_name, nn.Sequential(*inwards))
        self.fc_mu = nn.Linear(encoder_widths[-1], latent_dim)
        self.fc_logvar = nn.Linear(encoder_widths[-1], latent_dim)
        self.add_module(self.decoder_name, nn.Sequential(*outwards[:-1], nn.Sigmoid()))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """N×C×H×W or N×(C·H·W) in [0, 1] → mean and log-variance, each N×latent_dim."""
        h = self.get_submodule(self.encoder_name)(x.flatten(1))
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_dim → N×C×H×W in [0, 1]."""
        return self.get_submodule(self.decoder_name)(z).reshape(-1, *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction at the mean."""
        return self.decode(self.encode(x)[0])


def linear_chain(widths: Sequence[int], nonlinearity: type[nn.Module]) -> list[nn.Module]:
    """Linear layers through these widths, each followed by the nonlinearity."""
    return [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), nonlinearity())]


class Numbered(NamedTuple):
    """Layers `fc1`, `fc2`, …, by what they do."""

    encoder: list[str]
    mean: str
    log_variance: str
    decoder: list[str]


def numbered(shapes: Shapes) -> Numbered | None:
    """What each `fc…` layer does, or None where they make no autoencoder."""
    modules = {key.rpartition(".")[0] for key in shapes}
    if not all(re.fullmatch(r"fc[0-9]{1,2}", m) and len(shapes.get(f"{m}.weight", ())) == 2 for m in modules):
        return None
    return next((layers for layers in numberings(modules) if is_autoencoder(layers, shapes)), None)


def numberings(modules: set[str]) -> Iterator[Numbered]:
    """Ways to number n hidden layers, two heads and a decoder that use all modules.

    After fc1, the heads are fc21 and fc22, and fc3 follows; or they are fc2 and fc3, and fc4 follows.
    """
    for n in range(1, len(modules) - 2):
        hidden = names(1, n + 1)
        split = Numbered(hidden, f"fc{n + 1}1", f"fc{n + 1}2", names(n + 2, len(modules)))
        onwards = Numbered(hidden, f"fc{n + 1}", f"fc{n + 2}", names(n + 3, len(modules) + 1))
        for layers in (split, onwards):
            if modules == {*layers.encoder, layers.mean, layers.log_variance, *layers.decoder}:
                yield layers


def names(first: int, end: int) -> list[str]:
    return [f"fc{i}" for i in range(first, end)]


def is_autoencoder(layers: Numbered, shapes: Shapes) -> bool:
    """Whether each layer takes what the one before it gives, through either head and round to the first."""
    for head in (layers.mean, layers.log_variance):
        weights = [shapes[f"{name}.weight"] for name in (*layers.encoder, head, *layers.decoder)]
        if any(a[0] != b[1] for a, b in pairwise([*weights, weights[0]])):
            return False
    return True


def canonical(state: StateDict) -> StateDict:
    """Names numbered layers by what they do, and leaves out the decoder for data other than pictures."""
    layers = numbered(shapes_of(state))
    if layers is None:
        return {k: v for k, v in state.items() if not k.startswith("decoder_gaussian_")}
    encoder, decoder = PARTS["relu"]
    places = {layers.mean: "fc_mu", layers.log_variance: "fc_logvar"}
    places |= {name: f"{encoder}.{2 * i}" for i, name in enumerate(layers.encoder)}
    places |= {name: f"{decoder}.{2 * i}" for i, name in enumerate(layers.decoder)}
    split = {key: key.rpartition(".") for key in state}
    return {f"{places[split[k][0]]}.{split[k][2]}": v for k, v in state.items()}


def activation_of(shapes: Shapes) -> Activation:
    return "tanh" if "encodeLayers.0.weight" in shapes else "relu"


def detect(shapes: Shapes) -> bool:
    encoder, decoder = PARTS[activation_of(shapes)]
    needed = (f"{encoder}.0.weight", "fc_mu.weight", "fc_logvar.weight", f"{decoder}.0.weight")
    return all(len(shapes.get(k, ())) == 2 for k in needed)


def read_widths(shapes: Shapes, part: str) -> list[int]:
    """Outputs of the linear layers of an `nn.Sequential`."""
    pattern = re.compile(rf"{part}\.([0-9]{{1,4}})\.weight")
    layers = {int(m[1]): shape for key, shape in shapes.items() if (m := pattern.fullmatch(key))}
    return [layers[i][0] for i in sorted(layers)]


def picture_shape(pixels: int, hints: Hints) -> list[int]:
    """Channels, height and width of so many values: those of `input_dim`, else a square, grey or of colours.

    Raises:
        ValueError: these values make no square picture.
    """
    given = hints.get("input_dim")
    if isinstance(given, list | tuple) and len(given) in (2, 3):
        shape = [int(side) for side in (1, *given)[-3:]]
        if prod(shape) == pixels and shape[1] == shape[2] > 0:
            return shape
        raise ValueError("input_dim is of other pictures")
    for channels in (1, 3):
        side = isqrt(pixels // channels)
        if side and channels * side * side == pixels:
            return [channels, side, side]
    raise ValueError("no square picture has so many values")


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    activation = activation_of(shapes)
    encoder, decoder = PARTS[activation]
    return {
        "latent_dim": shapes["fc_mu.weight"][0],
        "encoder_widths": read_widths(shapes, encoder),
        "decoder_widths": read_widths(shapes, decoder)[:-1],
        "shape": picture_shape(shapes[f"{encoder}.0.weight"][1], hints),
        "activation": activation,
    }


MLP_VAE = Architecture(
    name="mlp_vae",
    title="Variational autoencoder of linear layers (Kingma & Welling 2014)",
    family="autoencoder",
    build=MLPVAE,
    detect=detect,
    read=read,
    example={"latent_dim": 20, "encoder_widths": [400], "decoder_widths": [400]},
    canonical=canonical,
    output_range=UNIT,
    input_range=UNIT,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: h["shape"][1],
    channels=lambda h: (h["shape"][0], h["shape"][0]),
)
