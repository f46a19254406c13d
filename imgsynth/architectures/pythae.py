"""Autoencoders of pythae (Chadebec et al. 2022, arXiv:2206.08309): VAE, WAE, RAE, AAE and their relatives.

However a model was trained, using it takes an encoder, a decoder and the shape of the posterior. All that is
read is `model.pt`, which holds `model_state_dict`; the pickled nets beside it stay closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from imgsynth.architectures.mlp_vae import picture_shape
from imgsynth.architectures.pythae_layers import (
    DECODERS,
    LINEAR,
    Residual,
    Up,
    decoder_layers,
    encoder_layers,
)
from imgsynth.architectures.pythae_spellings import canonical
from imgsynth.architectures.ranges import UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

Posterior = Literal["gaussian", "sphere", "point"]
# The second head's name tells the posterior.
HEADS = {"gaussian": "log_var", "sphere": "log_concentration"}
NONLINEARITIES: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "softplus": nn.Softplus}
# What the published VampPrior net bounds its log-variances by.
GATED_LOG_VARIANCE = (-6.0, 2.0)
DEFAULT_WIDTH = 512


class Encoder(nn.Module):
    """Picture → mean and, where there is one, log-variance or log-concentration."""

    def __init__(
        self, kind: str, layers: Sequence[nn.Module], features: int, latent_dim: int, posterior: Posterior
    ) -> None:
        super().__init__()
        self.kind, self.posterior = kind, posterior
        self.layers = nn.ModuleList(layers)
        self.embedding = nn.Linear(features, latent_dim)
        if posterior == "gaussian":
            self.log_var = nn.Linear(features, latent_dim)
        elif posterior == "sphere":
            self.log_concentration = nn.Linear(features, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        h = x.flatten(1) if self.kind in LINEAR else x
        for layer in self.layers:
            h = layer(h)
        h = h.flatten(1)
        if self.posterior != "gaussian":
            return self.embedding(h), None
        log_variance = self.log_var(h)
        if self.kind == "gated":
            log_variance = log_variance.clamp(*GATED_LOG_VARIANCE)
        return self.embedding(h), log_variance


class Decoder(nn.Module):
    """Latent → picture in [0, 1], or its logits.

    `start` is the shape of the map that convolutions start from, if any.
    """

    def __init__(
        self, layers: Sequence[nn.Module], start: tuple[int, ...] | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.start, self.shape = start, shape

    def forward(self, z: Tensor) -> Tensor:
        first, *others = self.layers
        h = first(z) if self.start is None else first(z).reshape(-1, *self.start)
        for layer in others:
            h = layer(h)
        return h.reshape(-1, *self.shape)


class PythaeAutoencoder(nn.Module):
    """Encoder and decoder of any pythae model.

    Args:
        latent_dim: length of z.
        shape: the picture's channels, height and width.
        encoder, decoder: kind, widths and what else `encoder_layers` and `decoder_layers` take.
        features: outputs of the encoder before its heads.
        posterior: gaussian with a log-variance; on the unit sphere (Davidson et al. 2018, arXiv:1804.00891);
            or a point, in deterministic autoencoders.
        activation: of encoders and decoders of the kind mlp; a decoder with softplus gives logits.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        encoder: Mapping[str, Any],
        decoder: Mapping[str, Any],
        features: int,
        posterior: Posterior = "gaussian",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.posterior, self.logits = posterior, activation == "softplus"
        nonlinearity = NONLINEARITIES[activation]
        inwards = encoder_layers(shape=shape, activation=nonlinearity, **encoder)
        outwards = decoder_layers(latent_dim=latent_dim, shape=shape, activation=nonlinearity, **decoder)
        base = decoder.get("base")
        start = None if base is None else (decoder["widths"][0], base, base)
        self.encoder = Encoder(encoder["kind"], inwards, features, latent_dim, posterior)
        self.decoder = Decoder(outwards, start, tuple(shape))

    def on_sphere(self, z: Tensor) -> Tensor:
        """Latents where the decoder knows them: scaled, standard normal ones are uniform on the sphere."""
        return F.normalize(z, dim=-1) if self.posterior == "sphere" else z

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """N×C×H×W in [0, 1] → mean and log-variance (None unless gaussian), each N×latent_dim."""
        mean, log_variance = self.encoder(x)
        return self.on_sphere(mean), log_variance

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_dim → N×C×H×W in [0, 1]."""
        picture = self.decoder(self.on_sphere(z))
        return picture.sigmoid() if self.logits else picture

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction at the mean."""
        return self.decode(self.encode(x)[0])


def kind_of(half: str, shapes: Shapes) -> str | None:
    """Kind of layers in the encoder or the decoder, or None where they are no known ones."""
    layers = {k: s for k, s in shapes.items() if k.startswith(f"{half}.layers.")}
    first = f"{half}.layers.0"
    if any(".conv_block." in k for k in layers):
        return "resnet"
    if any(len(s) == 4 for s in layers.values()):
        return "conv"
    if f"{first}.0.h.weight" in layers:
        return "gated"
    if len(layers.get(f"{first}.weight", ())) == 2:
        return "tanh"
    return "mlp" if len(layers.get(f"{first}.0.weight", ())) == 2 else None


def detect(shapes: Shapes) -> bool:
    return len(shapes.get("encoder.embedding.weight", ())) == 2 and all(
        kind_of(half, shapes) for half in ("encoder", "decoder")
    )


def numbered(pattern: str, shapes: Shapes) -> list[tuple[int, ...]]:
    """Shapes of the keys that match, in the order of the one number in the pattern."""
    key = re.compile(pattern.replace("N", "([0-9]{1,4})"))
    found = {int(m[1]): shape for k, shape in shapes.items() if (m := key.fullmatch(k))}
    return [found[i] for i in sorted(found)]


