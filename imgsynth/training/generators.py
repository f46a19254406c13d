"""The networks that `train gan` can train: their sizes, their start, their discriminators, their pace."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from imgsynth.architectures import dcgan
from imgsynth.architectures.dcgan import DCGAN, DCGANGenerator
from imgsynth.architectures.lightweight_gan import LIGHTWEIGHT_GAN, LightweightGAN
from imgsynth.architectures.lightweight_gan_parts import PixelShuffleUpsample
from imgsynth.architectures.modulation import ModulatedConv2d
from imgsynth.architectures.registry import Architecture, Hyperparameters, StateDict, shapes_of
from imgsynth.architectures.stylegan2 import LR_MLP, STYLEGAN2, MappingLayer, StyleGAN2Generator, ToRGB
from imgsynth.training.discriminators import DCGANDiscriminator, ResidualDiscriminator
from imgsynth.training.lightweight import LightweightDiscriminator
from imgsynth.training.losses import Norm

Judge = Literal["residual", "plain"]

W_MEAN_DECAY = 0.995
GENTLE = 0.3


class GeneratorPlan:
    """A kind of generator, and what suits it.

    Attributes:
        architecture: what its checkpoints are.
        title: for the card.
        sizes: sides of pictures that it is trained for.
        loss: the game that it plays unless told otherwise.
        norms: that its discriminator can have.
        usual_norm: the norm that it has unless one is asked for; None leaves that to the loss.
        clips: whether its discriminator's weights may be clipped.
        pace: factor of every loss's learning rate for the generator.
        memory_format: of both networks.
        mixing: how often a picture that is judged has the styles of two latents; None where there are none.
        judge: which of its discriminators it meets; None where there is one.
    """

    architecture: Architecture
    title: str
    sizes: tuple[int, ...] = (32, 64, 128)
    loss = "hinge"
    norms: tuple[Norm, ...] = ("spectral", "batch", "none")
    usual_norm: Norm | None = None
    clips = False
    pace = 1.0
    memory_format = torch.channels_last
    mixing: float | None = None
    judge: Judge | None = None

    def width(self, size: int) -> int:
        """The usual base width at a size."""
        raise NotImplementedError

    def hyperparameters(self, size: int, width: int) -> Hyperparameters:
        raise NotImplementedError

    def generator(self, sizes: Hyperparameters) -> nn.Module:
        """A fresh one, drawn from the global random numbers."""
        raise NotImplementedError

    def discriminator(self, size: int, width: int, norm: Norm, compares: bool) -> nn.Module:
        raise NotImplementedError

    def judge_pace(self) -> float:
        """Factor of every loss's learning rate for the discriminator."""
        return 1.0

    def latent(self, sizes: Hyperparameters) -> int:
        """Length of z."""
        return int(sizes["latent_dim"])

    def r1(self, size: int, batch: int) -> float:
        """γ of the R1 penalty unless told otherwise, where the loss has none of its own.

        Args:
            size: side of the pictures.
            batch: pictures a step, of all processes together.
        """
        return 0.0

    def grown(self, sizes: Hyperparameters, state: StateDict) -> Hyperparameters:
        """`sizes`, or what they must be so that the weights of a smaller network can begin a larger one."""
        return sizes

    def load(self, generator: nn.Module, state: StateDict, sizes: Hyperparameters | None = None) -> None:
        """Starts from weights.

        Args:
            sizes: of the network that they came from, where these are known.

        Raises:
            RuntimeError: they do not fit.
        """
        generator.load_state_dict(state)

    def gentle(self, generator: nn.Module) -> None:
        """A start from which a fresh generator soon learns to redraw what its latents stand for."""

    def pictures(self, generator: Any, z: Tensor) -> Tensor:
        """What the discriminator is shown, N×3×S×S in about [-1, 1]."""
        return generator(z)

    def redrawn(self, generator: Any, z: Tensor) -> Tensor:
        """What z itself stands for, N×3×S×S in about [-1, 1]; a clamped pixel would learn nothing."""
        return generator(z)

    def own_loss(self, discriminator: nn.Module, real: Tensor) -> Tensor | None:
        """What the discriminator learns beside the game, from reals."""
        return None

    def prepare(self, generator: nn.Module) -> None:
        """Last things before training, with the weights that it starts from."""

    def beside(self, generator: nn.Module) -> StateDict:
        """What belongs to a checkpoint beside the averaged weights, from the trained network."""
        return {}

    def load_beside(self, generator: nn.Module, state: StateDict) -> None:
        """Takes back what `beside` gave."""


