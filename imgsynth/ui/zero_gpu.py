"""GPUs that a hosted Space borrows for one event at a time (Hugging Face ZeroGPU, the package `spaces`)."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

import gradio as gr

from imgsynth.ui.session import LANE

# How long a GPU is lent at most, in seconds: for one result, and for one that comes in parts (walks, clips,
# batches, searches). The platform ends what takes longer.
SECONDS, SECONDS_OF_STREAMS = 60, 120


def borrow_gpus(page: gr.Blocks) -> None:
    """Has every event of the device lane ask for a GPU, where the package is there.

    Anywhere but on ZeroGPU the package gives functions back as they are.
    """
    if importlib.util.find_spec("spaces") is None:
        return
    spaces: Any = importlib.import_module("spaces")
    for event in page.fns.values():
        if event.fn is not None and event.concurrency_id == LANE["concurrency_id"]:
            streams = inspect.isgeneratorfunction(event.fn)
            event.fn = spaces.GPU(event.fn, duration=SECONDS_OF_STREAMS if streams else SECONDS)
