"""Tools for the hole of the Inpaint tab: mask from a file and to a file, clear, invert, and a look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from imgsynth.imaging.masks import add_to_mask, invert_mask, read_mask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.imaging.write import write_mask
from imgsynth.tasks.inpaint import fill_weights
from imgsynth.tasks.requests import InpaintRequest, make_request
from imgsynth.ui.hole import BRUSH, History, Shown, at, hole_of, overlay, painted_hole, placed, size_of
from imgsynth.ui.photos import open_photo
from imgsynth.ui.session import CHEAP, QUICK, new_folder, plain
from imgsynth.ui.uploads import FileInput, PhotoEditor, PhotoInput

# A download button needs its file before it is pressed; the mask is drawn only when it is asked for.
SAVE = """(file) => {
    const link = document.createElement("a");
    link.href = file.url;
    link.download = "mask.png";
    link.click();
}"""

# What is put into the editor would wipe a stroke that is painted while it is on its way.
LOCK = '() => { document.body.classList.add("mask-busy"); }'
UNLOCK = '() => { document.body.classList.remove("mask-busy"); }'

Editor = Mapping[str, Any] | None
# The editor's value, its number, and all that it was given up to now.
Put = tuple[Any, int | None, History]


def put(history: History, path: str, photo: Photo, mask: np.ndarray | None = None) -> Put:
    value, shown = placed(path, photo, mask)
    return value, len(history), (*history, shown)


@plain
def show(path: str | None, history: History) -> tuple[Any, ...]:
    """The photo in the editor, with nothing painted.

    A photo that is shown already stays as it is: the page tells of a change twice, and the second
    time must not wipe what was painted meanwhile.
    """
    if path == history[-1].photo:
        return (gr.skip(),) * 3
    if path is None:
        return None, len(history), (*history, Shown())
    return put(history, path, read_photo(path))


@plain
def clear(path: str | None, history: History) -> tuple[Any, ...]:
    """The photo with nothing painted."""
    photo = open_photo(path)
    return *put(history, str(path), photo), "The hole is empty again."


@plain
def invert(path: str | None, editor: Editor, version: float | None, history: History) -> tuple[Any, ...]:
    """Exchanges hole and surroundings."""
    photo = open_photo(path)
    mask = invert_mask(hole_of(editor, photo, at(history, version)))
    return *put(history, str(path), photo, mask), share_of(mask)


@plain
def add(
    file: str | None, path: str | None, editor: Editor, version: float | None, history: History
) -> tuple[Any, ...]:
    """Adds the hole of a mask picture to what is painted, and makes room for the next file."""
    if file is None:
        return (gr.skip(),) * 5
    photo = open_photo(path)
    mask = read_mask(file, size_of(photo))
    mask = add_to_mask(hole_of(editor, photo, at(history, version)), mask)
    return *put(history, str(path), photo, mask), share_of(mask), None


def share_of(mask: np.ndarray) -> str:
    return f"The hole is now {mask.mean():.1%} of the photo."


@plain
def keep(path: str | None, editor: Editor, version: float | None, history: History) -> str:
    """The mask as a file, white the hole, at the photo's size."""
    photo = open_photo(path)
    hole = painted_hole(editor, photo, at(history, version))
    return str(write_mask(new_folder() / f"{photo.name}-mask.png", hole))


@plain
def look(
    path: str | None, editor: Editor, version: float | None, history: History, grow: int, feather: int
) -> tuple[Any, str, bool]:
    """What a fill would change, grown and feathered, tinted on the photo."""
    request = make_request(InpaintRequest, grow=int(grow), feather=int(feather))
    photo = open_photo(path)
    hole = fill_weights(request, painted_hole(editor, photo, at(history, version))) > 0
    file = new_folder() / f"{photo.name}-hole.png"
    overlay(photo, hole).save(file, compress_level=1)
    line = f"A fill changes {hole.mean():.1%} of {photo.width}×{photo.height} pixels, tinted above."
    return gr.Image(value=str(file), visible=True), line, True


