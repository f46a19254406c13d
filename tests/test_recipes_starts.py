"""Where training begins: networks that copy, networks that grow, and discriminators that catch up first."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import imgsynth
from imgsynth.architectures.cyclegan_resnet import CYCLEGAN_RESNET, ResnetGenerator
from imgsynth.architectures.lama import LaMaGenerator, assemble
from imgsynth.errors import BadRequest, TrainingFailed
from imgsynth.training import gan, identity, identity_resnet
from imgsynth.training.card import save_checkpoint
from imgsynth.training.folding import fold_norms
from imgsynth.training.generators import PLANS, mapping_pace
from imgsynth.training.options import CycleGANOptions
from imgsynth.training.recipe import Settings
from imgsynth.training.run import make_recipe
from imgsynth.training.translators import resnet_sizes


def photo(side: int = 64) -> Tensor:
    """1×3×side×side in [0, 1], with shapes of several sizes and some noise."""
    coarse = F.interpolate(
        torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), size=side, mode="bicubic"
    )
    return (coarse + 0.05 * torch.randn(1, 3, side, side)).clamp(0, 1)


def decibels(one: Tensor, other: Tensor) -> float:
    """PSNR of pictures in [0, 1]."""
    return -10 * float((one - other).detach().square().mean().log10())


@pytest.fixture(autouse=True)
def always_the_same() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("upsampling", "least"), [("transposed", 28), ("nearest", 20)])
def test_a_resnet_without_norms_starts_as_the_identity(upsampling: str, least: float) -> None:
    generator = ResnetGenerator(**resnet_sizes(16, CycleGANOptions(norm="none", upsampling=upsampling)))
    identity_resnet.start_as_identity(generator)
    x = photo()
    assert decibels(generator(x * 2 - 1) * 0.5 + 0.5, x) > least


def test_a_resnet_that_starts_as_the_identity_can_learn_in_every_layer() -> None:
    generator = ResnetGenerator(**resnet_sizes(16, CycleGANOptions(norm="none", upsampling="transposed")))
    identity_resnet.start_as_identity(generator)
    optimiser = torch.optim.Adam(generator.parameters(), 1e-3)
    before = [p.detach().clone() for p in generator.parameters()]
    for _ in range(2):  # blocks end in zeros, so their first layers hear of the loss at the second step
        optimiser.zero_grad()
        (generator(photo() * 2 - 1) - 0.3).square().mean().backward()
        optimiser.step()
    for old, new in zip(before, generator.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_a_file_tells_that_there_are_no_norms() -> None:
    sizes = resnet_sizes(8, CycleGANOptions(norm="none", upsampling="transposed"))
    shapes = {key: tuple(value.shape) for key, value in ResnetGenerator(**sizes).state_dict().items()}
    hints = {"norm": "none", "padding": "reflect"}
    assert CYCLEGAN_RESNET.read(shapes, hints)["norm"] == "none"
    assert CYCLEGAN_RESNET.read(shapes, {})["norm"] == "instance"


def test_lama_starts_as_the_identity() -> None:
    """Batch norms are asked for a picture's mean and spread, so it is one up to its contrast."""
    generator = LaMaGenerator(width=24, blocks=1, global_channels=144)
    identity.start_as_identity(generator)
    x = photo()
    out = generator(assemble(x, torch.zeros(1, 1, 64, 64)))
    correlation = torch.corrcoef(torch.stack([out.flatten(), x.flatten()]))[0, 1]
    assert correlation > 0.8


# Growing


def style(size: int, width: int = 4) -> tuple[Any, Any]:
    plan = PLANS["stylegan2"]
    return plan, plan.hyperparameters(size, width)


def test_a_grown_generator_draws_what_the_small_one_drew() -> None:
    plan, sizes = style(32)
    small = plan.generator(sizes)
    weights = small.state_dict()
    grown_sizes = plan.grown(plan.hyperparameters(128, 9), weights)
    assert grown_sizes["widths"] == [*sizes["widths"], 4, 4]
    large = plan.generator(grown_sizes)
    plan.load(large, weights)
    z = torch.randn(2, plan.latent(sizes))
    drawn, redrawn = small(z), large(z)
    assert redrawn.shape == (2, 3, 128, 128)
    assert F.l1_loss(F.avg_pool2d(redrawn, 4), drawn) < 0.05 * drawn.abs().mean()


def test_a_grown_generator_goes_on_as_wide_as_it_is() -> None:
    plan, sizes = style(32)
    grown_sizes = plan.grown(plan.hyperparameters(128, 4), plan.generator(sizes).state_dict())
    weights = plan.generator(grown_sizes).state_dict()
    assert plan.grown(plan.hyperparameters(128, 4), weights) == grown_sizes
    assert grown_sizes != plan.hyperparameters(128, 4)


