"""A page that follows a training run: its loss curves and its newest sheet.

It reads nothing but the log and the sheet beside the checkpoint. `train --watch` serves it from the process
that trains; it can as well be started on its own, while the run goes on elsewhere or when it is long over:

    python -m imgsynth.ui.training_page mine.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.training.log import sheet_path
from imgsynth.training.watch import Curve, Follower, summary
from imgsynth.ui.session import CHEAP
from imgsynth.ui.theme import CSS, make_theme

SECONDS = 3
BLANK = " "  # for a plot's axis; where nothing is said, Gradio writes the column's name
# Gradio shows what it has components for; no recipe has more figures than this.
MOST_CURVES = 12
PAGE_CSS = """
.meter { height: 4px; border-radius: 2px; background: var(--border-color-primary); overflow: hidden;
  margin: 8px 2px 0; }
.meter div { height: 100%; background: var(--color-accent); transition: width 0.4s; }
.sheet :is(.image-frame, img) { width: 100% !important; height: auto !important;
  object-fit: contain !important; }
@media (min-width: 1100px) {
  .curves { display: grid !important; grid-template-columns: 1fr 1fr; align-content: start; }
}
.note { margin: 8px 2px 0 !important; font-size: 13px; color: var(--body-text-color-subdued); }
"""
Seen = tuple[int, float]
"""What a session has been shown: the number of the last step, and when the sheet was written."""
NOTHING: Seen = (-1, 0.0)


class TrainingPage:
    """The page of one run; `out` is its checkpoint, which need not be there yet."""

    def __init__(self, out: Path) -> None:
        self.out, self.follower = out, Follower(out)
        with gr.Blocks(title=f"Training {out.stem}", analytics_enabled=False) as self.blocks:
            self.head = gr.HTML(self.header(), padding=False)
            with gr.Row(elem_classes="columns"):
                with gr.Column():
                    self.sheet = gr.Image(
                        show_label=False,
                        format="png",
                        buttons=["fullscreen", "download"],
                        elem_classes="sheet",
                    )
                with gr.Column(elem_classes="curves"):
                    self.plots = [
                        gr.LinePlot(x="step", y="value", height=200, show_label=True, visible=False)
                        for _ in range(MOST_CURVES)
                    ]
            seen = gr.State(NOTHING)
            outputs = [seen, self.head, self.sheet, *self.plots]
            gr.on([self.blocks.load, gr.Timer(SECONDS).tick], self.refresh, seen, outputs, **CHEAP)

    def refresh(self, seen: Seen) -> list[Any]:
        """What has changed since a session was last shown anything."""
        self.follower.look()
        last = self.follower.last
        now = (last["step"] if last else -1, written(sheet_path(self.out)))
        if now == seen:
            return [gr.skip()] * (3 + MOST_CURVES)
        sheet = picture(sheet_path(self.out)) if now[1] != seen[1] else gr.skip()
        plots = [plot(name, curve) for name, curve in list(self.follower.curves.items())[:MOST_CURVES]]
        return [now, self.header(), sheet, *plots, *[gr.skip()] * (MOST_CURVES - len(plots))]

    def header(self) -> str:
        """Name, how far the run is, and what happened last."""
        last = self.follower.last
        done = min(1.0, last["progress"]) if last else 0.0
        note = f'<p class="note">{escape(self.follower.note)}</p>' if self.follower.note else ""
        line = summary(last, self.follower.speed)
        return (
            f'<div id="header"><h1>{escape(self.out.stem)}</h1><p>{escape(line)}</p></div>'
            f'<div class="meter"><div style="width: {done:.1%}"></div></div>{note}'
        )


def plot(name: str, curve: Curve) -> gr.LinePlot:
    steps, values = curve.thinned()
    frame = pd.DataFrame({"step": steps, "value": values})
    return gr.LinePlot(frame, label=name, x_title=BLANK, y_title=BLANK, visible=True)


def written(path: Path) -> float:
    """When a file was last written; 0 where there is none."""
    return path.stat().st_mtime if path.exists() else 0.0


def picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


@contextmanager
def watching(out: Path, port: int | None = None) -> Iterator[str]:
    """Serves the page in threads of this process while the context lasts, and gives its address.

    Raises:
        BadRequest: the port is taken.
    """
    page = TrainingPage(out).blocks
    try:
        _, url, _ = page.launch(
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            theme=make_theme(),
            css=CSS + PAGE_CSS,
            footer_links=[],
            ssr_mode=False,
        )
    except OSError as error:
        raise BadRequest(f"Port {port} is taken; give --watch another one.") from error
    try:
        yield url
    finally:
        page.close(verbose=False)


def main() -> None:
    page = TrainingPage(Path(sys.argv[1])).blocks
    page.launch(theme=make_theme(), css=CSS + PAGE_CSS, footer_links=[], ssr_mode=False)


if __name__ == "__main__":
    main()
