"""Every recipe with every network: equal runs for equal seeds, resumed runs, and checkpoints that draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import imgsynth
from builders import pixels
from imgsynth.checkpoints.unwrap import unwrap
from imgsynth.training.card import save_checkpoint
from imgsynth.training.recipe import Recipe, Settings
from imgsynth.training.run import make_recipe

STEPS = 5
# Each variant: recipe, sizes and options; all of its parts take part from the first step.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "dcgan": ("gan", {"width": 4, "batch": 4}),
    "stylegan2": ("gan", {"width": 2, "batch": 4, "options": {"generator": "stylegan2", "augment": "none"}}),
    "stylegan2-spectral": (
        "gan",
        {
            "width": 2,
            "batch": 4,
            "options": {"generator": "stylegan2", "loss": "hinge", "spectral_norm": True},
        },
    ),
    "stylegan2-plain": (
        "gan",
        {"width": 2, "batch": 4, "options": {"generator": "stylegan2", "discriminator": "plain"}},
    ),
    "lightweight": ("gan", {"width": 4, "batch": 4, "options": {"generator": "lightweight"}}),
    "vae": ("vae", {"width": 32, "batch": 2}),
    "vae-gan": (
        "vae",
        {
            "width": 32,
            "batch": 2,
            "options": {"adversarial": 0.1, "reconstruction_size": 16, "augment": "color"},
        },
    ),
    "vae-dcgan": (
        "vae",
        {"width": 8, "batch": 2, "options": {"decoder": "dcgan", "adversarial": 1.0, "head_start": 1}},
    ),
    "resnet": ("cyclegan", {"width": 4, "batch": 1}),
    "resnet-plain": ("cyclegan", {"width": 4, "options": {"norm": "none", "upsampling": "transposed"}}),
    "unet": (
        "cyclegan",
        {
            "width": 4,
            "batch": 1,
            "options": {"generator": "unet", "augment": "color", "noise": 0.1, "judged": 2},
        },
    ),
    "lama": ("inpaint", {"width": 8, "batch": 2, "options": {"adversarial_from": 0.0, "multi_scale": 1.0}}),
}
NAMES = list(VARIANTS)
ARCHITECTURES = {
    **{
        "vae": "conv_vae",
        "vae-gan": "conv_vae",
        "vae-dcgan": "dcgan_vae",
        "resnet": "cyclegan_resnet",
        "unet": "pix2pix_unet",
    },
    **{
        "lightweight": "lightweight_gan",
        "stylegan2-spectral": "stylegan2",
        "stylegan2-plain": "stylegan2",
        "resnet-plain": "cyclegan_resnet",
    },
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i in range(20):
        Image.fromarray(pixels(70, 66, seed=i)).save(folder / f"image{i:02}.png")
    return folder


def make(name: str, images: Path, folder: Path, **changes: Any) -> Recipe:
    recipe, values = VARIANTS[name]
    domains = {"data_b": (images,), "out_back": folder / "back.safetensors"} if recipe == "cyclegan" else {}
    # Enough is held back for the gan to look at.
    values = {"size": 32, "holdout": 0.4, **domains, **values, **changes}
    return make_recipe(recipe, Settings(data=(images,), out=folder / "made.safetensors", **values))


def take(recipe: Recipe, first: int, last: int) -> list[dict[str, float]]:
    return [recipe.step(step, step / STEPS) for step in range(first, last)]


def tensors(value: Any, name: str = "") -> dict[str, Any]:
    """Nested containers as one dict of leaves."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, item in items for k, v in tensors(item, f"{name}.{key}").items()}
    return {name: value}


