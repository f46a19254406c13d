"""Recipes of blends and mixtures in the recipe panel: each sets its part of a tab, and is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from builders import pixels, png, randomised, save, tiny_dcgan
from imgsynth.architectures.stylegan1 import StyleGAN1Generator
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.tasks.blend import blend
from imgsynth.tasks.mixing import mix, run_mix
from imgsynth.tasks.requests import BlendRequest, MixRequest
from imgsynth.ui import session as sessions
from imgsynth.ui.blend_panel import make_blend
from imgsynth.ui.mixing_panel import MixingControls, make_mixing
from imgsynth.ui.recipe_events import ADD_PHOTO
from imgsynth.ui.remaking import SAME
from latent_models import STYLEGAN1
from page_parts import Visitor, value_of, values_of, visitor

pytest_plugins = ["page_fixtures"]


def opened(visit: Visitor, network: Any, path: Path) -> str:
    """A file of weights that the visitor has dropped and opened."""
    weights = save(network.state_dict(), path)
    token: str = visit.page.session.uploads.add(str(weights))
    visit.take(visit.page.arrival.events.opened(token, visit.opened, "All", visitor(), gr.Progress()))
    return token


@pytest.fixture
def styles(visit: Visitor, tmp_path: Path) -> str:
    return opened(visit, randomised(StyleGAN1Generator(**STYLEGAN1), 2), tmp_path / "styles.safetensors")


def assert_made_again(visit: Visitor, made: str) -> None:
    np.testing.assert_array_equal(values_of(visit.again()), values_of(made))
    assert visit.values[visit.parts.status] == SAME


def test_a_table_of_mixtures_sets_its_part_of_the_tab(visit: Visitor, styles: str) -> None:
    asked = MixRequest(sources=[3, 4], destinations=[1, 9, 5], layers="2-3", psi=0.6, noise="none")
    made = sessions.save(run_mix(visit.page.session.model(styles), asked).table)
    told = visit.drop(made)
    assert "Styles mixed by styles" in told[visit.parts.card]
    assert value_of(told[visit.parts.apply]) == "Apply in Sample"
    updates, tab = visit.apply(), visit.page.sampling
    p, targets = visit.parts, visit.page.recipes.targets
    applied = {*visit.page.arrival.outputs, *targets.outputs, p.panel, p.status, p.press, p.ordered}
    assert set(updates) <= applied
    assert updates[visit.page.arrival.tabs].selected == "sample"
    assert updates[visit.parts.press] == "mixing-go"
    assert updates[visit.parts.ordered] is None
    assert (updates[tab.mixing.part].open, updates[tab.mixing.part].visible) == (True, True)
    assert visit.set_to("mix") == asked.model_dump() | {"noise": "none"}
    # What the change of model brings leaves the layers as they were set.
    fitted = tab.fit(*(visit.values.get(part) for part in tab.fit_inputs))
    assert value_of(fitted[tab.mixing.layers]) == "2-3"
    controls = MixingControls(tab.model, tab.parts.psi, tab.parts.noise)
    mixed = make_mixing(visit.page.session, controls, tab.mixing)(visit.values)
    np.testing.assert_array_equal(values_of(value_of(mixed[tab.mixing.table])), values_of(made))
    assert_made_again(visit, made)


def test_a_single_mixture_is_a_table_of_one(visit: Visitor, styles: str) -> None:
    asked = MixRequest(sources=[3], destinations=[8], layers="coarse")
    made = sessions.save(next(mix(visit.page.session.model(styles), asked)))
    visit.drop(made)
    assert visit.apply()[visit.parts.status] == ""
    assert visit.set_to("mix") == asked.model_dump()
    assert_made_again(visit, made)


def test_mixtures_that_a_model_cannot_make_are_refused(visit: Visitor, styles: str, tmp_path: Path) -> None:
    from imgsynth.imaging.write import write_png

    asked = MixRequest(sources=[3], destinations=[8])
    made = sessions.save(next(mix(visit.page.session.model(styles), asked)))
    plain = opened(visit, tiny_dcgan(7), tmp_path / "plain.safetensors")
    weights = visit.page.session.model(plain).identity.sha256
    record, other = read_record(made), tmp_path / "other.png"
    record["request"]["layers"] = "40-50"
    write_png(other, Image.open(made), record)
    visit.drop(other)
    with pytest.raises(BadRequest, match="has layers 0 to"):
        visit.apply()
    record["checkpoint"]["sha256"] = weights
    write_png(other, Image.open(made), record)
    visit.drop(other)
    with pytest.raises(TaskNotOffered, match="no styles to mix"):
        visit.apply()


def test_a_blend_sets_its_part_of_the_tab(visit: Visitor) -> None:
    asked = BlendRequest(keyframes=[4, 8, 1, 2], columns=3, rows=2, path="lerp", psi=0.5)
    made = sessions.save(blend(visit.page.session.model("tiny-gan"), asked))
    visit.drop(made)
    updates, tab = visit.apply(), visit.page.walking
    assert updates[visit.page.arrival.tabs].selected == "interpolate"
    assert updates[visit.parts.press] == "interpolate-blend-go"
    assert updates[tab.blending.part].open is True
    assert visit.set_to("blend") == asked.model_dump(exclude_none=True)
    blended = make_blend(visit.page.session, tab.controls, tab.blending)(
        visit.values | {tab.controls.photos: ()}
    )
    np.testing.assert_array_equal(values_of(value_of(blended[tab.blending.image])), values_of(made))
    assert_made_again(visit, made)


def test_a_blend_of_photos_asks_for_them(visit: Visitor, tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    photo.write_bytes(png(pixels(40, 40)))
    asked = BlendRequest(keyframes=[4, "photo", 1, 2], columns=2, rows=2)
    made = sessions.save(blend(visit.page.session.model("tiny-vae"), asked, [read_photo(photo)]))
    visit.drop(made)
    updates, p = visit.apply(), visit.parts
    assert (updates[p.press], updates[p.status]) == ("", ADD_PHOTO)
    visit.give(photo)
    assert visit.apply()[p.press] == "interpolate-blend-go"
    assert visit.values[visit.page.walking.keyframes] == "4,me.png,1,2"
    assert_made_again(visit, made)
