"""The events of the Translate tab as their tests call them. Fixtures: translate_fixtures.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app_server import assert_plain

# Models by name, and the model that leads back.
PAIRS = {"there": "back", "back": "there", "alone": None, "broken": None}


class Bar:
    """Takes the place of Gradio's progress and remembers what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, progress: Any, desc: str = "", unit: str = "") -> None:
        self.shown.append(f"{desc} {progress[0]}/{progress[1]}" if isinstance(progress, tuple) else desc)


def values(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def value_of(component: gr.components.Component) -> Any:
    """What an event gives a component to show."""
    return component.constructor_args["value"]


def refusal(call: Any) -> str:
    with pytest.raises(gr.Error) as caught:
        call()
    assert_plain(caught.value.message)
    return str(caught.value.message)
