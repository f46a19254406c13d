"""Training runs in processes of their own: killed, or several as one; and a small recipe without any norm.

A fork server imports PyTorch once, so that each process starts at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from builders import pixels
from imgsynth.training import parallel, run, state
from imgsynth.training.data import load
from imgsynth.training.log import log_path, read_log
from imgsynth.training.microbatch import Terms
from imgsynth.training.recipe import Export, Recipe, Settings, sheet_of

SIZE, LATENT = 16, 8
PATIENCE = 100.0  # seconds, after which a process that hangs is ended; no verdict hangs on it

PROCESSES = multiprocessing.get_context("forkserver")
# What Adam imports with its first step is slow too; ours is found where the repository is the working folder.
PROCESSES.set_forkserver_preload(["torch._dynamo", "torchvision.utils", "imgsynth.training.run"])


def make_images(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    for i in range(count):
        Image.fromarray(pixels(70, 66, seed=i)).save(folder / f"image{i:02}.png")
    return folder


class ToyRecipe(Recipe):
    """A GAN of a few plain layers: no norm, no augmentation, nothing that looks across a batch."""

    name = "toy"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.batch = settings.batch or 4
        self.images = load(settings.data, SIZE, True, 0.0)
        self.generator = self.add("generator", toy_generator(), ema=0.9)
        self.judge = self.add("judge", toy_judge())
        for name in self.parts:
            self.adam(name, self.parts[name], rate=1e-3, betas=(0.5, 0.9))
        self.ranks = [parallel.rank()]

    def step(self, step: int, progress: float) -> dict[str, float]:
        rng = self.rng(step)
        self.set_rate(1e-3 * (1 - progress))
        real = self.images.batch(rng, self.batch, SIZE, zoom=(0.7, 1.0))
        z = self.normal(rng, LATENT)

        def judged(part: slice) -> Terms:
            fake = self.generator(z[part]).detach()
            loss = (self.judge(real[part]) - 1).square().mean() + self.judge(fake).square().mean()
            return loss, {"D": loss}

        def drawn(part: slice) -> Terms:
            loss = (self.judge(self.generator(z[part])) - 1).square().mean()
            return loss, {"G": loss}

        figures = self.update("judge", judged) | self.update("generator", drawn, clip=0.1)
        self.update_averages(step)
        return figures

    def sheet(self) -> Image.Image:
        return sheet_of(torch.zeros(1, 3, SIZE, SIZE), 1)

    def exports(self) -> list[Export]:
        return []

    def extra_state(self) -> dict[str, Any]:
        return {"ranks": self.ranks}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        self.ranks = [*state["ranks"], parallel.rank()]


def toy_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(LATENT, 64 * 16),
        nn.Unflatten(1, (64, 4, 4)),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 4),
        nn.Tanh(),
    )


def toy_judge() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 16, 1))


@dataclass(frozen=True)
class Job:
    """A run, as a process is told of it.

    Attributes:
        hold_at: the step at which it waits for its end, so that a kill always meets it alive.
        stop_at: the step in which the last of the processes, and no other, is told to stop.
        save_seconds: how often the state is saved.
    """

    recipe: str
    settings: Settings
    steps: int
    resume: bool = False
    hold_at: int | None = None
    stop_at: int | None = None
    save_seconds: float = 50.0
    environment: Mapping[str, str] = field(default_factory=dict)


def work(job: Job) -> None:
    """What a process does: a run; each process leaves its networks beside the checkpoint."""
    torch.set_num_threads(1)
    os.environ.update(job.environment)
    run.SAVE_SECONDS = job.save_seconds
    with parallel.joined(torch.device("cpu")):
        recipe = ToyRecipe(job.settings) if job.recipe == "toy" else run.make_recipe(job.recipe, job.settings)
        if job.hold_at is not None:
            before_step(recipe, job.hold_at, wait_for_the_end)
        if job.stop_at is not None and parallel.rank() == parallel.world_size() - 1:
            before_step(recipe, job.stop_at, stop_softly)
        saved = state.state_path(job.settings.out)
        run.train(recipe, run.Budget(job.steps, None), saved if job.resume else None, lambda _: None)
        weights = {name: part.state_dict() for name, part in recipe.parts.items()}
        torch.save((weights, recipe.extra_state()), networks_path(job.settings.out, parallel.rank()))


def before_step(recipe: Recipe, at: int, happens: Callable[[], None]) -> None:
    take = recipe.step

    def step(number: int, progress: float) -> dict[str, float]:
        if number == at:
            happens()
        return take(number, progress)

    recipe.step = step  # type: ignore[method-assign]


def wait_for_the_end() -> None:
    while True:
        signal.pause()


def stop_softly() -> None:
    signal.raise_signal(signal.SIGTERM)


def networks_path(out: Path, rank: int) -> Path:
    return out.with_name(f"{out.stem}.rank{rank}.pt")


def networks(out: Path, rank: int = 0) -> dict[str, dict[str, Tensor]]:
    return torch.load(networks_path(out, rank))[0]


def start(job: Job) -> ForkServerProcess:
    process = PROCESSES.Process(target=work, args=(job,), daemon=True)
    process.start()
    return process


def end(*processes: ForkServerProcess) -> None:
    """Waits for processes; each must have done its work."""
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
        assert process.exitcode == 0


def run_alone(job: Job) -> None:
    end(start(job))


def run_together(job: Job, count: int = 2) -> None:
    """The job in several processes, each of which finds the others by what torchrun would have told it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [{**told, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(count)]
    end(*[start(replace(job, environment=rank)) for rank in ranks])


def logged(out: Path) -> list[dict[str, Any]]:
    """A log without what clocks and the operating system said."""
    measured = ("seconds", "images_per_second", "memory_mb")
    return [{k: v for k, v in entry.items() if k not in measured} for entry in read_log(log_path(out))]


def losses(out: Path) -> list[dict[str, float]]:
    return [entry["losses"] for entry in read_log(log_path(out))]


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at(process: ForkServerProcess, log: Path, lines: int) -> None:
    """SIGKILL, once the log has that many lines."""
    deadline = time.monotonic() + PATIENCE
    while count_lines(log) < lines and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def values(series: Sequence[Mapping[str, float]]) -> Tensor:
    return torch.tensor([list(entry.values()) for entry in series], dtype=torch.float64)
