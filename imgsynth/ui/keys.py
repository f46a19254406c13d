"""The page's keys, and the sheet that lists them."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from imgsynth.ui.session import CHEAP

# Keys, what they do, and where; Ctrl is Command on a Mac.
SHORTCUTS = (
    ("Ctrl Z", "Undo the last stroke", "Inpaint"),
    ("Ctrl Shift Z", "Redo it", "Inpaint"),
    ("[", "A smaller brush or eraser", "Inpaint"),
    ("]", "A larger brush or eraser", "Inpaint"),
    ("B", "Hold to see the original", "Inpaint"),
    ("Ctrl Enter", "Press the tab's main button", "Every tab"),
    ("?", "Open this sheet", "Every tab"),
    ("Esc", "Close it", "Every tab"),
)
SCRIPT = Path(__file__).with_name("keys.js").read_text("utf-8")


def sheet() -> str:
    """The button and the dialog it opens, as HTML."""
    rows = "".join(
        f"<tr><td>{keycaps(keys)}</td><td>{what}</td><td>{where}</td></tr>" for keys, what, where in SHORTCUTS
    )
    return (
        '<button id="keys-open" type="button" title="Keyboard shortcuts" aria-label="Keyboard shortcuts" '
        'aria-haspopup="dialog">?</button>'
        '<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keyboard shortcuts</h2>'
        "<table><thead><tr><th>Keys</th><th>What they do</th><th>Where</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        "<p>On a Mac, Command takes the place of Ctrl. Keys rest while you type in a field.</p>"
        '<form method="dialog"><button>Close</button></form></dialog>'
    )


def keycaps(keys: str) -> str:
    return " ".join(f"<kbd>{key}</kbd>" for key in keys.split())


def add_keys(page: gr.Blocks) -> None:
    """Adds the sheet with its button at the top of the page, and the script that listens."""
    gr.HTML(sheet(), padding=False, elem_id="keys-corner")
    page.load(None, None, None, js=SCRIPT, **CHEAP)
