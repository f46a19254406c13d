"""A VAE with a DCGAN's decoder: as a file, as a model, and as what two trained networks become together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import imgsynth
from builders import model_of, pixels, randomised, save, tiny_cyclegan, tiny_dcgan, tiny_vae
from imgsynth.architectures.dcgan_vae import DCGANVAE
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import TrainingFailed
from imgsynth.training import anchor
from imgsynth.training.anchor import Anchor
from imgsynth.training.data import ImageSet
from imgsynth.training.recipe import Settings
from imgsynth.training.run import make_recipe
from imgsynth.training.vae_networks import LEAST, PLANS, join, joined_sizes

SIZES: dict[str, Any] = {"latent_dim": 5, "encoder_widths": [4, 8, 8], "widths": [8, 8, 4]}


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 5), st.integers(2, 4), st.integers(1, 3), st.sampled_from([1, 2]))
def test_every_one_is_read_as_it_was_built(latents: int, stages: int, channels: int, groups: int) -> None:
    built = {
        "latent_dim": latents,
        "encoder_widths": [2 * (i + 1) for i in range(stages)],
        "widths": [8, 6, 4, 2][:stages],
        "base": 4,
        "channels": channels,
        "groups": groups,
    }
    network: Any = randomised(DCGANVAE(**built), 0)
    opened = open_state_dict(network.state_dict(), {"norm_num_groups": groups})
    assert opened.architecture.name == "dcgan_vae"
    assert opened.hyperparameters == built
    x = torch.rand(2, channels, 4 * 2**stages, 4 * 2**stages)
    with torch.inference_mode():
        assert opened.network(x).shape == x.shape
        assert torch.equal(opened.network(x), network(x))


def test_it_samples_walks_and_takes_photos(tmp_path: Path) -> None:
    path = save(randomised(DCGANVAE(**SIZES), 0).state_dict(), tmp_path / "one.safetensors")
    photo = tmp_path / "photo.png"
    Image.fromarray(pixels(40, 50)).save(photo)
    model = imgsynth.open_checkpoint(str(path), device="cpu")
    assert (model.architecture.name, model.tasks) == ("dcgan_vae", ("sample", "interpolate"))
    [picture] = imgsynth.sample(model, seeds=[3])
    assert picture.size == (32, 32)
    frames = list(imgsynth.interpolate(model, [1, photo], frames=5))
    assert len(frames) == 5


# Out of two


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(anchor, "SURVEYED", 64)
    for i in range(10):
        Image.fromarray(pixels(32, 32, seed=i)).save(tmp_path / f"{i}.png")
    return tmp_path


def generator(**changes: Any) -> Any:
    return tiny_dcgan(**{"latent_dim": 5, **changes})


def test_together_they_redraw_as_the_generator_learnt_to() -> None:
    pictures = ImageSet([torch.from_numpy(pixels(32, 32, seed=i)).permute(2, 0, 1) for i in range(64)])
    model, decoder = model_of(tiny_vae()), generator()
    hold = Anchor(model, lambda _: pictures, 5)
    sizes = joined_sizes(decoder.state_dict(), model)
    vae = DCGANVAE(**sizes)
    join(vae, decoder.state_dict(), hold)
    vae.eval()
    shown = pictures.batch(torch.Generator().manual_seed(0), 6, 32)
    mean, log_variance = vae.encode(shown * 0.5 + 0.5)
    assert torch.allclose(mean, hold.latents(shown, torch.zeros(6, 5)), atol=1e-4)
    assert torch.allclose(log_variance, hold.missing.square().log().clamp_min(LEAST).expand(6, -1))
    with torch.inference_mode():
        assert torch.equal(vae.decode(mean), decoder(mean))


def settings_of(folder: Path, init: Any, width: int = 8, **options: Any) -> Settings:
    weights = () if init is None else (init.state_dict(),)
    common: dict[str, Any] = {"size": 32, "width": width, "batch": 2}
    options = {"decoder": "dcgan", "adversarial": 1.0, **options}
    return Settings((folder,), folder / "made.safetensors", init=weights, options=options, **common)


def test_the_discriminator_may_learn_alone_first(folder: Path) -> None:
    recipe: Any = make_recipe("vae", settings_of(folder, None, head_start=1, latents=5))
    before = [p.detach().clone() for p in recipe.vae.parameters()]
    seen = [p.detach().clone() for p in recipe.judge.parameters()]
    recipe.step(0, 0.0)
    assert all(map(torch.equal, before, recipe.vae.parameters()))
    assert not all(map(torch.equal, seen, recipe.judge.parameters()))
    recipe.step(1, 0.0)
    assert not all(map(torch.equal, before, recipe.vae.parameters()))


def test_without_memory_the_discriminator_learns_alone_from_parts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe: Any = make_recipe("vae", settings_of(folder, None, head_start=1, latents=5))
    seen, terms = [], recipe.terms

    def small(x: torch.Tensor, *others: Any) -> Any:
        seen.append(len(x))
        if len(x) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return terms(x, *others)

    monkeypatch.setattr(recipe, "terms", small)
    assert set(recipe.step(0, 0.0)) == {"L1", "KL", "D"}
    assert seen == [2, 1, 1]


@pytest.mark.parametrize("adversarial", [0.0, 1.0])
def test_a_decoder_can_be_kept(adversarial: float, folder: Path) -> None:
    """With its batch norms' statistics; the encoder learns through it."""
    begun = PLANS["dcgan"].network(PLANS["dcgan"].hyperparameters(32, 8, 5))
    options = {"adversarial": adversarial, "keep_decoder": True, "latents": 5}
    recipe: Any = make_recipe("vae", settings_of(folder, begun, **options))
    before = {key: value.clone() for key, value in recipe.vae.state_dict().items()}
    for step in range(3):
        recipe.step(step, 0.0)
    moved = {
        key.split(".")[0]
        for key, value in recipe.vae.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == {"encoder", "fc_mu", "fc_logvar"}
    assert "kept as it began" in recipe.describe()["decoder"]


def test_a_run_begins_with_both(folder: Path) -> None:
    codes = save(tiny_vae().state_dict(), folder / "codes.safetensors")
    decoder = generator()
    recipe: Any = make_recipe("vae", settings_of(folder, decoder, anchor=str(codes)))
    [export] = recipe.exports()
    assert (export.architecture.name, recipe.latents) == ("dcgan_vae", 5)
    assert torch.equal(export.weights["decoder.main.0.weight"], decoder.state_dict()["main.0.weight"])
    assert recipe.describe()["decoder"] == "dcgan"
    assert recipe.sheet().size[0] > 8 * 32


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no generator": (None, {}, "begins with a generator that was trained with that anchor"),
    "residual": (generator, {"decoder": "residual", "width": 32}, "give --decoder dcgan"),
    "a translator": (tiny_cyclegan, {}, "its decoder from a DCGAN"),
    "another length": (lambda: generator(latent_dim=7), {}, "not trained with this --anchor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, folder: Path) -> None:
    make_init, options, about = REFUSED[name]
    codes = save(tiny_vae().state_dict(), folder / "codes.safetensors")
    init = make_init() if make_init else None
    given = settings_of(folder, init, anchor=str(codes), **options)
    with pytest.raises(TrainingFailed, match=about):
        make_recipe("vae", given)
