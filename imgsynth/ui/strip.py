"""The strip: the picture at every keyframe, in order; one of them can be moved and removed."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from imgsynth.errors import BadRequest, ImgsynthError
from imgsynth.families import Autoencoder, Codec, Model
from imgsynth.tasks.keyframes import keyframe_pictures
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.keyframes import Photos, Point, asked_of, parts_of, points_of, psi_of, text_of, with_photos
from imgsynth.ui.session import CHEAP, QUICK, Session, literal, new_folder, plain
from imgsynth.ui.uploads import FileInput
from imgsynth.ui.viewers import thumbnail_row
from imgsynth.ui.walk_controls import Updates, Values, WalkControls

SIDE = 160
NONE_YET = "No keyframes yet: type seeds, or add pictures from Sample."
NO_PHOTOS_YET = "No keyframes yet: add two photos or more."
ONE_MORE = "A walk needs one more keyframe."
BEHIND = "The strip does not show the keyframes in the field yet: wait until it does, or correct the field."
NO_PHOTOS_TAKEN = "This model takes no photos as keyframes: type seeds, or find a photo in Sample first."


@dataclass(frozen=True)
class Strip:
    """The keyframes that a visitor sees.

    Attributes:
        drawn_with: all that their pictures depend on besides themselves.
        thumbnails: a file for each of the points.
        text: the field that they were read from.
    """

    drawn_with: tuple[Any, ...] = ()
    points: tuple[Point, ...] = ()
    thumbnails: tuple[str, ...] = ()
    text: str = ""

    def known(self, drawn_with: tuple[Any, ...]) -> dict[Point, str]:
        """Thumbnails that would be drawn the same again."""
        still_here = zip(self.points, self.thumbnails, strict=True) if drawn_with == self.drawn_with else ()
        return {point: path for point, path in still_here if Path(path).is_file()}

    def taking(self, order: Sequence[int]) -> Strip:
        """Some of the keyframes, in another order."""
        points = tuple(self.points[index] for index in order)
        thumbnails = tuple(self.thumbnails[index] for index in order)
        return replace(self, points=points, thumbnails=thumbnails, text=text_of(points))


@dataclass(frozen=True)
class StripPanel:
    """The components.

    Attributes:
        strip: a State with the `Strip` that is shown.
        chosen: a State with the index of the keyframe that was clicked, or None.
    """

    gallery: gr.Gallery
    note: gr.Markdown
    earlier: gr.Button
    later: gr.Button
    remove: gr.Button
    add: gr.Button
    strip: gr.State
    chosen: gr.State

    @property
    def outputs(self) -> list[Any]:
        return [
            self.gallery,
            self.note,
            self.strip,
            self.chosen,
            self.earlier,
            self.later,
            self.remove,
            self.add,
        ]

    def show(self, strip: Strip, chosen: int | None, note: str = "") -> Updates:
        count = len(strip.points)
        chosen = chosen if chosen is not None and chosen < count else None
        items = [(path, p.caption) for path, p in zip(strip.thumbnails, strip.points, strict=True)]
        return {
            self.gallery: gr.Gallery(items, selected_index=chosen, label=f"Keyframes: {count}"),
            self.note: gr.Markdown(note, visible=bool(note)),
            self.strip: strip,
            **self.choose(chosen, count),
        }

    def choose(self, chosen: int | None, count: int) -> Updates:
        """One keyframe, or none, and what can be done with it."""
        return {
            self.chosen: chosen,
            self.earlier: gr.Button(interactive=bool(chosen)),
            self.later: gr.Button(interactive=chosen is not None and chosen + 1 < count),
            self.remove: gr.Button(interactive=chosen is not None),
        }


def make_strip_panel() -> StripPanel:
    """Builds the strip inside the current Blocks."""
    gallery = thumbnail_row("Keyframes", 150, "interpolate-strip")
    note = gr.Markdown(visible=False, elem_classes="about", elem_id="interpolate-strip-note")
    with gr.Row(elem_classes="tools"):
        earlier = gr.Button("← Earlier", interactive=False, size="sm", elem_id="interpolate-earlier")
        later = gr.Button("Later →", interactive=False, size="sm", elem_id="interpolate-later")
        remove = gr.Button("Remove", interactive=False, size="sm", elem_id="interpolate-remove")
        add = gr.Button("Add a random seed", size="sm", elem_id="interpolate-add-random")
    return StripPanel(gallery, note, earlier, later, remove, add, gr.State(Strip()), gr.State(None))


class StripEvents:
    """The events of one page; a visitor's own values come with each call."""

    def __init__(self, session: Session, controls: WalkControls, panel: StripPanel) -> None:
        self.session, self.controls, self.panel = session, controls, panel

    @property
    def inputs(self) -> set[Any]:
        c = self.controls
        return {c.model, c.keyframes, c.photos, c.label, c.psi, self.panel.strip, self.panel.chosen}

    def refresh(self, values: Values) -> Updates:
        """The strip in step with the field; while that cannot be read, as it was, with the reason."""
        c, p = self.controls, self.panel
        strip: Strip = values[p.strip]
        try:
            model = self.session.model(values[c.model])
            points = points_of(model, values[c.keyframes], values[c.photos])
            label, psi = chosen_label(model, values[c.label]), psi_of(model, values[c.psi])
            drawn = drawn_strip(model, points, strip, (values[c.model], label, psi))
        except ImgsynthError as error:
            return {p.note: gr.Markdown(literal(str(error)), visible=True)}
        named = {name for name, _ in values[c.photos]} & set(parts_of(values[c.keyframes]))
        left_out = bool(named) and not isinstance(model, Autoencoder)
        seeds = gr.Button(visible=not isinstance(model, Codec))
        drawn = replace(drawn, text=values[c.keyframes])
        return p.show(drawn, values[p.chosen], note_on(model, points, left_out)) | {p.add: seeds}

    def choose(self, strip: Strip, event: gr.SelectData) -> Updates:
        """A click on a keyframe; on one that has gone meanwhile, none."""
        count = len(strip.points)
        return self.panel.choose(event.index if 0 <= event.index < count else None, count)

    def move(self, strip: Strip, chosen: int | None, text: str, by: int) -> Updates:
        """The chosen keyframe one place on; the field follows.

        Raises:
            BadRequest: the field holds other keyframes than those that are seen.
        """
        check_in_step(strip, text)
        if chosen is None or not 0 <= chosen + by < len(strip.points):
            return {self.panel.chosen: gr.skip()}
        order = list(range(len(strip.points)))
        order.insert(chosen + by, order.pop(chosen))
        return self.arranged(strip.taking(order), chosen + by)

    def remove(self, strip: Strip, chosen: int | None, text: str) -> Updates:
        """Without the chosen keyframe; its neighbour is the chosen one then.

        Raises:
            BadRequest: the field holds other keyframes than those that are seen.
        """
        check_in_step(strip, text)
        if chosen is None or chosen >= len(strip.points):
            return {self.panel.chosen: gr.skip()}
        left = strip.taking([index for index in range(len(strip.points)) if index != chosen])
        return self.arranged(left, min(chosen, len(left.points) - 1) if left.points else None)

    def arranged(self, strip: Strip, chosen: int | None) -> Updates:
        return self.panel.show(strip, chosen) | {self.controls.keyframes: strip.text}


