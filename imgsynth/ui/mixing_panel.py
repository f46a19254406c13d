"""'Style mixing' of the Sample tab: some layers with the styles of one seed, the others with another's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel, Model
from imgsynth.imaging.archive import write_zip
from imgsynth.tasks.mixing import layers_of, mix, parts_of, table_of
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import MixRequest, make_request, parse_seeds
from imgsynth.ui.downloads import download_made
from imgsynth.ui.noise import chosen_noise
from imgsynth.ui.session import (
    CHEAP,
    LANE,
    PRIVATE,
    Session,
    literal,
    new_folder,
    plain,
    save,
    save_all,
    wanted,
)
from imgsynth.ui.shown import GONE, noises
from imgsynth.ui.viewers import picture_to_come

Updates = dict[Any, Any]
Values = Mapping[Any, Any]

HELP = (
    "Each row takes the chosen layers from its source on the left, and all others from the destination "
    "above. Coarse layers hold pose and shape, middle ones features, fine ones colours and texture."
)
SIZES = {"coarse": "up to 8 px", "middle": "16 and 32 px", "fine": "from 64 px"}


@dataclass(frozen=True)
class MixingPanel:
    """A folded part, hidden for models without a style per layer.

    Attributes:
        made: a State with the paths of the single pictures.
    """

    part: gr.Accordion
    sources: gr.Textbox
    destinations: gr.Textbox
    layers: gr.Dropdown
    go: gr.Button
    cancel: gr.Button
    status: gr.Markdown
    table: gr.Image
    files: gr.Row
    download: gr.DownloadButton
    zip: gr.Button
    made: gr.State

    @property
    def outputs(self) -> list[Any]:
        return [self.status, self.table, self.files, self.download, self.made]

    def hide(self) -> Updates:
        return {self.part: gr.Accordion(visible=False), self.layers: gr.skip()}

    def fitting(self, model: Model, chosen: Any) -> Updates:
        """The part for a model; keeps the layers that are chosen where it has them."""
        if not isinstance(model, LatentModel) or not model.layers:
            return self.hide()
        parts = parts_of(model)
        listed: list[tuple[str, str | int | float]] = [
            (f"{part.capitalize()}, {SIZES[part]} ({layers[0]}-{layers[-1]})", part)
            for part, layers in parts.items()
        ]
        kept = chosen if has_layers(model, str(chosen)) else next(iter(parts))
        layers = gr.Dropdown(listed, value=kept, allow_custom_value=True)
        return {self.part: gr.Accordion(visible=True), self.layers: layers}


def has_layers(model: LatentModel, text: str) -> bool:
    """Whether a model has the layers that a visitor chose or typed."""
    try:
        asked = make_request(MixRequest, sources=[0], destinations=[0], layers=text)
        return bool(layers_of(model, asked.layers))
    except BadRequest:
        return False


def make_mixing_panel() -> MixingPanel:
    """Builds the part inside the current Blocks."""
    made: gr.State = gr.State(())
    with gr.Accordion("Style mixing", open=False, visible=False, elem_id="sample-mixing") as part:
        gr.Markdown(HELP, elem_classes="about")
        with gr.Row():
            sources, destinations, layers = make_inputs()
        with gr.Row():
            go = gr.Button("Mix", elem_id="mixing-go", scale=3)
            cancel = gr.Button("Cancel", elem_id="mixing-cancel", scale=1)
        table = picture_to_come("Mixtures", "mixing-table")
        status = gr.Markdown(elem_classes="status", elem_id="mixing-status")
        with gr.Row(visible=False) as files:
            download = gr.DownloadButton("Download as one picture", elem_id="mixing-download", min_width=140)
            zip_all = gr.Button("Download all as ZIP", elem_id="mixing-zip", min_width=140)
    inputs = (sources, destinations, layers)
    return MixingPanel(part, *inputs, go, cancel, status, table, files, download, zip_all, made)


def make_inputs() -> tuple[gr.Textbox, gr.Textbox, gr.Dropdown]:
    sources = gr.Textbox(
        "0-2", label="Sources", info="Seeds, a row each.", min_width=150, elem_id="mixing-sources"
    )
    destinations = gr.Textbox(
        "10-14",
        label="Destinations",
        info="Seeds, a column each.",
        min_width=150,
        elem_id="mixing-destinations",
    )
    layers = gr.Dropdown(
        [("Coarse", "coarse")],
        value="coarse",
        label="Layers from the source",
        info="Or numbers, such as 4-7.",
        allow_custom_value=True,
        min_width=190,
        elem_id="mixing-layers",
    )
    return sources, destinations, layers


@dataclass(frozen=True)
class MixingControls:
    """What the tab shares with the part."""

    model: gr.Radio
    psi: gr.Slider
    noise: gr.Radio


def make_mixing(session: Session, controls: MixingControls, panel: MixingPanel) -> Any:
    @plain
    def run(
        values: Values,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Updates:
        started, c = time.monotonic(), controls
        progress(0, desc="Loading the model")
        model = session.model(values[c.model])
        request = make_request(
            MixRequest,
            sources=parse_seeds(values[panel.sources]),
            destinations=parse_seeds(values[panel.destinations]),
            layers=str(values[panel.layers] or "").strip(),
            psi=values[c.psi],
            noise=chosen_noise(model, values[c.noise]),
        )
        pictures = drawn(model, request, progress)
        folder = new_folder()
        paths = tuple(save_all(iter(pictures), folder / "single"))
        table = save(table_of(model, request, pictures), folder)
        line = f"{told(request)} · **{literal(model.identity.id)}** · {time.monotonic() - started:.1f} s"
        return {
            panel.table: gr.Image(table, visible=True),
            panel.status: line,
            panel.files: gr.Row(visible=True),
            panel.download: gr.DownloadButton(value=table),
            panel.made: paths,
        }

    return run


def drawn(model: Model, request: MixRequest, progress: gr.Progress) -> list[Picture]:
    """All mixtures, counted as they come."""
    total, pictures = len(request.sources) * len(request.destinations), []
    for picture in wanted(mix(model, request)):
        pictures.append(picture)
        progress((len(pictures), total), desc="Mixing", unit="pictures")
    return pictures


def told(request: MixRequest) -> str:
    """What was mixed, in a few words."""
    size = f"{len(request.sources)}×{len(request.destinations)} mixtures"
    layers = request.layers if request.layers[0].isalpha() else f"layers {request.layers}"
    return " · ".join([size, layers, f"psi {request.psi:g}", *noises(request.noise)])


def zipped(paths: Sequence[str]) -> str:
    """All single pictures in one ZIP; returns its path.

    Raises:
        BadRequest: there are none, or their files are no longer there.
    """
    if not (paths and all(Path(path).is_file() for path in paths)):
        raise BadRequest(GONE)
    files = ((f"{number:03d}-{Path(path).name}", Path(path)) for number, path in enumerate(paths, 1))
    return str(write_zip(new_folder() / "mixtures.zip", files))


def connect_mixing(session: Session, controls: MixingControls, panel: MixingPanel) -> None:
    """Mix, by button or key; its end before time; and its files."""
    run = make_mixing(session, controls, panel)
    inputs: set[Any] = {controls.model, controls.psi, controls.noise}
    inputs |= {panel.sources, panel.destinations, panel.layers}
    shown: dict[str, Any] = {"show_progress_on": [panel.status], **LANE, **PRIVATE}
    triggers = (panel.go.click, panel.sources.submit, panel.destinations.submit)
    runs: list[Any] = [trigger(run, inputs, panel.outputs, **shown) for trigger in triggers]
    panel.cancel.click(None, cancels=runs, **CHEAP)
    download_made(panel.zip, zipped, panel.made)
