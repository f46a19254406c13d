"""Choosing a class, shown only for models that know classes."""

from __future__ import annotations

from typing import Any

import gradio as gr

from imgsynth.errors import ImgsynthError
from imgsynth.families import LatentModel, Model
from imgsynth.ui.session import Session

ALL = "all in turn"


def make_class_picker(elem_id: str) -> gr.Dropdown:
    """Hidden until a model that knows classes is chosen."""
    return gr.Dropdown(
        [],
        label="Class",
        info="What kind of picture to draw.",
        visible=False,
        elem_id=elem_id,
    )


def class_names(model: LatentModel) -> list[str]:
    """What each class is called: its name where the file's hints tell, else its number alone."""
    names = model.opened.hints.get("class_names")
    if isinstance(names, list) and len(names) == model.classes and all(isinstance(n, str) for n in names):
        return [f"{number} · {name[:60]}" for number, name in enumerate(names)]
    return [str(number) for number in range(model.classes)]


def class_count(model: Model) -> int:
    return model.classes if isinstance(model, LatentModel) else 0


def fitting_classes(model: Model, chosen: Any, all_in_turn: bool) -> gr.Dropdown:
    """The class picker for a model; keeps what is chosen where the model knows it too.

    Args:
        all_in_turn: whether "all in turn" is one of the choices, and the first; else class 0 is.
    """
    if not isinstance(model, LatentModel) or not model.classes:
        return gr.Dropdown(visible=False)
    listed: list[tuple[str, str | int]] = [(name, n) for n, name in enumerate(class_names(model))]
    if all_in_turn:
        listed.insert(0, (ALL.capitalize(), ALL))
    values = [value for _, value in listed]
    return gr.Dropdown(listed, value=chosen if chosen in values else values[0], visible=True)


def chosen_label(model: Model, chosen: Any) -> int | None:
    """The label to ask a model for; None for "all in turn", and for what another model was chosen with."""
    known = isinstance(chosen, int) and 0 <= chosen < class_count(model)
    return chosen if known else None


def make_show_classes(session: Session, all_in_turn: bool) -> Any:
    """The event that brings the class picker in line with the chosen model, loading it if need be."""

    def show_classes(name: str | None, chosen: Any) -> Any:
        try:
            return fitting_classes(session.model(name or ""), chosen, all_in_turn)
        except ImgsynthError:  # drawing with it will tell
            return gr.Dropdown(visible=False)

    return show_classes
