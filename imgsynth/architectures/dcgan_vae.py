"""VAE with the encoder of `conv_vae.py` and a DCGAN's generator as its decoder, as in VAE-GANs
(Larsen et al. 2016, arXiv:1512.09300).

Where a picture's latent cannot tell its textures, the decoder has to make them up, and that is what a
generator that played against a discriminator can.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imgsynth.architectures import dcgan
from imgsynth.architectures.conv_vae import EncodingVAE, channels, encoder_widths_of, image_size
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.ranges import SIGNED, UNIT
from imgsynth.architectures.registry import Architecture, Hints, Hyperparameters, Shapes

DECODER = "decoder."


class DCGANVAE(EncodingVAE):
    """Convolutional encoder with mean and log-variance, DCGAN decoder.

    Args:
        latent_dim: length of z.
        encoder_widths: channels after each stride-2 stage, first the 4×4 convolution.
        widths: channels of the decoder after each stage but the last, deepest first.
        base: side of the encoder's smallest feature map.
        channels: image channels.
        groups: groups of every group norm of the encoder (no shape tells).
    """

    def __init__(
        self,
        latent_dim: int,
        encoder_widths: Sequence[int],
        widths: Sequence[int],
        base: int = 4,
        channels: int = 3,
        groups: int = 1,
    ) -> None:
        super().__init__(latent_dim, encoder_widths, base, channels, groups)
        self.decoder = DCGANGenerator(latent_dim, list(widths), channels)

    def decode(self, z: Tensor) -> Tensor:
        """N×latent_dim → N×C×H×W in [-1, 1]."""
        return self.decoder(z)


def decoder_shapes(shapes: Shapes) -> Shapes:
    return {key.removeprefix(DECODER): shape for key, shape in shapes.items() if key.startswith(DECODER)}


def detect(shapes: Shapes) -> bool:
    needed = ("encoder.0.weight", "encoder.3.gn1.weight", "fc_mu.weight", "fc_logvar.weight")
    return all(key in shapes for key in needed) and dcgan.detect(decoder_shapes(shapes))


def read(shapes: Shapes, hints: Hints) -> Hyperparameters:
    encoder = encoder_widths_of(shapes)
    latent_dim, flat = shapes["fc_mu.weight"]
    return {
        "latent_dim": latent_dim,
        "encoder_widths": encoder,
        "widths": dcgan.read(decoder_shapes(shapes), {})["widths"],
        "base": round((flat / encoder[-1]) ** 0.5),
        "channels": shapes["encoder.0.weight"][1],
        "groups": int(hints.get("norm_num_groups", 1)),
    }


DCGAN_VAE = Architecture(
    name="dcgan_vae",
    title="VAE-GAN: convolutional encoder, DCGAN decoder (Larsen et al. 2016)",
    family="autoencoder",
    build=DCGANVAE,
    detect=detect,
    read=read,
    example={"latent_dim": 16, "encoder_widths": [16, 32, 32, 32], "widths": [32, 32, 16, 16]},
    output_range=SIGNED,
    input_range=UNIT,
    latent_shape=lambda h: (h["latent_dim"],),
    image_size=image_size,
    channels=channels,
)
