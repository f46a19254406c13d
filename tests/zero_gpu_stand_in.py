"""Stands in for the package `spaces` as it is on ZeroGPU: forked processes work, behind pickling pipes.

A task is inherited by its process, which serves one event after the other; what it gets and gives is pickled
as the package's queues pickle it, and of its errors only Gradio's own come across.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

import gradio as gr
from gradio.context import LocalContext

Task = Callable[..., Any]

GIVE_UP = 120  # seconds after which a process that hangs is ended, and whoever waits for it gets an EOFError
FORK = multiprocessing.get_context("fork")


class Lender(ModuleType):
    """The package.

    Attributes:
        asked: seconds that each task asked for.
        forked: one process for each task that was called.
    """

    def __init__(self) -> None:
        super().__init__("spaces")
        self.__spec__: Any = inspect  # anything that is not None
        self.asked: dict[Task, int] = {}
        self.forked: dict[Task, Worker] = {}

    def GPU(self, task: Task, *, duration: int) -> Task:  # noqa: N802, the package's name
        self.asked[task] = duration

        @functools.wraps(task)
        def stream(*arguments: Any) -> Iterator[Any]:
            if task not in self.forked:
                self.forked[task] = Worker(task)
            yield from self.forked[task].results(arguments)

        @functools.wraps(task)
        def once(*arguments: Any) -> Any:
            (result,) = stream(*arguments)
            return result

        return stream if inspect.isgeneratorfunction(task) else once

    def end(self) -> None:
        for worker in self.forked.values():
            worker.process.terminate()
            worker.process.join()


class Worker:
    """A forked process for one task."""

    def __init__(self, task: Task) -> None:
        self.pipe, other = FORK.Pipe()
        self.process = FORK.Process(target=serve, args=(task, other), daemon=True)
        self.process.start()
        other.close()

    def results(self, arguments: tuple[Any, ...]) -> Iterator[Any]:
        self.pipe.send((arguments, LocalContext.event_id.get(None)))
        while (answer := self.pipe.recv()) is not None:
            kind, value = answer
            if kind == "error":
                raise value
            yield value


def serve(task: Task, pipe: Connection) -> None:
    """What the process does until it is ended."""
    signal.alarm(GIVE_UP)
    while True:
        arguments, event_id = pipe.recv()
        LocalContext.event_id.set(event_id)
        # In a thread, as the package has it: torch waits for ever on its own, which were not forked along.
        with ThreadPoolExecutor(1) as threads:
            threads.submit(copy_context().run, answer, task, arguments, pipe).result()


def answer(task: Task, arguments: tuple[Any, ...], pipe: Connection) -> None:
    try:
        result = task(*arguments)
        for item in result if inspect.isgenerator(result) else [result]:
            pipe.send(("result", item))
        pipe.send(None)
    except gr.Error as error:
        pipe.send(("error", error))
    except Exception as error:
        pipe.send(("error", gr.Error(type(error).__name__, title="ZeroGPU worker error")))
