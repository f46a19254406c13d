"""What the Sample tab does: draw, redraw as a slider moves, vary, find a photo."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.families import Model
from imgsynth.imaging.read import Photo
from imgsynth.tasks.requests import SampleRequest, make_request, parse_seeds
from imgsynth.tasks.sample import latent_model, singles
from imgsynth.tasks.variations import neighbours
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.directions import DirectionsPanel
from imgsynth.ui.invert_panel import PhotoPanel, search
from imgsynth.ui.noise import chosen_noise
from imgsynth.ui.picked import PickedPanel, clicked
from imgsynth.ui.session import Session, literal
from imgsynth.ui.shown import Pictures, Shown, draw, items, recipe, save_grid, start_of_variations
from imgsynth.ui.tray import Tray

Updates = dict[Any, Any]
Values = Mapping[Any, Any]

MOST_SHOWN = 256
VARIATIONS = 16
NEXT = " · click one to go on with it"
# How many pictures follow a slider while it is dragged, and up to which side without a GPU.
FOLLOWING, SMALL_SIDE = 16, 128


@dataclass(frozen=True)
class SampleParts:
    """The components that events read and write.

    Attributes:
        shown: a State with the pictures of the gallery.
    """

    model: gr.Radio
    seeds: gr.Textbox
    label: gr.Dropdown
    psi: gr.Slider
    noise: gr.Radio
    directions: DirectionsPanel
    photo: PhotoPanel
    gallery: gr.Gallery
    status: gr.Markdown
    shown: gr.State
    picked: PickedPanel
    tray: Tray

    @property
    def controls(self) -> set[Any]:
        return {self.model, self.seeds, self.label, self.psi, self.noise, *self.directions.inputs}

    @property
    def results(self) -> list[Any]:
        return [self.gallery, self.status, self.shown]

    @property
    def all_pictures(self) -> set[Any]:
        return {self.shown, self.picked.picked, self.tray.kept}


class SampleEvents:
    """The events of one page; a visitor's own values come with each call."""

    def __init__(self, session: Session, parts: SampleParts) -> None:
        self.session, self.parts = session, parts

    def draw(
        self,
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Updates]:
        """One picture for each seed in the field."""
        p, name = self.parts, values[self.parts.model]
        request = make_request(
            SampleRequest,
            seeds=parse_seeds(values[p.seeds])[:MOST_SHOWN],
            psi=values[p.psi],
            directions=p.directions.amounts(values, name),
        )
        progress((0, len(request.seeds)), desc="Loading the model", unit="pictures")
        model = self.session.model(name)
        fitted = {
            "label": chosen_label(model, values[p.label]),
            "noise": chosen_noise(model, values[p.noise]),
        }
        yield from self.drawing(name, singles(request.model_copy(update=fitted)), (), progress)

    def drawing(
        self, name: str, requests: Sequence[SampleRequest], photos: tuple[Photo, ...], progress: gr.Progress
    ) -> Iterator[Updates]:
        """A new gallery, as it fills."""
        started = time.monotonic()
        shown: Pictures = ()
        for fresh in draw(self.session, name, requests, photos):
            shown += fresh
            progress((len(shown), len(requests)), desc="Drawing", unit="pictures")
            told = self.line(name, requests, len(shown), started)
            yield self.view(shown) | {self.parts.status: told + (NEXT if len(shown) == len(requests) else "")}

    def view(self, shown: Pictures) -> Updates:
        return {self.parts.gallery: gr.Gallery(items(shown), selected_index=None), self.parts.shown: shown}

    def line(self, name: str, requests: Sequence[SampleRequest], done: int, started: float) -> str:
        """How many pictures of which model there are, what made them, and in which time."""
        part = f"{done} of {len(requests)}" if done < len(requests) else f"{done}"
        noun = "picture" if len(requests) == 1 else "pictures"
        model, seconds = self.session.model(name).identity.id, time.monotonic() - started
        return f"{part} {noun} · **{literal(model)}** · {recipe(requests)} · {seconds:.1f} s"

    def moved(self, values: Values) -> dict[int, SampleRequest]:
        """What psi, noise and directions now ask of the pictures shown; only of those that would change."""
        p, name, shown = self.parts, values[self.parts.model], values[self.parts.shown]
        if not shown or shown[0].model != name:
            return {}
        noise = chosen_noise(self.session.model(name), values[p.noise])
        changes = {"psi": values[p.psi], "noise": noise, "directions": p.directions.amounts(values, name)}
        wished = {n: s.request.model_copy(update=changes) for n, s in enumerate(shown)}
        return {n: r for n, r in wished.items() if aspects(r) != aspects(shown[n].request)}

    def drag(self, values: Values) -> Updates:
        """The first pictures and the picked one follow a slider, where the model is quick enough."""
        p, requests = self.parts, self.moved(values)
        if not requests or not is_quick(self.session.model(values[p.model])):
            return {p.status: gr.skip()}
        picked = place_of(values[p.picked.picked], values[p.shown])
        following = {n: r for n, r in requests.items() if n < FOLLOWING or n == picked}
        *_, updates = self.redrawing(values, following)
        return updates

    def release(self, values: Values) -> Iterator[Updates]:
        """All pictures, once a slider rests."""
        requests = self.moved(values)
        if requests:
            yield from self.redrawing(values, requests)
        else:
            yield {self.parts.status: gr.skip()}

    def redrawing(self, values: Values, requests: Mapping[int, SampleRequest]) -> Iterator[Updates]:
        """The gallery with some pictures drawn anew, and the picked one with them."""
        p, shown, picked = self.parts, list(values[self.parts.shown]), values[self.parts.picked.picked]
        place, started, places = place_of(picked, shown), time.monotonic(), iter(requests)
        for fresh in draw(self.session, shown[0].model, list(requests.values()), shown[0].photos):
            for new, number in zip(fresh, places, strict=False):
                shown[number] = new
            updates = self.view(tuple(shown))
            if place is not None:
                updates |= p.picked.show(shown[place], values[p.tray.kept])
            told = self.line(shown[0].model, [s.request for s in shown], len(shown), started)
            yield updates | {p.status: told}

    def vary(
        self,
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Updates]:
        """Neighbours of the picked picture."""
        panel = self.parts.picked
        origin: Shown = values[panel.picked]
        start = start_of_variations(self.session, origin)
        requests = neighbours(start, VARIATIONS, values[panel.amount])
        yield from self.drawing(origin.model, requests, origin.photos, progress)

    def find(
        self,
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[Updates]:
        """The picture nearest to a photo, which becomes the gallery's only one and is picked."""
        p, name, started = self.parts, values[self.parts.model], time.monotonic()
        updates, found = yield from search(
            self.session, p.photo, name, values[p.photo.photo], values[p.label], progress
        )
        shown = p.picked.show(found, values[p.tray.kept])
        told = self.line(name, [found.request], 1, started)
        yield updates | self.view((found,)) | shown | {p.status: told}

    def pick(self, values: Values, event: gr.SelectData) -> Updates:
        """Shows the picture that was clicked."""
        p = self.parts
        shown = clicked(values[p.shown], event)
        return {p.status: gr.skip()} if shown is None else p.picked.show(shown, values[p.tray.kept])

    def grid(self, shown: Pictures) -> str:
        """All pictures in one file."""
        return save_grid(self.session, shown)


def aspects(request: SampleRequest) -> tuple[Any, ...]:
    """What sliders and noise change."""
    return request.psi, request.noise, {name: amount for name, amount in request.directions.items() if amount}


def place_of(picked: Shown | None, shown: Sequence[Shown]) -> int | None:
    """Where in the gallery the picked picture is, if it is there."""
    if picked is None:
        return None
    return next((number for number, other in enumerate(shown) if other.path == picked.path), None)


def is_quick(model: Model) -> bool:
    """Whether sixteen pictures can follow a slider."""
    size = latent_model(model, "sample").image_size
    return model.device.type == "cuda" or (size is not None and size <= SMALL_SIDE)
