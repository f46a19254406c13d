"""The loop around every recipe: progress, sheets, resumable state, checkpoints and cards."""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from imgsynth.errors import TrainingFailed
from imgsynth.training.card import Figures, save_checkpoint, write_card
from imgsynth.training.cyclegan import CycleGANRecipe
from imgsynth.training.gan import GANRecipe
from imgsynth.training.inpaint import InpaintRecipe
from imgsynth.training.recipe import Recipe, Settings
from imgsynth.training.vae import VAERecipe

RECIPES: dict[str, type[Recipe]] = {r.name: r for r in (GANRecipe, VAERecipe, CycleGANRecipe, InpaintRecipe)}
# What torch.load and load_state raise at files of another kind; there is no common base below Exception.
NO_STATE = (
    *(OSError, EOFError, pickle.UnpicklingError, RuntimeError),
    *(LookupError, AttributeError, ValueError, TypeError),
)
SAVE_SECONDS = 50
SHEET_SECONDS = 180


@dataclass
class Budget:
    """How long a run lasts: a number of steps or of minutes, whichever was given."""

    steps: int | None
    minutes: float | None

    def progress(self, step: int, seconds: float) -> float:
        """The part of the run that is done, in [0, 1]."""
        done = step / self.steps if self.steps else seconds / (60 * (self.minutes or 1))
        return min(1.0, done)


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


def sheet_path(out: Path) -> Path:
    """Where the sheet of a run in progress lies: beside its checkpoint."""
    return out.with_name(out.stem + ".progress.png")


def save_state(recipe: Recipe, clock: Clock) -> None:
    """Writes the state under a temporary name first, so that a kill never leaves half a file."""
    path = state_path(recipe.settings.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save({"recipe": recipe.name, "clock": vars(clock), "state": recipe.state()}, partial)
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
        recipe.load_state(saved["state"])
        return Clock(**saved["clock"])
    except FileNotFoundError as error:
        raise TrainingFailed(f"There is no state file {path.name} to resume from.") from error
    except NO_STATE as error:
        raise TrainingFailed(f"{path.name} is not the state of a run with these settings.") from error


def train(
    recipe: Recipe, budget: Budget, resume: Path | None = None, say: Callable[[str], None] = print
) -> list[Path]:
    """Trains until the budget is spent or Ctrl-C is pressed, and writes checkpoints, cards and sheets.

    Args:
        recipe: the networks and how they learn.
        budget: steps or minutes, counted over all resumed parts of the run.
        resume: a state file of an earlier part of this run.
        say: where messages go.

    Returns:
        The checkpoints written.
    """
    clock = load_state(recipe, resume) if resume else Clock()
    with interruption() as stopped:
        loop(recipe, budget, clock, stopped)
    if stopped.is_set():
        say(f"Stopped at step {clock.step:,}; resume with --resume {state_path(recipe.settings.out).name}.")
    save_state(recipe, clock)
    return finish(recipe, clock)


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, so that a step is never left half done; a second Ctrl-C interrupts at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        stopped.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def loop(recipe: Recipe, budget: Budget, clock: Clock, stopped: threading.Event) -> None:
    total = budget.steps or round(60 * (budget.minutes or 1))
    last_save = last_sheet = time.monotonic()
    with tqdm(total=total, unit="step" if budget.steps else "s", desc=recipe.name, dynamic_ncols=True) as bar:
        bar.update(clock.step if budget.steps else int(clock.seconds))
        while (progress := budget.progress(clock.step, clock.seconds)) < 1 and not stopped.is_set():
            started = time.monotonic()
            clock.record(recipe.step(clock.step, progress))
            now = time.monotonic()
            clock.step += 1
            clock.seconds += now - started
            show(bar, budget, clock, recipe.batch)
            if now - last_save > SAVE_SECONDS:
                save_state(recipe, clock)
                last_save = now
            if now - last_sheet > SHEET_SECONDS:
                recipe.sheet().save(sheet_path(recipe.settings.out))
                last_sheet = now


def show(bar: tqdm[Any], budget: Budget, clock: Clock, batch: int) -> None:
    done = clock.step if budget.steps else int(clock.seconds)
    figures = {k: f"{v:.3g}" for k, v in clock.losses.items()}
    speed = clock.step * batch / max(clock.seconds, 1e-9)
    bar.set_postfix({**figures, "images/s": f"{speed:.0f}"}, refresh=False)
    bar.update(done - bar.n)


def finish(recipe: Recipe, clock: Clock) -> list[Path]:
    recipe.sheet().save(sheet_path(recipe.settings.out))
    figures = Figures(clock.step, clock.seconds, clock.losses)
    outs = []
    for export in recipe.exports():
        save_checkpoint(export)
        write_card(export, recipe, figures)
        outs.append(export.out)
    return outs


def make_recipe(name: str, settings: Settings) -> Recipe:
    return RECIPES[name](settings)
