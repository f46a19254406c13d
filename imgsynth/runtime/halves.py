"""Codecs that are published as two files, an encoder and a decoder: one is asked for, both are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath, PurePosixPath

from imgsynth.architectures.registry import StateDict, shapes_of
from imgsynth.architectures.taesd import half_of, join_halves
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.errors import CheckpointNotFound, UnknownArchitecture

Read = Callable[[Checkpoint], StateDict]


def completed(state: StateDict, checkpoint: Checkpoint, read: Read) -> tuple[StateDict, tuple[str, ...]]:
    """The state dict with its other half, if it is one, and a note that says so.

    Args:
        checkpoint: which file the state dict came from.
        read: opens the file beside it.

    Raises:
        UnknownArchitecture: the other half is not there.
    """
    half = half_of(shapes_of(state))
    if half is None:
        return state, ()
    other = "decoder" if half == "encoder" else "encoder"
    beside = other_file(checkpoint, half, other)
    try:
        found = read(beside) if beside else None
    except CheckpointNotFound:
        found = None
    if found is None or half_of(shapes_of(found)) != other:
        raise UnknownArchitecture(
            f"{checkpoint.file} is the {half} of a TAESD codec alone: {advice(checkpoint, half, other)}.",
            "taesd",
        )
    assert beside is not None
    halves = {half: state, other: found}
    return join_halves(**halves), (f"Its {other} was read from {PurePath(beside.file).name}.",)


def advice(checkpoint: Checkpoint, half: str, other: str) -> str:
    if checkpoint.source == "upload":
        return "give the one file that has both, as diffusers saves it, or the name of its Hub repository"
    return f"put its {other} beside it, under the same name with '{other}' in place of '{half}'"


def other_file(checkpoint: Checkpoint, half: str, other: str) -> Checkpoint | None:
    """The checkpoint beside this one whose name says the other half; None where names do not tell."""
    file = PurePosixPath(checkpoint.file)
    if half not in file.name or checkpoint.source not in ("hub", "file"):
        return None
    renamed = file.with_name(file.name.replace(half, other))
    path = checkpoint.path.with_name(renamed.name) if checkpoint.path else None
    return replace(checkpoint, file=str(renamed), path=path, sha256=None, bytes=None)
