"""The page's parts without a server: what a link and a recipe set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.requests import SampleRequest
from imgsynth.tasks.sample import sample
from imgsynth.ui.arrival import Arrival
from imgsynth.ui.inpaint_tab import InpaintTab, make_inpaint_tab
from imgsynth.ui.interpolate_tab import InterpolateTab, make_interpolate_tab
from imgsynth.ui.models_tab import ModelsTab
from imgsynth.ui.recipe_events import RecipeEvents
from imgsynth.ui.recipe_panel import make_recipe_panel
from imgsynth.ui.recipe_parts import Targets
from imgsynth.ui.sample_events import SampleEvents
from imgsynth.ui.sample_tab import SampleTab, make_sample_tab
from imgsynth.ui.session import Session, save
from imgsynth.ui.settings import TabSettings
from imgsynth.ui.tab_settings import page_settings
from imgsynth.ui.translate_tab import TranslateTab, make_translate_tab

Updates = dict[Any, Any]


@dataclass(frozen=True)
class PageParts:
    """What the page is made of."""

    session: Session
    sampling: SampleTab
    walking: InterpolateTab
    translating: TranslateTab
    inpainting: InpaintTab
    arrival: Arrival
    recipes: RecipeEvents

    @property
    def settings(self) -> dict[str, TabSettings]:
        return dict(self.arrival.settings)

    def begun(self) -> dict[Any, Any]:
        """The values that the components have when a visitor comes."""
        values = {c: c.value for tab in self.settings.values() for c in tab.controls}
        values[self.arrival.events.parts.opened] = ()
        values[self.arrival.events.parts.task] = "All"
        values[self.sampling.parts.directions.renamed] = {}
        values[self.sampling.parts.tray.kept] = ()
        values[self.recipes.targets.hole[-1]] = self.recipes.targets.hole[-1].value
        p = self.recipes.parts
        return values | {p.recipe: None, p.photos: None, p.mask: None, p.ordered: None}


def build_parts() -> PageParts:
    """Builds them, which takes a while: once for a module; events take values by them."""
    session = Session(Runtime("cpu", "fp32"))
    with gr.Blocks():
        recipe, opened = make_recipe_panel(), gr.State(())
        sampling, walking = make_sample_tab(session, opened), make_interpolate_tab(session, opened)
        translating, inpainting = make_translate_tab(session, opened), make_inpaint_tab(session, opened)
        pickers = (sampling.model, walking.model, translating.model, inpainting.model)
        models = ModelsTab(session, opened, pickers)
        settings = page_settings(sampling, walking, translating, inpainting)
        arrival = Arrival(session, models.events, gr.Tabs(), settings)
        targets = Targets(walking.controls, translating.photo, inpainting.photo, inpainting.hole)
        recipes = RecipeEvents(arrival, recipe, targets, SampleEvents(session, sampling.parts))
    return PageParts(session, sampling, walking, translating, inpainting, arrival, recipes)


def visitor(**query: str) -> Any:
    """A request for the page."""
    return SimpleNamespace(headers={}, client=SimpleNamespace(host="127.0.0.1"), query_params=query)


def value_of(update: Any) -> Any:
    """What an update sets, given as a plain value or as a component."""
    return update.constructor_args.get("value") if isinstance(update, gr.blocks.Block) else update


class Visitor:
    """A page's values, as the panel's events change them."""

    def __init__(self, page: PageParts) -> None:
        self.page, self.events, self.parts = page, page.recipes, page.recipes.parts
        self.values = page.begun()

    def take(self, updates: Updates) -> Updates:
        self.values |= {component: value_of(update) for component, update in updates.items()}
        return updates

    @property
    def opened(self) -> Any:
        return self.values[self.page.arrival.events.parts.opened]

    def drop(self, path: str | Path | None) -> Updates:
        return self.take(self.events.read(None if path is None else str(path), self.opened))

    def give(self, *photos: Path, mask: Path | None = None) -> None:
        self.values[self.parts.photos] = [str(photo) for photo in photos]
        self.values[self.parts.mask] = None if mask is None else str(mask)

    def apply(self) -> Updates:
        return self.take(self.events.apply(self.values, visitor()))

    def again(self) -> str:
        """The file that is made again."""
        updates = self.take(self.events.again(self.values))
        path: str = value_of(updates[self.parts.download])
        return path

    def set_to(self, tab: str) -> dict[str, Any]:
        """What the tab's controls ask for now."""
        return self.page.settings[tab].asked(self.values)


def shown(visit: Visitor) -> tuple[Any, ...]:
    """The pictures that the Sample tab draws after Apply."""
    *_, last = [visit.take(updates) for updates in visit.events.draw(visit.values)]
    pictures: tuple[Any, ...] = visit.values[visit.page.sampling.parts.shown]
    assert last
    return pictures


def drawn_by(visit: Visitor, name: str, **request: Any) -> str:
    """One sample as a file."""
    return save(next(sample(visit.page.session.model(name), SampleRequest(**request))))


def values_of(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def strange(tmp_path: Path, **changes: Any) -> Path:
    """A record that a stranger wrote."""
    record = {"imgsynth": "1.0.0", "task": "sample", "request": {"seed": 7}, "checkpoint": {"id": "tiny-gan"}}
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record | changes))
    return path
