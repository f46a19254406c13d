"""What `train` can tell each recipe; apart, since every recipe brings options of its own.

Their values are text here: `training/options.py` knows what they may be, and takes a while to load.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

# Name → (what stands for the value in the help, the help).
RECIPE_OPTIONS = {
    "generator": ("NAME", "gan: dcgan, stylegan2 or lightweight; cyclegan: resnet or unet."),
    "loss": (
        "NAME",
        "gan: minimax, non-saturating, least-squares, wasserstein, wasserstein-gp, hinge or relativistic.",
    ),
    "r1": (
        "GAMMA",
        "gan, cyclegan, inpaint: weight of the R1 gradient penalty; 0 for none. "
        "gan: of R2 too, with --loss relativistic.",
    ),
    "spectral_norm": ("on|off", "gan, cyclegan: spectral norm on the discriminator."),
    "discriminator": ("NAME", "gan: residual or plain, of a StyleGAN2."),
    "critics": ("N", "gan: steps of the discriminator for one of the generator."),
    "rate": ("R", "gan, vae, cyclegan, inpaint: learning rate of the generator, or of the VAE."),
    "discriminator_rate": ("R", "gan, vae, cyclegan, inpaint: learning rate of the discriminator."),
    "augment": ("LIST", "gan, vae, cyclegan: color, translation, cutout, parted by commas, or none."),
    "augment_chance": ("0..1", "gan, vae: how many of the pictures each augmentation comes to."),
    "anchor": (
        "WHAT",
        "gan: a VAE from whose codes pictures are redrawn, too; vae: whose encoder it begins with.",
    ),
    "anchor_weight": ("W", "gan: weight of the error of pictures redrawn for --anchor."),
    "anchor_size": ("PIXELS", "gan: side at which redrawn pictures are compared; else that of training."),
    "mapping_rate": ("R", "gan: how fast a StyleGAN2's mapping network learns beside the rest."),
    "mixing": ("0..1", "gan: how many pictures of a StyleGAN2 have the styles of two latents."),
    "keep_coarse": ("on|off", "gan: let the layers alone learn by which a StyleGAN2 outgrows its --init."),
    "collapse_every": ("N", "gan: steps between two measures of collapse and overfitting; 0 for none."),
    "decoder": ("NAME", "vae: residual or dcgan."),
    "keep_decoder": ("on|off", "vae: let the encoder alone learn, beside the decoder of --init."),
    "latents": ("N", "vae: values that stand for a picture."),
    "beta": ("W", "vae: weight of the KL divergence."),
    "free_bits": ("NATS", "vae: what each latent may tell at no cost."),
    "warm_up": ("0..1", "vae: part of the run over which the weight of the KL divergence rises."),
    "reconstruction": ("NAME", "vae: pyramid for errors on several scales, or edges."),
    "reconstruction_size": ("PIXELS", "vae: side at which pictures are compared; else that of training."),
    "adversarial": ("W", "vae, inpaint: weight of a discriminator's verdict; 0 for none."),
    "norm": ("NAME", "cyclegan: instance or none, of a ResNet; inpaint: fixed or batch."),
    "fold_norms": ("on|off", "cyclegan: --init has instance norms, which become part of the convolutions."),
    "upsampling": ("NAME", "cyclegan: transposed or nearest, of a ResNet."),
    "levels": ("N", "cyclegan: how often a U-Net halves its pictures."),
    "cycle": ("W", "cyclegan: weight of coming back to the original."),
    "identity": ("W", "cyclegan: weight of leaving alone what is in the domain already."),
    "head_start": ("N", "gan, vae, cyclegan: steps before the generators play against the discriminators."),
    "judged": ("N", "cyclegan: pictures that the discriminators see for one that the generators learn from."),
    "noise": (
        "0..1",
        "cyclegan: noise on translations before they are taken back, so that nothing is hidden.",
    ),
    "droplets": ("W", "cyclegan: weight of the penalty on blobs that instance norm hides."),
    "hole_l1": ("W", "inpaint: weight of the error in the hole."),
    "known_l1": ("W", "inpaint: weight of the error around the hole, of holes that start blank."),
    "multi_scale": ("W", "inpaint: weight of the error on several scales."),
    "matching": ("W", "vae, inpaint: weight of the distance of the discriminator's features."),
    "adversarial_from": ("0..1", "inpaint: part of the run after which the discriminator takes part."),
    "start": ("NAME", "inpaint: what a network finds in a hole, harmonic or blank."),
    "masks": ("LIST", "inpaint: strokes, boxes, irregular; one given twice is drawn twice as often."),
    "hole_low": ("0..1", "inpaint: part of the picture that the smallest holes cover."),
    "hole_high": ("0..1", "inpaint: part of the picture that the largest holes cover."),
}


def with_recipe_options(function: Callable[..., None]) -> Callable[..., None]:
    """A function of `chosen`, name → text, as one with an option for each name."""

    @functools.wraps(function)
    def run(*words: Any, **options: Any) -> None:
        given = {name: options.pop(name, None) for name in RECIPE_OPTIONS}
        chosen = {name: value for name, value in given.items() if value is not None}
        function(*words, chosen=chosen, **options)

    signature = inspect.signature(function, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "chosen"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation(*about))
        for name, about in RECIPE_OPTIONS.items()
    ]
    run.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return run


def annotation(metavar: str, about: str) -> Any:
    return Annotated[str | None, typer.Option(metavar=metavar, help=about)]
