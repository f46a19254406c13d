"""'Fill with every model' of the Inpaint tab: one candidate a model; a click makes one the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest, ImgsynthError
from imgsynth.families import Model
from imgsynth.tasks.inpaint import candidates
from imgsynth.tasks.requests import InpaintRequest, make_request
from imgsynth.ui.hole import History, at, painted_hole
from imgsynth.ui.mask_tools import Editor
from imgsynth.ui.photos import finished, open_photo
from imgsynth.ui.picker import Opened, offered
from imgsynth.ui.result_panel import shown as shown_result
from imgsynth.ui.session import CHEAP, QUICK, Session, literal, plain, wanted


@dataclass(frozen=True)
class Candidate:
    """A model's name, the files of before and after, and the line below them."""

    name: str
    pair: tuple[str, str]
    line: str


Candidates = tuple[Candidate, ...]


@dataclass(frozen=True)
class CandidatesPanel:
    """The button, the gallery, and the candidates that it shows."""

    go: gr.Button
    gallery: gr.Gallery
    drawn: gr.State

    def connect(self, opened: gr.State, outputs: list[Any]) -> None:
        """A click on a candidate shows it; the button is there where there is more than one model."""
        self.gallery.select(choose, self.drawn, outputs, **QUICK)
        opened.change(lambda mine: gr.Button(visible=several(mine)), opened, self.go, **CHEAP)


def several(opened: Opened = ()) -> bool:
    return len(offered("inpaint", opened)) > 1


@plain
def choose(drawn: Candidates, event: gr.SelectData) -> tuple[Any, ...]:
    """The candidate that was clicked, as the result."""
    if not 0 <= event.index < len(drawn):
        raise BadRequest("This candidate is gone; fill again.")
    chosen = drawn[event.index]
    return shown_result(chosen.pair, chosen.line)


def open_all(session: Session, names: list[str], progress: gr.Progress) -> tuple[list[Model], list[str]]:
    """The models that can be opened, and of each of the others why not."""
    models, reasons = [], []
    for done, name in enumerate(names):
        progress((done, len(names)), desc="Loading", unit="models")
        try:
            models.append(session.model(name))
        except ImgsynthError as error:
            reasons.append(str(error))
    return models, reasons


def make_fill_all(session: Session) -> Any:
    @plain
    def fill_all(
        opened: Opened,
        path: str | None,
        editor: Editor,
        version: float | None,
        history: History,
        grow: int,
        feather: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(InpaintRequest, grow=int(grow), feather=int(feather))
        photo = open_photo(path)
        hole = painted_hole(editor, photo, at(history, version))
        models, reasons = open_all(session, [o.name for o in offered("inpaint", opened)], progress)
        drawn: Candidates = ()
        made = wanted(candidates(models, request, photo, hole))
        for done, (model, picture) in enumerate(zip(models, made, strict=True), start=1):
            progress((done, len(models)), desc="Filling", unit="models")
            if isinstance(picture, ImgsynthError):
                reasons.append(str(picture))
                continue
            name = literal(model.identity.id)
            pair, line, _ = finished(photo, picture, f"{hole.mean():.1%} of the photo filled · **{name}**")
            drawn = (*drawn, Candidate(model.identity.id, pair, line))
            yield gallery_of(drawn), drawn, f"{done} of {len(models)} candidates"
        yield gallery_of(drawn), drawn, told(drawn, reasons)

    return fill_all


def gallery_of(drawn: Candidates) -> Any:
    pictures = [(candidate.pair[1], candidate.name) for candidate in drawn]
    return gr.Gallery(value=pictures, visible=bool(pictures), selected_index=None)


def told(drawn: Candidates, reasons: list[str]) -> str:
    noun = "candidate" if len(drawn) == 1 else "candidates"
    return " ".join([f"{len(drawn)} {noun}; click one to make it the result.", *map(literal, reasons)])


def make_candidates_button() -> gr.Button:
    return gr.Button("Fill with every model", visible=several(), elem_id="inpaint-every")


def make_candidates_panel(go: gr.Button) -> CandidatesPanel:
    """Builds the gallery inside the current Blocks; it shows once there are candidates."""
    gallery = gr.Gallery(
        label="Candidates: click one to make it the result",
        columns=3,
        height=260,
        object_fit="contain",
        allow_preview=False,
        visible=False,
        buttons=[],
        elem_id="inpaint-candidates",
    )
    return CandidatesPanel(go, gallery, gr.State(()))
