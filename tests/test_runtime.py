"""Devices by name, and the pool of loaded models: loaded once, shared, the longest unused out first."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from builders import model_of, save, tiny_dcgan
from imgsynth.checkpoints.naming import from_path
from imgsynth.errors import BadRequest, CheckpointUnreadable, DeviceUnavailable, OutOfMemory
from imgsynth.families import Model
from imgsynth.runtime.device import best_device, describe, memory_guard, pick_device, pick_precision
from imgsynth.runtime.opening import Runtime, open_checkpoint
from imgsynth.runtime.pool import ModelPool

CPU = torch.device("cpu")
WAIT = 20  # seconds after which a thread that should have moved has failed


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMGSYNTH_DEVICE", raising=False)
    monkeypatch.delenv("IMGSYNTH_PRECISION", raising=False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_devices_by_name(two_gpus: None) -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("cuda").type == "cuda"
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    assert pick_device("auto") == best_device() == torch.device("cuda", 0)


def test_without_a_gpu_auto_is_the_cpu(no_gpu: None) -> None:
    assert pick_device() == pick_device("auto") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_is_named(name: str, no_gpu: None) -> None:
    with pytest.raises(DeviceUnavailable, match=f"no device {name};"):
        pick_device(name)


def test_a_gpu_too_many_is_named(two_gpus: None) -> None:
    with pytest.raises(DeviceUnavailable, match="no device cuda:2;"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    "name", ["gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:٣", "mps:0", " "]
)
def test_no_such_name_of_a_device(name: str, two_gpus: None) -> None:
    with pytest.raises(BadRequest, match="must be auto, cpu, cuda, cuda:N or mps"):
        pick_device(name)


def test_the_environment_chooses_where_nobody_else_does(
    monkeypatch: pytest.MonkeyPatch, two_gpus: None
) -> None:
    monkeypatch.setenv("IMGSYNTH_DEVICE", "cuda:1")
    monkeypatch.setenv("IMGSYNTH_PRECISION", "bf16")
    runtime = Runtime()
    assert (runtime.device, runtime.precision) == (torch.device("cuda", 1), "bf16")
    runtime = Runtime("cpu", "fp32")
    assert (runtime.device, runtime.precision) == (CPU, "fp32")


def test_precisions_by_name() -> None:
    assert pick_precision(None, CPU) == pick_precision("auto", CPU) == "fp32"
    assert pick_precision("bf16", CPU) == "bf16"
    assert pick_precision("fp16", torch.device("cuda")) == "fp16"


@pytest.mark.parametrize(
    ("name", "about"), [("fp16", "A CPU runs"), ("fp64", "must be one of"), ("FP32", "must")]
)
def test_precisions_that_cannot_be(name: str, about: str) -> None:
    with pytest.raises(BadRequest, match=about):
        pick_precision(name, CPU)


def test_the_badge_counts_threads() -> None:
    assert describe(CPU).startswith(f"CPU · {torch.get_num_threads()} thread")


def test_too_little_memory_is_a_sentence() -> None:
    with pytest.raises(OutOfMemory, match="This machine has too little memory"), memory_guard():
        torch.empty(2**58)
    with pytest.raises(OutOfMemory, match="The GPU has too little memory"), memory_guard():
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_other_errors_pass_the_memory_guard() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_guard():
        raise RuntimeError("shapes differ")


def test_a_model_runs_in_reduced_precision(tmp_path: Path) -> None:
    path = save(tiny_dcgan().state_dict(), tmp_path / "tiny.safetensors")
    plain, reduced = (open_checkpoint(str(path), "cpu", precision) for precision in ("fp32", "bf16"))
    z = plain.latents([1, 2])
    exact, rough = plain.render(z), reduced.render(z)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert (exact - rough).abs().max() < 0.1


# The pool


def sized(parameters: int) -> Model:
    """A model that takes 4 bytes per parameter."""
    model = model_of(tiny_dcgan())
    model.network = nn.Linear(parameters, 1, bias=False)
    return model


def never() -> Model:
    raise AssertionError("This model was loaded already.")


def failing() -> Model:
    raise CheckpointUnreadable("broken.pth is damaged.")


def test_a_model_is_loaded_once() -> None:
    pool, model = ModelPool(), sized(1)
    assert pool.get("a", lambda: model) is model
    assert pool.get("a", never) is model
    assert pool.loaded() == [model]
    assert pool.bytes_in_memory() == 4


def test_the_longest_unused_goes_first() -> None:
    pool = ModelPool(budget=2 * 400)
    a, b, c = (sized(100) for _ in range(3))
    pool.get("a", lambda: a)
    pool.get("b", lambda: b)
    pool.get("a", never)
    pool.get("c", lambda: c)
    assert pool.loaded() == [a, c]
    assert pool.bytes_in_memory() == 800


def test_as_many_go_as_must() -> None:
    pool, large = ModelPool(budget=1000), sized(200)
    for name in "abc":
        pool.get(name, lambda: sized(75))
    pool.get("large", lambda: large)
    assert pool.loaded() == [large]


def test_a_model_larger_than_the_budget_is_still_kept() -> None:
    pool, large = ModelPool(budget=10), sized(100)
    pool.get("small", lambda: sized(1))
    assert pool.get("large", lambda: large) is large
    assert pool.loaded() == [large]


def test_a_failed_load_changes_nothing() -> None:
    pool, model = ModelPool(), sized(1)
    pool.get("a", lambda: model)
    with pytest.raises(CheckpointUnreadable):
        pool.get("b", failing)
    assert pool.loaded() == [model]
    assert pool.get("a", never) is model
    other = sized(1)
    assert pool.get("b", lambda: other) is other


class Watched(ModelPool):
    """Counts how often somebody has looked for a model in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.vain = threading.Semaphore(0)

    def _used(self, key: Hashable) -> Model | None:
        if (model := super()._used(key)) is None:
            self.vain.release()
        return model


