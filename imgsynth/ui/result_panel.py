"""Where the results of the Inpaint tab are shown: before and after, one line, and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage
from imgsynth.imaging.read import Photo
from imgsynth.tasks.pictures import Picture
from imgsynth.ui.photos import finished
from imgsynth.ui.session import PRIVATE, QUICK, plain, still_wanted
from imgsynth.ui.uploads import PhotoInput

EMPTY = "Paint over what should go; everything else stays as it is, to the last bit."
ONWARDS = "The result is the photo now; paint over what should go next."


@dataclass(frozen=True)
class ResultPanel:
    """Its parts; `made` holds the path of the result that is shown."""

    slider: gr.ImageSlider
    status: gr.Markdown
    download: gr.DownloadButton
    go_on: gr.Button
    hold: gr.Button
    made: gr.State

    @property
    def outputs(self) -> list[Any]:
        """What `shown` gives values for."""
        return [self.slider, self.status, self.download, self.go_on, self.hold, self.made]

    def connect(self, photo: PhotoInput) -> None:
        """'Continue from the result' makes the result the photo."""
        self.go_on.click(go_on, self.made, [photo, self.status], **QUICK)


def shown(pair: tuple[str, str], line: str) -> tuple[Any, ...]:
    """A result that is on disk: before and after, the line below, and what can be done with it."""
    return (
        pair,
        line,
        gr.DownloadButton(value=pair[1], interactive=True),
        gr.Button(interactive=True),
        gr.Button(interactive=True),
        pair[1],
    )


def saved(before: Photo, picture: Picture, line: str) -> tuple[Any, ...]:
    """Saves a result and shows it, with what became of the photo when it was read."""
    notes = " ".join(picture.notes)
    pair, told, _ = finished(before, picture, f"{line}. {notes}" if notes else line)
    return shown(pair, told)


@plain
def go_on(made: str | None) -> tuple[str, str]:
    if made is None:
        raise BadImage("There is no result yet; fill or extend a photo first.")
    return made, ONWARDS


def part_bar(progress: gr.Progress, verb: str) -> Callable[[int, int], None]:
    """Tells which part is worked on, and ends the work once its event has been cancelled."""
    check = still_wanted()

    def report(done: int, parts: int) -> None:
        check()
        if done < parts:
            progress((done, parts), desc=f"{verb} part {done + 1} of {parts}", unit="parts")

    return report


def on_panel(panel: ResultPanel) -> dict[str, Any]:
    """How an event shows its progress: on the pictures, and on no page of endpoints."""
    return {"show_progress_on": [panel.slider], **PRIVATE}


def make_result_panel() -> ResultPanel:
    """Builds the panel inside the current Blocks."""
    status = gr.Markdown(EMPTY, elem_classes="status", elem_id="inpaint-status")
    slider = gr.ImageSlider(
        label="Before and after: drag the line",
        height=520,
        elem_id="inpaint-result",
        elem_classes="before-after",
        interactive=False,
    )
    with gr.Row(elem_classes="tools"):
        hold = gr.Button(
            "Hold to see the original", interactive=False, elem_id="inpaint-hold", elem_classes="hold"
        )
        go_on_button = gr.Button("Continue from the result", interactive=False, elem_id="inpaint-go-on")
        download = gr.DownloadButton("Download PNG", interactive=False, elem_id="inpaint-download")
    return ResultPanel(slider, status, download, go_on_button, hold, gr.State(None))