@pytest.mark.parametrize("size", [32, 64])
def test_weights_of_the_same_size_or_a_larger_one_are_not_grown(size: int) -> None:
    plan, sizes = style(32)
    weights = plan.generator(plan.hyperparameters(size, 4)).state_dict()
    assert plan.grown(sizes, weights) == sizes
    generator = plan.generator(sizes)
    if size == 32:
        plan.load(generator, weights)
        assert all(torch.equal(value, weights[key]) for key, value in generator.state_dict().items())
    else:
        with pytest.raises(RuntimeError, match="loading state_dict"):
            plan.load(generator, weights)


def test_weights_of_another_network_are_refused() -> None:
    plan, sizes = style(64)
    weights = PLANS["dcgan"].generator(PLANS["dcgan"].hyperparameters(32, 4)).state_dict()
    assert plan.grown(sizes, weights) == sizes
    with pytest.raises(RuntimeError, match="loading state_dict"):
        plan.load(plan.generator(sizes), weights)


def grows(images: Path, **settings: Any) -> Any:
    plan, sizes = style(32)
    began = {"init": (plan.generator(sizes).state_dict(),), "init_sizes": (sizes,)}
    options = {"keep_coarse": True, "head_start": 0, **settings.pop("options", {})}
    return paced(images, **{"size": 64, **began, **settings}, options=options)


def learnt(recipe: Any, step: int) -> set[str]:
    """Names of the generator's parameters that a step changes."""
    before = copy.deepcopy(recipe.generator.state_dict())
    recipe.step(step, 0.0)
    return {name for name, p in recipe.generator.named_parameters() if not torch.equal(p, before[name])}


def test_layers_by_which_weights_are_outgrown_learn_alone(images: Path) -> None:
    recipe = grows(images)
    new = {name for name, _ in recipe.generator.named_parameters()} - recipe.settings.init[0].keys()
    assert learnt(recipe, 0) | learnt(recipe, 1) == new
    assert {name.rsplit(".", 2)[0] for name in new} >= {"convs.6", "convs.7", "to_rgbs.3.conv"}
    later = grows(images, options={"keep_coarse": False})
    later.load_state(recipe.state())
    everything = {name for name, _ in later.generator.named_parameters()}
    assert learnt(later, 2) | learnt(later, 3) == everything


def test_weights_that_are_not_outgrown_leave_nothing_to_learn_alone(images: Path) -> None:
    with pytest.raises(TrainingFailed, match="would leave nothing to learn"):
        grows(images, size=32)


# The mapping network's pace


def paced(images: Path, **settings: Any) -> Any:
    options = {"generator": "stylegan2", "collapse_every": 0, **settings.pop("options", {})}
    told = Settings((images,), images / "a.safetensors", size=32, width=4, batch=2, options=options)
    return make_recipe("gan", replace(told, **settings))


@pytest.mark.parametrize(("before", "after"), [(None, 5.0), (5.0, 2.0), (5.0, None)])
def test_a_mapping_network_of_another_pace_goes_on_alike(
    before: float | None, after: float | None, images: Path
) -> None:
    first, sizes = paced(images, options={"mapping_rate": before}), style(32)[1]
    z = torch.randn(2, first.latent)
    began_as = sizes if before is None else sizes | {"lr_mlp": before}
    settings = {"init": (first.generator.state_dict(),), "init_sizes": (began_as,)}
    second = paced(images, options={"mapping_rate": after}, **settings)
    torch.testing.assert_close(second.generator.mapping(z), first.generator.mapping(z))
    assert mapping_pace(second.generator) == (after or 0.01)


def test_a_file_tells_the_pace_of_its_mapping_network(images: Path, tmp_path: Path) -> None:
    recipe = paced(images, options={"mapping_rate": 5.0})
    [export] = recipe.exports()
    file = tmp_path / "paced.safetensors"
    save_checkpoint(replace(export, out=file))
    model = imgsynth.open_checkpoint(str(file), device="cpu", precision="fp32")
    z = torch.randn(2, recipe.latent)
    own = recipe.averages["generator"].network
    torch.testing.assert_close(model.network.mapping(z), own.mapping(z), rtol=1e-2, atol=1e-2)
    assert paced(images).exports()[0].hints == {}


def test_the_usual_pace_is_the_same_network_said_or_unsaid(images: Path) -> None:
    """Else one could not go on with the other."""
    said, unsaid = paced(images, options={"mapping_rate": 0.01}), paced(images)
    assert said.hyperparameters == unsaid.hyperparameters


def test_with_an_anchor_styles_begin_gently() -> None:
    plan, sizes = style(32)
    generator = plan.generator(sizes)
    before = copy.deepcopy(generator.state_dict())
    plan.gentle(generator)
    after = generator.state_dict()
    for key, value in before.items():
        gentler = 0.3 if key.endswith("modulation.weight") else 1.0
        torch.testing.assert_close(after[key], value * gentler)


