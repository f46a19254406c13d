"""'Blend four keyframes' of the Interpolate tab: a sheet with one keyframe in each corner."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.tasks.blend import blend
from imgsynth.tasks.requests import PHOTO, BlendRequest, make_request
from imgsynth.ui.classes import chosen_label
from imgsynth.ui.keyframes import keyframes_of, psi_of
from imgsynth.ui.runs import counting_bar
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, Session, literal, plain, save
from imgsynth.ui.viewers import picture_to_come
from imgsynth.ui.walk_controls import Updates, Values, WalkControls

CORNERS = 4
MOST = 12
HELP = (
    "The first four keyframes become the corners of a sheet: top left, top right, bottom left, bottom right. "
    "Between them lie all their mixtures, along the sphere, or straight where that is the walk's path."
)
STOPPED = "Stopped."


@dataclass(frozen=True)
class BlendPanel:
    """The components."""

    part: gr.Accordion
    columns: gr.Slider
    rows: gr.Slider
    go: gr.Button
    cancel: gr.Button
    image: gr.Image
    status: gr.Markdown
    download: gr.DownloadButton

    @property
    def outputs(self) -> list[Any]:
        return [self.image, self.status, self.download]


def make_blend_panel() -> BlendPanel:
    """Builds the panel inside the current Blocks, folded."""
    with gr.Accordion("Blend four keyframes", open=False, elem_id="interpolate-blend") as part:
        gr.Markdown(HELP, elem_classes="about")
        with gr.Row():
            columns, rows = (
                gr.Slider(2, MOST, 5, step=1, label=f"{side}s", info=f"Pictures in each {of}.", min_width=140)
                for side, of in (("Column", "row"), ("Row", "column"))
            )
        with gr.Row():
            go = gr.Button("Blend", elem_id="interpolate-blend-go", scale=3)
            cancel = gr.Button("Cancel", elem_id="interpolate-blend-cancel", scale=1)
        image = picture_to_come("Mixtures", "interpolate-blend-image", height=560)
        status = gr.Markdown(elem_classes="status", elem_id="interpolate-blend-status")
        download = gr.DownloadButton("Download PNG", visible=False, elem_id="interpolate-blend-download")
    return BlendPanel(part, columns, rows, go, cancel, image, status, download)


def make_blend(session: Session, controls: WalkControls, panel: BlendPanel) -> Any:
    @plain
    def run(
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        c = controls
        progress(0, desc="Loading the model")
        model = session.model(values[c.model])
        keyframes, photos = keyframes_of(model, values[c.keyframes], values[c.photos])
        corners = keyframes[:CORNERS]
        if len(corners) < CORNERS:
            raise BadRequest(f"A blend needs four keyframes and there are {len(corners)}; add some.")
        request = make_request(
            BlendRequest,
            keyframes=corners,
            columns=int(values[panel.columns]),
            rows=int(values[panel.rows]),
            path="lerp" if values[c.path] == "lerp" else "slerp",
            psi=psi_of(model, values[c.psi]),
            label=chosen_label(model, values[c.label]),
        )
        started = time.monotonic()
        picture = blend(
            model, request, photos[: corners.count(PHOTO)], counting_bar(progress, "Drawing", "pictures")
        )
        path, seconds = save(picture), time.monotonic() - started
        size = f"{request.columns}×{request.rows} pictures"
        return {
            panel.image: gr.Image(path, visible=True),
            panel.status: f"{size} · **{literal(model.identity.id)}** · {request.path} · {seconds:.1f} s",
            panel.download: gr.DownloadButton(value=path, visible=True),
        }

    return run


def connect_blend(run: Any, controls: WalkControls, panel: BlendPanel) -> None:
    inputs = controls.inputs | {panel.columns, panel.rows}
    shown: dict[str, Any] = {"show_progress_on": [panel.status], **LANE, **PRIVATE}
    running = panel.go.click(run, inputs, panel.outputs, **shown)
    panel.cancel.click(lambda: STOPPED, None, panel.status, cancels=[running], **CHEAP)
