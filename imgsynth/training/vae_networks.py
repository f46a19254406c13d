"""The networks that `train vae` can train, and how they begin."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from imgsynth.architectures import dcgan
from imgsynth.architectures.conv_vae import CONV_VAE, ConvVAE
from imgsynth.architectures.dcgan_vae import DCGAN_VAE, DCGANVAE
from imgsynth.architectures.registry import Architecture, Hyperparameters, StateDict, shapes_of
from imgsynth.errors import TrainingFailed
from imgsynth.families import Model
from imgsynth.training.anchor import Anchor

# One group of all channels: the fewer means are taken away, the more is left of a flat background's colour.
GROUPS = 1
# Log-variances of posteriors begin no lower: an axis of which a code tells all would be told to the last bit.
LEAST = math.log(1e-2)

Network = ConvVAE | DCGANVAE


class ResidualPlan:
    """Residual blocks on both sides, to logits."""

    architecture: Architecture = CONV_VAE

    def hyperparameters(self, size: int, width: int, latents: int) -> Hyperparameters:
        encoder = encoder_widths(size, width)
        decoder = [width * min(4, 2 ** max(0, i - 1)) for i in reversed(range(len(encoder)))]
        sizes = {"encoder_widths": encoder, "decoder_widths": decoder, "decoder_input": encoder[-1]}
        return {"latent_dim": latents, **sizes, "groups": GROUPS}

    def network(self, sizes: Hyperparameters) -> Network:
        vae = ConvVAE(**sizes)
        start_near_the_mean(vae)
        return vae

    def to_unit(self, decoded: Tensor) -> Tensor:
        """What a decoder gives → [0, 1]."""
        return torch.sigmoid(decoded)


class DCGANPlan(ResidualPlan):
    """The decoder is a DCGAN's generator, which can make up textures."""

    architecture = DCGAN_VAE

    def hyperparameters(self, size: int, width: int, latents: int) -> Hyperparameters:
        sizes = {"encoder_widths": encoder_widths(size, width), "widths": dcgan.widths_for(size, width)}
        return {"latent_dim": latents, **sizes, "groups": GROUPS}

    def network(self, sizes: Hyperparameters) -> Network:
        vae = DCGANVAE(**sizes)
        vae.decoder.apply(dcgan.init_weights)
        return vae

    def to_unit(self, decoded: Tensor) -> Tensor:
        return decoded * 0.5 + 0.5


PLANS: dict[str, ResidualPlan] = {"residual": ResidualPlan(), "dcgan": DCGANPlan()}


def encoder_widths(size: int, width: int) -> list[int]:
    """Channels of an encoder from `size`×`size` pictures to a 4×4 map."""
    stages = (size // 4).bit_length() - 1
    return [width * min(4, 2**i) for i in range(stages)]


@torch.no_grad()
def start_near_the_mean(vae: ConvVAE) -> None:
    """Lets the bias of the decoder's first layer outweigh its latent at the start.

    Group norms make the decoder blind to scale: if the latent dominates from the start, the average
    picture is tied to a direction in latent space, and latents on the other side of it draw rubbish.
    """
    vae.fc.weight.mul_(0.25)
    nn.init.normal_(vae.fc.bias, 0.0, 0.5)


# A generator that was trained to redraw from the codes of a VAE becomes, with that VAE's encoder, a VAE


def joined_sizes(weights: StateDict, model: Model) -> Hyperparameters:
    """Hyper-parameters of a VAE with the encoder of a model and a DCGAN's generator.

    Raises:
        TrainingFailed: the weights are no such generator's, the model is of another kind, or they do not fit.
    """
    shapes, encoder = shapes_of(weights), model.opened.hyperparameters
    if not dcgan.detect(shapes) or model.architecture is not CONV_VAE:
        raise TrainingFailed(
            "With --anchor, a VAE takes its encoder from a convolutional VAE and its decoder from a DCGAN: "
            "give these as --anchor and --init."
        )
    decoder = dcgan.read(shapes, {})
    if (decoder["latent_dim"], decoder["channels"]) != (encoder["latent_dim"], encoder["channels"]):
        raise TrainingFailed(
            "The generator was not trained with this --anchor: its latents or channels are others."
        )
    names = ("latent_dim", "encoder_widths", "base", "channels", "groups")
    return {name: encoder[name] for name in names} | {"widths": decoder["widths"]}


@torch.no_grad()
def join(vae: DCGANVAE, weights: StateDict, anchor: Anchor) -> None:
    """Begins with what both have learnt: codes are turned to the axes and brought to the scale that the
    generator knows them by, and posteriors are as wide as the noise that made up for what codes lacked.

    Raises:
        RuntimeError: the generator is no plain DCGAN.
    """
    taught: Any = anchor.network
    vae.decoder.load_state_dict(weights)
    vae.encoder.load_state_dict(taught.encoder.state_dict())
    turned = (anchor.axes * anchor.scale).T.to(taught.fc_mu.weight)
    vae.fc_mu.weight.copy_(turned @ taught.fc_mu.weight)
    vae.fc_mu.bias.copy_(turned @ (taught.fc_mu.bias - anchor.mean))
    nn.init.zeros_(vae.fc_logvar.weight)
    vae.fc_logvar.bias.copy_(anchor.missing.square().log().clamp_min(LEAST))
