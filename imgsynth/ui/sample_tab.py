"""The Sample tab: seeds in, pictures out, each batch as soon as it is drawn."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import gradio as gr

from imgsynth.families import Model
from imgsynth.seeds import LARGEST_SEED
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import SampleRequest, make_request, parse_seeds, show_seeds
from imgsynth.tasks.sample import grid_of, sample
from imgsynth.ui.classes import chosen_label, make_class_picker, make_show_classes
from imgsynth.ui.picker import make_picker
from imgsynth.ui.session import (
    CHEAP,
    LANE,
    PRIVATE,
    QUICK,
    Session,
    literal,
    new_folder,
    plain,
    save,
    save_all,
)

FIRST_VIEW = 16
MOST_SHOWN = 256


@dataclass(frozen=True)
class SampleTab:
    """What other tabs and the page need of this one."""

    model: gr.Radio
    seeds: gr.Textbox
    psi: gr.Slider
    label: gr.Dropdown
    show_classes: Any
    to_keyframes: gr.Button
    cancel: gr.Button
    draw_inputs: list[Any]
    draw_outputs: list[Any]
    draw: Any

    def draw_after(self, event: Any) -> Any:
        """Draws as the controls stand once an event is through; Cancel ends that too."""
        drawing = event.then(self.draw, self.draw_inputs, self.draw_outputs, **shown_on(self.draw_outputs[1]))
        self.cancel.click(None, cancels=[drawing], **CHEAP)
        return drawing


def shown_on(status: gr.Markdown) -> dict[str, Any]:
    """How drawing runs: in the device's lane, with its progress in one place."""
    return {"show_progress_on": [status], **LANE, **PRIVATE}


def spread(seeds: str, count: float) -> str:
    """`count` seeds in a row, from the first one in the field on."""
    first = min(parse_seeds(seeds)[0], LARGEST_SEED - int(count) + 1)
    return show_seeds(range(first, first + int(count)))


def roll(count: float) -> str:
    """`count` seeds in a row from a random first one, small enough to be remembered."""
    first = secrets.randbelow(1_000_000)
    return show_seeds(range(first, first + int(count)))


def make_draw(session: Session) -> Any:
    @plain
    def draw(
        name: str,
        seeds: str,
        psi: float,
        chosen: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        request = make_request(SampleRequest, seeds=parse_seeds(seeds)[:MOST_SHOWN], psi=psi)
        progress((0, len(request.seeds)), desc="Loading the model", unit="pictures")
        model = session.model(name)
        request = request.model_copy(update={"label": chosen_label(model, chosen)})
        started = time.monotonic()
        folder = new_folder()
        drawn: list[Picture] = []
        shown: list[tuple[str, str]] = []
        pictures = sample(model, request)
        batch = max(8, len(request.seeds) // 8)
        while fresh := list(islice(pictures, batch)):
            drawn += fresh
            shown += zip(save_all(iter(fresh), folder), captions(fresh), strict=True)
            progress((len(shown), len(request.seeds)), desc="Drawing", unit="pictures")
            yield shown, line(model, request, len(shown), started), gr.skip()
        grid = save(grid_of(model, request, drawn), folder)
        yield gr.skip(), gr.skip(), gr.DownloadButton(value=grid, interactive=True)

    return draw


def captions(pictures: list[Picture]) -> list[str]:
    """The seed of each, and its class where it has one."""
    requests = [p.record["request"] for p in pictures]
    return [f"{r['seed']} · class {r['label']}" if "label" in r else str(r["seed"]) for r in requests]


def line(model: Model, request: SampleRequest, done: int, started: float) -> str:
    seconds = time.monotonic() - started
    part = f"{done} of {len(request.seeds)}" if done < len(request.seeds) else f"{done}"
    noun = "picture" if len(request.seeds) == 1 else "pictures"
    label = "" if request.label is None else f"class {request.label} · "
    recipe = f"seeds {show_seeds(request.seeds)} · {label}psi {request.psi:g}"
    return f"{part} {noun} · **{literal(model.identity.id)}** · {recipe} · {seconds:.1f} s"


def make_sample_tab(session: Session, opened: gr.State) -> SampleTab:
    """Builds the tab inside the current Blocks."""
    with gr.Row(elem_classes="columns"):
        with gr.Column(scale=1, elem_classes="controls"):
            model = make_picker("sample", opened)
            seeds = gr.Textbox(
                "0-15",
                label="Seeds",
                info="Each seed is one picture, the same every time: 7 or 1,2,5-10.",
                elem_id="sample-seeds",
            )
            label = make_class_picker("sample-class")
            count = gr.Slider(1, 64, FIRST_VIEW, step=1, label="Count", info="How many seeds in a row.")
            with gr.Accordion("Options", open=False):
                psi = gr.Slider(
                    0,
                    1.5,
                    1.0,
                    step=0.05,
                    label="Truncation (psi)",
                    info="1 draws from the whole model; less gives more typical, less varied pictures.",
                )
            with gr.Row():
                go = gr.Button("Draw", variant="primary", elem_id="sample-go", elem_classes="go", scale=2)
                dice = gr.Button("Random", elem_id="sample-dice", scale=1)
                cancel = gr.Button("Cancel", elem_id="sample-cancel", scale=1)
        with gr.Column(scale=2):
            gallery = gr.Gallery(
                label="Samples",
                columns=5,
                height=660,
                object_fit="contain",
                elem_id="sample-gallery",
                format="png",
            )
            status = gr.Markdown("", elem_classes="status", elem_id="sample-status")
            with gr.Row():
                download = gr.DownloadButton(
                    "Download as one picture", interactive=False, elem_id="sample-download"
                )
                to_keyframes = gr.Button("Use as keyframes", elem_id="sample-to-keyframes")
    inputs, outputs = [model, seeds, psi, label], [gallery, status, download]
    draw = make_draw(session)
    shown = shown_on(status)
    runs: list[Any] = [
        event(draw, inputs, outputs, **shown) for event in (go.click, seeds.submit, model.input, label.input)
    ]
    runs.append(dice.click(roll, count, seeds, **CHEAP).then(draw, inputs, outputs, **shown))
    cancel.click(None, cancels=runs, **CHEAP)
    count.release(plain(spread), [seeds, count], seeds, **QUICK)
    show_classes = make_show_classes(session, all_in_turn=True)
    model.change(show_classes, [model, label], label, **QUICK)
    return SampleTab(model, seeds, psi, label, show_classes, to_keyframes, cancel, inputs, outputs, draw)
