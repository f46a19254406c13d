"""Real pictures' latents for a generator, and the term that keeps it to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from builders import model_of, pixels, tiny_dcgan, tiny_vae
from imgsynth.errors import TrainingFailed
from imgsynth.training import anchor, gan, parallel
from imgsynth.training.anchor import Anchor
from imgsynth.training.data import ImageSet
from imgsynth.training.recipe import Settings
from imgsynth.training.run import make_recipe


@pytest.fixture(scope="module")
def pictures() -> ImageSet:
    return ImageSet([torch.from_numpy(pixels(32, 32, seed=i)).permute(2, 0, 1) for i in range(64)])


def latents_of(pictures: ImageSet, latent: int, count: int = 512) -> Tensor:
    hold = Anchor(model_of(tiny_vae()), lambda _: pictures, latent)
    generator = torch.Generator().manual_seed(1)
    shown = pictures.batch(generator, count, 32)
    return hold.latents(shown, torch.randn(count, latent, generator=generator))


def test_latents_are_spread_as_a_generators_are(pictures: ImageSet) -> None:
    z = latents_of(pictures, 12)
    assert z.shape == (512, 12)
    assert z.mean(0).abs().max() < 0.25
    covariance = torch.cov(z.T)
    assert (covariance.diagonal() - 1).abs().max() < 0.35
    assert (covariance - torch.diag(covariance.diagonal())).abs().max() < 0.3


def test_what_differs_little_is_made_up_by_noise(pictures: ImageSet) -> None:
    network: Any = tiny_vae()
    with torch.no_grad():
        network.fc_mu.weight[:3] *= 0.01  # axes that tell next to nothing
    hold = Anchor(model_of(network), lambda _: pictures, 8)
    assert (hold.missing[:3] > 0.9).all() and (hold.missing[3:] == 0).all()
    shown = pictures.batch(torch.Generator().manual_seed(2), 4, 32)
    quiet, loud = hold.latents(shown, torch.zeros(4, 8)), hold.latents(shown, torch.ones(4, 8))
    assert torch.allclose((loud - quiet)[:, :5], hold.missing.expand(4, -1), atol=1e-5)
    assert torch.equal((loud - quiet)[:, 5:], torch.ones(4, 3))
    told = (hold.codes(shown) - hold.mean) @ hold.axes
    assert torch.allclose(quiet[:, :5], told * hold.scale, atol=1e-5)
    assert len({tuple(row.tolist()) for row in quiet}) == 4


def test_only_a_vae_that_fits_can_be_an_anchor(pictures: ImageSet) -> None:
    with pytest.raises(TrainingFailed, match="Only a VAE"):
        Anchor(model_of(tiny_dcgan()), lambda _: pictures, 64)
    with pytest.raises(TrainingFailed, match="have 5 values, but z only 4"):
        Anchor(model_of(tiny_vae()), lambda _: pictures, 4)


@pytest.mark.parametrize("generator", ["dcgan", "stylegan2", "lightweight"])
def test_an_anchored_generator_learns_to_redraw(
    generator: str, tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 255 - 30 * i, 128)).save(tmp_path / f"{i}.png")
    options = {"generator": generator, "anchor": str(tiny_checkpoints["conv_vae"])}
    options |= {"anchor_weight": 1000.0, "rate": 2e-3}
    sizes: dict[str, Any] = {"size": 32, "width": 4, "batch": 4, "holdout": 0.0}
    recipe = make_recipe("gan", Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes))
    missed = [recipe.step(step, 0.0)["redrawn"] for step in range(30)]
    assert min(missed[-5:]) < 0.8 * missed[0]
    assert recipe.describe()["anchor"] == "tiny-conv_vae, weight 1000"  # a card holds no path


def test_what_is_finer_than_the_size_of_comparison_is_free(
    tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 200, 128)).save(tmp_path / f"{i}.png")
    options = {"anchor": str(tiny_checkpoints["conv_vae"]), "anchor_size": 16, "collapse_every": 0}
    sizes: dict[str, Any] = {"size": 32, "width": 4, "batch": 2, "holdout": 0.0}
    recipe: Any = make_recipe(
        "gan", Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes)
    )
    real = torch.rand(2, 3, 32, 32) - 0.5
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16) * 0.3
    monkeypatch.setattr(type(recipe.generator), "forward", lambda *_: real + fine)
    assert recipe.redrawing_error(torch.zeros(2, recipe.latent), real).item() < 1e-6
    monkeypatch.setattr(type(recipe.generator), "forward", lambda *_: real + 0.3)
    assert recipe.redrawing_error(torch.zeros(2, recipe.latent), real).item() > 0.02
    assert recipe.describe()["anchor"] == "tiny-conv_vae, weight 30, at 16 px"


def test_every_process_turns_to_the_same_axes(pictures: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    given: dict[int, Tensor] = {}

    def anchor_of(rank: int) -> Anchor:
        monkeypatch.setattr(parallel, "rank", lambda: rank)
        return Anchor(model_of(tiny_vae()), lambda _: pictures, 8)

    def meet(own: Tensor) -> list[Tensor]:
        """Both processes' codes, once both have come."""
        given[parallel.rank()] = own
        return [given[rank] for rank in sorted(given)]

    monkeypatch.setattr(parallel, "world_size", lambda: 2)
    monkeypatch.setattr(parallel, "gather", meet)
    anchor_of(0)
    second, first = anchor_of(1), anchor_of(0)
    assert not torch.equal(given[0], given[1])
    assert torch.equal(first.axes, second.axes) and torch.equal(first.mean, second.mean)
    assert torch.allclose(first.mean, torch.cat([given[0], given[1]]).mean(0))


