"""The four recipes, a few steps each: what they write opens, and a resumed run goes on as if unstopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import imgsynth
from builders import pixels
from imgsynth.architectures.lama import LaMaGenerator
from imgsynth.errors import TrainingFailed
from imgsynth.training.card import WRITTEN_BY_HAND
from imgsynth.training.recipe import Recipe, Settings
from imgsynth.training.run import RECIPES, Budget, Clock, make_recipe, sheet_path, state_path, train
from imgsynth.training.state import load_state, save_state

SMALL: dict[str, dict[str, Any]] = {
    "gan": {"size": 32, "width": 4, "batch": 4},
    "vae": {"size": 32, "width": 32, "batch": 2},
    "cyclegan": {"size": 32, "width": 8, "batch": 1},
    # Short runs hold every part of the recipe only if the discriminator takes part from the start.
    "inpaint": {"size": 32, "width": 8, "batch": 2, "options": {"adversarial_from": 0.0}},
}
MADE = {
    "gan": ("dcgan", ("sample", "interpolate")),
    "vae": ("conv_vae", ("sample", "interpolate")),
    "cyclegan": ("cyclegan_resnet", ("translate",)),
    "inpaint": ("lama", ("inpaint",)),
}
NAMES = sorted(SMALL)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for i in range(12):
        Image.fromarray(pixels(70, 66, seed=i)).save(folder / f"image{i:02}.png")
    return folder


def settings_of(name: str, images: Path, folder: Path, **changes: Any) -> Settings:
    domains = {"data_b": (images,), "out_back": folder / "back.safetensors"} if name == "cyclegan" else {}
    values = {"data": (images,), "out": folder / "made.safetensors", **domains, **SMALL[name], **changes}
    return Settings(**values)


def silent(message: str) -> None:
    """Takes what a run says."""


def run(
    name: str, images: Path, folder: Path, steps: int, resume: Path | None = None, **changes: Any
) -> Recipe:
    """A finished run."""
    recipe = make_recipe(name, settings_of(name, images, folder, **changes))
    train(recipe, Budget(steps, None), resume, silent)
    return recipe


def stop_after(recipe: Recipe, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes in the middle of the last of `steps` steps."""
    take = recipe.step

    def step(number: int, progress: float) -> dict[str, float]:
        if number == steps - 1:
            signal.raise_signal(signal.SIGINT)
        return take(number, progress)

    monkeypatch.setattr(recipe, "step", step)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested dicts and lists as one dict of leaves."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    leaves: dict[str, Any] = {}
    for key, item in items:
        inner = isinstance(item, Mapping | list | tuple)
        leaves |= flat(item, f"{name}.{key}") if inner else {f"{name}.{key}": item}
    return leaves


def assert_same(one: Recipe, other: Recipe) -> None:
    """Networks, averages, optimisers and all else are equal bit for bit."""
    assert_same_tensors(flat(one.state()), flat(other.state()))


