"""The Models tab: the catalog, any other checkpoint by name or as a file, and what is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from imgsynth.summaries import TASKS
from imgsynth.ui.catalog_table import make_table, make_task_choice, rows
from imgsynth.ui.facts import memory_card, note_card
from imgsynth.ui.models_events import EMPTY, OPEN, TEXT, ModelsEvents, Parts, settled, stopping
from imgsynth.ui.removal import REMOVE
from imgsynth.ui.session import CHEAP, DOWNLOADS, PRIVATE, QUICK, Session, plain
from imgsynth.ui.uploads import FileInput

LOOKING: dict[str, Any] = {"concurrency_id": "inspect", "concurrency_limit": 4, **PRIVATE}
# The address of the page names what is open, so that it can be kept and passed on.
SHOW_ADDRESS = """(what) => {
  const address = new URL(window.location)
  address.searchParams.set("model", what)
  history.replaceState(history.state, "", address)
}"""


class ModelsTab:
    """The tab inside the current Blocks.

    Attributes:
        parts: its components.
        events: what they do.
        file: where a file is dropped.
        memory: what is in memory now.
    """

    def __init__(self, session: Session, opened: gr.State, pickers: Sequence[gr.Radio]) -> None:
        task, table = make_task_choice(), make_table()
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=1, elem_classes="controls"):
                what = make_paste_box()
                self.file = make_drop()
                go = gr.Button(OPEN, variant="primary", elem_id="models-open", elem_classes="go")
                with gr.Row():
                    self.inspect = gr.Button("Inspect", elem_id="models-inspect")
                    self.cancel = gr.Button("Cancel", elem_id="models-cancel")
            with gr.Column(scale=2):
                found = gr.HTML(note_card(EMPTY), elem_id="models-found")
                status = gr.Markdown("", elem_classes="status", elem_id="models-status")
                with gr.Row():
                    lead = tuple(make_lead(name) for name in TASKS)
                    remove = gr.Button(REMOVE, visible=False, elem_id="models-remove")
                self.memory = gr.HTML(memory_card(session.runtime.pool.loaded()), elem_id="models-memory")
        self.parts = Parts(
            task=task,
            table=table,
            what=what,
            token=gr.State(""),
            source=gr.State(TEXT),
            told_of=gr.State(""),
            armed=gr.State(""),
            found=found,
            status=status,
            open=go,
            remove=remove,
            opened=opened,
            pickers=tuple(pickers),
            go=lead,
            address=gr.Textbox(visible=False),
        )
        self.events = ModelsEvents(session, self.parts)
        self.connect()

    def connect(self) -> None:
        p, e = self.parts, self.events
        p.task.change(rows, p.task, p.table, **CHEAP)
        named = [p.what, p.token, p.source]
        described = [p.what, p.source, p.told_of, p.found, p.open, p.remove, p.armed]
        looking: dict[str, Any] = {"show_progress_on": [p.found], **LOOKING}
        inspect, dropped = plain(e.examine), self.file.upload(plain(e.drop), self.file, named[1:], **QUICK)
        inspections = [
            event(inspect, named, described, **looking)
            for event in (self.inspect.click, p.what.submit, dropped.success)
        ]
        p.table.select(plain(e.pick), None, described, trigger_mode="always_last", **CHEAP)
        self.file.clear(plain(e.tell), p.what, described, **CHEAP)
        typed = plain(e.typed), [p.what, p.told_of], described
        # Not `input`, which Gradio tells of keys only: names are pasted.
        p.what.change(*typed, **CHEAP)
        for inspection in inspections:
            inspection.failure(lambda: note_card(EMPTY), None, p.found, **CHEAP)
            inspection.then(*typed, **CHEAP)  # the box may name another checkpoint by now
        self.connect_open(named, [*described, p.status, *p.go, p.opened, p.address, p.table, *p.pickers])

    def connect_open(self, named: list[Any], changed: list[Any]) -> None:
        p, e = self.parts, self.events
        options: dict[str, Any] = {"show_progress_on": [p.status], **DOWNLOADS, **PRIVATE}
        opening = p.open.click(plain(e.open_chosen), [*named, p.opened, p.task], changed, **options)
        self.cancel.click(stopping, p.status, p.status, **CHEAP)
        self.cancel.click(None, cancels=[opening], **CHEAP)
        opening.then(settled, p.status, p.status, **CHEAP)
        held = [p.what, p.armed, p.opened, p.task, *p.pickers]
        p.remove.click(plain(e.remove), held, changed, **LOOKING)
        p.address.change(None, p.address, None, js=SHOW_ADDRESS)


def make_paste_box() -> gr.Textbox:
    return gr.Textbox(
        label="Model",
        info="Catalog id, or owner/name, owner/name:file@revision from the Hugging Face Hub",
        placeholder="avatars-gan",
        elem_id="models-what",
        max_lines=1,
    )


def make_drop() -> FileInput:
    return FileInput(
        label="Or a file: .safetensors .pth .pt .bin .ckpt, any name",
        height=150,
        elem_id="models-file",
    )


def make_lead(task: str) -> gr.Button:
    """The way to a tab that has the model now."""
    name = f"Go to {task.capitalize()}"
    return gr.Button(name, visible=False, elem_id=f"models-to-{task}")
