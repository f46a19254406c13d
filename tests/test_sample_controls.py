"""The Sample tab's controls that depend on the model: noise, attributes, single latents, style mixing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from builders import model_of, tiny_vae
from imgsynth.errors import BadRequest
from imgsynth.families import Model
from imgsynth.imaging.record import read_record
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.directions import directions_of
from imgsynth.tasks.redo import redo
from imgsynth.ui.directions import MOST, DirectionsPanel, make_directions_panel, make_fill
from imgsynth.ui.latents import MOST as MOST_LATENTS
from imgsynth.ui.mixing_panel import MixingControls, MixingPanel, make_mixing, make_mixing_panel, zipped
from imgsynth.ui.noise import USUAL, make_noise_choice
from imgsynth.ui.sample_tab import SampleTab, make_fit, make_sample_tab
from imgsynth.ui.session import Session
from imgsynth.ui.shown import GONE
from latent_models import classed, styled


def named_vae() -> Model:
    """A VAE of twelve latents with two directions beside it."""
    model = model_of(tiny_vae(latent_dim=12))
    model.opened.directions = {name: torch.eye(12)[i].double() for i, name in enumerate(("Smiling", "Young"))}
    return model


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """One whose models are known by the names of what makes them special."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    session = Session(Runtime("cpu", "fp32"))
    models = {"faces": named_vae(), "styled": styled(), "classed": classed()}
    monkeypatch.setattr(session, "model", models.__getitem__)
    return session


def told(updates: dict[Any, Any]) -> dict[Any, Any]:
    """The values that updates give to components."""
    found = {}
    for part, value in updates.items():
        given = value.constructor_args if isinstance(value, gr.blocks.Block) else {"value": value}
        found |= {part: given["value"]} if "value" in given else {}
    return found


# Directions


@pytest.fixture(scope="module")
def panel() -> DirectionsPanel:
    with gr.Blocks():
        return make_directions_panel()


def test_attributes_and_latents_have_sliders_by_name(session: Session, panel: DirectionsPanel) -> None:
    updates = make_fill(session, panel)("faces", None, {})
    shown = [updates[s] for s in panel.attributes.sliders if updates[s].visible]
    assert [slider.label for slider in shown] == ["Smiling", "Young"]
    assert updates[panel.attributes.part].visible
    found = directions_of(session.model("faces"))
    used = [updates[s].label for s in panel.latents.used.sliders]
    assert used == [name.capitalize() for name in found.latents[:MOST_LATENTS]]
    assert updates[panel.latents.others].visible
    assert f"latent {updates[panel.latents.number].value}" == found.latents[MOST_LATENTS]


def test_models_without_them_show_neither(session: Session, panel: DirectionsPanel) -> None:
    updates = make_fill(session, panel)("styled", None, {})
    assert not updates[panel.attributes.part].visible
    assert not updates[panel.latents.used.part].visible
    assert not updates[panel.latents.others].visible
    assert updates[panel.rows[0]].visible


def test_every_slider_asks_for_its_direction(session: Session, panel: DirectionsPanel) -> None:
    values = told(make_fill(session, panel)("faces", None, {}))
    found = directions_of(session.model("faces"))
    used, other = found.latents[0], found.latents[-1]
    values |= {panel.attributes.sliders[1]: -1.5, panel.sliders[0]: 2.0, panel.latents.used.sliders[0]: 0.5}
    values |= {panel.latents.number: int(other.split()[1]), panel.latents.slider: 1.0}
    wanted = {"Young": -1.5, "component 1": 2.0, used: 0.5}
    assert panel.amounts(values, "faces") == {**wanted, other: 1.0}
    assert panel.amounts(values, "styled") == {}
    values[panel.latents.number] = int(used.split()[1])  # one that has a slider of its own
    assert panel.amounts(values, "faces") == {**wanted, used: 1.5}


def test_no_more_components_than_rows(session: Session, panel: DirectionsPanel) -> None:
    assert (
        make_fill(session, panel)("faces", None, {})[panel.filled].names
        == directions_of(session.model("faces")).components[:MOST]
    )


