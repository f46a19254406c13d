"""The loop around every recipe: log, progress, sheets, resumable state, checkpoints and cards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from imgsynth.runtime.device import memory_guard
from imgsynth.training import parallel
from imgsynth.training.card import Figures, save_checkpoint, write_card
from imgsynth.training.cyclegan import CycleGANRecipe
from imgsynth.training.gan import GANRecipe
from imgsynth.training.inpaint import InpaintRecipe
from imgsynth.training.log import Entry, Log, log_path, memory_mb, sheet_path
from imgsynth.training.recipe import Recipe, Settings
from imgsynth.training.state import Clock, load_state, save_state, state_path
from imgsynth.training.vae import VAERecipe

RECIPES: dict[str, type[Recipe]] = {r.name: r for r in (GANRecipe, VAERecipe, CycleGANRecipe, InpaintRecipe)}
SAVE_SECONDS = 50
# A first look soon; later ones at twice the age of the run, then at this distance.
FIRST_SHEET_SECONDS, SHEET_SECONDS = 15, 180
STOPPING = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Budget:
    """How long a run lasts: a number of steps or of minutes, whichever was given."""

    steps: int | None
    minutes: float | None

    def progress(self, step: int, seconds: float) -> float:
        """The part of the run that is done, in [0, 1]."""
        done = step / self.steps if self.steps else seconds / (60 * (self.minutes or 1))
        return min(1.0, done)


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
        The checkpoints written; none in a process other than the first (parallel.py).
    """
    clock = load_state(recipe, resume) if resume else Clock()
    with interruption() as stopped, Log(log_path(recipe.settings.out), clock.step) as log:
        early = loop(recipe, budget, clock, stopped, log, say)
    if early:
        say(f"Stopped at step {clock.step:,}; resume with --resume {state_path(recipe.settings.out).name}.")
    save_state(recipe, clock)
    return finish(recipe, clock) if parallel.is_first() else []


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """Ctrl-C, or a plain kill, sets the event, so that a step is never left half done.

    A second one interrupts at once.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, _: Any) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stopped.set()

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def loop(
    recipe: Recipe,
    budget: Budget,
    clock: Clock,
    stopped: threading.Event,
    log: Log,
    say: Callable[[str], None],
) -> bool:
    """Takes steps; returns whether the run was stopped before its budget was spent."""
    last_save = last_sheet = clock.seconds
    with progress_bar(recipe.name, budget, clock) as bar:
        while (progress := budget.progress(clock.step, clock.seconds)) < 1:
            entry, stop = take_step(recipe, clock, progress, stopped)
            log.write(entry)
            show(bar, budget, clock, recipe.batch * parallel.world_size())
            if entry.note:
                say(entry.note)
            if clock.seconds - last_save > SAVE_SECONDS:
                save_state(recipe, clock)
                last_save = clock.seconds
            if clock.seconds - last_sheet > min(SHEET_SECONDS, max(FIRST_SHEET_SECONDS, last_sheet)):
                draw_sheet(recipe)
                last_sheet = clock.seconds
            if stop:
                return budget.progress(clock.step, clock.seconds) < 1
    return False


def take_step(recipe: Recipe, clock: Clock, progress: float, stopped: threading.Event) -> tuple[Entry, bool]:
    """One step of all processes: what the log says of it, and whether any of them was told to stop."""
    whole = recipe.micro_batches.size
    started = time.monotonic()
    with memory_guard():
        losses = recipe.step(clock.step, progress)
    mine = [time.monotonic() - started, float(stopped.is_set()), *losses.values()]
    seconds, stop, *values = parallel.means(mine, recipe.device)
    losses = dict(zip(losses, values, strict=True))
    clock.record(losses)
    entry = Entry(
        clock.step,
        round(clock.seconds + seconds, 3),
        round(progress, 6),
        losses,
        round(recipe.batch * parallel.world_size() / max(seconds, 1e-9), 1),
        {name: o.param_groups[0]["lr"] for name, o in recipe.optimisers.items()},
        memory_mb(recipe.device),
        smaller_parts(recipe.micro_batches.size, whole),
    )
    clock.step += 1
    clock.seconds += seconds
    return entry, stop > 0


def smaller_parts(size: int, before: int) -> str:
    """A note, where memory ran out during a step."""
    if size == before:
        return ""
    return (
        f"Memory ran out, so gradients are now summed over parts of {size} pictures; "
        "the batch stays as it was, and what looks across a batch, such as batch norm, sees one part."
    )


def progress_bar(name: str, budget: Budget, clock: Clock) -> tqdm[Any]:
    total, done = (
        (budget.steps, clock.step)
        if budget.steps
        else (round(60 * (budget.minutes or 1)), int(clock.seconds))
    )
    unit = "step" if budget.steps else "s"
    hidden = not parallel.is_first()
    return tqdm(total=total, initial=done, unit=unit, desc=name, dynamic_ncols=True, disable=hidden)


def show(bar: tqdm[Any], budget: Budget, clock: Clock, batch: int) -> None:
    done = clock.step if budget.steps else int(clock.seconds)
    figures = {k: f"{v:.3g}" for k, v in clock.losses.items()}
    speed = clock.step * batch / max(clock.seconds, 1e-9)
    bar.set_postfix({**figures, "images/s": f"{speed:.0f}"}, refresh=False)
    bar.update(done - bar.n)


def draw_sheet(recipe: Recipe) -> None:
    """Whoever looks at the sheet while it is written sees the old one."""
    if not parallel.is_first():
        return
    path = sheet_path(recipe.settings.out)
    partial = path.with_name(path.name + ".partial")
    recipe.sheet().save(partial, format="PNG")
    os.replace(partial, path)


def finish(recipe: Recipe, clock: Clock) -> list[Path]:
    draw_sheet(recipe)
    figures = Figures(clock.step, clock.seconds, clock.losses)
    outs = []
    for export in recipe.exports():
        save_checkpoint(export)
        write_card(export, recipe, figures)
        outs.append(export.out)
    return outs


def make_recipe(name: str, settings: Settings) -> Recipe:
    return RECIPES[name](settings)
