"""Files that are made when they are asked for, and then downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from imgsynth.imaging.archive import write_zip
from imgsynth.ui.session import CHEAP, QUICK, new_folder, plain
from imgsynth.ui.shown import Pictures

# A download button of Gradio's hands out the file that it has when it is clicked, not the one made then.
HAND_OUT = """(file) => {
  const link = document.createElement("a");
  link.href = file.url;
  link.download = file.orig_name;
  link.click();
}"""


def download_made(button: gr.Button, make: Callable[..., str], inputs: Any) -> None:
    """Makes a file when a button is clicked, and lets the browser download it."""
    made = gr.DownloadButton(visible="hidden")
    making = button.click(plain(make), inputs, made, **{**QUICK, "show_progress": "minimal"})
    making.success(None, made, None, js=HAND_OUT, **CHEAP)


def zipped(pictures: Pictures) -> str:
    """All pictures and a contact sheet in one ZIP; returns its path."""
    files = ((f"{number:03d}-{shown.file.name}", shown.file) for number, shown in enumerate(pictures, 1))
    return str(write_zip(new_folder() / "pictures.zip", files, sheet=True))
