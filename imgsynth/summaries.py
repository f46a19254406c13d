"""What `models` and `inspect` tell, as plain values for JSON; shared by command line and HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from imgsynth.checkpoints.access import OWNER, Access
from imgsynth.checkpoints.catalog import Checkpoint, Task, availability, available, bundled_path
from imgsynth.errors import BadRequest

if TYPE_CHECKING:
    from imgsynth.runtime.opening import Inspected

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
    """Tells what a checkpoint holds; of a safetensors file on the Hub only the header is read.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    # Listing models is quick; looking into one needs torch.
    from imgsynth.runtime.opening import inspect_checkpoint

    return facts_of(inspect_checkpoint(checkpoint, progress, access))


def facts_of(inspected: Inspected) -> dict[str, Any]:
    """What is told of a checkpoint that has been looked into."""
    from imgsynth.families import tasks_of

    opened = inspected.opened
    architecture, hyperparameters = opened.architecture, opened.hyperparameters
    shape = architecture.latent_shape(hyperparameters)
    return {
        "architecture": architecture.name,
        "family": architecture.family,
        "hyperparameters": hyperparameters,
        "parameters": opened.parameters,
        "resolution": architecture.image_size(hyperparameters),
        "latent": None if shape is None else list(shape),
        "value_range": opened.output_range.name,
        "sha256": inspected.sha256,
        "bytes": inspected.bytes,
        "tasks": list(tasks_of(opened)),
        "warnings": inspected.warnings,
        "title": architecture.title,
        "unwrapped": list(inspected.unwrapped),
        "classes": architecture.classes(hyperparameters),
        "file": inspected.file,
        "revision": inspected.revision,
        "verified": inspected.verified,
        "downloaded": inspected.downloaded,
    }
