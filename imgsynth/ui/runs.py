"""What long runs of many pieces share: a stop that keeps what is done, and a list of what failed.

Gradio's own cancelling drops an event in the middle, together with whatever it was about to hand over; a
run that looks for a mark between two pieces ends in good order instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from imgsynth.families.tiling import Progress
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, literal, new_folder, still_wanted

Item = TypeVar("Item")

STOPPED = "Stopped after "
_MARK = "stopped"


def begin(earlier: str | None) -> str:
    """The folder of a new run's results; a run of the same button that is still under way ends."""
    stop(earlier)
    return str(new_folder())


def stop(run: str | None) -> None:
    """Asks a run to end after the piece at hand; its own last words say how far it came."""
    if run is not None and Path(run).is_dir():
        Path(run, _MARK).touch()


def is_stopped(run: str) -> bool:
    return Path(run, _MARK).exists()


def until_stopped(items: Iterable[Item], run: str) -> Iterator[Item]:
    """Passes items on until the run is stopped; once its event itself is cancelled, raises."""
    check = still_wanted()
    for item in items:
        check()
        yield item
        if is_stopped(run):
            return


def start_run(
    go: gr.Button, cancel: gr.Button, work: Any, inputs: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Runs `work` in the device's lane when `go` is clicked, and stops it when `cancel` is.

    Args:
        inputs: of `work`, which gets the run's folder after them.
        outputs: of `work`; the status line comes first and shows the progress.
    """
    run = gr.State(None)
    begun = go.click(begin, run, run, **CHEAP)
    shown: dict[str, Any] = {"show_progress_on": [outputs[0]], "trigger_mode": "multiple", **LANE, **PRIVATE}
    cancel.click(stop, run, None, **CHEAP)
    begun.then(work, [*inputs, run], list(outputs), **shown)


def counting_bar(progress: gr.Progress, doing: str, unit: str) -> Progress:
    """Counts the pieces of a result, and ends the work when its event is cancelled."""
    check = still_wanted()

    def report(done: int, total: int) -> None:
        check()
        progress((done, total), desc=doing, unit=unit)

    return report


def tile_bar(progress: gr.Progress, doing: str = "Painting") -> Progress:
    """Counts the tiles of a large photo, and ends the work when its event is cancelled."""
    check = still_wanted()

    def report(done: int, total: int) -> None:
        check()
        progress((done, total), desc=f"{doing} tile {min(done + 1, total)} of {total}", unit="tiles")

    return report


def reasons(sentences: Sequence[str]) -> str:
    """Why some pieces failed, as a Markdown list; empty where none did."""
    return "\n".join(f"- {literal(sentence)}" for sentence in sentences)
