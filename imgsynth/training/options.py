"""What each recipe can be told beyond sizes and lengths; None leaves what suits the other choices.

An option that would do nothing beside the others is refused: `NEEDS` says what each needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, Field

from imgsynth.errors import BadRequest, TrainingFailed
from imgsynth.tasks.requests import Request, make_request
from imgsynth.training.augment import POLICIES
from imgsynth.training.generators import Judge
from imgsynth.training.holes import HOLES
from imgsynth.training.inpaint_choices import starts_harmonic
from imgsynth.training.losses import LOSSES
from imgsynth.training.recipe import Settings

Weight = Annotated[float, Field(ge=0, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
GENERATORS = ("dcgan", "stylegan2", "lightweight")


def one_of(name: str, choices: tuple[str, ...]) -> AfterValidator:
    """Refuses any other word, in a sentence that lists the choices."""

    def check(word: str) -> str:
        if word not in choices:
            raise BadRequest(f"There is no {name} {word[:40]!r}; choose one of {', '.join(choices)}.")
        return word

    return AfterValidator(check)


def list_of(name: str, choices: tuple[str, ...], *, empty: bool) -> AfterValidator:
    """Refuses a comma-separated list with any other word; "none" is the empty list where there may be one."""

    def check(text: str) -> str:
        words = [] if empty and text in ("", "none") else text.split(",")
        if unknown := [word for word in words if word not in choices]:
            known = ", ".join(choices) + (" or none" if empty else "")
            raise BadRequest(f"There is no {name} {unknown[0][:40]!r}; give {known}, parted by commas.")
        return ",".join(words)

    return AfterValidator(check)


Policy = Annotated[str, list_of("augmentation", tuple(POLICIES), empty=True)]
Holes = Annotated[str, list_of("kind of hole", tuple(HOLES), empty=False)]


class GANOptions(Request):
    """Of `train gan`.

    Attributes:
        generator: which network draws.
        loss: which game is played, a name in `losses.LOSSES`.
        r1: γ of the gradient penalty at reals, and of that at fakes where a loss has both ("relativistic"); 0
            for none.
        spectral_norm: on the discriminator.
        discriminator: of a StyleGAN2, its own residual one, or the plain one of a DCGAN, which takes half as
            long and is the one for spectral norm; residual if unsaid and without spectral norm.
        critics: steps of the discriminator for one of the generator.
        rate, discriminator_rate: learning rates.
        augment: changes that reals and fakes go through, names in `augment.POLICIES`.
        augment_chance: how many of the pictures each of these changes comes to.
        anchor: an Autoencoder from whose codes the generator also redraws the training pictures (see
            `anchor.py`); none if unsaid.
        anchor_weight: of the redrawn pictures' mean error on several scales.
        anchor_size: side to which pictures are scaled down before they are compared; the whole size if
            unsaid. What codes cannot tell is blurred where it is asked for: below the size at which the VAE
            still sees, it is left to the discriminator.
        mapping_rate: how fast the mapping network of a StyleGAN2 learns beside the rest; 0.01 as published if
            unsaid. Redrawing for an anchor is learnt several times sooner at 10.
        mixing: how many of the pictures that a StyleGAN2 has judged take the styles of two latents; 0.9 as
            published if unsaid. Codes of an anchor do not part coarse from fine, and mixtures that cannot
            look real keep the game from the rest: fewer of them let it get on.
        keep_coarse: whether the layers that a StyleGAN2 lacks which grows from smaller weights (Karras et al.
            2018, arXiv:1710.10196) learn alone. At first a game over twice the size asks for fine texture at
            any price, and layers that drew shapes well pay it.
        head_start: steps before the game begins: the discriminator learns alone, or with an anchor the
            generator learns to redraw, and the discriminator catches up with it at the end.
        collapse_every: steps from one look at collapse and overfitting to the next; 0 never looks.
    """

    generator: Annotated[str, one_of("generator", GENERATORS)] = "dcgan"
    loss: Annotated[str, one_of("loss", tuple(LOSSES))] | None = None
    r1: Weight | None = None
    spectral_norm: bool | None = None
    discriminator: Judge | None = None
    critics: int | None = Field(default=None, ge=1, le=100)
    rate: Rate | None = None
    discriminator_rate: Rate | None = None
    augment: Policy = "color,translation"
    augment_chance: Share = 1.0
    anchor: str | None = None
    anchor_weight: Weight = 30.0
    anchor_size: int | None = Field(default=None, ge=4)
    mapping_rate: Annotated[float, Field(gt=0, le=100)] | None = None
    mixing: Share | None = None
    keep_coarse: bool = False
    head_start: int | None = Field(default=None, ge=0)
    collapse_every: int = Field(default=200, ge=0)


class VAEOptions(Request):
    """Of `train vae`.

    Attributes:
        decoder: residual blocks, or a DCGAN's generator, which can make up textures.
        anchor: a VAE whose encoder this one begins with, where its decoder begins with a generator that was
            trained to redraw from that VAE's codes (`train gan --anchor`); none if unsaid.
        keep_decoder: whether the encoder alone learns, beside a decoder that has learnt. No verdict of a
            discriminator can change what that draws; of its features the encoder hears.
        latents: values that stand for a picture.
        beta: weight of the KL divergence at the end (Higgins et al. 2017).
        free_bits: nats of each latent's KL divergence that cost nothing (Kingma et al. 2016).
        warm_up: part of the run over which the weight of the KL divergence rises from 0.
        reconstruction: what errors are measured on: values and edges, or the bands of a Laplacian pyramid,
            whose coarse ones see to the colours of large shapes; edges leave those to the very end.
        reconstruction_size: side to which pictures are scaled down before they are compared; the whole size
            if unsaid. What a few latents cannot tell is blurred where it is asked for: below the size at
            which they still can, it is left to the discriminator.
        adversarial: weight of a discriminator (Larsen et al. 2016); 0 trains without one.
        matching: weight of the distance of the discriminator's features, beside its verdict's 1.
        head_start: steps in which the discriminator learns alone.
        rate, discriminator_rate: learning rates.
        augment, augment_chance: changes that pictures go through before they are judged, and how many do.
    """

    decoder: Annotated[str, one_of("decoder", ("residual", "dcgan"))] = "residual"
    anchor: str | None = None
    keep_decoder: bool = False
    latents: int = Field(default=64, ge=1, le=4096)
    beta: Weight = 4.0
    free_bits: Weight = 0.0
    warm_up: Share = 0.4
    reconstruction: Annotated[str, one_of("reconstruction", ("edges", "pyramid"))] = "pyramid"
    reconstruction_size: int | None = Field(default=None, ge=4)
    adversarial: Weight = 0.0
    matching: Weight = 1.0
    head_start: int = Field(default=0, ge=0)
    rate: Rate = 1e-3
    discriminator_rate: Rate = 2e-4
    augment: Policy = ""
    augment_chance: Share = 1.0


class CycleGANOptions(Request):
    """Of `train cyclegan`.

    Attributes:
        generator: ResNet or U-Net, both as published.
        norm: of a ResNet; without one it starts as the identity (see `identity_resnet.py`).
        fold_norms: whether the weights to start from have instance norms, which then go into the convolutions
            of this run's networks without (see `folding.py`).
        upsampling: of a ResNet, by transposed convolutions or by repeating pixels before a convolution.
        levels: how often a U-Net halves its pictures; as often as they allow if unsaid.
        cycle, identity: weights of the two L1 terms.
        rate, discriminator_rate: learning rates of the two generators and of the two discriminators.
        spectral_norm: of the discriminators' layers, instead of instance norm: no faint pattern can then
            count for much (the hinge loss with it is SN-PatchGAN, Yu et al. 2019, arXiv:1806.03589).
        r1: γ of the gradient penalty at reals, of a patch's score (see `losses.patch_score`): faint patterns
            then count for little, too.
        head_start: steps in which the discriminators learn alone, if not what suits the start.
        judged: how many pictures of each kind the discriminators see for one that the generators learn from.
        noise: deviation of what is added to a translation before it is taken back, of values in [-1, 1]; what
            is hidden in faint patterns does not survive it (Bashkirova et al. 2019, arXiv:1908.01517).
        droplets: weight of the penalty on peaks that instance norm hides (see `droplets.py`).
        augment: changes that pictures of a small domain go through before they are judged.
    """

    generator: Annotated[str, one_of("generator", ("resnet", "unet"))] = "resnet"
    norm: Annotated[str, one_of("norm", ("instance", "none"))] = "instance"
    fold_norms: bool = False
    upsampling: Annotated[str, one_of("upsampling", ("transposed", "nearest"))] = "nearest"
    levels: int | None = Field(default=None, ge=2, le=7)
    cycle: Weight = 8.0
    identity: Weight = 2.0
    rate: Rate = 2e-4
    discriminator_rate: Rate | None = None
    spectral_norm: bool = False
    r1: Weight = 0.0
    head_start: int | None = Field(default=None, ge=0)
    judged: int = Field(default=1, ge=1, le=16)
    noise: Share = 0.0
    droplets: Weight = 1.0
    augment: Policy = ""

    @property
    def has_norms(self) -> bool:
        """Whether generators have instance norms; those of a U-Net stay."""
        return self.generator == "unet" or self.norm == "instance"


class InpaintOptions(Request):
    """Of `train inpaint`.

    Attributes:
        hole_l1, known_l1: weights of the mean error inside and outside the hole. The second is 6 if unsaid,
            and none where holes start harmonic: all outside is the photo itself there.
        multi_scale: weight of the mean error over the bands of a Laplacian pyramid.
        adversarial, matching: weights of the discriminator's verdict and of the distance of its features.
        r1: γ of the gradient penalty at reals, of a patch's score (see `losses.patch_score`).
        adversarial_from: part of the run after which the discriminator takes part.
        masks: kinds of holes, names in `holes.HOLES`; one that is given twice is drawn twice as often.
        hole_low, hole_high: parts of the picture that a hole covers.
        start: what the network finds in a hole: the smoothest continuation of what surrounds it ("harmonic"),
            from which a small network goes on, or nothing, as published ("blank"). If unsaid, as for the
            weights to start from; for a fresh network the first.
        norm: whether batch norms keep the means and variances of their first pictures ("fixed", see
            `fixed_norms.py`) or take those of each batch.
        rate, discriminator_rate: learning rates.
    """

    hole_l1: Weight = 10.0
    known_l1: Weight | None = None
    multi_scale: Weight = 10.0
    adversarial: Weight = 0.1
    matching: Weight = 2.0
    r1: Weight = 1.0
    adversarial_from: Share = 0.7
    masks: Holes = "strokes,strokes,boxes,irregular"
    hole_low: Annotated[float, Field(gt=0, lt=1)] = 0.05
    hole_high: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start: Annotated[str, one_of("start", ("harmonic", "blank"))] | None = None
    norm: Annotated[str, one_of("norm", ("fixed", "batch"))] = "fixed"
    rate: Rate = 2e-4
    discriminator_rate: Rate = 2e-4


class Need(NamedTuple):
    """What some options of a recipe cannot do without.

    Attributes:
        options: their names.
        what: it in words, for a sentence.
        met: whether the options and settings of a run have it.
    """

    options: tuple[str, ...]
    what: str
    met: Callable[[Any, Settings], Any]


NEEDS: dict[type[Request], tuple[Need, ...]] = {
    GANOptions: (
        Need(
            ("mixing", "mapping_rate", "discriminator", "keep_coarse"),
            "--generator stylegan2",
            lambda o, _: o.generator == "stylegan2",
        ),
        Need(("spectral_norm",), "--discriminator plain", lambda o, _: o.discriminator != "residual"),
        Need(("keep_coarse",), "smaller weights to grow from, by --init", lambda _, s: s.init),
        Need(("anchor_weight", "anchor_size"), "--anchor", lambda o, _: o.anchor),
        Need(
            ("spectral_norm",),
            "another --loss than wasserstein, whose clipping would bound nothing beside it",
            lambda o, _: not (o.loss and LOSSES[o.loss].clip),
        ),
    ),
    VAEOptions: (
        Need(
            ("matching", "head_start", "discriminator_rate", "augment", "augment_chance"),
            "--adversarial",
            lambda o, _: o.adversarial,
        ),
        Need(
            ("latents",), "a start without --anchor, whose codes tell their number", lambda o, _: not o.anchor
        ),
        Need(("keep_decoder",), "a decoder that has learnt, from --init", lambda o, s: o.anchor or s.init),
        Need(
            ("adversarial",),
            "a --matching above 0 beside --keep-decoder, since no verdict changes what is kept",
            lambda o, _: o.matching or not o.keep_decoder,
        ),
    ),
    CycleGANOptions: (
        Need(("levels",), "--generator unet", lambda o, _: o.generator == "unet"),
        Need(("upsampling",), "--generator resnet", lambda o, _: o.generator == "resnet"),
        Need(
            ("norm",),
            "--generator resnet, since a U-Net keeps its instance norms",
            lambda o, _: o.generator == "resnet" or o.norm == "instance",
        ),
        Need(
            ("fold_norms",),
            "a ResNet without norms that starts from one with them, by --norm none and --init",
            lambda o, s: s.init and not o.has_norms,
        ),
        Need(("droplets",), "--norm instance, behind which droplets hide", lambda o, _: o.has_norms),
    ),
    InpaintOptions: (
        Need(
            ("known_l1",),
            "--start blank, since the photo around holes that start harmonic is kept as it is",
            lambda o, s: not starts_harmonic(o.start, s),
        ),
    ),
}

AnyOptions = TypeVar("AnyOptions", bound=Request)


def options_of(kind: type[AnyOptions], settings: Settings) -> AnyOptions:
    """The options of a run.

    Raises:
        BadRequest: one that this recipe does not have, or a value that it cannot use.
        TrainingFailed: one that would do nothing.
    """
    unknown = settings.options.keys() - kind.model_fields.keys()
    if unknown:
        has = ", ".join(kind.model_fields).replace("_", "-")
        raise BadRequest(f"This recipe has no option {min(unknown).replace('_', '-')}; it has {has}.")
    options = make_request(kind, **settings.options)
    check_needs(options, settings)
    return options


def check_needs(options: Request, settings: Settings) -> None:
    """
    Raises:
        TrainingFailed: an option was given that lacks what it needs; 0, off and none ask for nothing.
    """
    given = {name for name in options.model_fields_set if getattr(options, name)}
    for need in NEEDS[type(options)]:
        for name in need.options:
            if name in given and not need.met(options, settings):
                raise TrainingFailed(f"--{name.replace('_', '-')} needs {need.what}; else leave it out.")
