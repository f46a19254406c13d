"""A queue that says it is full in the words our interface promises."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.queueing import Queue

MOST_WAITING = 32


class PlainQueue(Queue):
    """Gradio's queue with one sentence of its own replaced."""

    async def push(self, *args: Any, **kwargs: Any) -> Any:
        """As Gradio's; a full queue is told in one plain sentence."""
        accepted, message, status = await super().push(*args, **kwargs)
        if status == "queue_full":
            message = f"Try again in a minute: the queue is full, with {self.max_size} requests waiting."
        return accepted, message, status


def bound_queue(page: gr.Blocks) -> None:
    """Gives the page its bounded queue."""
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=4)
    page._queue.__class__ = PlainQueue
