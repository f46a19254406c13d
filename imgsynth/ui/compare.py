"""One photo by every translator on this machine, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest, ImgsynthError
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.tasks.round_trip import compare
from imgsynth.ui.photos import open_photo, save_upright
from imgsynth.ui.picker import NOTHING, Offer, Opened, offered
from imgsynth.ui.runs import reasons, tile_bar, until_stopped
from imgsynth.ui.session import Session, plain, save


def make_compare(session: Session) -> Any:
    @plain
    def compare_all(
        path: str | None,
        strength: float,
        mine: Opened,
        run: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(TranslateRequest, strength=strength)
        photo, offers = open_photo(path), offered("translate", mine)
        if not offers:
            raise BadRequest(NOTHING)
        shown = [(save_upright(photo, Path(run)), "Your photo")]
        failed: list[str] = []
        progress((0, len(offers)), desc="Painting", unit="models")
        for index, offer in until_stopped(enumerate(offers, 1), run):
            bar = tile_bar(progress, f"{offer.title}:")
            try:
                picture = next(compare([session.model(offer.name)], request, photo, bar))
                shown.append((save(picture), offer.title))
            except ImgsynthError as error:  # one model that cannot does not stop the others
                failed.append(f"{offer.title}: {error}")
            progress((index, len(offers)), desc="Painting", unit="models")
            yield told(index, offers, failed), gr.Gallery(list(shown), columns=3, visible=True)

    return compare_all


def told(done: int, offers: Sequence[Offer], failed: Sequence[str]) -> str:
    """The status line: how many models are through, and which could not paint the photo."""
    part = f"{done} of {len(offers)}" if done < len(offers) else f"All {done}"
    line = f"{part} models, each on the same photo."
    return f"{line}\n\n{reasons(failed)}" if failed else line