def check_in_step(strip: Strip, text: str) -> None:
    """Refuses to write over keyframes that were typed and are not seen yet, or cannot be read."""
    if text != strip.text:
        raise BadRequest(BEHIND)


def drawn_strip(model: Model, points: tuple[Point, ...], before: Strip, common: tuple[Any, ...]) -> Strip:
    """The strip of these keyframes; only pictures that are not known yet are drawn.

    Args:
        common: what the model is chosen by, class and psi.
    """
    # Every picture of a codec has the aspect of the first.
    first = points[0].path if points and isinstance(model, Codec) else None
    known = before.known((*common, first))
    missing = [point for point in dict.fromkeys(points) if point not in known]
    if missing:
        drawn = list(dict.fromkeys(points)) if first else missing
        known |= dict(zip(drawn, thumbnails(model, drawn, *common[1:]), strict=True))
    return Strip((*common, first), points, tuple(known[point] for point in points))


def thumbnails(model: Model, points: Sequence[Point], label: int | None, psi: float) -> list[str]:
    """Files of small pictures, without records, for they are no results."""
    keyframes, photos = asked_of(points)
    folder, paths = new_folder(), []
    for number, image in enumerate(keyframe_pictures(model, keyframes, photos, psi, label)):
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        paths.append(str(folder / f"keyframe{number:02d}.png"))
        image.save(paths[-1])
    return paths


def note_on(model: Model, points: Sequence[Point], left_out: bool) -> str:
    """What is missing for a walk; empty where nothing is."""
    if left_out:
        return NO_PHOTOS_TAKEN
    if not points:
        return NO_PHOTOS_YET if isinstance(model, Codec) else NONE_YET
    return ONE_MORE if len(points) == 1 else ""


def add_random(text: str) -> str:
    """One more keyframe, with a seed small enough to be remembered."""
    return ",".join([*parts_of(text), str(secrets.randbelow(1_000_000))])


def add_photos(text: str, photos: Photos, paths: list[str] | None) -> tuple[str, Photos, None]:
    """Uploaded photos behind the other keyframes; the upload is empty again, for the next ones."""
    return *with_photos(text, photos, paths or []), None


def connect_strip(events: StripEvents, upload: FileInput) -> None:
    """What is clicked, moved, removed and added; the field is changed, and the strip follows it."""
    c, p = events.controls, events.panel
    seen, chosen = [p.strip, p.chosen, c.keyframes], [p.chosen, p.earlier, p.later, p.remove]
    p.gallery.select(plain(events.choose), p.strip, chosen, **QUICK)
    arranged = [*p.outputs, c.keyframes]
    for button, by in ((p.earlier, -1), (p.later, 1)):
        moved = functools.partial(events.move, by=by)
        button.click(plain(moved), seen, arranged, **QUICK)
    p.remove.click(plain(events.remove), seen, arranged, **QUICK)
    p.add.click(add_random, c.keyframes, c.keyframes, **CHEAP)
    added = [c.keyframes, c.photos, upload]
    upload.upload(plain(add_photos), added, added, **QUICK)