def test_many_who_ask_at_once_share_one_load() -> None:
    pool, model, loads = Watched(), sized(1), []
    everybody = threading.Barrier(8, timeout=WAIT)

    def load() -> Model:
        loads.append(threading.get_ident())
        for _ in range(8):  # not done before all of them have seen that it is not there
            assert pool.vain.acquire(timeout=WAIT)
        return model

    def ask() -> Model:
        everybody.wait()
        return pool.get("a", load)

    with ThreadPoolExecutor(8) as threads:
        got = [future.result(WAIT) for future in [threads.submit(ask) for _ in range(8)]]
    assert all(m is model for m in got)
    assert len(loads) == 1


def test_a_slow_load_keeps_nobody_else_waiting() -> None:
    pool, slow, quick = ModelPool(), sized(1), sized(1)
    started, go_on = threading.Event(), threading.Event()

    def load() -> Model:
        started.set()
        assert go_on.wait(WAIT)
        return slow

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.get, "slow", load)
        assert started.wait(WAIT)
        assert pool.get("quick", lambda: quick) is quick
        assert pool.loaded() == [quick]
        go_on.set()
        assert waiting.result(WAIT) is slow


def test_whoever_waited_for_a_load_that_failed_tries_again() -> None:
    pool, model = ModelPool(), sized(1)
    first_is_in, both_asked = threading.Event(), threading.Event()

    def fail() -> Model:
        first_is_in.set()
        assert both_asked.wait(WAIT)
        return failing()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.get, "a", fail)
        assert first_is_in.wait(WAIT)
        second = threads.submit(pool.get, "a", lambda: model)
        both_asked.set()
        with pytest.raises(CheckpointUnreadable):
            first.result(WAIT)
        assert second.result(WAIT) is model


def test_a_runtime_loads_a_file_again_only_when_it_has_changed(tmp_path: Path) -> None:
    path = save(tiny_dcgan(seed=1).state_dict(), tmp_path / "tiny.safetensors")
    runtime = Runtime("cpu")
    before = runtime.model(from_path(path))
    assert runtime.model(from_path(path)) is before
    save(tiny_dcgan(seed=2).state_dict(), path)
    os.utime(path, ns=(0, 10**18))  # a time that no file written now has
    after = runtime.model(from_path(path))
    assert after is not before
    assert after.identity.sha256 != before.identity.sha256


def test_a_failed_switch_leaves_the_old_model_standing(tmp_path: Path) -> None:
    good = save(tiny_dcgan().state_dict(), tmp_path / "good.safetensors")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights at all")
    runtime = Runtime("cpu")
    model = runtime.model(from_path(good))
    with pytest.raises(CheckpointUnreadable):
        runtime.model(from_path(broken))
    assert runtime.pool.loaded() == [model]
