"""A VAE: annealed KL, a Laplace likelihood with its best-fitting scales, and, if asked for, a
discriminator (VAE-GAN, Larsen et al. 2016, arXiv:1512.09300)."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from imgsynth.architectures.dcgan import widths_for
from imgsynth.architectures.dcgan_vae import DCGANVAE
from imgsynth.errors import TrainingFailed
from imgsynth.runtime.opening import open_checkpoint
from imgsynth.training.anchor import Anchor
from imgsynth.training.augment import augment, described
from imgsynth.training.discriminators import DCGANDiscriminator
from imgsynth.training.losses import LOSSES
from imgsynth.training.microbatch import Terms
from imgsynth.training.options import VAEOptions, options_of
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of
from imgsynth.training.reconstruction import (
    RECONSTRUCTIONS,
    compared_at,
    feature_matching,
    kl_divergence,
    laplace_likelihood,
)
from imgsynth.training.vae_networks import GROUPS, PLANS, Network, join, joined_sizes

GAME = LOSSES["non-saturating"]
HINTS = {"norm_num_groups": GROUPS}


class VAERecipe(Recipe):
    """Encodes, decodes and samples: `python -m imgsynth train vae`."""

    name = "vae"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.options = options_of(VAEOptions, settings)
        self.size, self.width = settings.size or 64, settings.width or 64
        self.batch = settings.batch or 32
        if self.size not in (32, 64, 128, 256):
            raise TrainingFailed(
                f"A VAE is trained at 32, 64, 128 or 256 pixels, not {self.size}; choose one of them."
            )
        if self.width % 32 and self.options.decoder == "residual":
            raise TrainingFailed(f"The width of a residual VAE must be a multiple of 32, not {self.width}.")
        self.images = self.squares(self.size)
        self.plan = PLANS[self.options.decoder]
        vae = self.beginning()
        self.latents = int(self.hyperparameters["latent_dim"])
        self.vae = self.add("vae", vae, ema=0.998)
        # A game is played without the momentum that errors alone are best brought down with.
        betas = (0.5, 0.99) if self.options.adversarial else (0.9, 0.99)
        self.adam("vae", *self.learners(), rate=self.options.rate, betas=betas)
        if self.options.adversarial:
            widths = widths_for(self.size, self.width)[::-1]
            self.judge = self.add("judge", DCGANDiscriminator(widths))
            self.adam("judge", self.judge, rate=self.options.discriminator_rate, betas=betas)

    def learners(self) -> list[nn.Module]:
        """The parts of the network that change; with a decoder to keep, what draws goes on as it is."""
        if not self.options.keep_decoder:
            return [self.vae]
        encoding = [self.vae.encoder, self.vae.fc_mu, self.vae.fc_logvar]
        self.vae.requires_grad_(False).eval()
        for part in encoding:
            part.requires_grad_(True).train()
        return encoding

    def beginning(self) -> Network:
        """The network as the run finds it; its sizes become this recipe's."""
        init, o = self.settings.init, self.options
        if not o.anchor:
            self.hyperparameters = self.plan.hyperparameters(self.size, self.width, o.latents)
            vae = self.plan.network(self.hyperparameters)
            if init:
                vae.load_state_dict(init[0])
            return vae
        if o.decoder != "dcgan" or not init:
            raise TrainingFailed(
                "With --anchor, a VAE begins with a generator that was trained with that anchor; "
                "give --decoder dcgan, and the generator as --init."
            )
        model = open_checkpoint(o.anchor, "cpu", "fp32")
        self.hyperparameters = joined_sizes(init[0], model)
        vae = self.plan.network(self.hyperparameters)
        assert isinstance(vae, DCGANVAE)
        join(vae, init[0], Anchor(model, self.squares, self.hyperparameters["latent_dim"]))
        return vae

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        fall = min(1.0, 0.02 + (1 - progress) * 2)
        self.set_rate(self.options.rate * fall, "vae")
        x = (self.images.batch(rng, self.batch, self.size) * 0.5 + 0.5).to(
            self.device, memory_format=self.memory_format
        )
        noise, beta = self.normal(rng, self.latents), self.beta(progress)
        if not self.options.adversarial:
            figures = self.update("vae", lambda part: self.terms(x[part], noise[part], beta)[0], clip=1.0)
        else:
            self.set_rate(self.options.discriminator_rate * fall, "judge")
            figures = self.step_with_judge(x, noise, self.normal(rng, self.latents), beta, step)
        self.update_averages(step)
        return figures

    def beta(self, progress: float) -> float:
        """Weight of the KL divergence: it rises evenly, so that latents first learn to tell something."""
        warm_up = self.options.warm_up
        return self.options.beta * (min(1.0, progress / warm_up) if warm_up else 1.0)

    def terms(self, x: Tensor, noise: Tensor, beta: float) -> tuple[Terms, Tensor, Tensor]:
        """The negative ELBO a value, with its figures; the reconstruction in [0, 1], and the latents drawn.

        Args:
            x: N×3×S×S in [0, 1].
            noise: N×latents.
        """
        with self.autocast():
            mean, log_variance = (t.float() for t in self.vae.encode(x))
            z = mean + noise * (log_variance / 2).exp()
            prediction = self.decoded(z)
        kl = kl_divergence(mean, log_variance, self.options.free_bits)
        shown, target = compared_at(self.options.reconstruction_size, prediction, x)
        likelihood = laplace_likelihood(shown, target, RECONSTRUCTIONS[self.options.reconstruction])
        # Nats per image are large numbers; per value they suit the usual learning rates.
        loss = (likelihood + beta * kl) / target[0].numel()
        figures = {"L1": (shown - target).abs().mean(), "KL": kl_divergence(mean, log_variance)}
        return (loss, figures), prediction, z

    def decoded(self, z: Tensor) -> Tensor:
        """N×latents → N×3×S×S in [0, 1], float32."""
        return self.plan.to_unit(self.vae.decode(z).float())

    def step_with_judge(
        self, x: Tensor, noise: Tensor, prior: Tensor, beta: float, step: int
    ) -> dict[str, float]:
        """As published, the decoder alone is to fool the discriminator, with pictures of posterior and prior,
        unless it is kept; both halves come nearer to the original in what the discriminator sees in it."""
        drawn = torch.empty(2, *x.shape, device=self.device)
        playing = step >= self.options.head_start

        def loss_of(part: slice) -> Terms:
            (loss, figures), prediction, z = self.terms(x[part], noise[part], beta)
            with self.autocast():
                fake = self.decoded(torch.cat([z.detach(), prior[part]]))
                drawn[:, part] = fake.detach().view(2, *prediction.shape)
                adversarial = self.verdict(fake) + self.mismatch(x[part], prediction)
            return loss + self.options.adversarial * adversarial, {**figures, "G": adversarial}

        def judged(part: slice) -> Terms:
            figures: dict[str, Tensor] = {}
            with self.autocast():
                if playing:
                    fake = drawn[:, part].flatten(0, 1)
                else:
                    fake, figures = self.shown(x[part], noise[part], prior[part], beta)
                loss = GAME.discriminator_loss(self.score, to_signed(x[part]), to_signed(fake))
            return loss, {**figures, "D": loss}

        figures = {}
        if playing:
            self.judge.requires_grad_(False)
            figures = self.update("vae", loss_of, clip=1.0)
            self.judge.requires_grad_(True)
        return figures | self.update("judge", judged)

    @torch.no_grad()
    def shown(self, x: Tensor, noise: Tensor, prior: Tensor, beta: float) -> tuple[Tensor, dict[str, Tensor]]:
        """What the discriminator sees while it learns alone: 2N×3×S×S in [0, 1], and the VAE's figures."""
        (_, figures), _, z = self.terms(x, noise, beta)
        return self.decoded(torch.cat([z, prior])), figures

    def verdict(self, fake: Tensor) -> Tensor:
        """How little pictures fool the discriminator; 0 for those of a kept decoder, which cannot learn."""
        if self.options.keep_decoder:
            return fake.new_zeros(())
        return GAME.generator(self.score(to_signed(fake)))

    def mismatch(self, x: Tensor, prediction: Tensor) -> Tensor | float:
        """How far originals and reconstructions are apart to the discriminator's features, weighted."""
        weight = self.options.matching
        if not weight:  # half of the discriminator's work in this step
            return 0.0
        return weight * feature_matching(
            *(self.judge.stages(to_signed(images)) for images in (x, prediction))
        )

    def score(self, images: Tensor) -> Tensor:
        o = self.options
        return self.judge(augment(images, o.augment, o.augment_chance)).float()

    @torch.no_grad()
    def sheet(self) -> Image.Image:
        """Four rows of samples, then two rows of originals with their reconstructions below."""
        vae: Any = self.averages["vae"].network
        rng = torch.Generator().manual_seed(0)
        samples = self.plan.to_unit(vae.decode(torch.randn(32, self.latents, generator=rng).to(self.device)))
        originals = (self.images.batch(rng, 8, self.size, flip=False) * 0.5 + 0.5).to(self.device)
        rebuilt: Tensor = self.plan.to_unit(vae(originals))
        return sheet_of(torch.cat([samples, originals, rebuilt]), 8)

    def exports(self) -> list[Export]:
        weights = self.averages["vae"].network.state_dict()
        return [Export(self.settings.out, self.plan.architecture, self.hyperparameters, weights, HINTS)]

    def describe_judge(self) -> str:
        o = self.options
        if not o.adversarial:
            return ""
        if o.keep_decoder:
            return f", features of a discriminator {o.adversarial * o.matching:g}"
        return f", discriminator {o.adversarial:g}, its features {o.matching:g}"

    def describe(self) -> dict[str, str]:
        o = self.options
        judged = {"edges": "values and edges", "pyramid": "the bands of a Laplacian pyramid"}[
            o.reconstruction
        ]
        rise = f"rising over the first {o.warm_up:.0%} of the run to " if o.warm_up else ""
        return {
            "size": f"{self.size} px",
            "base width": str(self.width),
            "decoder": o.decoder + (", kept as it began" if o.keep_decoder else ""),
            "latent": str(self.latents),
            "batch": str(self.batch),
            "loss": f"Laplace likelihood of {judged}, KL weight {rise}{o.beta:g}, "
            f"{o.free_bits:g} free nats a latent"
            + (f", compared at {o.reconstruction_size} px" if o.reconstruction_size else "")
            + self.describe_judge(),
            "augmentation": described(o.augment if o.adversarial else "", o.augment_chance),
            "optimiser": f"Adam {o.rate:g}"
            + (f" (discriminator {o.discriminator_rate:g})" if o.adversarial else "")
            + ", rate falling over the second half, gradients clipped at norm 1",
            "average": "EMA 0.998",
        }


def to_signed(images: Tensor) -> Tensor:
    return images * 2 - 1
