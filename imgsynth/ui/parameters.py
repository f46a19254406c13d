"""What endpoints are declared with: parameters that no page shows, and checks of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from imgsynth.errors import BadImage, BadRequest
from imgsynth.ui.session import plain
from imgsynth.ui.uploads import FileInput


def given(path: str | None, name: str) -> str:
    """A file parameter that has no default; raises BadImage when it was left out."""
    if not path:
        raise BadImage(f"The parameter {name} is missing; send a picture file.")
    return path


def whole(value: float | None, name: str) -> int:
    """A number parameter that must be whole; raises BadRequest otherwise."""
    if not isinstance(value, int | float) or value % 1 != 0:  # nor infinite, nor not-a-number
        raise BadRequest(f"{name} must be a whole number, not {str(value)[:40]}.")
    return int(value)


def optional(label: float | None) -> int | None:
    return None if label is None else whole(label, "label")


def text(label: str, value: str | None = None) -> gr.Textbox:
    return gr.Textbox(value, label=label, visible=False)


def number(label: str, value: float | None = None) -> gr.Number:
    return gr.Number(value, label=label, visible=False)


def file(label: str) -> FileInput:
    return FileInput(label=label, visible=False)


def files(label: str) -> FileInput:
    return FileInput(label=label, file_count="multiple", visible=False)


def add(
    function: Callable[..., Any], inputs: Sequence[Any], output: Any, options: dict[str, Any] | None = None
) -> None:
    endpoint = plain(function, on_page=False)
    gr.Button(visible=False).click(
        endpoint, list(inputs), output, api_name=function.__name__, **(options or {})
    )
