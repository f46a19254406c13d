"""Events that borrow a GPU on a hosted Space."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest
import torch
from fastapi import Request
from gradio.blocks import Block
from PIL import Image

from imgsynth.checkpoints.naming import resolve
from imgsynth.runtime.opening import Runtime
from imgsynth.ui.app import build
from imgsynth.ui.session import LANE
from imgsynth.ui.zero_gpu import borrow_gpus, pack, unpack
from zero_gpu_stand_in import Lender

FLOWERS = Path(__file__).parents[1] / "weights" / "flowers-gan.safetensors"

Event = Any
event_ids = map("event-{}".format, itertools.count())


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lender]:
    lender = Lender()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "spaces", lender)
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        yield lender
    lender.end()


@pytest.fixture(scope="module")
def page(lender: Lender) -> gr.Blocks:
    return build(Runtime("cpu", "fp32"))


def in_the_lane(page: gr.Blocks) -> list[Event]:
    return [event for event in page.fns.values() if event.concurrency_id == LANE["concurrency_id"]]


def event_of(page: gr.Blocks, name: str) -> Event:
    """The first event of a function, told by Python's own name for that."""
    works = ((event, inspect.unwrap(event.fn)) for event in page.fns.values() if event.fn)
    return next(event for event, work in works if getattr(work, "__qualname__", "") == name)


def values_of(event: Event, **changes: Any) -> list[Any]:
    """What the inputs of an event begin with, in their order; `changes` are by the parts' `elem_id`."""
    return [changes.get(getattr(part, "elem_id", None) or "", part.value) for part in event.inputs]


def happen(page: gr.Blocks, event: Event, values: list[Any]) -> list[Any]:
    """All that an event hands over, when Gradio calls it for somebody in the queue."""
    queue: Any = page._queue
    event_id = next(event_ids)
    queue.event_ids_to_events[event_id] = event
    try:
        return asyncio.run(results_of(page, event, values, event_id))
    finally:
        del queue.event_ids_to_events[event_id]


async def results_of(page: gr.Blocks, event: Event, values: list[Any], event_id: str) -> list[Any]:
    options: dict[str, Any] = {"event_id": event_id, "in_event_listener": True}
    results, made = [], await page.call_function(event, values, **options)
    while made["is_generating"]:
        results.append(made["prediction"])
        made = await page.call_function(event, [], iterator=made["iterator"], **options)
    return results if event.types_generator else [made["prediction"]]


def described(updates: dict[Any, Any]) -> dict[Any, Any]:
    """Updates as values that can be compared."""
    made = {part: value.constructor_args for part, value in updates.items() if isinstance(value, Block)}
    return updates | made


# What asks for a GPU


def test_all_work_on_the_device_borrows_a_gpu_and_nothing_else_does(page: gr.Blocks, lender: Lender) -> None:
    lane = in_the_lane(page)
    streams = [inspect.isgeneratorfunction(function) for function in {event.fn for event in lane}]
    seconds = Counter(120 if stream else 60 for stream in streams)
    assert seconds == Counter(lender.asked.values())
    assert seconds[60] > 10 and seconds[120] > 10
    assert all(event.types_generator == inspect.isgeneratorfunction(event.fn) for event in lane)


def test_without_the_package_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert in_the_lane(build(Runtime("cpu")))


def small_page(function: Callable[..., Any]) -> gr.Blocks:
    """A page with one event, in the device lane."""
    with gr.Blocks() as page:
        gr.Button().click(function, None, gr.Textbox(), **LANE)
    return page


def test_anywhere_but_on_zero_gpu_the_package_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = ModuleType("spaces")
    package.__spec__, package.GPU = inspect, lambda task, duration: task
    monkeypatch.setitem(sys.modules, "spaces", package)
    page, runtime = small_page(lambda: "done"), Runtime("cpu")
    runtime.device = runtime.place = torch.device("meta")
    before, pool = page.fns[0].fn, runtime.pool
    borrow_gpus(page, runtime)
    assert page.fns[0].fn is before
    assert (runtime.place, runtime.pool) == (runtime.device, pool)