def read_linear(half: str, kind: str, shapes: Shapes) -> list[int]:
    """Outputs of each linear layer, the last one of a gated decoder left out."""
    place = {"mlp": r"N\.0", "tanh": "N", "gated": r"0\.N\.h"}[kind]
    return [shape[0] for shape in numbered(rf"{half}\.layers\.{place}\.weight", shapes)]


def read_residual(half: str, shapes: Shapes) -> list[int]:
    """Hidden channels of each residual block."""
    blocks = numbered(rf"{half}\.layers\.[0-9]+\.N\.conv_block\.1\.weight", shapes)
    return [shape[0] for shape in blocks]


def read_encoder(shapes: Shapes, side: int) -> Hyperparameters:
    kind = str(kind_of("encoder", shapes))
    if kind in LINEAR:
        return {"kind": kind, "widths": read_linear("encoder", kind, shapes)}
    layers = numbered(r"encoder\.layers\.N\.0\.weight", shapes)
    widths, kernels = [shape[0] for shape in layers], [shape[2] for shape in layers]
    features = shapes["encoder.embedding.weight"][1]
    strides = (s for s in (2, 1) if widths[-1] * side_after(kernels, s, side) ** 2 == features)
    stride = next(strides, None)
    if stride is None:
        raise ValueError("the encoder sees pictures of another size than the decoder makes")
    residual = read_residual("encoder", shapes)
    return {"kind": kind, "widths": widths, "kernels": kernels, "stride": stride, "residual": residual}


def side_after(kernels: Sequence[int], stride: int, side: int) -> int:
    """Side of a map after convolutions: those of 4 have stride 2, those of 3 the given one."""
    for kernel in kernels:
        side = side // 2 if kernel == 4 else -(-side // stride)
    return side


def read_decoder(shapes: Shapes, hints: Hints) -> tuple[Hyperparameters, list[int]]:
    """The decoder, and the shape of the pictures it makes."""
    kind = str(kind_of("decoder", shapes))
    if kind not in LINEAR:
        return read_convolutional_decoder(kind, shapes)
    widths = read_linear("decoder", kind, shapes)
    pixels = shapes["decoder.layers.1.0.weight"][0] if kind == "gated" else widths.pop()
    return {"kind": kind, "widths": widths}, picture_shape(pixels, hints)


def read_convolutional_decoder(kind: str, shapes: Shapes) -> tuple[Hyperparameters, list[int]]:
    name = next((n for n in DECODERS if n.startswith(kind) and has_layers(DECODERS[n], shapes)), None)
    if name is None:
        raise ValueError("no published decoder has these kernels")
    places = [i for i, stage in enumerate(DECODERS[name], 1) if isinstance(stage, Up)]
    layers = [shapes[f"decoder.layers.{i}.0.weight"] for i in places]
    base = isqrt(shapes["decoder.layers.0.0.weight"][0] // layers[0][0])
    side = base
    for stage in DECODERS[name]:
        side = stage.size(side) if isinstance(stage, Up) else side
    sizes = {"kind": name, "widths": [shape[0] for shape in layers], "base": base}
    return {**sizes, "residual": read_residual("decoder", shapes)}, [layers[-1][1], side, side]


def has_layers(stages: Sequence[Up | Residual], shapes: Shapes) -> bool:
    """Whether a decoder has as many layers, of the same kernels; residual blocks count as kernel 0."""
    last = f"decoder.layers.{len(stages) + 1}."
    kernels = [shapes.get(f"decoder.layers.{i}.0.weight", (0,) * 4)[2] for i in range(1, len(stages) + 1)]
    return kernels == [stage.kernel for stage in stages] and not any(k.startswith(last) for k in shapes)


def read_activation(encoder: Hyperparameters, hints: Hints) -> str:
    """HVAE's published nets have softplus and give logits; the library's default ones, 512 wide, do not."""
    published = hints.get("name") == "HVAEConfig" and encoder["widths"] != [DEFAULT_WIDTH]
    return "softplus" if published and encoder["kind"] == "mlp" else "relu"


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    latent_dim, features = shapes["encoder.embedding.weight"]
    decoder, shape = read_decoder(shapes, hints)
    encoder = read_encoder(shapes, shape[1])
    heads = (posterior for posterior, head in HEADS.items() if f"encoder.{head}.weight" in shapes)
    return {
        "latent_dim": latent_dim,
        "shape": shape,
        "encoder": encoder,
        "decoder": decoder,
        "features": features,
        "posterior": next(heads, "point"),
        "activation": read_activation(encoder, hints),
    }


def finish(network: nn.Module, _: Mapping[str, Tensor]) -> list[str]:
    if isinstance(network, PythaeAutoencoder) and network.encoder.kind == "gated":
        return ["This network learnt a mixture as its prior; samples are drawn from N(0, 1) instead."]
    return []


PYTHAE = Architecture(
    name="pythae",
    title="Autoencoder of the pythae library (Chadebec et al. 2022)",
    family="autoencoder",
    build=PythaeAutoencoder,
    detect=detect,
    read=read,
    example={
        "latent_dim": 16,
        "shape": [1, 28, 28],
        "encoder": {"kind": "mlp", "widths": [DEFAULT_WIDTH]},
        "decoder": {"kind": "mlp", "widths": [DEFAULT_WIDTH]},
        "features": DEFAULT_WIDTH,
    },
    canonical=canonical,
    output_range=UNIT,
    input_range=UNIT,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=lambda h: h["shape"][1],
    channels=lambda h: (h["shape"][0], h["shape"][0]),
    finish=finish,
)