# What fits the model


@pytest.fixture(scope="module")
def tab() -> SampleTab:
    with gr.Blocks():
        return make_sample_tab(Session(Runtime("cpu", "fp32")), gr.State(()))


@pytest.mark.parametrize(
    ("name", "noise", "mixing", "classes"),
    [("styled", True, True, False), ("faces", False, False, False), ("classed", False, False, True)],
)
def test_only_what_a_model_can_do_is_shown(
    session: Session, tab: SampleTab, name: str, noise: bool, mixing: bool, classes: bool
) -> None:
    updates = make_fit(session, tab.parts, tab.mixing)(name, None, USUAL, "coarse")
    assert set(updates) == set(tab.fit_outputs)
    assert updates[tab.parts.noise].visible is noise
    assert updates[tab.mixing.part].visible is mixing
    assert updates[tab.parts.label].visible is classes


def test_layers_are_those_of_the_model(session: Session, tab: SampleTab) -> None:
    fit = make_fit(session, tab.parts, tab.mixing)
    layers = fit("styled", None, USUAL, "fine")[tab.mixing.layers]
    assert layers.choices == [
        ("Coarse, up to 8 px (0-3)", "coarse"),
        ("Middle, 16 and 32 px (4-5)", "middle"),
    ]
    assert layers.value == "coarse"
    assert fit("styled", None, USUAL, "middle")[tab.mixing.layers].value == "middle"


# Style mixing


@pytest.fixture(scope="module")
def mixing() -> tuple[MixingControls, MixingPanel]:
    with gr.Blocks():
        controls = MixingControls(gr.Radio(), gr.Slider(), make_noise_choice())
        return controls, make_mixing_panel()


def mixed(session: Session, mixing: tuple[MixingControls, MixingPanel], **given: Any) -> dict[Any, Any]:
    """What the part shows after a mix."""
    controls, panel = mixing
    asked = {"sources": "1,2", "destinations": "4-6", "layers": "middle", "noise": USUAL, "psi": 0.8, **given}
    values = {controls.model: "styled", controls.psi: asked["psi"], controls.noise: asked["noise"]}
    values |= {panel.sources: asked["sources"], panel.destinations: asked["destinations"]}
    updates: dict[Any, Any] = make_mixing(session, controls, panel)({**values, panel.layers: asked["layers"]})
    return updates


def test_a_mix_is_shown_as_a_table_whose_file_makes_it_again(
    session: Session, mixing: tuple[MixingControls, MixingPanel]
) -> None:
    panel, updates = mixing[1], mixed(session, mixing, noise="none")
    assert set(updates) == set(panel.outputs)
    assert updates[panel.status].startswith("2×3 mixtures · middle · psi 0.8 · no noise · **styled**")
    path = updates[panel.download].constructor_args["value"]
    record = read_record(path)
    assert record["request"]["noise"] == "none"
    remade: Any = redo(session.model("styled"), record)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(remade.image))


def test_mixtures_come_in_one_zip_even_where_seeds_come_twice(
    session: Session, mixing: tuple[MixingControls, MixingPanel]
) -> None:
    panel, updates = mixing[1], mixed(session, mixing, sources="1,1", destinations="4", layers="2-3")
    assert "layers 2-3" in updates[panel.status]
    made = updates[panel.made]
    with zipfile.ZipFile(zipped(made)) as archive:
        asked = [read_record(archive.read(name))["request"] for name in archive.namelist()]
    assert [(r["source"], r["destination"]) for r in asked] == [(1, 4), (1, 4)]
    Path(made[0]).unlink()
    with pytest.raises(BadRequest, match=GONE):
        zipped(made)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"layers": "fine"}, "no fine layers"),
        ({"layers": None}, "layers should be"),
        ({"sources": "a"}, "whole numbers"),
        ({"destinations": "0-16"}, "destinations should have at most 16"),
    ],
)
def test_what_cannot_be_mixed_is_told(
    session: Session, mixing: tuple[MixingControls, MixingPanel], given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(gr.Error, match=reason):
        mixed(session, mixing, **given)