def look_again(looking: bool, *inputs: Any) -> tuple[Any, ...]:
    """Follows the sliders once the hole is looked at."""
    return look(*inputs) if looking else (gr.skip(),) * 3


def look_away() -> tuple[Any, bool]:
    return gr.Image(value=None, visible=False), False


@dataclass(frozen=True)
class MaskTools:
    """The editor and the tools around it."""

    editor: PhotoEditor
    version: gr.Number
    history: gr.State
    clear: gr.Button
    invert: gr.Button
    keep: gr.Button
    kept: gr.DownloadButton
    look: gr.Button
    seen: gr.Image
    looking: gr.State

    @property
    def hole(self) -> list[Any]:
        """What tells the hole: strokes, what they were painted on, and what that was given."""
        return [self.editor, self.version, self.history]

    def connect(self, photo: PhotoInput, file: FileInput, status: gr.Markdown, edge: list[gr.Slider]) -> None:
        """Binds the tools to the photo, the mask file, the status line, and the two sliders on the edge."""
        hole, put = [photo, *self.hole], [*self.hole, status]
        seen: list[Any] = [self.seen, status, self.looking]
        locked(photo.change, show, [photo, self.history], self.hole)
        locked(self.clear.click, clear, [photo, self.history], put)
        locked(self.invert.click, invert, hole, put)
        locked(file.upload, add, [file, *hole], [*put, file])
        photo.change(look_away, None, [self.seen, self.looking], **CHEAP)
        self.keep.click(keep, hole, self.kept, **QUICK).success(None, self.kept, None, js=SAVE, **CHEAP)
        self.look.click(look, [*hole, *edge], seen, **QUICK)
        for slider in edge:
            slider.release(look_again, [self.looking, *hole, *edge], seen, **QUICK)


def locked(event: Any, function: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Nothing can be painted from the event on until what it puts into the editor is there."""
    done = event(None, None, None, js=LOCK, **CHEAP).then(function, inputs, outputs, **QUICK)
    done.then(None, None, None, js=UNLOCK, **CHEAP)


def make_mask_file() -> FileInput:
    """Takes a mask picture, inside the current Blocks, folded."""
    with gr.Accordion("Mask from a file", open=False, elem_id="inpaint-mask-file"):
        gr.Markdown(
            "What is white, or not transparent, is added to the hole. "
            "To take a part of it back: Invert, paint over that part, Invert.",
            elem_classes="about",
        )
        return FileInput(label="Mask picture", height=140, elem_id="inpaint-mask")


def make_mask_tools() -> MaskTools:
    """Builds the editor and its tools inside the current Blocks."""
    editor = PhotoEditor(
        type="pil",
        label="Paint over what should go",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(default_size=28, colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
        eraser=gr.Eraser(default_size=28),
        height=520,
        buttons=[],
        elem_id="inpaint-editor",
        elem_classes="image-editor-keys",
        placeholder="Choose a photo on the left first",
    )
    with gr.Row(elem_classes="tools"):
        clear_ = gr.Button("Clear", size="sm", elem_id="inpaint-clear")
        invert_ = gr.Button("Invert", size="sm", elem_id="inpaint-invert")
        look_ = gr.Button("Show the hole", size="sm", elem_id="inpaint-look")
        keep_ = gr.Button("Save the mask", size="sm", elem_id="inpaint-keep")
        kept = gr.DownloadButton("Mask", visible="hidden")
        version = gr.Number(0, visible="hidden", precision=0)
    seen = gr.Image(
        label="What a fill changes",
        type="filepath",
        height=260,
        interactive=False,
        visible=False,
        buttons=[],
        elem_id="inpaint-seen",
    )
    history = gr.State((Shown(),))
    return MaskTools(editor, version, history, clear_, invert_, keep_, kept, look_, seen, gr.State(False))
