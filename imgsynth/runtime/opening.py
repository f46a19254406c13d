"""From a checkpoint's name to a model that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from imgsynth.architectures.registry import Opened, open_state_dict, recognise
from imgsynth.checkpoints.access import OWNER, Access, Progress
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.client import explained
from imgsynth.checkpoints.config import read_config
from imgsynth.checkpoints.directions import directions_beside, directions_on_hub
from imgsynth.checkpoints.fetch import fetch
from imgsynth.checkpoints.headers import has_header, read_header
from imgsynth.checkpoints.hub import Plan, check_size, make_plan, sum_on_hub
from imgsynth.checkpoints.naming import resolve
from imgsynth.checkpoints.state_dict import Loaded, read_state_dict
from imgsynth.checkpoints.verify import Verified
from imgsynth.families import Identity, Model, wrap
from imgsynth.runtime.device import memory_guard, pick_device, pick_precision
from imgsynth.runtime.halves import completed
from imgsynth.runtime.pool import ModelPool


@dataclass(frozen=True)
class Inspected:
    """What a checkpoint turned out to be.

    Attributes:
        opened: the network; on the "meta" device where only the file's header was read.
        file, revision: which file it is, at which commit of the Hub.
        sha256, bytes: of the file; None where nobody tells before it is downloaded.
        unwrapped: containers and prefixes that were taken off.
        notes: sentences that a person should see.
        verified: who vouches for the bytes of a file from the Hub.
        downloaded: whether the whole file was read.
    """

    opened: Opened
    file: str
    revision: str | None
    sha256: str | None
    bytes: int | None
    unwrapped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    verified: Verified | None = None
    downloaded: bool = True

    @property
    def warnings(self) -> list[str]:
        return [*self.notes, *self.opened.warnings]


def metadata_hints(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Facts that our own files carry in their safetensors metadata, as a config.json would."""
    try:
        config = json.loads(metadata.get("config", "{}"))
    except (ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def open_file(checkpoint: Checkpoint, progress: Progress | None = None, access: Access = OWNER) -> Inspected:
    """Fetches, reads and recognises a checkpoint; the network stays on the CPU.

    What a header tells is looked at before anything is downloaded, so that a file which would be refused
    costs no time.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    plan = make_plan(checkpoint, access) if checkpoint.source == "hub" else None
    if plan:
        check_size(plan, access)
    if plan and not plan.cached and has_header(plan.checkpoint.file):
        recognise_header(plan, access)
    fetched = fetch(checkpoint, progress=progress, access=access, plan=plan)
    loaded = read_state_dict(fetched.path)
    hints = {**metadata_hints(loaded.metadata), **fetched.hints}
    tensors, notes = completed(
        loaded.tensors,
        plan.pinned if plan else checkpoint,
        lambda other: read_state_dict(fetch(other, progress=progress, access=access).path).tensors,
    )
    opened = open_state_dict(tensors, hints, loaded.beside)
    said = add_directions(opened, checkpoint, plan, access)
    return Inspected(
        opened,
        fetched.file,
        fetched.revision,
        fetched.sha256,
        fetched.bytes,
        loaded.unwrapped,
        (*fetched.notes, *notes, *said),
        fetched.verified,
    )


def add_directions(
    opened: Opened, checkpoint: Checkpoint, plan: Plan | None, access: Access
) -> tuple[str, ...]:
    """Gives a network with latents the directions that lie beside its weights; returns notes on them."""
    if opened.architecture.latent_shape(opened.hyperparameters) is None:
        return ()
    if plan:
        opened.directions, notes = directions_on_hub(plan, access)
    elif checkpoint.source == "file" and checkpoint.path:
        opened.directions, notes = directions_beside(checkpoint.path)
    else:
        return ()
    return notes


def recognise_header(plan: Plan, access: Access) -> tuple[Opened, Loaded]:
    """What a file on the Hub will turn out to be, from its header and config.json.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """

    def read(checkpoint: Checkpoint) -> Loaded:
        with explained(checkpoint):
            return read_header(checkpoint, access)

    header = read(plan.pinned)
    config, _ = read_config(plan, access)
    hints = {**metadata_hints(header.metadata), **config, **plan.checkpoint.hints}
    tensors, _ = completed(header.tensors, plan.pinned, lambda other: read(other).tensors)
    return recognise(tensors, hints)[0], header


def inspect_checkpoint(
    checkpoint: Checkpoint, progress: Progress | None = None, access: Access = OWNER
) -> Inspected:
    """What a checkpoint is, without downloading it where its header tells.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    if checkpoint.source != "hub":
        return open_file(checkpoint, progress, access)
    plan = make_plan(checkpoint, access)
    if plan.cached or not has_header(plan.checkpoint.file):
        return open_file(plan.pinned, progress, access)
    opened, header = recognise_header(plan, access)
    sha256 = sum_on_hub(plan, access)
    file = plan.checkpoint.file
    return Inspected(
        opened, file, plan.revision, sha256, plan.bytes, header.unwrapped, plan.notes, downloaded=False
    )


def load(
    checkpoint: Checkpoint,
    device: torch.device,
    precision: str,
    progress: Progress | None = None,
    access: Access = OWNER,
) -> Model:
    """A checkpoint as a model of its family on the device."""
    inspected = open_file(checkpoint, progress, access)
    assert inspected.sha256 is not None
    identity = Identity(
        checkpoint.id, checkpoint.source, inspected.file, inspected.revision, inspected.sha256
    )
    opened = replace(inspected.opened, warnings=inspected.warnings)
    with memory_guard():
        return wrap(opened, identity, device, precision)


def open_checkpoint(
    what: str | os.PathLike[str],
    device: str | None = None,
    precision: str | None = None,
    progress: Progress | None = None,
) -> Model:
    """Opens a checkpoint by catalog id, path, or Hub name.

    Args:
        what: `avatars-gan`, `./file.safetensors`, `owner/name`, `owner/name:file@revision`, or a path object.
        device: auto, cpu, cuda, cuda:N, mps; None reads IMGSYNTH_DEVICE, else auto.
        precision: auto, fp32, bf16, fp16; None reads IMGSYNTH_PRECISION, else auto.
        progress: called with (bytes done, bytes in all) while downloading.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    place = pick_device(device)
    return load(resolve(what), place, pick_precision(precision, place), progress)


class Runtime:
    """A device, a precision, and the models loaded there.

    Attributes:
        place: where this process puts models: the device, unless only others, forked from it, can reach that.
    """

    def __init__(
        self, device: str | None = None, precision: str | None = None, pool: ModelPool | None = None
    ) -> None:
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self.place, self.pool = self.device, pool or ModelPool()

    def move_to(self, place: torch.device) -> None:
        """Puts models there from now on; those that are elsewhere are left to whoever uses them."""
        self.place, self.pool = place, ModelPool(self.pool.budget)

    def model(
        self, checkpoint: Checkpoint, progress: Progress | None = None, access: Access = OWNER
    ) -> Model:
        """The model of a checkpoint, loaded if it is not there yet."""
        stamp = checkpoint.path.stat().st_mtime_ns if checkpoint.path and checkpoint.path.is_file() else None
        key = (checkpoint.id, checkpoint.repo, checkpoint.file, checkpoint.revision, checkpoint.path, stamp)
        return self.pool.get(key, lambda: load(checkpoint, self.place, self.precision, progress, access))
