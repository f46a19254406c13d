"""The resumable state of a run: where it stands, and all that its next step depends on."""

from __future__ import annotations

import math
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from imgsynth.architectures.registry import Hyperparameters
from imgsynth.errors import TrainingFailed
from imgsynth.training import parallel
from imgsynth.training.recipe import Recipe

# What torch.load and load_state raise at files of another kind; there is no common base below Exception.
NO_STATE = (
    *(OSError, EOFError, pickle.UnpicklingError, RuntimeError),
    *(LookupError, AttributeError, ValueError, TypeError),
)


@dataclass
class Clock:
    """Where a run stands; saved with its state."""

    step: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    def record(self, losses: dict[str, float]) -> None:
        """Running means over about a hundred steps.

        Raises:
            TrainingFailed: a loss is no longer a number.
        """
        if not all(math.isfinite(v) for v in losses.values()):
            raise TrainingFailed(
                f"The run diverged at step {self.step:,}; resume from its state or lower the width."
            )
        for name, value in losses.items():
            self.losses[name] = value + 0.99 * (self.losses.get(name, value) - value)


def state_path(out: Path) -> Path:
    """Where the resumable state of a run lies: beside its checkpoint."""
    return out.with_name(out.stem + ".state.pt")


def save_state(recipe: Recipe, clock: Clock) -> None:
    """Writes the state under a temporary name first, so that a kill never leaves half a file.

    Every process calls this at the same step; the first one writes.
    """
    state = recipe.state()
    if not parallel.is_first():
        return
    path = state_path(recipe.settings.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save(
            {
                "recipe": recipe.name,
                "hyperparameters": recipe.hyperparameters,
                "clock": vars(clock),
                "state": state,
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())  # else a power cut could leave the new name with nothing behind it
    os.replace(partial, path)


def load_state(recipe: Recipe, path: Path) -> Clock:
    """Continues a run.

    Raises:
        TrainingFailed: the file is missing, is not a state of ours, or belongs to other settings.
    """
    try:
        saved: dict[str, Any] = torch.load(path, map_location=recipe.device, weights_only=True)
        if saved["recipe"] != recipe.name:
            raise TrainingFailed(
                f"{path.name} is the state of a {saved['recipe']} run, not of {recipe.name}."
            )
        check_network(recipe, saved.get("hyperparameters", recipe.hyperparameters), path)
        recipe.load_state(saved["state"])
        return Clock(**saved["clock"])
    except FileNotFoundError as error:
        raise TrainingFailed(f"There is no state file {path.name} to resume from.") from error
    except NO_STATE as error:
        raise TrainingFailed(f"{path.name} is not the state of a run with these settings.") from error


def check_network(recipe: Recipe, saved: Hyperparameters, path: Path) -> None:
    """Weights may fit a network of other hyper-parameters, and mean nothing there.

    Args:
        saved: the hyper-parameters that a state was written with; the earliest states have none.

    Raises:
        TrainingFailed: they are not this run's.
    """
    ours = recipe.hyperparameters
    others = [
        f"{name} {saved.get(name, 'as usual')} (not {ours.get(name, 'as usual')})"
        for name in sorted(saved.keys() | ours.keys())
        if saved.get(name) != ours.get(name)
    ]
    if others:
        raise TrainingFailed(
            f"{path.name} is not the state of a run with these settings: its network has "
            f"{', '.join(others)}; give the options and the --init that it began with."
        )
