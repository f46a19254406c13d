"""Which model a recipe asks for in the recipe panel: by name, by revision, by its bytes, or not here."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from builders import save, tiny_dcgan
from imgsynth.errors import CheckpointNotFound, ImgsynthError
from imgsynth.families import Identity
from imgsynth.imaging.record import read_record
from imgsynth.imaging.write import write_png
from imgsynth.ui import recipe_events
from imgsynth.ui.links import MODELS
from imgsynth.ui.picker import Offer
from imgsynth.ui.recipes import name_of, read_recipe
from imgsynth.ui.remaking import DIFFERENT
from page_parts import Visitor, drawn_by, shown, strange, values_of, visitor

pytest_plugins = ["page_fixtures"]


def test_a_model_that_is_not_here_is_led_to(visit: Visitor, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(recipe_events, "is_here", lambda checkpoint, session: False)
    updates, p = (
        visit.drop(strange(tmp_path, checkpoint={"id": "someone/faces", "source": "hub"})),
        visit.parts,
    )
    assert "someone/faces is not on this machine yet" in updates[p.note]
    assert not updates[p.apply].visible
    assert updates[p.lead].visible
    updates, models = visit.events.look_up(visit.values[p.recipe], ()), visit.page.arrival.events.parts
    assert updates[visit.page.arrival.tabs].selected == MODELS
    assert updates[models.what] == updates[visit.page.arrival.asked] == "someone/faces"
    with pytest.raises(CheckpointNotFound, match="open it in the Models tab"):
        visit.apply()


@pytest.mark.parametrize(("sha256", "name"), [("1" * 64, "some/faces"), ("2" * 64, "some/faces@abc")])
def test_an_open_model_of_the_hub_is_not_opened_again_by_its_revision(
    visit: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sha256: str, name: str
) -> None:
    used = {"id": "some/faces", "source": "hub", "revision": "abc", "sha256": sha256}
    recipe = read_recipe(strange(tmp_path, checkpoint=used))
    identity = Identity("some/faces", "hub", "model.safetensors", "abc", "1" * 64)
    monkeypatch.setattr(visit.page.session, "model", lambda name: SimpleNamespace(identity=identity))
    opened = tuple(Offer(n, n, ("sample",), 64, "") for n in ("some/other", "some/faces"))
    assert name_of(recipe, visit.page.session, opened) == name
    assert name_of(recipe, visit.page.session, opened[:1]) == "some/faces@abc"


def test_a_dropped_model_is_known_by_its_bytes(visit: Visitor, tmp_path: Path) -> None:
    weights = save(tiny_dcgan(4).state_dict(), tmp_path / "mine.safetensors")
    session, events = visit.page.session, visit.page.arrival.events
    token = session.uploads.add(str(weights))
    made = drawn_by(visit, token, seeds=[3])
    updates = visit.drop(made)
    assert "made with the file mine.safetensors" in updates[visit.parts.note]
    renamed = shutil.copy(weights, tmp_path / "renamed.safetensors")
    mine = session.uploads.add(str(renamed))
    visit.take(events.opened(mine, (), "All", visitor(), gr.Progress()))
    updates = visit.take(visit.events.offer(visit.values[visit.parts.recipe], visit.opened))
    assert set(updates) == set(visit.parts.offered)
    assert updates[visit.parts.apply].visible
    assert not updates[visit.parts.lead].visible
    assert visit.apply()[visit.page.sampling.model] == mine
    (picture,) = shown(visit)
    np.testing.assert_array_equal(values_of(picture.path), values_of(made))


def test_other_weights_of_the_same_name_are_told(
    visit: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(recipe_events.gr, "Warning", lambda text, **_: told.append(text))
    recorded = {"id": "tiny-gan", "source": "bundled", "sha256": "0" * 64}
    visit.drop(strange(tmp_path, checkpoint=recorded))
    visit.apply()
    assert len(told) == 1
    assert "other weights" in told[0]
    with pytest.raises(ImgsynthError, match="sha256 differs"):
        visit.again()


def test_other_pixels_are_told(visit: Visitor, tmp_path: Path) -> None:
    made = drawn_by(visit, "tiny-gan", seeds=[3])
    other = tmp_path / "touched.png"
    write_png(other, Image.fromarray(values_of(made) ^ 1), read_record(made))
    visit.drop(other)
    visit.again()
    assert visit.values[visit.parts.status] == DIFFERENT