# Norms that go into convolutions


def translation(images: Path) -> Settings:
    """Of a small CycleGAN between a folder and itself."""
    outs = {"out": images / "a.safetensors", "out_back": images / "b.safetensors"}
    return Settings((images,), data_b=(images,), size=32, width=4, **outs)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
def test_folded_norms_do_to_the_average_picture_what_the_norms_did(upsampling: str) -> None:
    """Measured on one picture, they do so exactly to it."""
    with_norms, without = (
        ResnetGenerator(**resnet_sizes(8, CycleGANOptions(norm=norm, upsampling=upsampling)))
        for norm in ("instance", "none")
    )
    x = photo() * 2 - 1
    expected = with_norms(x)
    fold_norms(with_norms, [x])
    without.load_state_dict(with_norms.state_dict())
    torch.testing.assert_close(without(x), expected, rtol=1e-3, atol=1e-3)


def test_folded_norms_let_tones_through() -> None:
    with_norms, without = (
        ResnetGenerator(**resnet_sizes(8, CycleGANOptions(norm=norm))) for norm in ("instance", "none")
    )
    dark, bright = photo() - 0.9, photo() * 0.5 + 0.3
    fold = copy.deepcopy(with_norms)
    fold_norms(fold, [dark, bright])
    without.load_state_dict(fold.state_dict())
    one, other = (with_norms(x) for x in (dark, dark * 0.5 + 0.2))
    assert decibels(one, other) > 40
    one, other = (without(x) for x in (dark, dark * 0.5 + 0.2))
    assert decibels(one, other) < 30


def test_a_run_folds_the_norms_of_what_it_starts_from(images: Path) -> None:
    painter = ResnetGenerator(**resnet_sizes(4, CycleGANOptions()))
    weights = copy.deepcopy(painter.state_dict())
    settings = replace(translation(images), init=(weights,))
    recipe: Any = make_recipe("cyclegan", replace(settings, options={"norm": "none", "fold_norms": True}))
    fold_norms(painter, recipe.crops_to_fold_over(0))
    torch.testing.assert_close(recipe.to_b.state_dict(), painter.state_dict())
    torch.testing.assert_close(recipe.averages["to_b"].network.state_dict(), painter.state_dict())
    with pytest.raises(TrainingFailed, match="--norm none"):
        make_recipe("cyclegan", replace(settings, options={"fold_norms": True}))


@pytest.mark.parametrize(
    ("trained", "options", "advice"),
    [
        ("none", {}, "give --norm none, without"),
        ("none", {"norm": "none", "fold_norms": True}, "give --norm none, without"),
        ("instance", {"norm": "none"}, "add --fold-norms on, or leave out --norm none"),
    ],
)
def test_weights_of_other_norms_are_refused(
    trained: str, options: dict[str, Any], advice: str, images: Path
) -> None:
    """They would fit, and mean nothing."""
    sizes = resnet_sizes(4, CycleGANOptions(norm=trained))
    settings = replace(
        translation(images),
        init=(ResnetGenerator(**sizes).state_dict(),),
        init_sizes=(sizes,),
        options=options,
    )
    with pytest.raises(TrainingFailed, match=advice):
        make_recipe("cyclegan", settings)
    fitting = {"norm": trained}
    make_recipe("cyclegan", replace(settings, options=fitting))


# A head start


@pytest.mark.parametrize("starts_from_weights", [True, False])
def test_a_fresh_discriminator_catches_up_with_a_trained_generator(
    starts_from_weights: bool, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan, "HEAD_START", 2)
    weights = PLANS["dcgan"].generator(PLANS["dcgan"].hyperparameters(32, 4)).state_dict()
    init = (weights,) if starts_from_weights else ()
    sizes = {"size": 32, "width": 4, "batch": 4, "options": {"collapse_every": 0}}
    recipe: Any = make_recipe("gan", Settings((images,), images / "made.safetensors", init=init, **sizes))
    moves = []
    for step in range(4):
        before = {name: next(part.parameters()).clone() for name, part in recipe.parts.items()}
        recipe.step(step, step / 4)
        moves.append(
            {name for name, part in recipe.parts.items() if not before[name].equal(next(part.parameters()))}
        )
    alone = 2 if starts_from_weights else 0
    assert moves == [{"discriminator"}] * alone + [{"generator", "discriminator"}] * (4 - alone)


def test_a_norm_that_is_not_offered_is_refused(images: Path) -> None:
    settings = Settings((images,), images / "a.safetensors", options={"norm": "batch"}, data_b=(images,))
    with pytest.raises(BadRequest, match="There is no norm 'batch'; choose one of instance, none"):
        make_recipe("cyclegan", settings)
