"""From a checkpoint's name to a model that runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from imgsynth.architectures.registry import Opened, open_state_dict
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.fetch import OWNER, Access, Fetched, fetch
from imgsynth.checkpoints.naming import resolve
from imgsynth.checkpoints.state_dict import read_state_dict
from imgsynth.families import Identity, Model, wrap
from imgsynth.runtime.device import memory_guard, pick_device, pick_precision
from imgsynth.runtime.pool import ModelPool

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Inspected:
    """A checkpoint that was opened, and how."""

    opened: Opened
    fetched: Fetched
    unwrapped: tuple[str, ...]

    @property
    def warnings(self) -> list[str]:
        return [*self.fetched.notes, *self.opened.warnings]


def metadata_hints(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Facts that our own files carry in their safetensors metadata, as a config.json would."""
    try:
        config = json.loads(metadata.get("config", "{}"))
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def open_file(checkpoint: Checkpoint, progress: Progress | None = None, access: Access = OWNER) -> Inspected:
    """Fetches, reads and recognises a checkpoint; the network stays on the CPU.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    fetched = fetch(checkpoint, progress=progress, access=access)
    loaded = read_state_dict(fetched.path)
    hints = {**metadata_hints(loaded.metadata), **fetched.hints, **checkpoint.hints}
    return Inspected(open_state_dict(loaded.tensors, hints), fetched, loaded.unwrapped)


def load(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: str,
    progress: Progress | None = None,
    access: Access = OWNER,
) -> Model:
    """A checkpoint as a model of its family on the device."""
    inspected = open_file(checkpoint, progress, access)
    fetched = inspected.fetched
    identity = Identity(checkpoint.id, checkpoint.source, fetched.file, fetched.revision, fetched.sha256)
    opened = replace(inspected.opened, warnings=inspected.warnings)
    with memory_guard():
        return wrap(opened, identity, device, precision)


def open_checkpoint(
    what: str, device: str | None = None, precision: str | None = None, progress: Progress | None = None
) -> Model:
    """Opens a checkpoint by catalog id, path, or Hub name.

    Args:
        what: `avatars-gan`, `./file.safetensors`, `owner/name`, `owner/name:file@revision`.
        device: auto, cpu, cuda, cuda:N, mps; None reads IMGSYNTH_DEVICE, else auto.
        precision: auto, fp32, bf16, fp16; None reads IMGSYNTH_PRECISION, else auto.
        progress: called with (bytes done, bytes in all) while downloading.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    place = pick_device(device)
    return load(resolve(what), place, pick_precision(precision, place), progress)


class Runtime:
    """A device, a precision, and the models loaded there."""

    def __init__(
        self, device: str | None = None, precision: str | None = None, pool: ModelPool | None = None
    ) -> None:
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self.pool = pool or ModelPool()

    def model(
        self, checkpoint: Checkpoint, progress: Progress | None = None, access: Access = OWNER
    ) -> Model:
        """The model of a checkpoint, loaded if it is not there yet."""
        stamp = checkpoint.path.stat().st_mtime_ns if checkpoint.path and checkpoint.path.is_file() else None
        key = (checkpoint.id, checkpoint.repo, checkpoint.file, checkpoint.revision, checkpoint.path, stamp)
        return self.pool.get(key, lambda: load(checkpoint, self.device, self.precision, progress, access))
