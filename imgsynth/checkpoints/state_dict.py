"""From a file to a clean state dict, without ever running what the file says.

Safetensors hold nothing but numbers. Everything else goes through `torch.load(weights_only=True)`, which
builds tensors and plain containers and refuses the rest.
"""

from __future__ import annotations

import argparse
import pickle
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from imgsynth.checkpoints.formats import (
    ZIP_FAILURES,
    Kind,
    damaged,
    first_foreign_global,
    holds_code,
    identify,
    plain,
)
from imgsynth.checkpoints.unwrap import SeveralNetworksError, unwrap
from imgsynth.errors import CheckpointUnreadable

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LARGEST = 8 * 2**30  # bytes, of a file and of the network that it becomes
MOST_TENSORS = 10_000  # of a file; ours have hundreds, and to look what a million belongs to takes minutes


@dataclass(frozen=True)
class Loaded:
    """A clean state dict.

    Attributes:
        tensors: by key, on the CPU, in the file's own number type, mapped from the file where it can be.
        unwrapped: containers and prefixes that were taken off, outermost first.
        metadata: the header's text fields, of safetensors only.
        beside: tensors that lay beside a container, such as `latent_avg` beside `g_ema`.
    """

    tensors: dict[str, Tensor]
    unwrapped: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    beside: dict[str, Tensor] = field(default_factory=dict)


def read_state_dict(path: str | Path) -> Loaded:
    """Reads a checkpoint of any wrapping.

    Raises:
        CheckpointNotFound: there is no such file.
        CheckpointUnreadable: it holds code, is damaged, too large, another format, or has no tensors;
            the sentence says which.
    """
    path = Path(path)
    kind = identify(path)
    if path.stat().st_size > LARGEST:
        raise _too_large(path)
    loaded, metadata = _read_safetensors(path) if kind == "safetensors" else (_read_torch(path, kind), {})
    found = unwrapped(path, loaded, metadata)
    if any(tensor.is_meta for tensor in found.tensors.values()):
        raise CheckpointUnreadable(f"{path.name} was saved without values: ask for the file with weights.")
    return found


def unwrapped(path: Path, loaded: Mapping[Any, Any], metadata: Mapping[str, str] | None = None) -> Loaded:
    """What a file holds once its containers and prefixes are taken off.

    Args:
        path: the file's name, for the sentence.

    Raises:
        CheckpointUnreadable: there are no weights in it, several networks, or too much of them.
    """
    try:
        found = unwrap(loaded)
    except SeveralNetworksError as error:
        names = ", ".join(plain(name) for name in error.args[:4])
        raise CheckpointUnreadable(
            f"{path.name} holds several networks ({names}): save the one you want as a file of its own."
        ) from error
    _check(path, {**found.beside, **found.tensors}, found.tensors)
    return Loaded(_plain(found.tensors), tuple(found.taken_off), dict(metadata or {}), _plain(found.beside))


def _read_safetensors(path: Path) -> tuple[Mapping[Any, Any], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a mapping
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise damaged(path) from error


def _read_torch(path: Path, kind: Kind) -> Mapping[Any, Any]:
    mappable = kind == "zip" and _zip_is_plain(path)
    try:
        loaded = _torch_load(path, mappable)
    except pickle.UnpicklingError as error:
        raise _refused(path, kind, str(error)) from error
    except Exception as error:  # damaged pickles fail in every way, KeyError and MemoryError among them
        raise damaged(path) from error
    if isinstance(loaded, Tensor):
        raise CheckpointUnreadable(f"{path.name} holds a single tensor, not a network: give its state dict.")
    if not isinstance(loaded, Mapping):
        raise _no_tensors(path)
    return loaded


def _torch_load(path: Path, mappable: bool) -> Any:
    with _readers.allowing(_plain_values()):
        return _load_weights(path, mappable)


class _Readers:
    """Counts the threads that read pickles.

    torch keeps one set of allowed names for the whole process, and its `safe_globals` takes names away while
    other threads still read. No lock is held while reading, so that a process forked meanwhile can read too.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0

    @contextmanager
    def allowing(self, names: list[Any]) -> Iterator[None]:
        """Allows the names, the same ones each time, until the last reader has left."""
        with self.lock:
            self.count += 1
            torch.serialization.add_safe_globals(names)
        try:
            yield
        finally:
            with self.lock:
                self.count -= 1
                if not self.count:
                    torch.serialization.safe_globals(names).__exit__(None, None, None)


_readers = _Readers()


def _plain_values() -> list[Any]:
    """What trainings often save beside the weights and what runs nothing: their options, NumPy numbers.

    Under the names of NumPy 1 and of NumPy 2.
    """
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    numbers = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")]
    return [argparse.Namespace, np.dtype, *numbers, scalar, (scalar, "numpy.core.multiarray.scalar")]


def _load_weights(path: Path, mappable: bool) -> Any:
    # torch would hand a path that ends in .safetensors to another reader, whatever is in the file
    if mappable and path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with path.open("rb") as handle:
        return torch.load(handle, map_location="cpu", weights_only=True)


def _zip_is_plain(path: Path) -> bool:
    """Whether all records lie uncompressed, as torch writes them and as mapping needs them.

    Checks on the way what torch does not: that the records unfold to no more than we read, and their
    checksums, which are 0 where the writer left them out.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if sum(record.file_size for record in records) > LARGEST:
                raise _too_large(path)
            for record in records:
                if record.CRC and record.compress_type in _COMPRESSIONS:
                    _read_through(archive, record)
    except ZIP_FAILURES as error:
        raise damaged(path) from error
    return all(record.compress_type == zipfile.ZIP_STORED for record in records)


def _read_through(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> None:
    with archive.open(record) as handle:
        while handle.read(1 << 20):
            pass


def _refused(path: Path, kind: Kind, message: str) -> CheckpointUnreadable:
    """The sentence for a pickle that asks for more than tensors."""
    named = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", message)
    name = named[1] if named else first_foreign_global(path, kind)
    if name:
        return holds_code(path, name if "." in name else f"builtins.{name}")
    return CheckpointUnreadable(
        f"{path.name} is damaged or was not saved with torch.save: "
        "download it again, or ask for a .safetensors file."
    )


def _check(path: Path, tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    if not weights:
        raise _no_tensors(path)
    if len(tensors) > MOST_TENSORS:
        raise CheckpointUnreadable(
            f"{path.name} holds {len(tensors)} tensors, more than any network here has: "
            "give the generator alone."
        )
    for key, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointUnreadable(
                f"{path.name} stores {plain(key)} sparse or quantised: ask for plain float weights."
            )
        # A tensor of stride 0 takes no room in the file and any amount of it once copied.
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise CheckpointUnreadable(
                f"{path.name} holds fewer numbers for {plain(key)} than its shape asks for: "
                "save it again with contiguous tensors."
            )
    if sum(_bytes_in_network(tensor) for tensor in tensors.values()) > LARGEST:
        raise _too_large(path, " in 32-bit numbers")


def _bytes_in_network(tensor: Tensor) -> int:
    """What the tensor takes once a network owns it: floats of any type become 32-bit ones there."""
    return tensor.numel() * (4 if tensor.is_floating_point() else tensor.element_size())


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters as tensors like any other."""
    return {key: tensor.detach() for key, tensor in tensors.items()}


def _no_tensors(path: Path) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"{path.name} holds no tensors: give a file with a network's weights.")


def _too_large(path: Path, counted: str = "") -> CheckpointUnreadable:
    return CheckpointUnreadable(
        f"{path.name} holds more than {LARGEST // 2**30} GB{counted}: give the generator alone."
    )