# What crosses


def test_a_result_in_parts_crosses(page: gr.Blocks) -> None:
    event = event_of(page, "SampleEvents.draw")
    *_, last = happen(page, event, values_of(event, **{"sample-seeds": "1-3"}))
    assert {part._id for part in last} <= {part._id for part in event.outputs}
    assert all(page.blocks[part._id] is part for part in last)
    shown = next(value for part, value in last.items() if isinstance(part, gr.State))
    assert [picture.record["request"]["seed"] for picture in shown] == [1, 2, 3]
    for picture in shown:
        with Image.open(picture.path) as image:
            assert image.size == (128, 128)


def test_updates_cross_as_what_they_were_made_with(page: gr.Blocks) -> None:
    event = event_of(page, "make_fill.<locals>.fill")
    (updates,) = happen(page, event, ["flowers-gan", None, {}])
    assert any(isinstance(value, gr.Column) for value in updates.values())
    direct = inspect.unwrap(event.fn)("flowers-gan", None, {})
    assert described(updates) == described(direct)


def test_what_every_event_gets_crosses(page: gr.Blocks) -> None:
    asked = [event for event in in_the_lane(page) if event.inputs_as_dict]
    assert len(asked) > 20
    for event in asked:
        values = dict(zip(event.inputs, values_of(event), strict=True))
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
            pickle.dumps(values)
        assert unpack(pack(values, page), page) == values


def test_a_visitors_request_crosses() -> None:
    heads = [(b"host", b"here"), (b"x-forwarded-for", b"10.1.2.3")]
    scope = {"type": "http", "headers": heads, "client": ("10.1.2.3", 5), "path": "/", "query_string": b""}
    scope |= {"method": "GET", "scheme": "http", "server": ("here", 80)}
    page = gr.Blocks()
    request = unpack(pack(gr.Request(Request(scope)), page), page)
    assert request.client.host == "10.1.2.3" and "x-forwarded-for" in request.headers


def test_a_refusal_crosses_with_its_sentence(page: gr.Blocks) -> None:
    event = event_of(page, "SampleEvents.draw")
    with pytest.raises(gr.Error, match="Seeds are whole numbers") as refused:
        happen(page, event, values_of(event, **{"sample-seeds": "<b>one</b>"}))
    assert "&lt;b&gt;" in str(refused.value.message)
    assert (refused.value.title, refused.value.print_exception) == ("Not done", False)


# What a process does not know that was forked before


def test_a_process_serves_events_that_came_after_it(page: gr.Blocks, lender: Lender) -> None:
    event = event_of(page, "Endpoints.sample")
    (first,) = happen(page, event, ["flowers-gan", "1", 1.0, None, ""])
    forked = len(lender.forked)
    (later,) = happen(page, event, ["flowers-gan", "1", 1.0, None, ""])
    assert len(lender.forked) == forked
    assert Path(first[0]).read_bytes() == Path(later[0]).read_bytes()


def test_a_process_finds_files_that_were_dropped_after_it(page: gr.Blocks) -> None:
    event = event_of(page, "Endpoints.sample")
    (known,) = happen(page, event, ["flowers-gan", "1", 1.0, None, ""])
    (opened,) = happen(page, event_of(page, "Endpoints.open"), ["", str(FLOWERS)])
    (drawn,) = happen(page, event, [opened["checkpoint"], "1", 1.0, None, ""])
    with Image.open(known[0]) as image, Image.open(drawn[0]) as other:
        assert image.tobytes() == other.tobytes()


def test_models_are_on_the_device_only_in_processes_that_borrowed_it(lender: Lender) -> None:
    runtime, checkpoint = Runtime("cpu"), resolve("flowers-gan")
    runtime.device = runtime.place = torch.device("meta")
    page = small_page(lambda: str(runtime.model(checkpoint).device))
    borrow_gpus(page, runtime)
    assert runtime.model(checkpoint).device.type == "cpu"
    assert happen(page, page.fns[0], []) == ["meta"]
    assert runtime.model(checkpoint).device.type == "cpu"