def assert_same_tensors(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        same = torch.equal(value, theirs[key]) if isinstance(value, Tensor) else value == theirs[key]
        assert same, key


@pytest.mark.parametrize("name", NAMES)
def test_a_run_writes_checkpoints_that_open_and_their_cards(name: str, images: Path, tmp_path: Path) -> None:
    recipe = run(name, images, tmp_path / "new folder", steps=2)
    exports = recipe.exports()
    assert len(exports) == (2 if name == "cyclegan" else 1)
    for export in exports:
        model = imgsynth.open_checkpoint(str(export.out), device="cpu", precision="fp32")
        assert (model.architecture.name, model.tasks) == MADE[name]
        read = model.opened.hyperparameters
        assert {key: read[key] for key in export.hyperparameters} == export.hyperparameters
        rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in export.weights.items()}
        assert_same_tensors(model.network.state_dict(), rounded)
        card = export.out.with_suffix(".md").read_text("utf-8")
        assert card.startswith(f"# {export.out.stem}\n")
        for row in ("| steps | 2 |", "| seed | 0 |", f"| data | {images.name}", model.identity.sha256):
            assert row in card
        assert str(tmp_path) not in card
    with Image.open(sheet_path(recipe.settings.out)) as sheet:
        assert min(sheet.size) > 32
    assert state_path(recipe.settings.out).is_file()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_goes_on_exactly(
    name: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(name, images, tmp_path / "whole", steps=3)

    first = make_recipe(name, settings_of(name, images, tmp_path / "parts"))
    stop_after(first, 2, monkeypatch)
    said: list[str] = []
    train(first, Budget(3, None), None, said.append)
    assert said == ["Stopped at step 2; resume with --resume made.state.pt."]
    second = run(name, images, tmp_path / "parts", steps=3, resume=tmp_path / "parts" / "made.state.pt")

    assert_same(second, whole)
    one, other = (folder / "made.safetensors" for folder in (tmp_path / "whole", tmp_path / "parts"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_network_learns(name: str, images: Path, tmp_path: Path) -> None:
    recipe = make_recipe(name, settings_of(name, images, tmp_path))
    before = {k: {n: p.detach().clone() for n, p in v.named_parameters()} for k, v in recipe.parts.items()}
    losses = recipe.step(0, 0.0)
    assert losses
    assert all(value == value for value in losses.values())
    for part, network in recipe.parts.items():
        moved = [not torch.equal(before[part][n], p) for n, p in network.named_parameters()]
        assert sum(moved) > 0.8 * len(moved), part
        assert all(p.requires_grad for p in network.parameters()), part
    for part, average in recipe.averages.items():
        assert not average.network.training
        assert not any(p.requires_grad for p in average.network.parameters()), part


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_the_seed_decides_everything(name: str, images: Path, tmp_path: Path) -> None:
    one, same, other = (
        run(name, images, tmp_path / folder, steps=1, seed=seed)
        for folder, seed in (("one", 5), ("same", 5), ("other", 6))
    )
    assert_same(one, same)
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_a_run_can_start_from_other_weights(images: Path, tmp_path: Path) -> None:
    first = run("gan", images, tmp_path, steps=1)
    weights = imgsynth.open_checkpoint(str(first.settings.out), device="cpu").network.state_dict()
    second = make_recipe("gan", settings_of("gan", images, tmp_path, init=(dict(weights),), seed=3))
    started = second.parts["generator"].state_dict()
    assert all(torch.equal(started[key], value) for key, value in weights.items())


def test_what_is_written_by_hand_on_a_card_is_kept(images: Path, tmp_path: Path) -> None:
    run("gan", images, tmp_path, steps=1)
    card = tmp_path / "made.md"
    card.write_text(card.read_text("utf-8").rstrip() + "\n\nThe licence is CC0 – of the photos.\n", "utf-8")
    run("gan", images, tmp_path, steps=2)
    text = card.read_text("utf-8")
    assert "| steps | 2 |" in text
    assert text.partition(WRITTEN_BY_HAND)[2] == "\n\nThe licence is CC0 – of the photos.\n"


# What cannot be done


def test_runs_that_cannot_be_resumed_are_refused(images: Path, tmp_path: Path) -> None:
    state = state_path(run("gan", images, tmp_path / "gan", steps=1).settings.out)
    for name, changes, about in (
        ("vae", {}, "a gan run, not of vae"),
        ("gan", {"width": 6}, "not the state of a run with these settings"),
    ):
        with pytest.raises(TrainingFailed, match=about):
            run(name, images, tmp_path, steps=2, resume=state, **changes)


# Recipe, what its network was begun with, and what a run that would go on with it has, with the same shapes.
OTHER_NETWORKS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "gan",
        {"generator": "stylegan2", "mapping_rate": 10.0},
        {"generator": "stylegan2"},
        r"lr_mlp 10.0 \(not as usual\)",
    ),
    ("cyclegan", {}, {"norm": "none"}, r"norm instance \(not none\)"),
    ("inpaint", {"start": "blank"}, {}, r"harmonic as usual \(not True\), output as usual \(not none\)"),
]


@pytest.mark.parametrize(("name", "before", "after", "about"), OTHER_NETWORKS)
def test_a_state_of_another_network_is_refused_though_it_fits(
    name: str, before: dict[str, Any], after: dict[str, Any], about: str, images: Path, tmp_path: Path
) -> None:
    first, same, other = (
        make_recipe(name, settings_of(name, images, tmp_path, options=options))
        for options in (before, before, after)
    )
    save_state(first, Clock(step=3))
    path = state_path(first.settings.out)
    assert load_state(same, path).step == 3
    with pytest.raises(TrainingFailed, match=f"its network has {about}; give the options and the --init"):
        load_state(other, path)


@pytest.mark.parametrize("name", NAMES)
def test_a_state_of_an_earlier_version_goes_on(name: str, images: Path, tmp_path: Path) -> None:
    """It does not tell its hyper-parameters."""
    first = run(name, images, tmp_path, steps=1)
    path = state_path(first.settings.out)
    saved = torch.load(path, weights_only=True)
    del saved["hyperparameters"]
    torch.save(saved, path)
    assert_same(run(name, images, tmp_path, steps=1, resume=path), first)


def test_batches_of_an_earlier_pool_become_pictures(images: Path, tmp_path: Path) -> None:
    recipe: Any = make_recipe("cyclegan", settings_of("cyclegan", images, tmp_path, batch=2))
    batches = list(torch.arange(240.0).view(60, 4, 1, 1, 1))
    recipe.load_extra_state({"a": batches, "b": batches[:3]})
    assert [len(recipe.pools[name].images) for name in "ab"] == [50, 12]
    assert torch.equal(torch.cat(recipe.pools["b"].images), torch.cat(batches[:3]))


GARBAGE: dict[str, Callable[[Path], object]] = {
    "not there": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("step 12"),
    "cut off": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "a list": lambda path: torch.save([1, 2], path),
    "another dict": lambda path: torch.save({"recipe": "gan"}, path),
    "another kind of state": lambda path: torch.save({"recipe": "gan", "clock": {}, "state": []}, path),
    "code": lambda path: torch.save({"recipe": Path("x")}, path),
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("what", GARBAGE)
def test_files_that_are_no_state_are_refused(what: str, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "made.state.pt"
    GARBAGE[what](path)
    with pytest.raises(TrainingFailed, match=r"made\.state\.pt"):
        run("gan", images, tmp_path, steps=1, resume=path)


@pytest.mark.parametrize(
    ("name", "changes", "about"),
    [
        ("gan", {"size": 48}, "32, 64 or 128 pixels, not 48"),
        ("vae", {"size": 48}, "32, 64, 128 or 256 pixels, not 48"),
        ("vae", {"width": 40}, "multiple of 32, not 40"),
        ("cyclegan", {"data_b": ()}, "--data-b"),
        ("cyclegan", {"out_back": None}, "--out-back"),
        ("cyclegan", {"size": 34}, "a multiple of 4 and at least 24, not 34"),
        ("cyclegan", {"size": 20}, "a multiple of 4 and at least 24, not 20"),
        ("inpaint", {"size": 66}, "a multiple of 4 and at least 24, not 66"),
        ("inpaint", {"size": 20}, "a multiple of 4 and at least 24, not 20"),
        ("inpaint", {"options": {"hole_low": 0.5}}, "between 0.5 and 0.3"),
        ("gan", {"holdout": 0.5}, "Only 6 images are left"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    name: str, changes: dict[str, Any], about: str, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingFailed, match=about):
        make_recipe(name, settings_of(name, images, tmp_path, **changes))


@pytest.mark.parametrize(
    ("name", "options"), [("cyclegan", {}), ("cyclegan", {"generator": "unet"}), ("inpaint", {})]
)
def test_the_least_size_works_to_the_end(
    name: str, options: dict[str, Any], images: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(name, settings_of(name, images, tmp_path, size=24, width=4, options=options))
    for step in range(2):
        recipe.step(step, 0.9 * step)


def test_a_deeper_lama_takes_fewer_sizes(images: Path, tmp_path: Path) -> None:
    sizes = {"width": 4, "downsamplings": 3, "blocks": 1, "global_channels": 16}
    begun = {"init": (LaMaGenerator(**sizes).state_dict(),), "init_sizes": (sizes,), "options": {}}
    with pytest.raises(TrainingFailed, match="a multiple of 8 and at least 24, not 36"):
        make_recipe("inpaint", settings_of("inpaint", images, tmp_path, size=36, **begun))
    make_recipe("inpaint", settings_of("inpaint", images, tmp_path, size=40, **begun))


def test_a_run_that_diverges_stops_and_leaves_no_checkpoint(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("gan", settings_of("gan", images, tmp_path))
    monkeypatch.setattr(recipe, "step", lambda step, progress: {"D": float("nan")})
    with pytest.raises(TrainingFailed, match="diverged at step 0"):
        train(recipe, Budget(3, None), None, silent)
    assert not recipe.settings.out.exists()


def test_a_budget_is_steps_or_minutes() -> None:
    assert [Budget(4, None).progress(step, 1e9) for step in (0, 1, 4, 5)] == [0, 0.25, 1, 1]
    assert [Budget(None, 2).progress(10**9, seconds) for seconds in (0, 60, 120, 130)] == [0, 0.5, 1, 1]


def test_losses_are_running_means() -> None:
    clock = Clock()
    clock.record({"D": 2.0})
    clock.record({"D": 1.0})
    assert clock.losses == {"D": pytest.approx(1.99)}


def test_every_recipe_is_tried_here() -> None:
    assert sorted(RECIPES) == NAMES
