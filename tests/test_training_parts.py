"""What recipes are made of: images and their split, augmentation, averages, earlier fakes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from builders import pixels
from imgsynth.errors import TrainingFailed
from imgsynth.training import parallel
from imgsynth.training.augment import POLICIES, augment, cutout, described, translation
from imgsynth.training.cyclegan import POOL, ImagePool
from imgsynth.training.data import ImageSet, decode, list_entries, load, random_crop, split
from imgsynth.training.recipe import Average, Recipe, Settings


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(seed: int = 0) -> list[float]:
    return torch.rand(4, generator=rng(seed)).tolist()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=rng(seed))


# Data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures whose first column of pixels tells their number, in folders that mix up their order."""
    root = tmp_path / "images"
    for i in range(20):
        inner = root / ("z" if i % 2 else "a")
        inner.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30, 3), i * 10, np.uint8)).save(inner / f"{i:02}.png")
    (root / "notes.txt").write_text("not a picture")
    return root


@pytest.fixture
def archive(folder: Path, tmp_path: Path) -> Path:
    """The same pictures in a tar, last first."""
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted(folder.rglob("*"), key=lambda p: p.name, reverse=True):
            tar.add(file, file.relative_to(folder), recursive=False)
    return path


def shades(images: ImageSet) -> list[int]:
    return sorted(int(image[0, 0, 0]) // 10 for image in images.images)


@pytest.mark.parametrize("source", ["folder", "archive"])
def test_the_last_by_name_are_held_back(source: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(source)
    assert [e.name for e in list_entries(path)] == [f"{i:02}.png" for i in range(20)]
    assert shades(load([path], 16, False, holdout=0.1)) == list(range(18))
    assert shades(load([path], 16, False, holdout=0.0)) == list(range(20))


def test_each_source_keeps_its_own_part_back(folder: Path, archive: Path) -> None:
    assert shades(load([folder, archive], 16, False, holdout=0.25)) == sorted([*range(15), *range(15)])


@pytest.mark.parametrize(
    ("count", "holdout", "kept"), [(10, 0.1, 9), (9, 0.1, 9), (20, 0.1, 18), (3, 0.5, 2)]
)
def test_the_split_is_a_whole_number(count: int, holdout: float, kept: int, folder: Path) -> None:
    entries = list_entries(folder)[:count]
    trained, held = split(entries, holdout)
    assert trained + held == entries
    assert len(trained) == kept


def test_pictures_are_scaled_by_their_short_side(folder: Path) -> None:
    entry = list_entries(folder)[0]
    assert decode(entry, 16, square=False).shape == (3, 16, 24)
    assert decode(entry, 16, square=True).shape == (3, 16, 16)


def test_sources_that_hold_no_images_are_refused(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text.tar"
    text.write_text("not a tar")
    for source, about in (
        (empty, "empty holds no images"),
        (text, "neither a folder nor a .tar"),
        (tmp_path / "gone", "gone is neither"),
    ):
        with pytest.raises(TrainingFailed, match=about):
            list_entries(source)


def test_a_tar_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    picture, path = tmp_path / "noise.png", tmp_path / "images.tar"
    Image.fromarray(pixels(70, 66)).save(picture)
    with tarfile.open(path, "w") as tar:
        tar.add(picture, "1.png")
        tar.add(picture, "2.png")
    end_of_the_second = 2 * 512 + picture.stat().st_size + 600
    path.write_bytes(path.read_bytes()[:end_of_the_second])
    with pytest.raises(TrainingFailed, match=r"images\.tar is damaged or cut off"):
        list_entries(path)


def test_a_picture_that_is_none_is_named(folder: Path) -> None:
    (folder / "05.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(TrainingFailed, match=r"05\.png"):
        load([folder], 16, False, 0.0)


def test_crops_lie_inside_and_keep_values() -> None:
    image = torch.arange(3 * 40 * 50).reshape(3, 40, 50).remainder(256).to(torch.uint8)
    crop = random_crop(image, numbers(), 24, flip=False, zoom=(1.0, 1.0))
    assert crop.shape == (3, 24, 24)
    native = ((crop + 1) * 127.5).round().to(torch.uint8)
    windows = image.unfold(1, 24, 1).unfold(2, 24, 1)
    assert (windows == native[:, None, None]).all(dim=(0, 3, 4)).any()


def test_batches_follow_the_generator_alone() -> None:
    images = ImageSet([torch.from_numpy(pixels(40, 50, seed=i)).permute(2, 0, 1) for i in range(4)])
    one, same, other = (images.batch(rng(seed), 6, 16, zoom=(0.8, 1.6)) for seed in (1, 1, 2))
    assert one.shape == (6, 3, 16, 16)
    assert -1 <= one.min() < one.max() <= 1
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_half_of_the_crops_are_flipped() -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    image[:, :, 0] = 255
    flipped = [
        random_crop(image, numbers(seed), 8, True, (1.0, 1.0))[0, 0, -1].item() == 1 for seed in range(200)
    ]
    assert 70 < sum(flipped) < 130
    assert random_crop(image, numbers(), 8, False, (1.0, 1.0))[0, 0, 0] == 1


# Random numbers


def test_what_a_step_draws_itself_repeats_in_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two generators with one seed the second would draw what the first did."""
    recipe = Recipe(Settings((Path("photos"),), Path("made.safetensors"), seed=3))
    seeds, shared = set(), set()
    for process in range(3):
        monkeypatch.setattr(parallel, "rank", lambda process=process: process)
        shared.add(recipe.rng(5).initial_seed())
        seeds.add(torch.initial_seed())
    assert (len(shared), len(seeds), shared & seeds) == (1, 3, set())


# Augmentation


@pytest.mark.parametrize("policy", [*POLICIES, ",".join(POLICIES)])
def test_augmentation_keeps_shapes_and_lets_gradients_through(policy: str) -> None:
    torch.manual_seed(0)
    x = noise(4, 3, 16, 20).requires_grad_(True)
    out = augment(x, policy)
    assert out.shape == x.shape
    assert not torch.equal(out, x)
    out.square().sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).any(dim=(1, 2, 3)).all()


def test_a_chance_leaves_pictures_as_they_are() -> None:
    torch.manual_seed(0)
    x = noise(400, 3, 8, 8)
    same = (augment(x, "color", 0.3) == x).all(dim=3).all(dim=2).all(dim=1)
    assert 240 < int(same.sum()) < 320
    assert torch.equal(augment(x, "color,cutout", 0.0), x)


def test_an_empty_policy_changes_nothing() -> None:
    x = noise(2, 3, 8, 8)
    assert augment(x, "") is x


def test_a_card_names_the_augmentations_and_how_often_they_come() -> None:
    assert described("") == "horizontal flips"
    assert described("color,cutout") == "horizontal flips; differentiable color,cutout"
    assert described("color", 0.6) == "horizontal flips; differentiable color, each for 60% of the pictures"


def test_translation_moves_and_fills_with_zeros() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 3, 16, 16)
    moved = translation(x)
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    rows, columns = moved[:, 0].amax(2).sum(1), moved[:, 0].amax(1).sum(1)
    assert rows.min() == columns.min() == 14
    assert rows.max() == columns.max() == 16


def test_cutout_blanks_one_box() -> None:
    torch.manual_seed(0)
    hidden = 1 - cutout(torch.ones(64, 3, 16, 16))[:, 0]
    rows, columns = hidden.amax(2).sum(1), hidden.amax(1).sum(1)
    assert torch.equal(hidden.sum((1, 2)), rows * columns)
    assert rows.max() == columns.max() == 8
    assert rows.min() >= 1


# Averages and pools


def test_an_average_moves_towards_its_network() -> None:
    network = nn.BatchNorm1d(2)
    nn.init.zeros_(network.weight)
    average = Average(network, decay=0.5)
    nn.init.ones_(network.weight)
    network.num_batches_tracked += 7
    average.update(network, step=1000)
    assert average.network.weight.tolist() == [0.5, 0.5]
    assert average.network.num_batches_tracked == 7
    average.update(network, step=0)  # early steps forget sooner
    assert average.network.weight[0].item() == pytest.approx(0.95)


def test_the_pool_hands_out_old_images_half_of_the_time() -> None:
    pool, generator = ImagePool(), rng()
    first = [torch.full((1, 1), float(i)) for i in range(POOL)]
    assert all(torch.equal(pool.exchange(fake, generator), fake) for fake in first)
    assert len(pool.images) == POOL
    later = [pool.exchange(torch.full((1, 1), 1000.0 + i), generator).item() != 1000 + i for i in range(200)]
    assert 70 < sum(later) < 130
    assert len(pool.images) == POOL


def test_the_pool_holds_pictures_and_decides_on_each() -> None:
    """Whatever the batch, each meets what it would have met alone."""
    fakes = torch.arange(400.0).view(400, 1, 1, 1)
    whole, alone, generators = ImagePool(), ImagePool(), (rng(), rng())
    for batch in fakes.split(8):
        seen = whole.exchange(batch, generators[0])
        one_by_one = [alone.exchange(fake, generators[1]) for fake in batch.split(1)]
        assert torch.equal(seen, torch.cat(one_by_one))
    assert len(whole.images) == POOL
    assert all(image.untyped_storage().nbytes() == 4 for image in whole.images)
    old = [fake not in batch for fake, batch in zip(seen, fakes.split(8)[-1:] * 8, strict=True)]
    assert 0 < sum(old) < 8
    assert whole.some(3, rng()).shape == (3, 1, 1, 1)
