"""Where pictures and films stand that visitors look at and do not change."""

from __future__ import annotations

import gradio as gr


def thumbnail_row(label: str, height: int, elem_id: str) -> gr.Gallery:
    """One row of small pictures to choose from."""
    return gr.Gallery(
        label=label,
        columns=8,
        height=height,
        object_fit="contain",
        fit_columns=False,
        allow_preview=False,
        interactive=False,
        format="png",
        buttons=[],
        elem_id=elem_id,
    )


def picture_to_come(label: str, elem_id: str, height: int | None = None, fullscreen: bool = True) -> gr.Image:
    """A picture that is hidden until there is one; the label is for screen readers."""
    return gr.Image(
        label=label,
        show_label=False,
        height=height,
        visible=False,
        interactive=False,
        format="png",
        buttons=["fullscreen"] if fullscreen else [],
        elem_id=elem_id,
    )


def film_to_come(label: str, elem_id: str, height: int) -> gr.Video:
    """A film that is hidden until there is one, and plays by itself."""
    return gr.Video(
        label=label,
        show_label=False,
        height=height,
        visible=False,
        interactive=False,
        autoplay=True,
        loop=True,
        elem_id=elem_id,
    )
