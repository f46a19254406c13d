"""The card of a trained checkpoint, written from the run itself."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from imgsynth.training import parallel
from imgsynth.training.data import title_of
from imgsynth.training.log import sheet_path
from imgsynth.training.recipe import Export, Recipe

WRITTEN_BY_HAND = "<!-- below this line the card is kept by hand -->"


@dataclass(frozen=True)
class Figures:
    """What the loop measured: steps taken, seconds spent, the last losses and how many images there were."""

    steps: int
    seconds: float
    losses: Mapping[str, float]


def save_checkpoint(export: Export) -> None:
    """float16 safetensors; in its metadata the architecture's name and what no shape tells."""
    weights = {
        k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in export.weights.items()
    }
    weights |= {k: v.float().contiguous().cpu() for k, v in export.beside.items()}
    # One entry: safetensors writes several in any order, and equal runs would make unequal files.
    metadata = {"config": json.dumps({"architecture": export.architecture.name, **export.hints})}
    export.out.parent.mkdir(parents=True, exist_ok=True)
    partial = export.out.with_name(export.out.name + ".partial")
    save_file(weights, partial, metadata=metadata)
    partial.replace(export.out)


def write_card(export: Export, recipe: Recipe, figures: Figures) -> Path:
    """Writes `<out>.md`; what a person wrote below the marker line is kept."""
    path = export.out.with_suffix(".md")
    kept = path.read_text("utf-8").partition(WRITTEN_BY_HAND)[2] if path.is_file() else ""
    path.write_text(card_text(export, recipe, figures) + WRITTEN_BY_HAND + (kept or "\n"), "utf-8")
    return path


def card_text(export: Export, recipe: Recipe, figures: Figures) -> str:
    sources = ", ".join(title_of(p) for p in (*recipe.settings.data, *recipe.settings.data_b))
    losses = ", ".join(f"{k} {v:.3g}" for k, v in figures.losses.items())
    rows = {
        "architecture": f"`{export.architecture.name}`, {export.architecture.title}",
        "hyper-parameters": ", ".join(f"{k} {v}" for k, v in export.hyperparameters.items()),
        "file": f"{export.out.stat().st_size / 1e6:.1f} MB, float16, sha256 `{sha256(export.out)}`",
        "data": f"{sources}; the last {recipe.settings.holdout:.0%} by file name held back",
        **recipe.describe(),
        "seed": str(recipe.settings.seed),
        "started from": f"{len(recipe.settings.init)} earlier checkpoint(s)"
        if recipe.settings.init
        else "nothing",
        "steps": f"{figures.steps:,}",
        "time": f"{figures.seconds / 60:.0f} minutes on {device_name(recipe.device)}",
        "last losses": losses,
    }
    if parallel.world_size() > 1:
        rows["processes"] = f"{parallel.world_size()}, each with a batch of its own"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    sheet = f"![sample sheet]({sheet_beside(export, recipe)})"
    return f"# {export.out.stem}\n\n{sheet}\n\n| | |\n|---|---|\n{table}\n\n"


def sheet_beside(export: Export, recipe: Recipe) -> str:
    """The picture beside the checkpoint that a card shows: one made for it, else the last of the run."""
    made = export.out.with_suffix(".jpg")
    return made.name if made.is_file() else sheet_path(recipe.settings.out).name


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} {platform.machine()} CPU thread(s)"


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
