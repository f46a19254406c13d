"""Several processes of one run, as `torchrun` starts them: one a GPU, or one a few CPU cores.

Each process draws the random numbers of the whole batch, that is of all processes, and keeps those of its own
samples. Gradients are averaged before an optimiser steps, so the networks stay equal everywhere. Buffers are
not averaged: a batch norm sees the samples of its own process, and the first process's running means are
kept, as in DistributedDataParallel. Only the first process writes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from imgsynth.errors import DeviceUnavailable


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Joins the other processes, where torchrun has started some, and gives the device of this one.

    Raises:
        DeviceUnavailable: there are fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    device = own_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def own_device(device: torch.device, local_rank: int) -> torch.device:
    """The GPU of this process; all processes of a machine share its CPU."""
    if device.type == "mps":
        raise DeviceUnavailable("An Apple GPU trains in one process; leave out torchrun or add --device cpu.")
    if device.type != "cuda":
        return device
    if local_rank >= torch.cuda.device_count():
        raise DeviceUnavailable(
            f"There are more processes than GPUs here; start torchrun with --nproc-per-node "
            f"{torch.cuda.device_count()}."
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)  # NCCL sends what has no device of its own through the current one
    return device


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if is_shared() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if is_shared() else 0


def is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def own(batch: int) -> slice:
    """The samples of this process among those of all; `batch` is what each process takes."""
    return slice(rank() * batch, (rank() + 1) * batch)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces gradients by their means over the processes; each process has them for the same parameters."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not is_shared() or not gradients:
        return
    # One message: a network has hundreds of small tensors.
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))


def means(values: Sequence[float], device: torch.device) -> list[float]:
    """Means over the processes, equal on all: what decides how a run goes on must not differ."""
    if not is_shared():
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(shared)
    return (shared / world_size()).tolist()


def gather(value: Any) -> list[Any]:
    """What each process gave (tensors and plain values), in their order, on the CPU."""
    if not is_shared():
        return [value]
    packed = io.BytesIO()
    torch.save(value, packed)
    everyone: list[Any] = [None] * world_size()
    dist.all_gather_object(everyone, packed.getvalue())
    return [torch.load(io.BytesIO(each), map_location="cpu", weights_only=True) for each in everyone]
