"""There and back again: a photo through a pair of translators, and what was lost on the way."""

from __future__ import annotations

import math
from typing import Any

import gradio as gr

from imgsynth.checkpoints.catalog import available
from imgsynth.errors import BadRequest
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.round_trip import AMPLIFICATION, RoundTrip, round_trip
from imgsynth.ui.photos import open_photo, save_upright
from imgsynth.ui.picker import Opened, offered
from imgsynth.ui.runs import tile_bar
from imgsynth.ui.session import Session, literal, new_folder, plain, save_all

NO_WAY_BACK = "No model on this machine leads back from this one; choose one that comes as a pair."


def way_back(name: str | None, mine: Opened = ()) -> str | None:
    """The model of the opposite direction, where the catalog knows one and it is on this machine."""
    row = available().get(name or "")
    here = {offer.name for offer in offered("translate", mine)}
    return row.pair if row and row.pair in here else None


def back_button(name: str | None, mine: Opened) -> gr.Button:
    """The button as it suits the chosen model."""
    return gr.Button(interactive=way_back(name, mine) is not None)


def make_there_and_back(session: Session) -> Any:
    @plain
    def there_and_back(
        name: str,
        path: str | None,
        strength: float,
        mine: Opened,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        request = make_request(TranslateRequest, strength=strength)
        photo, other = open_photo(path), way_back(name, mine)
        if other is None:
            raise BadRequest(NO_WAY_BACK)
        progress(0.1, desc="Loading both models")
        there, back = session.model(name), session.model(other)
        progress(0.3, desc=f"Painting {photo.width}×{photo.height} pixels there and back")
        trip = round_trip(there, back, request, photo, tile_bar(progress))
        folder = new_folder()
        pictures = (trip.there, trip.back, trip.difference)
        captions = (name, f"and back by {other}", f"Difference, {AMPLIFICATION} times as strong")
        shown = [(save_upright(photo, folder), "Your photo")]
        shown += zip(save_all(iter(pictures), folder), captions, strict=True)
        return told(name, other, trip), gr.Gallery(shown, columns=2, visible=True)

    return there_and_back


def told(name: str, other: str, trip: RoundTrip) -> str:
    """The status line: how near the photo is that came back."""
    way = f"There by **{literal(name)}**, back by **{literal(other)}**"
    if math.isinf(trip.psnr):
        return f"{way} · the photo came back unchanged."
    return f"{way} · PSNR {trip.psnr:.1f} dB between your photo and what came back; more is nearer."