def assert_same(one: Recipe, other: Recipe) -> None:
    ours, theirs = tensors(one.state()), tensors(other.state())
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        same = torch.equal(value, theirs[key]) if isinstance(value, Tensor) else value == theirs[key]
        assert same, key


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_make_equal_runs(name: str, images: Path, tmp_path: Path) -> None:
    """Bit for bit: networks, averages, optimisers, figures and files."""
    one, same, other = (make(name, images, tmp_path / str(i), seed=3 + i // 2) for i in range(3))
    assert take(one, 0, STEPS) == take(same, 0, STEPS)
    assert_same(one, same)
    for ours, theirs in zip(one.exports(), same.exports(), strict=True):
        save_checkpoint(ours)
        save_checkpoint(theirs)
        assert ours.out.read_bytes() == theirs.out.read_bytes()
    take(other, 0, 1)
    weights = [next(iter(recipe.exports()[0].weights.values())) for recipe in (one, other)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_holds_all_of_a_run(name: str, images: Path, tmp_path: Path) -> None:
    whole, part, rest = (make(name, images, tmp_path / str(i), seed=3) for i in range(3))
    take(whole, 0, 3)
    take(part, 0, 1)
    torch.save(part.state(), tmp_path / "state.pt")
    rest.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    take(rest, 1, 3)
    assert_same(rest, whole)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_opens_and_does_its_tasks(name: str, images: Path, tmp_path: Path) -> None:
    recipe = make(name, images, tmp_path)
    take(recipe, 0, 1)
    for export in recipe.exports():
        save_checkpoint(export)
        model = imgsynth.open_checkpoint(str(export.out), device="cpu", precision="fp32")
        assert model.architecture.name == ARCHITECTURES.get(name, name)
        assert model.opened.warnings == []
        for task in model.tasks:
            pictures = made_by(model, task)
            assert all(min(picture.size) >= 32 for picture in pictures)
            assert np.stack([np.asarray(picture) for picture in pictures]).std() > 0


def made_by(model: Any, task: str) -> list[Image.Image]:
    """Some pictures of a task."""
    photo, mask = Image.fromarray(pixels(48, 40)), np.zeros((48, 40), bool)
    mask[10:20, 12:30] = True
    if task == "sample":
        return imgsynth.sample(model, seeds=[1, 2], psi=0.7)
    if task == "interpolate":
        return list(imgsynth.interpolate(model, keyframes=[1, 2], frames=3))
    return [imgsynth.translate(model, photo) if task == "translate" else imgsynth.inpaint(model, photo, mask)]


def test_the_mean_of_w_lies_beside_the_weights(images: Path, tmp_path: Path) -> None:
    recipe = make("stylegan2", images, tmp_path)
    take(recipe, 0, 3)
    (export,) = recipe.exports()
    save_checkpoint(export)
    stored = load_file(export.out)
    assert stored["latent_avg"].dtype == torch.float32
    assert {v.dtype for k, v in stored.items() if k != "latent_avg"} == {torch.float16}
    model = imgsynth.open_checkpoint(str(export.out), device="cpu", precision="fp32")
    network: Any = model.network
    assert torch.equal(network.w_mean, stored["latent_avg"])
    trained: Any = recipe.parts["generator"]
    assert torch.equal(network.w_mean, trained.w_mean)
    alone, mean = network.w_mean.clone(), network.synthesis(network.w_mean[None])
    assert torch.equal(network(torch.randn(1, network.z_dim), psi=0.0), mean)
    network.set_w_mean()
    assert not torch.equal(network.w_mean, alone)


@pytest.mark.parametrize("prefix", ["", "g_ema.", "module."])
def test_a_flat_file_keeps_the_mean_of_w_apart(prefix: str) -> None:
    weights = {f"{prefix}a.weight": torch.ones(2), f"{prefix}b.weight": torch.ones(3)}
    found = unwrap({**weights, "latent_avg": torch.zeros(4)})
    assert found.tensors.keys() == {"a.weight", "b.weight"}
    assert found.beside.keys() == {"latent_avg"}
    assert unwrap(weights).beside == {}


def test_runs_look_out_for_collapse(images: Path, tmp_path: Path) -> None:
    recipe = make("dcgan", images, tmp_path, options={"collapse_every": 2})
    figures = take(recipe, 0, 4)
    names = {"D", "G", "spread", "real spread", "r_t", "r_v"}
    assert all(entry.keys() == names for entry in figures)
    spreads = [entry["spread"] for entry in figures]
    assert spreads[0] == spreads[1] != spreads[2] == spreads[3]
    assert len({entry["real spread"] for entry in figures}) == 1
    judge = recipe.parts["discriminator"]
    assert judge.training
    silent = make("dcgan", images, tmp_path, options={"collapse_every": 0})
    assert take(silent, 0, 1)[0].keys() == {"D", "G"}


def test_looking_does_not_change_a_run(images: Path, tmp_path: Path) -> None:
    looking, blind = (make("dcgan", images, tmp_path, options={"collapse_every": every}) for every in (1, 0))
    assert [e["D"] for e in take(looking, 0, 3)] == [e["D"] for e in take(blind, 0, 3)]
