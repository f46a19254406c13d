"""What `models` and `inspect` tell, as plain values for JSON; shared by command line and HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from imgsynth.checkpoints.catalog import Checkpoint, Task, availability, available, bundled_path
from imgsynth.checkpoints.fetch import OWNER, Access
from imgsynth.errors import BadRequest

TASKS = get_args(Task)


def list_models(task: str | None = None) -> list[dict[str, Any]]:
    """The catalog's checkpoints that can be offered, those of one task or all.

    Raises:
        BadRequest: there is no such task.
    """
    if task is not None and task not in TASKS:
        raise BadRequest(f"The task must be one of {', '.join(TASKS)}, not {task[:40]!r}.")
    return [row(c) for c in available().values() if task is None or task in c.tasks]


def row(checkpoint: Checkpoint) -> dict[str, Any]:
    """One line of the list."""
    bundled = checkpoint.source == "bundled"
    return {
        "id": checkpoint.id,
        "title": checkpoint.title,
        "tasks": list(checkpoint.tasks),
        "source": checkpoint.source,
        "architecture": checkpoint.architecture,
        "resolution": checkpoint.resolution,
        "licence": checkpoint.licence,
        "bytes": bundled_path(checkpoint).stat().st_size if bundled else checkpoint.bytes,
        "available": availability(checkpoint),
    }


def inspection(
    checkpoint: Checkpoint, access: Access = OWNER, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Opens a checkpoint on the CPU and tells what it holds.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    # Listing models is quick; opening one needs torch.
    import torch

    from imgsynth.families import Identity, wrap
    from imgsynth.runtime.opening import open_file

    inspected = open_file(checkpoint, progress, access)
    opened, fetched = inspected.opened, inspected.fetched
    architecture, hyperparameters = opened.architecture, opened.hyperparameters
    identity = Identity(checkpoint.id, checkpoint.source, fetched.file, fetched.revision, fetched.sha256)
    shape = architecture.latent_shape(hyperparameters)
    return {
        "architecture": architecture.name,
        "family": architecture.family,
        "hyperparameters": hyperparameters,
        "parameters": opened.parameters,
        "resolution": architecture.image_size(hyperparameters),
        "latent": None if shape is None else list(shape),
        "value_range": architecture.output_range.name,
        "sha256": fetched.sha256,
        "bytes": fetched.bytes,
        "tasks": list(wrap(opened, identity, torch.device("cpu"), "fp32").tasks),
        "warnings": inspected.warnings,
        "title": architecture.title,
        "unwrapped": list(inspected.unwrapped),
    }
