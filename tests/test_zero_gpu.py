"""Events that borrow a GPU on a hosted Space."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

import pytest

from imgsynth.runtime.opening import Runtime
from imgsynth.ui.app import build
from imgsynth.ui.session import LANE


@pytest.fixture
def borrowed(monkeypatch: pytest.MonkeyPatch) -> dict[Any, int]:
    """Seconds asked for, by function, of a package that stands in for `spaces`."""
    asked: dict[Any, int] = {}
    package: Any = ModuleType("spaces")
    package.__spec__ = inspect  # anything that is not None

    def gpu(function: Any, *, duration: int) -> Any:
        asked[function] = duration
        return function

    package.GPU = gpu
    monkeypatch.setitem(sys.modules, "spaces", package)
    return asked


def in_the_lane(page: Any) -> list[Any]:
    return [event.fn for event in page.fns.values() if event.concurrency_id == LANE["concurrency_id"]]


def test_all_work_on_the_device_borrows_a_gpu_and_nothing_else_does(borrowed: dict[Any, int]) -> None:
    page = build(Runtime("cpu"))
    assert set(borrowed) == set(in_the_lane(page)) and len(borrowed) > 10
    streams = {function for function in borrowed if inspect.isgeneratorfunction(function)}
    assert streams and streams != set(borrowed)
    assert {borrowed[function] for function in streams} == {120}
    assert {borrowed[function] for function in borrowed.keys() - streams} == {60}


def test_without_the_package_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert in_the_lane(build(Runtime("cpu")))