@pytest.mark.parametrize("generator", ["stylegan2", "lightweight"])
def test_what_is_drawn_far_too_bright_still_learns(
    generator: str, tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 255 - 30 * i, 128)).save(tmp_path / f"{i}.png")
    options = {"generator": generator, "anchor": str(tiny_checkpoints["conv_vae"]), "collapse_every": 0}
    sizes: dict[str, Any] = {"size": 32, "width": 4, "batch": 4, "holdout": 0.0}
    recipe: Any = make_recipe(
        "gan", Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes)
    )
    drawn = torch.full((4, 3, 32, 32), 9.0, requires_grad=True)
    monkeypatch.setattr(type(recipe.generator), "forward", lambda *_: drawn)
    recipe.redrawing_error(torch.zeros(4, recipe.latent), torch.zeros(4, 3, 32, 32)).backward()
    assert drawn.grad is not None and drawn.grad.any()


@pytest.mark.parametrize("loss", ["hinge", "wasserstein-gp"])
def test_what_is_redrawn_first_meets_its_judge_later(
    loss: str, tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    monkeypatch.setattr(gan, "HEAD_START", 1)
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 255 - 30 * i, 128)).save(tmp_path / f"{i}.png")
    options = {"anchor": str(tiny_checkpoints["conv_vae"]), "head_start": 3, "collapse_every": 0}
    options["loss"] = loss
    sizes: dict[str, Any] = {"size": 32, "width": 4, "batch": 4, "holdout": 0.0}
    recipe = make_recipe("gan", Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes))
    moves = []
    for step in range(4):
        before = {name: next(part.parameters()).clone() for name, part in recipe.parts.items()}
        recipe.step(step, 0.0)
        moves.append({n for n, part in recipe.parts.items() if not before[n].equal(next(part.parameters()))})
    both = {"generator", "discriminator"}
    assert moves == [{"generator"}, {"generator"}, both, both]


def test_a_resumed_run_redraws_from_the_latents_that_it_began_with(
    tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another survey, as that of more processes, finds other axes."""
    for i in range(8):
        Image.new("RGB", (32, 32), (30 * i, 255 - 30 * i, 128)).save(tmp_path / f"{i}.png")
    options = {"anchor": str(tiny_checkpoints["conv_vae"]), "collapse_every": 0}
    sizes: dict[str, Any] = {"size": 32, "width": 4, "batch": 4, "holdout": 0.0}
    recipes: list[Any] = []
    for surveyed in (64, 128):
        monkeypatch.setattr(anchor, "SURVEYED", surveyed)
        settings = Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes)
        recipes.append(make_recipe("gan", settings))
    begun, resumed = recipes
    images, noise = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(4, begun.latent)
    assert not begun.anchor.latents(images, noise).equal(resumed.anchor.latents(images, noise))
    resumed.load_state(begun.state())
    assert begun.anchor.latents(images, noise).equal(resumed.anchor.latents(images, noise))


def test_a_grown_generator_finds_the_axes_that_it_knows(
    tmp_path: Path, tiny_checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are surveyed at the VAE's size, whatever that of training."""
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    for i in range(8):
        Image.fromarray(pixels(96, 96, seed=i)).save(tmp_path / f"{i}.png")
    options = {"generator": "stylegan2", "anchor": str(tiny_checkpoints["conv_vae"]), "collapse_every": 0}
    axes = []
    for size in (32, 64):
        sizes: dict[str, Any] = {"size": size, "width": 4, "batch": 2, "holdout": 0.0}
        settings = Settings((tmp_path,), tmp_path / "a.safetensors", options=options, **sizes)
        recipe: Any = make_recipe("gan", settings)
        assert len(recipe.images.batch(recipe.rng(0), 2, size)[0][0]) == size
        axes.append(recipe.anchor.axes)
    assert torch.equal(*axes)
