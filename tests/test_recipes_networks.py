"""Generators that `train gan` can train, and discriminators: what they take, give, and leave to chance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from imgsynth.architectures.stylegan2 import StyleGAN2Generator
from imgsynth.training.discriminators import (
    DCGANDiscriminator,
    PatchDiscriminator,
    PatchNorm,
    ResidualDiscriminator,
    deviation,
)
from imgsynth.training.generators import PLANS, style_widths
from imgsynth.training.lightweight import LightweightDiscriminator
from imgsynth.training.losses import Norm

KINDS = sorted(PLANS)
NORMS: list[Norm] = ["spectral", "batch", "none"]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(kind: str, size: int = 32, width: int = 4) -> tuple[Any, nn.Module, int]:
    """Generator, discriminator, and the length of z."""
    torch.manual_seed(0)
    plan = PLANS[kind]
    sizes = plan.hyperparameters(size, width)
    generator = plan.generator(sizes)
    plan.prepare(generator)
    return generator, plan.discriminator(size, width, plan.norms[0], compares=True), plan.latent(sizes)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_fit_together(kind: str, size: int) -> None:
    plan = PLANS[kind]
    generator, discriminator, latent = made(kind, size)
    pictures = plan.pictures(generator, noise(2, latent))
    assert pictures.shape == (2, 3, size, size)
    assert discriminator(pictures).shape == (2,)


@pytest.mark.parametrize("kind", KINDS)
def test_both_networks_learn_from_each_other(kind: str) -> None:
    plan = PLANS[kind]
    generator, discriminator, latent = made(kind)
    discriminator(plan.pictures(generator, noise(4, latent))).sum().backward()
    for network in (generator, discriminator):
        # What only rebuilds reals has nothing to learn from fakes.
        parts = [p for name, p in network.named_parameters() if not name.startswith("rebuild")]
        learning = [p.grad is not None and bool((p.grad != 0).any()) for p in parts]
        assert sum(learning) > 0.8 * len(parts)


def test_widths_of_a_style_generator_double_inwards() -> None:
    assert style_widths(32, 16) == [128, 64, 32, 16]
    assert style_widths(128, 16) == [128, 128, 128, 64, 32, 16]


def test_the_penalty_of_a_style_generator_follows_size_and_batch() -> None:
    """The published rule gives 0.1 for 128 pixels and 32 pictures."""
    assert PLANS["stylegan2"].r1(128, 32) == pytest.approx(0.1, rel=0.03)
    assert PLANS["stylegan2"].r1(64, 32) == pytest.approx(PLANS["stylegan2"].r1(128, 32) / 4)
    assert PLANS["dcgan"].r1(128, 32) == 0


class Recorder(StyleGAN2Generator):
    """Notes the styles that pictures are made of."""

    def synthesis(self, w: Tensor, maps: Any = None) -> Tensor:
        self.styles, self.maps = w, maps
        return super().synthesis(w, maps)


def test_styles_are_mixed_from_two_latents() -> None:
    torch.manual_seed(0)
    plan = PLANS["stylegan2"]
    generator = Recorder(**plan.hyperparameters(32, 4))
    z = noise(64, generator.z_dim)
    plan.pictures(generator, z)
    first = torch.isclose(generator.styles, generator.mapping(z).unsqueeze(1), atol=1e-6).all(2)
    assert first[:, 0].all()
    mixed = ~first.all(1)
    assert 48 < mixed.sum() < 64
    crossover = first[mixed].sum(1)
    assert (crossover == crossover[0]).all()
    assert not any(torch.equal(a, b) for a, b in zip(generator.maps, generator.noises.buffers(), strict=True))


def test_the_mean_of_w_is_followed() -> None:
    generator, _, latent = made("stylegan2")
    plan, found = PLANS["stylegan2"], generator.w_mean.clone()
    z = noise(8, latent)
    plan.pictures(generator, z)
    moved = 0.995 * found + 0.005 * generator.mapping(z).mean(0)
    assert torch.allclose(generator.w_mean, moved, atol=1e-6)
    beside = plan.beside(generator)
    assert torch.equal(beside["latent_avg"], generator.w_mean)
    plan.load_beside(generator, {"latent_avg": found})
    assert torch.equal(generator.w_mean, found)
    assert not torch.equal(beside["latent_avg"], found)


def test_pixel_shuffles_begin_without_a_checkerboard() -> None:
    generator, _, _ = made("lightweight")
    shuffle = generator.layers[0]["0"][0]
    pixels = shuffle(noise(1, 32, 4, 4))
    blocks = pixels.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.allclose(blocks, blocks[..., :1].expand_as(blocks), atol=1e-5)


# Discriminators


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("build", [DCGANDiscriminator, LightweightDiscriminator])
def test_norms_are_where_they_belong(build: Any, norm: Norm) -> None:
    discriminator = build([4, 8], norm=norm)
    keys = discriminator.state_dict().keys()
    scoring = [k for k in keys if not k.startswith("rebuild")]
    assert any("parametrizations" in k for k in scoring) == (norm == "spectral")
    batch_norms = [m for m in discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(m.track_running_stats for m in batch_norms)
    rebuilding = 4 if build is LightweightDiscriminator else 0
    assert (len(batch_norms) > rebuilding) == (norm == "batch")


@pytest.mark.parametrize("compares", [True, False])
@pytest.mark.parametrize(
    ("build", "widths"),
    [
        (DCGANDiscriminator, [4, 8, 16]),
        (ResidualDiscriminator, [4, 8, 16, 16]),
        (LightweightDiscriminator, [4, 8]),
    ],
)
def test_a_discriminator_sees_a_lack_of_variety_if_it_may(
    build: Any, widths: list[int], compares: bool
) -> None:
    """The same image four times gets another score than among others."""
    torch.manual_seed(0)
    judge = build(widths, compares=compares).eval()
    batch = noise(4, 3, 32, 32)
    alone = judge(batch[:1].expand(4, -1, -1, -1))[0]
    assert ((alone - judge(batch)[0]).abs() > 1e-5) == compares


def test_deviation_is_zero_for_one_picture_and_can_be_differentiated() -> None:
    features = noise(1, 4, 2, 2).requires_grad_(True)
    found = deviation(features)
    assert found.shape == (1, 1, 2, 2)
    assert found.max() < 1e-3
    found.sum().backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()
    assert deviation(torch.tensor([[[[1.0]]], [[[3.0]]]])).flatten().tolist() == pytest.approx([1, 1])


def test_a_residual_discriminator_keeps_its_scale() -> None:
    """Equalised rates and √2 at every sum: features stay near the size of what goes in."""
    torch.manual_seed(0)
    judge = ResidualDiscriminator([8, 16, 32, 32], compares=False)
    smooth = nn.functional.interpolate(noise(16, 3, 4, 4), scale_factor=8)
    features = judge.blocks(judge.from_rgb(smooth))
    assert features.shape == (16, 32, 4, 4)
    assert 0.4 < features.std() < 2


@pytest.mark.parametrize("norm", ["instance", "spectral", "none"])
def test_patches_are_scored_with_features_on_the_way(norm: PatchNorm) -> None:
    scores, features = PatchDiscriminator(4, norm=norm)(noise(2, 3, 64, 64))
    assert scores.shape == (2, 1, 6, 6)
    assert [f.shape[1] for f in features] == [4, 8, 16, 32]


def test_a_judge_with_spectral_norm_cares_little_for_little() -> None:
    """However large its weights are."""
    judge = PatchDiscriminator(4, norm="spectral")
    for parameter in judge.parameters():
        parameter.data.mul_(100.0)
    x = noise(1, 3, 64, 64)
    for _ in range(20):  # the norm is found step by step
        scores = judge(x)[0]
    nearby = judge(x + 0.01 * noise(1, 3, 64, 64, seed=5))[0]
    assert (scores - nearby).abs().max() < 0.2


def test_a_lightweight_discriminator_learns_to_rebuild() -> None:
    torch.manual_seed(0)
    judge = LightweightDiscriminator([8, 16], norm="none")
    real = nn.functional.interpolate(noise(4, 3, 4, 4).tanh(), scale_factor=8, mode="bilinear")
    optimiser = torch.optim.Adam(judge.parameters(), 2e-3)
    errors = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = judge.reconstruction_loss(real)
        loss.backward()
        optimiser.step()
        errors.append(loss.item())
    assert sum(errors[-5:]) < 0.7 * sum(errors[:5])
    assert judge.score[-1].weight.grad is None
    assert judge.stem[0].weight.grad is not None


def test_what_is_rebuilt_of_a_part_is_that_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that are the picture itself, and rebuilders that enlarge: nothing is left to improve."""
    judge = LightweightDiscriminator([3, 3], norm="none")
    small = noise(2, 3, 16, 16)
    real = nn.functional.interpolate(small, scale_factor=2)
    monkeypatch.setattr(judge, "features", lambda x: [small, real])
    judge.rebuild_whole = Calls(lambda last: last)
    judge.rebuild_part = Calls(lambda seen: nn.functional.interpolate(seen, scale_factor=2))
    for seed in range(5):
        torch.manual_seed(seed)
        assert judge.reconstruction_loss(real).item() == pytest.approx(0, abs=1e-6)
    judge.rebuild_part = Calls(lambda seen: nn.functional.interpolate(seen.flip(-1), scale_factor=2))
    assert judge.reconstruction_loss(real) > 0.1


class Calls(nn.Module):
    """A function in the place of a network."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)
