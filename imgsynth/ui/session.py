"""What every event needs: the model of a visitor's choice, a place for results, errors in plain words."""

from __future__ import annotations

import contextvars
import functools
import html
import inspect
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from imgsynth.checkpoints.access import Access, Progress
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.naming import resolve
from imgsynth.errors import BadRequest, ImgsynthError
from imgsynth.families import Model
from imgsynth.imaging.record import Record
from imgsynth.imaging.write import encode_all
from imgsynth.runtime.opening import Runtime, open_file
from imgsynth.summaries import facts_of
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import recorded
from imgsynth.ui.dropped import Dropped, is_token

# All work on the device goes through one lane, so that two visitors never compete for its memory.
LANE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}
# Downloads take minutes; nobody's pictures wait for them.
DOWNLOADS: dict[str, Any] = {"concurrency_id": "downloads", "concurrency_limit": 2}
CHEAP: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# Quick too, but it may refuse: the page shows the sentence only of events that go through the queue.
QUICK: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
MOST_MEGABYTES = 500
PRIVATE: dict[str, Any] = {"api_visibility": "private"}

log = logging.getLogger(__name__)
Function = TypeVar("Function", bound=Callable[..., Any])
Item = TypeVar("Item")


def most_megabytes() -> int:
    """The largest file that a visitor may send or have downloaded: IMGSYNTH_VISITOR_MB, else 500.

    Raises:
        BadRequest: the variable is no whole number above 0.
    """
    given = os.environ.get("IMGSYNTH_VISITOR_MB") or str(MOST_MEGABYTES)
    if not given.isascii() or not given.isdigit() or not int(given):
        raise BadRequest(f"IMGSYNTH_VISITOR_MB is {given[:20]}; make it a whole number of megabytes.")
    return int(given)


def visitor_access() -> Access:
    """What a visitor may make the server download.

    The host's Hub token stays out of it unless IMGSYNTH_VISITOR_TOKEN is 1.
    """
    token = None if os.environ.get("IMGSYNTH_VISITOR_TOKEN") == "1" else False
    return Access(token, most_megabytes() * 1_000_000)


class Session:
    """The runtime as visitors may use it; of any one visitor it holds only files under secret names."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.access = visitor_access()
        self.uploads = Dropped()

    def checkpoint(self, what: str) -> Checkpoint:
        """The checkpoint of a catalog id, a Hub id or a token; a path of this machine is refused."""
        what = (what or "").strip()  # an API client may send null
        return self.uploads.get(what) if is_token(what) else resolve(what, paths_allowed=False)

    def model(self, what: str, progress: Progress | None = None) -> Model:
        return self.runtime.model(self.checkpoint(what), progress, self.access)

    def recorded(self, what: str, record: Record) -> Model:
        """The model that made a record's result; `what` names its checkpoint in this session."""
        checkpoint, wanted = self.checkpoint(what), record["checkpoint"].get("sha256")
        for model in self.runtime.pool.loaded():
            if (model.identity.id, model.identity.sha256) == (checkpoint.id, wanted):
                return model
        return self.runtime.model(recorded(checkpoint, record), None, self.access)

    def open(self, what: str, progress: Progress | None = None) -> tuple[dict[str, Any], Model]:
        """A model and what `inspect` tells of it; downloads it where it is not here yet."""
        facts = facts_of(open_file(self.checkpoint(what), progress, self.access))
        return facts, self.model(what, progress)


def new_folder() -> Path:
    """A fresh folder inside Gradio's cache: files there are served as they are and deleted with it."""
    folder = Path(get_upload_folder()) / "results" / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def save(picture: Picture, folder: Path | None = None) -> str:
    """Writes a picture as PNG with its record; returns the path."""
    return next(save_all(iter([picture]), folder))


def save_all(pictures: Iterator[Picture], folder: Path | None = None) -> Iterator[str]:
    """Writes pictures as they come, several at once; yields their paths in order."""
    place = folder or new_folder()
    jobs = ((place / f"{p.name}.png", p.image, p.record, p.icc) for p in pictures)
    return (str(path) for path in encode_all(jobs))


def wanted(items: Iterable[Item]) -> Iterator[Item]:
    """Passes items on while their event lives; the thread of a cancelled one would run on beside the next."""
    check = still_wanted()
    for item in items:
        check()
        yield item


def still_wanted() -> Callable[[], None]:
    """A check that raises once the event in which it was made has been cancelled."""
    event_id, page = LocalContext.event_id.get(None), LocalContext.blocks.get(None)

    def check() -> None:
        if event_id and page and event_id not in page._queue.event_ids_to_events:
            raise gr.Error("Cancelled.", print_exception=False)

    return check


def download_bar(progress: gr.Progress) -> Progress:
    """Shows a download in megabytes, and ends it when its event is cancelled."""
    check, context = still_wanted(), contextvars.copy_context()

    def report(done: int, total: int) -> None:
        check()
        so_far: Any = (done, total or None)
        size = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
        # The Hub's own transport reports from threads that know of no event.
        context.copy().run(progress, so_far, desc=f"Downloading {size}", unit="bytes")

    return report


def literal(text: str) -> str:
    """Text of a stranger as Markdown shows it letter by letter."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)


def plain(function: Function, on_page: bool = True) -> Function:
    """Errors of an event as toasts and API messages: ours with their sentence, others without details.

    Args:
        on_page: whether a toast tells them, which shows HTML; API clients get them letter by letter.
    """
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from function(*args, **kwargs)
            except Exception as error:
                raise as_toast(error, on_page) from error

        return generator  # type: ignore[return-value]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise as_toast(error, on_page) from error

    return call  # type: ignore[return-value]


def as_toast(error: Exception, on_page: bool) -> gr.Error:
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, ImgsynthError):
        told = html.escape(str(error), quote=False) if on_page else str(error)
        return gr.Error(told, title="Not done", duration=12, print_exception=False)
    log.exception("An event failed", exc_info=error)
    return gr.Error(
        "Something went wrong on our side; nothing of yours was lost, so try again.", title="Not done"
    )
