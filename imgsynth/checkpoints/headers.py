"""What a safetensors file on the Hub holds, read from its header alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgsynth.checkpoints.access import OWNER, Access
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.client import asked_twice
from imgsynth.checkpoints.formats import damaged, plain
from imgsynth.checkpoints.state_dict import Loaded, unwrapped
from imgsynth.errors import CheckpointUnreadable

# As the format spells them.
DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
    **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
}
LENGTH_BYTES = 8  # the file begins with the length of the header
USUAL = 100_000  # bytes; nearly every header ends before
LONGEST = 25_000_000  # bytes; of our networks none comes near


def has_header(file: str) -> bool:
    """Whether a file of this name tells what it holds before it is downloaded."""
    return file.lower().endswith(".safetensors")


def read_header(checkpoint: Checkpoint, access: Access = OWNER) -> Loaded:
    """Keys, shapes and number types of a safetensors file on the Hub, as tensors of the "meta" device.

    Args:
        checkpoint: of the Hub, with its file named; if it is in the cache, the Hub is not asked.

    Raises:
        CheckpointUnreadable: the header cannot be understood, or tells of more than we read.
        Exception: whatever huggingface_hub raises on the way; see `hub_errors.explain`.
    """
    name = Path(checkpoint.file)
    head = beginning(checkpoint, access, USUAL)
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    if not 0 < length <= LONGEST:
        raise damaged(name)
    if len(head) == USUAL < LENGTH_BYTES + length:
        head = beginning(checkpoint, access, LENGTH_BYTES + length)
    try:
        header = json.loads(head[LENGTH_BYTES : LENGTH_BYTES + length])
        metadata = texts(header.pop("__metadata__", {}))
        tensors = {key: blank(name, key, **entry) for key, entry in header.items()}
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise damaged(name) from error
    return unwrapped(name, tensors, metadata)


def beginning(checkpoint: Checkpoint, access: Access, size: int) -> bytes:
    """The first bytes of a file: `size`, or fewer where it has no more."""
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(
        str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision
    )
    if isinstance(cached, str):
        with Path(cached).open("rb") as handle:
            return handle.read(size)
    return asked_twice(lambda: beginning_on_hub(checkpoint, access, size))


def beginning_on_hub(checkpoint: Checkpoint, access: Access, size: int) -> bytes:
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision)
    part = {"Range": f"bytes=0-{size - 1}", "Accept-Encoding": "identity"}
    headers = {**build_hf_headers(token=access.token), **part}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
        if response.status_code == 416:  # there is no first byte
            return b""
        hf_raise_for_status(response)
        content = bytearray()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) >= size:  # a server that knows no ranges would send the whole file
                break
    return bytes(content[:size])


def texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The text fields of a header, which has no other ones unless something is wrong with it."""
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def blank(name: Path, key: str, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    """A tensor without values or memory.

    Raises:
        CheckpointUnreadable: the number type is unknown.
        RuntimeError, TypeError, ValueError: nothing has such a shape, or its place in the file another size.
    """
    if dtype not in DTYPES:
        raise CheckpointUnreadable(
            f"{name.name} stores {plain(key)} as {plain(str(dtype))}, numbers that are not known here: "
            "ask for plain float weights."
        )
    tensor = torch.empty(shape, dtype=DTYPES[dtype], device="meta")
    begin, end = data_offsets
    if end - begin != tensor.nbytes:
        raise ValueError(f"{key} has not the size of its shape")
    return tensor
