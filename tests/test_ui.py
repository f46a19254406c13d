"""What every event of the page leans on, without a server."""

from __future__ import annotations

import contextvars
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from app_server import assert_plain
from imgsynth.errors import BadRequest
from imgsynth.ui.session import plain, wanted


def test_work_for_a_cancelled_event_ends() -> None:
    def event() -> None:
        waiting: dict[str, Any] = {"walk": object()}
        LocalContext.event_id.set("walk")
        LocalContext.blocks.set(SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events=waiting)))
        frames = wanted(range(9))
        assert [next(frames), next(frames)] == [0, 1]
        waiting.clear()
        with pytest.raises(gr.Error):
            next(frames)

    contextvars.Context().run(event)


def test_work_outside_an_event_runs_to_its_end() -> None:
    assert contextvars.Context().run(lambda: list(wanted(range(9)))) == list(range(9))


def test_our_errors_keep_their_sentence_and_others_tell_nothing() -> None:
    @plain
    def event(error: Exception) -> None:
        raise error

    @plain
    def stream(error: Exception) -> Any:
        yield 1
        raise error

    for call in (event, lambda error: list(stream(error))):
        with pytest.raises(gr.Error) as refused:
            call(BadRequest("Seeds are whole numbers."))
        assert refused.value.message == "Seeds are whole numbers."
        with pytest.raises(gr.Error) as failed:
            call(RuntimeError("no kernel at /opt/secret"))
        assert_plain(failed.value.message)
        assert "secret" not in failed.value.message
