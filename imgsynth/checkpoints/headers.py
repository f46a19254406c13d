"""What a safetensors file on the Hub holds, read from its header alone."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from imgsynth.checkpoints.access import OWNER, Access
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.formats import damaged
from imgsynth.checkpoints.state_dict import Loaded, unwrapped

# As the format spells them; what is not a number that networks compute with counts as its size in bytes.
DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
    **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
}


def has_header(file: str) -> bool:
    """Whether a file of this name tells what it holds before it is downloaded."""
    return file.lower().endswith(".safetensors")


def read_header(checkpoint: Checkpoint, access: Access = OWNER) -> Loaded:
    """Keys, shapes and number types of a safetensors file on the Hub, as tensors of the "meta" device.

    Args:
        checkpoint: of the Hub, with its file named.

    Raises:
        CheckpointUnreadable: the header cannot be understood, or tells of more than we read.
        Exception: whatever huggingface_hub raises on the way; see `hub_errors.explain`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import SafetensorsParsingError

    name = Path(checkpoint.file)
    try:
        header = HfApi().parse_safetensors_file_metadata(
            str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision, token=access.token
        )
        tensors = {key: blank(info.shape, info.dtype) for key, info in header.tensors.items()}
    except (SafetensorsParsingError, TypeError, ValueError, KeyError, RuntimeError) as error:
        raise damaged(name) from error
    return unwrapped(name, tensors, dict(header.metadata or {}))


def blank(shape: list[int], dtype: str) -> Tensor:
    """A tensor without values or memory.

    Raises:
        KeyError: the number type is unknown.
        RuntimeError, TypeError: nothing can have such a shape.
    """
    return torch.empty(shape, dtype=DTYPES[dtype], device="meta")
