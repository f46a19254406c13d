"""The catalog as the Models tab shows it: one row per checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability, available, bundled_path
from imgsynth.summaries import TASKS
from imgsynth.ui.facts import architecture_title

ALL_TASKS = "All"
HEADERS = ["Model", "For", "Architecture", "Pixels", "MB", "Licence", "Where"]
# Pixels: shares of a phone's width would leave two letters to a column, where it had better scroll.
WIDTHS: list[str | int] = [250, 170, 220, 80, 80, 250, 164]
WHERE = {"bundled": "bundled", "cached": "on this machine", "download": "to download"}


def make_task_choice() -> gr.Radio:
    return gr.Radio(
        [ALL_TASKS, *(task.capitalize() for task in TASKS)],
        value=ALL_TASKS,
        label="Show models for",
        show_label=False,
        container=False,
        elem_id="models-task",
    )


def make_table() -> gr.Dataframe:
    return gr.Dataframe(
        rows(),
        headers=HEADERS,
        datatype=["str", "str", "str", "number", "number", "str", "str"],
        type="array",
        interactive=False,
        show_search="filter",
        column_widths=WIDTHS,
        max_height=300,
        buttons=[],
        label="Models",
        show_label=False,
        elem_id="models-table",
    )


def rows(task: str = ALL_TASKS) -> list[list[Any]]:
    """The checkpoints for one task or all, those that are on this machine first."""
    wanted = [c for c in available().values() if task == ALL_TASKS or task.lower() in c.tasks]
    return [row(c) for c in sorted(wanted, key=lambda c: availability(c) == "download")]


def row(checkpoint: Checkpoint) -> list[Any]:
    c, size = checkpoint, size_of(checkpoint)
    return [
        c.title,
        ", ".join(task.capitalize() for task in c.tasks),
        architecture_title(c.architecture),
        c.resolution or "",
        round(size / 1e6, 1) if size else "",
        c.licence,
        WHERE[availability(c)],
    ]


def size_of(checkpoint: Checkpoint) -> int | None:
    """The bytes of its file: of the one on this disk, else as the catalog has it."""
    import huggingface_hub

    c = checkpoint
    if c.source == "bundled":
        return bundled_path(c).stat().st_size
    found = huggingface_hub.try_to_load_from_cache(str(c.repo), c.file or "-", revision=c.revision)
    if isinstance(found, str):
        return Path(found).stat().st_size
    return c.bytes


def chosen_id(event: gr.SelectData) -> str | None:
    """The id of the row that was clicked; titles are unique."""
    title = event.row_value[0] if event.row_value else None
    return next((c.id for c in available().values() if c.title == title), None)
