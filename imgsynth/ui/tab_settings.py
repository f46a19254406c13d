"""Which settings each tab has, and which of its controls stands for each."""

from __future__ import annotations

from typing import Literal

import gradio as gr

from imgsynth.tasks.requests import (
    BlendRequest,
    InpaintRequest,
    InterpolateRequest,
    MixRequest,
    OutpaintRequest,
    SampleRequest,
    TranslateRequest,
)
from imgsynth.ui.blend_panel import BlendPanel
from imgsynth.ui.classes import fitting_classes
from imgsynth.ui.inpaint_tab import InpaintTab
from imgsynth.ui.interpolate_tab import InterpolateTab
from imgsynth.ui.mixing_panel import MixingPanel
from imgsynth.ui.noise import LABELS, fitting_noise
from imgsynth.ui.outpaint_panel import SIDES
from imgsynth.ui.sample_events import SampleParts
from imgsynth.ui.sample_tab import SampleTab
from imgsynth.ui.settings import CLASS, KEYFRAMES, NOISE, SEEDS, WHOLE, Setting, TabSettings
from imgsynth.ui.translate_tab import TranslateTab
from imgsynth.ui.walk_controls import WalkControls


class WalkSettings(InterpolateRequest):
    """What the Interpolate tab asks for: a walk, and the kind of file it becomes."""

    format: Literal["mp4", "webm", "webp", "gif", "zip"] = "mp4"


class InpaintSettings(InpaintRequest, OutpaintRequest):
    """What the Inpaint tab asks for: a fill, or pixels to add."""


def page_settings(
    sampling: SampleTab, walking: InterpolateTab, translating: TranslateTab, inpainting: InpaintTab
) -> dict[str, TabSettings]:
    """The settings of the four tabs, by the tabs' ids, and those of blends and mixtures, by their tasks."""
    strength = (Setting("strength", translating.strength),)
    tabs = (
        drawing_settings(sampling.parts),
        walk_settings(walking.controls),
        TabSettings("translate", TranslateRequest, translating.model, strength),
        fill_settings(inpainting),
    )
    parts = {
        "blend": blend_settings(walking.controls, walking.blending),
        "mix": mixing_settings(sampling.parts, sampling.mixing),
    }
    return {tab.task: tab for tab in tabs} | parts


def drawing_settings(parts: SampleParts) -> TabSettings:
    drawn = (
        Setting("seeds", parts.seeds, SEEDS),
        Setting("psi", parts.psi),
        class_setting(parts.label, all_in_turn=True),
        noise_setting(parts.noise),
    )
    return TabSettings("sample", SampleRequest, parts.model, drawn, {"seeds": [0]}, parts.directions)


def walk_settings(walking: WalkControls) -> TabSettings:
    walked = (
        Setting("keyframes", walking.keyframes, KEYFRAMES),
        Setting("frames", walking.frames, WHOLE),
        Setting("path", walking.path),
        Setting("easing", walking.easing),
        Setting("loop", walking.loop),
        Setting("fps", walking.fps, WHOLE),
        Setting("psi", walking.psi),
        Setting("format", walking.kind),
        class_setting(walking.label, all_in_turn=False),
    )
    return TabSettings("interpolate", WalkSettings, walking.model, walked, {"keyframes": [0, 1]})


def blend_settings(walking: WalkControls, panel: BlendPanel) -> TabSettings:
    blended = (
        Setting("keyframes", walking.keyframes, KEYFRAMES),
        Setting("columns", panel.columns, WHOLE),
        Setting("rows", panel.rows, WHOLE),
        Setting("path", walking.path),
        Setting("psi", walking.psi),
        class_setting(walking.label, all_in_turn=False),
    )
    least = {"keyframes": [0, 1, 2, 3]}
    return TabSettings("interpolate", BlendRequest, walking.model, blended, least, part=panel.part)


def mixing_settings(parts: SampleParts, panel: MixingPanel) -> TabSettings:
    mixed = (
        Setting("sources", panel.sources, SEEDS),
        Setting("destinations", panel.destinations, SEEDS),
        Setting("layers", panel.layers, fit=lambda model, layers: panel.fitting(model, layers)[panel.layers]),
        Setting("psi", parts.psi),
        noise_setting(parts.noise),
    )
    least = {"sources": [0], "destinations": [0]}
    return TabSettings("sample", MixRequest, parts.model, mixed, least, part=panel.part)


def fill_settings(inpainting: InpaintTab) -> TabSettings:
    sides = zip(SIDES, inpainting.sides, strict=True)
    filled = tuple(
        Setting(name, control, WHOLE)
        for name, control in (*zip(("grow", "feather"), inpainting.edge, strict=True), *sides)
    )
    return TabSettings("inpaint", InpaintSettings, inpainting.model, filled)


def class_setting(control: gr.Dropdown, all_in_turn: bool) -> Setting:
    return Setting(
        "label",
        control,
        CLASS,
        lambda model, label: fitting_classes(model, label, all_in_turn),
        lambda label: gr.Dropdown([(str(label), label)], value=label),
    )


def noise_setting(control: gr.Radio) -> Setting:
    return Setting(
        "noise", control, NOISE, fitting_noise, lambda kind: gr.Radio([(LABELS[kind], kind)], value=kind)
    )
