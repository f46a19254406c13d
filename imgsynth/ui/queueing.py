"""A queue that answers in plain sentences what Gradio would leave to each client's own words."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr
from gradio.queueing import Event, Queue
from gradio.route_utils import get_fn
from gradio.server_messages import EventMessage, ProcessCompletedMessage

MOST_WAITING = 32
FULL = "Try again in a minute: the queue is full, with {} requests waiting."
# A value of the wrong kind, or a file that was never uploaded, fails before any code of ours runs.
UNREADABLE = (
    "The request could not be carried out; "
    "give every value as the API page describes it, and every file as an upload."
)


class PlainQueue(Queue):
    """Gradio's queue with sentences of ours."""

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """As Gradio's; a full queue is told through the event stream.

        Browser and Python client show words of their own for HTTP 503 and drop the server's.
        """
        accepted, message, status = await super().push(body, request, username)
        if status != "queue_full":
            return accepted, message, status
        event = Event(body.session_hash, get_fn(self.blocks, None, body), request, username)
        async with self.pending_message_lock:
            if event.session_hash not in self.pending_messages_per_session:
                self.pending_messages_per_session[event.session_hash] = asyncio.Queue()
            self.pending_event_ids_session.setdefault(event.session_hash, set()).add(event._id)
        self.send_message(event, refusal(FULL.format(self.max_size)))
        return True, event._id, "success"

    async def remove_from_queue(self, event_id: str) -> None:
        """As Gradio's, for a cancelled event; the page would take an end without data for an error."""
        await super().remove_from_queue(event_id)
        end = ProcessCompletedMessage(output={"data": []}, success=True, event_id=event_id)
        for session_hash, event_ids in self.pending_event_ids_session.items():
            if event_id in event_ids and session_hash in self.pending_messages_per_session:
                self.pending_messages_per_session[session_hash].put_nowait(end)

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """As Gradio's; an error without words gets a sentence."""
        output = getattr(event_message, "output", None)
        if isinstance(output, dict) and "error" in output and output["error"] is None:
            event_message = refusal(UNREADABLE)
        super().send_message(event, event_message)


def refusal(sentence: str) -> ProcessCompletedMessage:
    """The end of an event that could not be done."""
    output = {"error": sentence, "duration": 12, "visible": True, "title": "Not done"}
    return ProcessCompletedMessage(output=output, title="Not done", success=False)


def bound_queue(page: gr.Blocks) -> None:
    """Gives the page its bounded queue."""
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=4)
    page._queue.__class__ = PlainQueue
