"""What kind of file a checkpoint is, told from its first bytes and never from its name."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from imgsynth.errors import CheckpointNotFound, CheckpointUnreadable

Kind = Literal["safetensors", "zip", "pickle"]

HEAD = 1024
LONGEST_NAME_SHOWN = 80
LARGEST_SAFETENSORS_HEADER = 100_000_000  # bytes, the format's own limit
LARGEST_PICKLE_READ = 64_000_000  # bytes; enough for the skeleton of any state dict
_NOT_OURS = "give the PyTorch weights, best as .safetensors"
_UNPACK = "unpack it and give the weights file inside"

# What zipfile raises on damaged archives (RuntimeError covers the versions and ciphers it does not know).
ZIP_FAILURES = (
    *(zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, LookupError),
    *(zlib.error, struct.error),
)
_HARMLESS = (
    *("torch.", "collections.OrderedDict", "_codecs.encode", "argparse.Namespace"),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
)

# (offset, magic bytes, what the file is, what to do)
_OTHER_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, not the weights",
        "run 'git lfs pull' or download it",
    ),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", _NOT_OURS),
    (0, b"GGUF", "a GGUF file", _NOT_OURS),
    (4, b"TFL3", "a TensorFlow Lite file", _NOT_OURS),
    (0, b"\x93NUMPY", "a NumPy array", _NOT_OURS),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"\xfd7zXZ", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x89PNG", "a picture", "give the weights file"),
    (0, b"\xff\xd8\xff", "a picture", "give the weights file"),
)
_WEB_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml|<head)", re.IGNORECASE)
_JSON = re.compile(rb"\s*[{\[]\s*[\"{\[\d}\]]")
# An ONNX file is a protobuf: field 1, which is a small version number, then one of these fields.
_ONNX_NEXT_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"


def identify(path: Path) -> Kind:
    """Which of our readers opens the file.

    Raises:
        CheckpointNotFound: there is no such file, or it cannot be read.
        CheckpointUnreadable: none does; the sentence names what the file is.
    """
    head, size = _head_of(path)
    if size == 0:
        raise CheckpointUnreadable(f"{path.name} is empty: download or copy it again.")
    if _is_safetensors(head):  # first, since its bytes, a number, can begin like any other magic
        return "safetensors"
    _refuse_other_formats(path, head)
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if (head[0] == 0x80 and head[1:2] <= b"\x05") or _reads_as_pickle(path):
        return "pickle"
    raise _unknown(path)


def _head_of(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as handle:
            return handle.read(HEAD), path.stat().st_size
    except IsADirectoryError as error:
        raise CheckpointUnreadable(f"{path.name} is a folder: name the weights file inside it.") from error
    except FileNotFoundError as error:
        raise CheckpointNotFound(f"There is no file {path.name} any more: choose it again.") from error
    except OSError as error:
        raise CheckpointNotFound(f"{path.name} cannot be read: check its permissions.") from error


def _refuse_other_formats(path: Path, head: bytes) -> None:
    for offset, magic, what, advice in _OTHER_FORMATS:
        if head.startswith(magic, offset):
            raise _is_a(path, what, advice)
    if len(head) > 2 and head[0] == 0x08 and head[1] < 32 and head[2] in _ONNX_NEXT_FIELDS:
        raise _is_a(path, "an ONNX file", _NOT_OURS)
    if _WEB_PAGE.match(head):
        raise _is_a(path, "a web page, not the weights", "download the file itself, perhaps after signing in")
    if _JSON.match(head):
        raise _is_a(path, "a text file (JSON)", "give the weights file that belongs to it")


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, little-endian, then the header: a JSON object."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LARGEST_SAFETENSORS_HEADER


def _kind_of_zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_FAILURES as error:
        raise damaged(path) from error
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        raise _is_a(path, "a TorchScript program, which holds code and is not opened", "give its state dict")
    if "data.pkl" in inside:
        return "zip"
    raise _is_a(path, "a zip archive, not a PyTorch checkpoint", _UNPACK)


def _reads_as_pickle(path: Path) -> bool:
    """Whether the file is a whole pickle of the oldest kind, which begins with no magic number."""
    try:
        for _ in pickletools.genops(_pickle_in(path, "pickle")):
            pass
    except (ValueError, KeyError, IndexError, OSError):
        return False
    return True


def _unknown(path: Path) -> CheckpointUnreadable:
    if path.suffix.lower() == ".safetensors":
        return damaged(path)
    return CheckpointUnreadable(f"{path.name} is in no format that is known here: {_NOT_OURS}.")


def _is_a(path: Path, what: str, advice: str) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"{path.name} is {what}: {advice}.")


def damaged(path: Path) -> CheckpointUnreadable:
    return CheckpointUnreadable(f"{path.name} is cut short or damaged: download or copy it again.")


def plain(name: str) -> str:
    """A name out of a file, fit for a sentence: whoever made the file chose its characters and length."""
    return re.sub(r"[^\w.-]", "?", name)[:LONGEST_NAME_SHOWN]


def holds_code(path: Path, name: str) -> CheckpointUnreadable:
    name = name.replace("__builtin__.", "builtins.")  # as Python 2 and old pickle protocols spell it
    return CheckpointUnreadable(
        f"{path.name} asks Python for {plain(name)}, and files that hold code are not opened: "
        "ask for a .safetensors file."
    )


def first_foreign_global(path: Path, kind: Kind) -> str | None:
    """The first name, such as `posix.system`, that a pickle asks for and that is not torch's own.

    The pickle's instructions are listed, none is run.
    """
    try:
        names = _globals_in(_pickle_in(path, kind))
        return next((name for name in names if not name.startswith(_HARMLESS)), None)
    except (*ZIP_FAILURES, StopIteration):
        return None


def _pickle_in(path: Path, kind: Kind) -> io.BytesIO:
    if kind != "zip":
        with path.open("rb") as handle:
            return io.BytesIO(handle.read(LARGEST_PICKLE_READ))
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.partition("/")[2] == "data.pkl")
        with archive.open(name) as handle:
            return io.BytesIO(handle.read(LARGEST_PICKLE_READ))


def _globals_in(stream: io.BytesIO) -> Iterator[str]:
    """Names in the order in which the pickles of a stream ask for them; ends with genops' ValueError."""
    strings: list[str] = []
    memo: dict[int, str] = {}
    while True:  # old PyTorch files are several pickles in a row, then numbers
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL":
                yield ".".join(strings[-2:])
            elif opcode.name == "MEMOIZE":
                memo[len(memo)] = strings[-1] if strings else ""
            elif opcode.name.endswith("BINGET"):
                strings.append(memo.get(int(argument or 0), ""))
            elif isinstance(argument, str):
                strings.append(argument)
