"""Many photos through one translator: pictures as they come, each bad file with its reason, and a ZIP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage
from imgsynth.imaging.archive import SHEET, write_zip
from imgsynth.tasks.batch import translate_batch
from imgsynth.tasks.requests import TranslateRequest, make_request
from imgsynth.ui.runs import STOPPED, reasons, start_run, until_stopped
from imgsynth.ui.session import Session, literal, plain, save
from imgsynth.ui.uploads import FileInput

EMPTY = "Drop photos here, choose model and strength above, and press *Translate all*."
ABOUT = "Any number of files. One that cannot be opened is named and left out; Cancel keeps what is done."
NO_FILES = "There are no photos yet; drop some into the field of this part."
ZIP = "translated.zip"


def make_paint_many(session: Session) -> Any:
    @plain
    def paint_many(
        name: str,
        strength: float,
        files: list[str] | None,
        run: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(TranslateRequest, strength=strength)
        if not files:
            raise BadImage(NO_FILES)
        progress((0, len(files)), desc="Loading the model", unit="photos")
        model = session.model(name)
        shown: list[tuple[str, str]] = []
        failed: list[str] = []
        progress((0, len(files)), desc="Painting", unit="photos")
        for outcome in until_stopped(translate_batch(model, request, files), run):
            if outcome.result is not None:
                shown.append((save(outcome.result, Path(run)), outcome.name))
            else:
                failed.append(str(outcome.error))
            progress((outcome.index, outcome.total), desc="Painting", unit="photos")
            line = told(len(shown), len(failed), outcome.total, model.identity.id)
            yield line, list(shown), reasons(failed), gr.DownloadButton(interactive=False)
        if shown:
            ready = gr.DownloadButton(value=zipped([path for path, _ in shown], Path(run)), interactive=True)
            stopped = len(shown) + len(failed) < len(files)
            yield f"{STOPPED}{line}" if stopped else line, gr.skip(), gr.skip(), ready

    return paint_many


def zipped(pictures: Sequence[str], folder: Path) -> str:
    """All pictures in one ZIP, with a sheet of them unless one of them has taken its name."""
    files = [(Path(picture).name, Path(picture)) for picture in pictures]
    free = all(name.casefold() != SHEET for name, _ in files)
    return str(write_zip(folder / ZIP, files, sheet=free))


def told(done: int, failed: int, total: int, model: str) -> str:
    """The status line on the way."""
    through = done + failed
    part = f"{through} of {total}" if through < total else f"{total}"
    noun = "photo" if total == 1 else "photos"
    bad = f" · {failed} could not be translated, for the reasons below" if failed else ""
    return f"{part} {noun} · **{literal(model)}**{bad}."


def make_batch_panel(session: Session, model: gr.Radio, strength: gr.Slider) -> None:
    """Builds the folded part inside the current Blocks; model and strength are the tab's."""
    with gr.Accordion("Many photos", open=False, elem_id="translate-many"), gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            files = FileInput(
                label="Photos", file_count="multiple", height=200, elem_id="translate-many-files"
            )
            gr.Markdown(ABOUT, elem_classes="about")
            with gr.Row():
                go = gr.Button(
                    "Translate all",
                    variant="primary",
                    elem_id="translate-many-go",
                    elem_classes="go",
                    scale=3,
                )
                cancel = gr.Button("Cancel", elem_id="translate-many-cancel", scale=1)
        with gr.Column(scale=2):
            gallery = gr.Gallery(
                label="Translated photos",
                columns=4,
                height=420,
                object_fit="contain",
                elem_id="translate-many-gallery",
                interactive=False,
            )
            status = gr.Markdown(EMPTY, elem_classes="status", elem_id="translate-many-status")
            failed = gr.Markdown("", elem_classes="reasons", elem_id="translate-many-failed")
            download = gr.DownloadButton(
                "Download all as ZIP", interactive=False, elem_id="translate-many-download"
            )
    outputs = [status, gallery, failed, download]
    start_run(go, cancel, make_paint_many(session), [model, strength, files], outputs)