class DCGANPlan(GeneratorPlan):
    """Radford et al. 2016."""

    architecture = DCGAN
    title = "DCGAN"
    clips = True

    def width(self, size: int) -> int:
        return 48

    def hyperparameters(self, size: int, width: int) -> Hyperparameters:
        return {"latent_dim": 128, "widths": dcgan.widths_for(size, width), "channels": 3}

    def generator(self, sizes: Hyperparameters) -> nn.Module:
        return DCGANGenerator(**sizes).apply(dcgan.init_weights)

    def discriminator(self, size: int, width: int, norm: Norm, compares: bool) -> nn.Module:
        return DCGANDiscriminator(dcgan.widths_for(size, width)[::-1], norm=norm, compares=compares)


class StyleGAN2Plan(GeneratorPlan):
    """A small StyleGAN2 (Karras et al. 2020, arXiv:1912.04958): style mixing, and a mean of w for truncation.

    Left out: the path length penalty, which costs a second derivative of the generator, and which its
    authors leave out for small pictures too, as they do all but two layers of the mapping network (Karras et
    al. 2020, arXiv:2006.06676).
    """

    architecture = STYLEGAN2
    title = "StyleGAN2"
    loss = "non-saturating"
    # Weights that are scaled as they are used: R1 holds the discriminator, and rates are ten times as high.
    norms = ("none", "spectral")
    usual_norm: Norm | None = "none"
    pace = 10.0
    # Its filters have five axes, which channels last does not know.
    memory_format = torch.contiguous_format
    mixing = 0.9
    judge: Judge | None = "residual"

    def width(self, size: int) -> int:
        return 16 if size > 64 else 32

    def hyperparameters(self, size: int, width: int) -> Hyperparameters:
        latent = min(512, 8 * width)
        return {"size": size, "style_dim": latent, "n_mlp": 2, "widths": style_widths(size, width)}

    def generator(self, sizes: Hyperparameters) -> nn.Module:
        return StyleGAN2Generator(**sizes)

    def discriminator(self, size: int, width: int, norm: Norm, compares: bool) -> nn.Module:
        """The plain one is that of a DCGAN: it never works at the full size, which is most of the published
        one's time on a CPU."""
        if self.judge == "plain":
            return DCGANDiscriminator(plain_widths(size, width), norm=norm, compares=compares)
        return ResidualDiscriminator(style_widths(size, width)[::-1], compares=compares)

    def judge_pace(self) -> float:
        return 1.0 if self.judge == "plain" else self.pace

    def latent(self, sizes: Hyperparameters) -> int:
        return int(sizes["style_dim"])

    def grown(self, sizes: Hyperparameters, state: StateDict) -> Hyperparameters:
        """A smaller StyleGAN2 gets more sizes, as wide as its last (Karras et al. 2018, arXiv:1710.10196).

        One that was grown before stays as it is.
        """
        shapes = shapes_of(state)
        if not STYLEGAN2.detect(shapes):
            return sizes
        small = STYLEGAN2.read(shapes, {})
        missing = (sizes["size"] // small["size"]).bit_length() - 1
        if missing < 0 or len(small["widths"]) + missing != len(sizes["widths"]):
            return sizes
        widths = [*small["widths"], *small["widths"][-1:] * missing]
        return sizes | {"style_dim": small["style_dim"], "n_mlp": small["n_mlp"], "widths": widths}

    def load(self, generator: nn.Module, state: StateDict, sizes: Hyperparameters | None = None) -> None:
        """What the weights lack is of sizes that they did not have: these begin with nothing to add."""
        assert isinstance(generator, StyleGAN2Generator)
        state = repaced(state, (sizes or {}).get("lr_mlp", LR_MLP) / mapping_pace(generator))
        known = sum(key.endswith("upsample.kernel") for key in state)
        new = generator.to_rgbs[known:]
        generator.load_state_dict({**generator.state_dict(), **state} if len(new) else state)
        for to_rgb in new:
            assert isinstance(to_rgb, ToRGB)
            nn.init.zeros_(to_rgb.conv.weight)

    def gentle(self, generator: nn.Module) -> None:
        """Styles that hardly scale anything: as published, each layer scales channels at random, so that what
        comes out says little of z until ten layers have agreed."""
        with torch.no_grad():
            for module in generator.modules():
                if isinstance(module, ModulatedConv2d):
                    module.modulation.weight.mul_(GENTLE)

    def r1(self, size: int, batch: int) -> float:
        """The rule of thumb of Karras et al. 2020 (arXiv:2006.06676, appendix C)."""
        return 0.0002 * size**2 / batch

    def pictures(self, generator: StyleGAN2Generator, z: Tensor) -> Tensor:
        """Some take the styles of another latent from a random layer on, which keeps the layers apart."""
        w = generator.mapping(z)
        with torch.no_grad():
            generator.w_mean.lerp_(w.mean(0), 1 - W_MEAN_DECAY)
        layer = int(torch.randint(1, generator.layers, ()))
        mixed = torch.rand(len(z), 1, 1, device=z.device) < self.mixing
        both = generator.mix(w, generator.mapping(torch.randn_like(z)), layer)
        styles = torch.where(mixed, both, w.unsqueeze(1))
        return generator.synthesis(styles, generator.draw_noise(len(z)))

    def prepare(self, generator: nn.Module) -> None:
        assert isinstance(generator, StyleGAN2Generator)
        generator.set_w_mean()

    def beside(self, generator: nn.Module) -> StateDict:
        assert isinstance(generator, StyleGAN2Generator)
        return {"latent_avg": generator.w_mean.clone()}

    def load_beside(self, generator: nn.Module, state: StateDict) -> None:
        assert isinstance(generator, StyleGAN2Generator)
        generator.set_w_mean(state["latent_avg"])


class LightweightPlan(GeneratorPlan):
    """A small lightweight GAN (Liu et al. 2021, arXiv:2101.04775), for few pictures."""

    architecture = LIGHTWEIGHT_GAN
    title = "lightweight GAN"

    def width(self, size: int) -> int:
        return 16 if size > 64 else 32

    def hyperparameters(self, size: int, width: int) -> Hyperparameters:
        return {"latent_dim": min(256, 8 * width), "widths": dcgan.widths_for(size, width)}

    def generator(self, sizes: Hyperparameters) -> nn.Module:
        return LightweightGAN(**sizes).apply(start_lightweight)

    def discriminator(self, size: int, width: int, norm: Norm, compares: bool) -> nn.Module:
        # It begins at half of the size and ends at 8×8 pixels.
        widths = dcgan.widths_for(size // 2, width)[::-1]
        return LightweightDiscriminator(widths, norm=norm, compares=compares)

    def pictures(self, generator: Any, z: Tensor) -> Tensor:
        return generator(z) * 2 - 1

    def redrawn(self, generator: Any, z: Tensor) -> Tensor:
        return self.pictures(generator, z)

    def own_loss(self, discriminator: nn.Module, real: Tensor) -> Tensor | None:
        assert isinstance(discriminator, LightweightDiscriminator)
        return discriminator.reconstruction_loss(real)


def mapping_pace(generator: StyleGAN2Generator) -> float:
    """How fast the mapping network learns beside the rest."""
    [*_, last] = generator.style
    assert isinstance(last, MappingLayer)
    return last.lr_multiplier


def repaced(state: StateDict, factor: float) -> StateDict:
    """Weights of a mapping network as one of another pace has them; both map alike."""
    return {key: value * factor if key.startswith("style.") else value for key, value in state.items()}


def style_widths(size: int, width: int) -> list[int]:
    """Channels at 4, 8, … `size` pixels a side: `width` at the end, doubling inwards up to 8×."""
    sides = [4 << i for i in range((size // 4).bit_length())]
    return [width * min(8, size // side) for side in sides]


def plain_widths(size: int, width: int) -> list[int]:
    """Channels at S/2, S/4, … 4 pixels a side of a DCGAN's discriminator beside a small StyleGAN2."""
    stages = (size // 4).bit_length() - 1
    return [width * min(16, 2**i) for i in range(1, stages + 1)]


def start_lightweight(module: nn.Module) -> None:
    """He initialisation; pixel shuffles begin as nearest neighbours, which shows no checkerboard
    (Aitken et al. 2017, arXiv:1707.02937)."""
    if isinstance(module, PixelShuffleUpsample):
        conv = module.net[0]
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        with torch.no_grad():
            conv.weight.copy_(conv.weight[::4].repeat_interleave(4, 0))
        nn.init.zeros_(conv.bias)
    elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="leaky_relu")


PLANS: dict[str, GeneratorPlan] = {
    "dcgan": DCGANPlan(),
    "stylegan2": StyleGAN2Plan(),
    "lightweight": LightweightPlan(),
}
