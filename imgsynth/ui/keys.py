"""The page's keys, and the sheet that lists them."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from imgsynth.ui.languages import Say, english
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
NOTE = "On a Mac, Command takes the place of Ctrl. Keys rest while you type in a field."
SCRIPT = Path(__file__).with_name("keys.js").read_text("utf-8")


def sheet(say: Say = english) -> str:
    """The button and the dialog it opens, as HTML."""
    title = say("Keyboard shortcuts")
    rows = "".join(
        f"<tr><td>{keycaps(keys)}</td><td>{say(what)}</td><td>{say(where)}</td></tr>"
        for keys, what, where in SHORTCUTS
    )
    return (
        f'<button id="keys-open" type="button" title="{title}" aria-label="{title}" '
        'aria-haspopup="dialog">?</button>'
        f'<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">{title}</h2>'
        f"<table><thead><tr><th>{say('Keys')}</th><th>{say('What they do')}</th><th>{say('Where')}</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>{say(NOTE)}</p>"
        f'<form method="dialog"><button>{say("Close")}</button></form></dialog>'
    )


def keycaps(keys: str) -> str:
    return " ".join(f"<kbd>{key}</kbd>" for key in keys.split())


def add_keys(page: gr.Blocks) -> None:
    """Adds the sheet with its button at the top of the page, and the script that listens."""
    gr.HTML(sheet(), padding=False, elem_id="keys-corner")
    page.load(None, None, None, js=SCRIPT, **CHEAP)
