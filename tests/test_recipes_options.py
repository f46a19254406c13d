"""What recipes can be told: what comes of it, what fits together, and the command line's words for it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli_runs import Run
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.lama import LaMaGenerator
from imgsynth.cli.train import build
from imgsynth.cli.train_options import RECIPE_OPTIONS
from imgsynth.errors import BadRequest, ImgsynthError, TrainingFailed
from imgsynth.training import parallel
from imgsynth.training.augment import POLICIES
from imgsynth.training.discriminators import DCGANDiscriminator, ResidualDiscriminator
from imgsynth.training.generators import PLANS
from imgsynth.training.holes import HOLES
from imgsynth.training.losses import LOSSES, AdversarialLoss, zero_centred_penalty
from imgsynth.training.options import (
    GENERATORS,
    GANOptions,
    VAEOptions,
)
from imgsynth.training.recipe import Settings
from imgsynth.training.reconstruction import RECONSTRUCTIONS
from imgsynth.training.run import RECIPES, make_recipe
from recipe_parts import KINDS, make


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("generator", GENERATORS)
def test_every_generator_plays_every_loss_or_says_why_not(generator: str, loss: str, images: Path) -> None:
    if loss == "wasserstein" and generator != "dcgan":
        with pytest.raises(TrainingFailed, match="cannot be clipped; choose wasserstein-gp"):
            make("gan", images, generator=generator, loss=loss)
        return
    recipe = make("gan", images, generator=generator, loss=loss)
    before = {name: [p.detach().clone() for p in part.parameters()] for name, part in recipe.parts.items()}
    figures = recipe.step(0, 0.0)
    assert np.isfinite(list(figures.values())).all()
    for name, part in recipe.parts.items():
        moved = [not torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True)]
        # With so little resolution some of a small network's units are dead.
        assert sum(moved) > 0.7 * len(moved)
    assert recipe.loss.title in recipe.describe()["loss"]


def loss_of(images: Path, **options: Any) -> AdversarialLoss:
    loss: AdversarialLoss = make("gan", images, **options).loss
    return loss


def test_a_loss_brings_what_its_paper_trains_with(images: Path) -> None:
    plain = make("gan", images)
    assert plain.loss == LOSSES["hinge"]
    assert plain.rates == {"generator": 2e-4, "discriminator": 4e-4}
    clipped = make("gan", images, loss="wasserstein")
    assert clipped.rates == {"generator": 5e-5, "discriminator": 5e-5}
    assert all(isinstance(o, torch.optim.RMSprop) for o in clipped.optimisers.values())
    styled = make("gan", images, generator="stylegan2")
    assert styled.loss.title == LOSSES["non-saturating"].title
    assert (styled.loss.norm, styled.loss.r1) == ("none", pytest.approx(0.0002 * 32**2 / 2))
    assert styled.rates == {"generator": pytest.approx(2e-3), "discriminator": pytest.approx(2e-3)}


def test_what_is_asked_for_counts(images: Path) -> None:
    assert loss_of(images, r1=0.3).r1 == 0.3
    assert loss_of(images, r1=0.3).r2 == 0
    for gamma in (0.0, 0.3):
        paired = loss_of(images, loss="relativistic", r1=gamma)
        assert (paired.r1, paired.r2) == (gamma, gamma)
    assert loss_of(images, generator="stylegan2", loss="wasserstein-gp").r1 == 0
    assert loss_of(images, spectral_norm=False).norm == "none"
    assert loss_of(images, loss="wasserstein-gp", spectral_norm=True).norm == "spectral"
    assert loss_of(images, loss="wasserstein", spectral_norm=False).norm == "batch"
    assert loss_of(images, critics=3).critics == 3
    assert make("gan", images, rate=1e-3).rates == {"generator": 1e-3, "discriminator": 2e-3}
    assert make("gan", images, discriminator_rate=1e-3).rates["discriminator"] == 1e-3
    plain = make("gan", images, generator="stylegan2", spectral_norm=True)
    assert plain.loss.r1 == 0
    assert plain.rates == {"generator": pytest.approx(2e-3), "discriminator": pytest.approx(4e-4)}


def test_a_style_generator_meets_the_discriminator_that_was_asked_for(images: Path) -> None:
    asked: dict[str, dict[str, Any]] = {
        "residual, no norm": {},
        "plain, spectral norm": {"spectral_norm": True},
        "plain, no norm": {"discriminator": "plain"},
        "residual, no norm, 2": {"discriminator": "residual", "critics": 2},
    }
    for words, options in asked.items():
        recipe = make("gan", images, generator="stylegan2", **options)
        kind = DCGANDiscriminator if words.startswith("plain") else ResidualDiscriminator
        assert isinstance(recipe.parts["discriminator"], kind)
        assert recipe.describe()["discriminator"].startswith(words)
    plain = make("gan", images, generator="stylegan2", discriminator="plain")
    assert plain.loss.r1 == pytest.approx(0.0002 * 32**2 / 2)
    assert plain.rates == {"generator": pytest.approx(2e-3), "discriminator": pytest.approx(2e-4)}
    assert make("gan", images).describe()["discriminator"].startswith("spectral norm")


def test_the_penalty_of_a_style_generator_knows_the_batch_of_all_processes(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "world_size", lambda: 4)
    assert loss_of(images, generator="stylegan2").r1 == pytest.approx(0.0002 * 32**2 / (4 * 2))


def test_a_clipped_critic_stays_clipped(images: Path) -> None:
    recipe = make("gan", images, loss="wasserstein")
    recipe.step(0, 0.0)
    assert max(p.abs().max().item() for p in recipe.parts["discriminator"].parameters()) <= 0.01 + 1e-9


def test_critics_take_their_steps(images: Path) -> None:
    recipe = make("gan", images, loss="hinge", critics=3)
    recipe.step(0, 0.0)
    taken = {name: next(iter(o.state.values()))["step"].item() for name, o in recipe.optimisers.items()}
    assert taken == {"generator": 1, "discriminator": 3}


def test_the_weight_of_the_kl_divergence_rises(images: Path) -> None:
    recipe = make("vae", images, beta=2.0, warm_up=0.5)
    assert [recipe.beta(p) for p in (0.0, 0.25, 0.5, 1.0)] == [0.0, 1.0, 2.0, 2.0]
    assert make("vae", images, beta=2.0, warm_up=0.0).beta(0.0) == 2.0


def test_a_vae_has_as_many_latents_as_asked_for(images: Path) -> None:
    recipe = make("vae", images, latents=7)
    recipe.step(0, 0.0)
    [export] = recipe.exports()
    assert export.hyperparameters["latent_dim"] == 7
    assert export.weights["fc.weight"].shape[1] == 7
    assert recipe.describe()["latent"] == "7"


def test_a_vae_is_asked_for_no_more_than_a_size_can_show(images: Path) -> None:
    """Stripes of one pixel are nothing to a comparison at half of the size."""
    recipe, whole = (make("vae", images, reconstruction_size=size) for size in (16, None))
    stripes = (torch.arange(32) % 2).float().expand(2, 3, 32, 32)
    for vae, missed in ((recipe, 0.0), (whole, 0.5)):
        vae.vae.decode = lambda z: torch.zeros(len(z), 3, 32, 32)
        (_, figures), prediction, _ = vae.terms(stripes, torch.zeros(2, 64), 1.0)
        assert prediction.shape == stripes.shape
        assert figures["L1"].item() == pytest.approx(missed)
    assert "compared at 16 px" in recipe.describe()["loss"]
    assert "compared" not in whole.describe()["loss"]


def test_the_discriminator_of_a_vae_sees_changed_pictures(images: Path) -> None:
    seen: list[torch.Tensor] = []
    white = torch.ones(2, 3, 32, 32)
    for augment in ("cutout", "none"):
        recipe = make("vae", images, adversarial=1.0, augment=augment)
        recipe.judge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        recipe.score(white)
        assert ("differentiable cutout" in recipe.describe()["augmentation"]) == (augment == "cutout")
    assert (seen[0].min(), seen[1].min()) == (0, 1)


def test_a_card_says_how_the_kl_weight_rises(images: Path) -> None:
    at_once, slowly = (make("vae", images, beta=0.3, warm_up=w).describe()["loss"] for w in (0.0, 0.2))
    assert "KL weight 0.3," in at_once
    assert "KL weight rising over the first 20% of the run to 0.3," in slowly


def test_a_vae_learns_at_the_rates_asked_for(images: Path) -> None:
    recipe = make("vae", images, adversarial=1.0, rate=1e-5, discriminator_rate=3e-5)
    recipe.step(0, 0.0)
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in recipe.optimisers.items()}
    assert rates == {"vae": pytest.approx(1e-5), "judge": pytest.approx(3e-5)}


def test_features_count_as_much_as_asked_for(images: Path) -> None:
    figures = [make("vae", images, adversarial=1.0, matching=w).step(0, 0.5)["G"] for w in (0.0, 1.0, 2.0)]
    assert figures[0] < figures[1]
    assert figures[2] - figures[1] == pytest.approx(figures[1] - figures[0], rel=1e-3)


def test_styles_are_mixed_as_often_as_asked_for(images: Path) -> None:
    never, always, usual = (
        make("gan", images, generator="stylegan2", **mixing) for mixing in ({"mixing": 0}, {"mixing": 1}, {})
    )
    z = torch.randn(4, never.latent, generator=torch.Generator().manual_seed(0))
    for recipe, mixes in ((never, False), (always, True)):
        given: list[torch.Tensor] = []
        recipe.generator.synthesis = lambda styles, noise, given=given: given.append(styles)
        recipe.plan.pictures(recipe.generator, z)
        one = given[0] == given[0][:, :1]
        assert one.all(-1).all(-1).logical_not().all() if mixes else one.all()
    assert (never.describe()["style mixing"], usual.describe()["style mixing"]) == (
        "0% of the pictures",
        "90% of the pictures",
    )
    assert "style mixing" not in make("gan", images).describe()
    assert PLANS["stylegan2"].mixing == 0.9


def test_only_a_small_domain_is_augmented(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgsynth.training import cyclegan

    recipe = make("cyclegan", images, augment="cutout")
    seen: list[torch.Tensor] = []
    for judge in (recipe.judge_a, recipe.judge_b):
        judge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    white = torch.ones(1, 3, 32, 32)
    recipe.score(0, white)
    monkeypatch.setattr(cyclegan, "SMALL_DOMAIN", len(recipe.images[1]))
    recipe.score(1, white)
    assert (seen[0].min(), seen[1].min()) == (0, 1)


def test_r1_costs_a_judge_its_steepness(images: Path) -> None:
    recipe = make("cyclegan", images, r1=1.0, augment="none")
    a, b = torch.randn(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).tanh()
    before = recipe.steepness(a, b).item()
    for judge in (recipe.judge_a, recipe.judge_b):
        judge.score.weight.data.mul_(3)
    assert recipe.steepness(a, b).item() == pytest.approx(9 * before, rel=1e-3)
    assert np.isfinite(list(recipe.step(0, 0.0).values())).all()


def test_r1_of_an_inpainter_is_that_of_a_patch(images: Path) -> None:
    """However many patches there are: a judge whose patches are single values, each as steep as the last."""
    recipe = make("inpaint", images)
    for side in (1, 4, 16):
        recipe.judge = lambda x: (3 * x[:, :1], [])
        pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
        assert zero_centred_penalty(recipe.score, pictures).item() == pytest.approx(9)
    assert "R1 1 of a patch's score" in recipe.describe()["loss"]
    assert "R1" not in make("inpaint", images, adversarial_from=1.0).describe()["loss"]


def test_identity_can_be_left_out(images: Path) -> None:
    recipe = make("cyclegan", images, identity=0.0)
    calls: list[int] = []
    recipe.to_b.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    assert np.isfinite(list(recipe.step(0, 0.0).values())).all()
    assert calls == [2, 2]


def test_levels_of_a_u_net_end_at_two_pixels_or_an_odd_number() -> None:
    from imgsynth.training.translators import unet_sizes

    assert [len(unet_sizes(size, 4, 7)["widths"]) for size in (16, 96, 128, 512)] == [3, 5, 6, 7]
    assert len(unet_sizes(512, 4, 4)["widths"]) == 4
    assert unet_sizes(128, 4, 7)["widths"] == [4, 8, 16, 32, 32, 32]


def test_masks_are_of_the_kinds_asked_for(images: Path) -> None:
    recipe = make("inpaint", images, masks="boxes", hole_low=0.2, hole_high=0.25)
    masks = recipe.masks(0, 6)
    assert masks.shape == (6, 1, 32, 32)
    assert 0.2 <= masks.mean((1, 2, 3)).min() <= masks.mean((1, 2, 3)).max() <= 0.25
    assert torch.equal(masks, recipe.masks(0, 6))
    assert not torch.equal(masks, recipe.masks(1, 6))
    assert not torch.equal(masks, make("inpaint", images, masks="strokes,strokes").masks(0, 6))


def running(recipe: Any) -> list[torch.Tensor]:
    return [
        value.clone() for key, value in recipe.generator.state_dict().items() if key.endswith("running_mean")
    ]


def test_fixed_norms_stay_as_they_begin(images: Path) -> None:
    for norm, stays in (("fixed", True), ("batch", False)):
        recipe = make("inpaint", images, norm=norm, adversarial_from=0.0)
        before = running(recipe)
        recipe.step(0, 0.5)
        assert all(map(torch.equal, before, running(recipe))) == stays
        assert ("as they begin" in recipe.describe()["generator"]) == stays


def test_a_hole_starts_as_asked_for(images: Path) -> None:
    smooth, blank = make("inpaint", images), make("inpaint", images, start="blank")
    [export] = smooth.exports()
    assert {"hole_start": "harmonic", "add_out_act": "none"}.items() <= export.hints.items()
    assert not {"hole_start", "add_out_act"} & blank.exports()[0].hints.keys()
    figures = [recipe.step(0, 0.0)["hole L1"] for recipe in (smooth, blank)]
    assert figures[0] < figures[1]


def test_an_inpainter_goes_on_as_large_as_its_beginning(images: Path) -> None:
    """Whatever LaMa it is: with another depth, and holes that start blank."""
    sizes = {"width": 8, "downsamplings": 3, "blocks": 1, "global_channels": 16}
    weights = LaMaGenerator(**sizes).state_dict()
    begun = {"init": (weights,), "init_sizes": (sizes,), "size": 32, "batch": 2}
    for options, more in (({}, {}), ({"start": "harmonic"}, {"harmonic": True})):
        settings = Settings((images,), Path("made.safetensors"), options=options, **begun)
        [export] = make_recipe("inpaint", settings).exports()
        assert export.hyperparameters == sizes | more
        assert all(torch.equal(export.weights[key], value) for key, value in weights.items())
    begun["init_sizes"] = (export.hyperparameters,)
    for options, smooth in (({}, True), ({"start": "blank"}, False)):
        settings = Settings((images,), Path("made.safetensors"), options=options, **begun)
        assert make_recipe("inpaint", settings).hyperparameters.get("harmonic", False) == smooth
    for start in ({}, {"start": "harmonic"}):
        settings = Settings((images,), Path("made.safetensors"), options={"known_l1": 1.0, **start}, **begun)
        with pytest.raises(TrainingFailed, match="--known-l1 needs --start blank"):
            make_recipe("inpaint", settings)


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (DCGANGenerator, {"latent_dim": 8, "widths": [8, 4], "channels": 3}),
        (LaMaGenerator, {"input_channels": 2, "output_channels": 1, "width": 4, "global_channels": 16}),
    ],
    ids=["no LaMa", "no colours"],
)
def test_an_inpainter_goes_on_from_nothing_else(network: Any, sizes: dict[str, Any], images: Path) -> None:
    weights = network(**sizes).state_dict()
    settings = Settings((images,), Path("made.safetensors"), init=(weights,), init_sizes=(sizes,), size=32)
    with pytest.raises(TrainingFailed, match="The weights of --init are of another network"):
        build("inpaint", settings)


def test_rates_rise_and_fall(images: Path) -> None:
    recipe = make("inpaint", images, rate=1e-3, adversarial_from=0.0)
    rates = []
    for step, progress in ((0, 0.0), (99, 0.1), (400, 0.3), (900, 0.9)):
        recipe.rates(step, progress)
        rates.append(recipe.optimisers["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3 / 200, 5e-4, 1e-3, 1.8e-4])


# Words


def test_the_command_line_has_every_option_of_every_recipe() -> None:
    assert RECIPE_OPTIONS.keys() == {name for kind in KINDS.values() for name in kind.model_fields}
    assert not RECIPE_OPTIONS.keys() & {field.name for field in fields(Settings)}
    for names, option in ((PLANS, "generator"), (LOSSES, "loss"), (POLICIES, "augment"), (HOLES, "masks")):
        assert all(name in RECIPE_OPTIONS[option][1] for name in names)
    assert all(name in RECIPE_OPTIONS["reconstruction"][1] for name in RECONSTRUCTIONS)
    for name, (_, about) in RECIPE_OPTIONS.items():
        owners = {recipe for recipe, kind in KINDS.items() if name in kind.model_fields}
        said = {word for part in about.split(";") for word in part.split(":")[0].replace(",", " ").split()}
        assert owners <= said, name
    assert RECIPES.keys() == KINDS.keys()


def test_lists_of_choices_are_those_that_there_are() -> None:
    assert set(GENERATORS) == PLANS.keys()
    for name in RECONSTRUCTIONS:
        assert VAEOptions(reconstruction=name).reconstruction == name


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "gan",
        {"generator": "stylegan2", "discriminator": "patch"},
        "discriminator should be 'residual' or 'plain', not 'patch'",
    ),
    ("gan", {"loss": "hingy"}, "no loss 'hingy'; choose one of minimax, "),
    ("gan", {"generator": "biggan"}, "no generator 'biggan'"),
    ("gan", {"generator": "unet"}, "no generator 'unet'"),
    ("cyclegan", {"generator": "dcgan"}, "choose one of resnet, unet"),
    ("gan", {"augment": "colour"}, "no augmentation 'colour'; give color, translation, cutout or none"),
    ("inpaint", {"masks": "none"}, "no kind of hole 'none'"),
    ("gan", {"r1": -1}, "r1 should be greater than or equal to 0"),
    ("gan", {"critics": 0}, "critics should be greater"),
    ("gan", {"spectral_norm": "perhaps"}, "spectral_norm should be a valid boolean"),
    ("vae", {"beta": "much"}, "beta should be a valid number"),
    ("vae", {"warm_up": 1.5}, "warm_up should be less than or equal to 1"),
    ("gan", {"mixing": 1.5}, "mixing should be less than or equal to 1"),
    ("vae", {"reconstruction_size": 2}, "reconstruction_size should be greater"),
    ("vae", {"loss": "hinge"}, "no option loss; it has decoder, anchor, keep-decoder, latents, beta, "),
    ("inpaint", {"start": "grey"}, "no start 'grey'; choose one of harmonic, blank"),
    ("inpaint", {"norm": "instance"}, "choose one of fixed, batch"),
    ("inpaint", {"hole_low": 0.4}, "between 0.4 and 0.3"),
]


@pytest.mark.parametrize(("name", "options", "about"), REFUSED)
def test_what_cannot_be_done_is_said(name: str, options: dict[str, Any], about: str, images: Path) -> None:
    with pytest.raises(ImgsynthError, match=about):
        make(name, images, **options)


def test_no_augmentation_can_be_asked_for() -> None:
    assert GANOptions(augment="none").augment == GANOptions(augment="").augment == ""
    assert GANOptions(augment="cutout,color").augment == "cutout,color"
    with pytest.raises(BadRequest):
        GANOptions(augment="color,none")


def test_train_hands_options_to_its_recipe(run: Run, tmp_path: Path, images: Path) -> None:
    out = tmp_path / "made.safetensors"
    words = ("train", "gan", "--data", images, "--out", out, "--steps", 1, "--size", 32, "--width", 4)
    ran = run(*words, "--batch", 2, "--loss", "least-squares", "--spectral-norm", "off", "--r1", "0.5")
    assert ran.code == 0, ran.err
    card = out.with_suffix(".md").read_text("utf-8")
    assert "| loss | least squares (Mao et al. 2017, arXiv:1611.04076), R1 0.5 |" in card
    assert "| discriminator | no norm, 1 step(s) for one of the generator |" in card
    refused = run(*words, "--beta", "1")
    assert (refused.code, refused.out) == (1, "")
    assert "no option beta" in refused.last
