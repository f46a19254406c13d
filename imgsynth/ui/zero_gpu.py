"""GPUs that a hosted Space borrows for one event at a time (Hugging Face ZeroGPU, the package `spaces`).

Only a forked process ever reaches such a GPU. It inherits an event's function, while what that gets and gives
is pickled; and it may serve later events too, of which its copy of the page knows nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import pickle
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import gradio as gr
import torch
from gradio.blocks import Block
from gradio.context import LocalContext

from imgsynth.runtime.opening import Runtime
from imgsynth.ui.session import LANE

# How long a GPU is lent at most, in seconds: for one result, and for one that comes in parts (walks, clips,
# batches, searches). The platform ends what takes longer.
SECONDS, SECONDS_OF_STREAMS = 60, 120

Function = Callable[..., Any]


def borrow_gpus(page: gr.Blocks, runtime: Runtime) -> None:
    """Has every event of the device lane ask for a GPU, where the package is there.

    Anywhere but on ZeroGPU the package gives functions back as they are, and so does this.
    """
    if importlib.util.find_spec("spaces") is None:
        return
    spaces: Any = importlib.import_module("spaces")
    lane = [event for event in page.fns.values() if event.concurrency_id == LANE["concurrency_id"]]
    # Events of one function share what was forked for it, and the models that were loaded there.
    functions = {event.fn for event in lane if event.fn}
    lent = {function: lend(function, page, runtime, spaces) for function in functions}
    for event in lane:
        event.fn = event.fn and lent[event.fn]
    if any(given is not function for function, given in lent.items()):
        runtime.move_to(torch.device("cpu"))  # for the events that only look at a model


def lend(function: Function, page: gr.Blocks, runtime: Runtime, spaces: Any) -> Function:
    """The function as it asks for a GPU; itself where the package lends none."""
    streams = inspect.isgeneratorfunction(function)
    work = inside(function, page, runtime)
    borrowed = spaces.GPU(work, duration=SECONDS_OF_STREAMS if streams else SECONDS)
    return function if borrowed is work else outside(function, page, borrowed)


def inside(function: Function, page: gr.Blocks, runtime: Runtime) -> Function:
    """What the forked process does: packed arguments in, packed results out."""

    def once(arguments: bytes) -> bytes:
        settle(page, runtime)
        return pack(function(*unpack(arguments, page)), page)

    def stream(arguments: bytes) -> Iterator[bytes]:
        settle(page, runtime)
        for result in function(*unpack(arguments, page)):
            yield pack(result, page)

    return stream if inspect.isgeneratorfunction(function) else once


def outside(function: Function, page: gr.Blocks, borrowed: Function) -> Function:
    """What stands in the function's place on the page; `borrowed` takes and gives what is packed."""

    @functools.wraps(function)
    def once(*arguments: Any) -> Any:
        return unpack(borrowed(pack(arguments, page)), page)

    @functools.wraps(function)
    def stream(*arguments: Any) -> Iterator[Any]:
        for result in borrowed(pack(arguments, page)):
            yield unpack(result, page)

    return stream if inspect.isgeneratorfunction(function) else once


def settle(page: gr.Blocks, runtime: Runtime) -> None:
    """Makes a forked process fit for the event that it is to serve."""
    queue: Any = page._queue
    # An event that came after the fork is not in this copy of the queue, and would pass for a cancelled one.
    queue.event_ids_to_events = {LocalContext.event_id.get(None): None}
    if runtime.place != runtime.device:
        runtime.move_to(runtime.device)


def pack(what: Any, page: gr.Blocks) -> bytes:
    packed = BytesIO()
    Packer(packed, page).dump(what)
    return packed.getvalue()


def unpack(packed: bytes, page: gr.Blocks) -> Any:
    return Unpacker(BytesIO(packed), page).load()


class Packer(pickle.Pickler):
    """Pickles components too: those of the page by their number.

    Any other is an update, of which Gradio wants nothing but what it was made with.
    """

    def __init__(self, file: BytesIO, page: gr.Blocks) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.page = page

    def persistent_id(self, item: Any) -> int | None:
        number = getattr(item, "_id", None) if isinstance(item, Block) else None
        return number if number is not None and self.page.blocks.get(number) is item else None

    def reducer_override(self, item: Any) -> Any:
        if not isinstance(item, Block):
            return NotImplemented
        return object.__new__, (type(item),), {"_constructor_args": [item.constructor_args]}


class Unpacker(pickle.Unpickler):
    """Reads what a `Packer` of the same page wrote, on either side of the fork."""

    def __init__(self, file: BytesIO, page: gr.Blocks) -> None:
        super().__init__(file)
        self.page = page

    def persistent_load(self, number: int) -> Block:
        return self.page.blocks[number]
