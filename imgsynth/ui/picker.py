"""Picking a model by a strip of its own samples."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from imgsynth.checkpoints.catalog import Checkpoint, availability, available, bundled_path
from imgsynth.ui.session import CHEAP


def offered(task: str) -> list[Checkpoint]:
    """Checkpoints of a task that are on this machine already."""
    return [c for c in available().values() if task in c.tasks and availability(c) != "download"]


def strip_path(checkpoint: Checkpoint) -> Path:
    """A row of samples that ships beside a bundled checkpoint."""
    return bundled_path(checkpoint).with_suffix(".strip.jpg")


def strips_css() -> str:
    """One rule per bundled checkpoint: its samples on its card, embedded so that no request is needed."""
    rules = []
    for checkpoint in available().values():
        if checkpoint.source == "bundled" and (path := strip_path(checkpoint)).is_file():
            data = base64.b64encode(path.read_bytes()).decode()
            card = f'.picker label:has(input[value="{checkpoint.id}"])::before'
            rules.append(f'{card} {{ background-image: url("data:image/jpeg;base64,{data}"); }}')
    return "\n".join(rules)


def about(checkpoint: Checkpoint) -> str:
    """One line on what a model draws, its size and its licence."""
    size = f"{checkpoint.resolution} px · " if checkpoint.resolution else ""
    return f"{checkpoint.description} {size}Licence: {checkpoint.licence}"


def make_picker(task: str) -> gr.Radio:
    """The radio group of a tab, with a line on the chosen model below it."""
    choices = offered(task)
    by_id = {c.id: c for c in choices}
    first = choices[0].id if choices else None
    picker = gr.Radio(
        [(c.title, c.id) for c in choices],
        value=first,
        label="Model",
        elem_classes="picker",
        elem_id=f"{task}-model",
        info=None if choices else "No checkpoint for this task is on this machine.",
    )
    line = gr.Markdown(about(by_id[first]) if first else "", elem_classes="about")
    describe: Callable[[str], str] = lambda chosen: about(by_id[chosen]) if chosen in by_id else ""  # noqa: E731
    picker.change(describe, picker, line, **CHEAP)
    return picker
