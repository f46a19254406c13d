"""The config.json beside a checkpoint's weights: what no key or shape of them tells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.client import bring, look_up
from imgsynth.checkpoints.hub import Plan
from imgsynth.checkpoints.verify import check_hub_sum

Config = tuple[dict[str, Any], tuple[str, ...]]  # and notes on it

LARGEST_CONFIG = 1_000_000  # bytes; a config.json has a few hundred
CONFIGS = ("config.json", "model_config.json")


def read_config(plan: Plan, access: Access) -> Config:
    """What the config.json beside the weights on the Hub says, where there is one, and notes on it.

    Raises:
        DownloadFailed: it could not be asked for, and the weights are new here: without it they could be
            taken for another network.
        ChecksumMismatch: it was altered on the way.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError

    from imgsynth.checkpoints.hub_errors import FAILURES, explain

    for name in CONFIGS:
        file = str(PurePosixPath(plan.checkpoint.file).with_name(name))
        config = replace(plan.pinned, file=file)
        try:
            found = _config_on_hub(config, access)
        except RemoteEntryNotFoundError:
            continue
        except FAILURES as error:
            if not plan.cached:
                raise explain(error, config) from error
            return {}, (f"The Hub could not be asked for a {name}, so the file is opened without one.",)
        if found:
            return found
    return {}, ()


def _config_on_hub(config: Checkpoint, access: Access) -> Config | None:
    """None where it is known that there is none."""
    import huggingface_hub

    known = huggingface_hub.try_to_load_from_cache(str(config.repo), config.file, revision=config.revision)
    if known is huggingface_hub._CACHED_NO_EXIST:
        return None
    if not known and (look_up(config, access).file_size or 0) > LARGEST_CONFIG:
        return _left_aside(config.file)
    path = bring(config, access)
    check_hub_sum(path)
    return parse_config(path)


def config_beside(path: Path) -> Config:
    """As `read_config`, for weights on this disk: a repository that was downloaded as a folder keeps it."""
    beside = next((p for name in CONFIGS if (p := path.with_name(name)).is_file()), None)
    return parse_config(beside) if beside else ({}, ())


def parse_config(path: Path) -> Config:
    """A config.json as a dict, and a note where it is none."""
    try:
        config = json.loads(path.read_text("utf-8")) if path.stat().st_size <= LARGEST_CONFIG else None
    except (ValueError, RecursionError):
        config = None
    return (config, ()) if isinstance(config, dict) else _left_aside(path.name)


def _left_aside(file: str) -> Config:
    return {}, (f"{PurePosixPath(file).name} could not be understood, so it was left aside.",)
