"""The checkpoints that ship: all there, all what the catalog says, with card, sheet and strip."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import imgsynth
from imgsynth.checkpoints.catalog import Checkpoint, bundled_path, load_catalog
from imgsynth.checkpoints.fetch import fetch

BUNDLED = [c for c in load_catalog().values() if c.source == "bundled"]
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
MOST_BYTES, MOST_IN_ALL = 12_000_000, 48_000_000

pytestmark = pytest.mark.skipif(
    "IMGSYNTH_WEIGHTS" in os.environ, reason="IMGSYNTH_WEIGHTS names other weights than those that ship"
)


@pytest.mark.parametrize("checkpoint", BUNDLED, ids=[c.id for c in BUNDLED])
def test_a_bundled_checkpoint_is_what_the_catalog_says(checkpoint: Checkpoint) -> None:
    model = imgsynth.open_checkpoint(checkpoint.id, device="cpu", precision="fp32")
    assert model.architecture.name == checkpoint.architecture
    assert model.tasks == checkpoint.tasks
    assert model.image_size in (None, checkpoint.resolution)
    assert fetch(checkpoint).bytes <= MOST_BYTES


@pytest.mark.parametrize("checkpoint", BUNDLED, ids=[c.id for c in BUNDLED])
def test_its_card_names_its_bytes_and_its_pictures_lie_beside_it(checkpoint: Checkpoint) -> None:
    path = bundled_path(checkpoint)
    card = path.with_suffix(".md").read_text("utf-8")
    assert fetch(checkpoint).sha256 in card
    assert "Licence:" in card
    assert path.with_suffix(".jpg").is_file()
    assert path.with_suffix(".strip.jpg").is_file()


def test_all_weights_together_are_small_enough_for_the_repository() -> None:
    assert sum(p.stat().st_size for p in WEIGHTS.iterdir()) <= MOST_IN_ALL


@pytest.mark.parametrize("name", [c.id for c in BUNDLED if "sample" in c.tasks])
def test_samples_differ_from_one_another(name: str) -> None:
    model = imgsynth.open_checkpoint(name, device="cpu", precision="fp32")
    pictures = [np.asarray(p, int) for p in imgsynth.sample(model, range(8))]
    differences = [np.abs(a - b).mean() for i, a in enumerate(pictures) for b in pictures[:i]]
    assert min(differences) > 2
