"""Random sampling: one picture per seed, and grids of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from imgsynth.families import LatentModel, Model, require_task
from imgsynth.imaging.grid import make_grid
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.pictures import Picture, make_record, to_images
from imgsynth.tasks.requests import SampleRequest


def latent_model(model: Model, task: str) -> LatentModel:
    """The model as one that has latents, or TaskNotOffered."""
    require_task(model, task)
    assert isinstance(model, LatentModel)
    return model


def sample(model: Model, request: SampleRequest) -> Iterator[Picture]:
    """Yields one picture per seed, in order, each batch as soon as it is drawn.

    Raises:
        TaskNotOffered: the model draws nothing from seeds.
        BadRequest: the model has no such class.
    """
    drawer = latent_model(model, "sample")
    for start in range(0, len(request.seeds), drawer.batch):
        seeds = request.seeds[start : start + drawer.batch]
        labels = labels_of(drawer, seeds, request.label)
        with memory_guard():
            batch = drawer.render(
                drawer.latents(seeds), psi=request.psi, labels=labels, noise=drawer.noise(seeds)
            )
        for i, (seed, image) in enumerate(zip(seeds, to_images(batch), strict=True)):
            label = {} if labels is None else {"label": labels[i]}
            record = make_record(model, "sample", {"seed": seed, **shared(request), **label})
            yield Picture(image, record, f"seed{seed:08d}")


def labels_of(model: LatentModel, seeds: Sequence[int], label: int | None) -> list[int] | None:
    """A class for each seed: the one asked for, else all in turn; None for a model without classes."""
    if label is not None:
        return model.checked_labels([label] * len(seeds), len(seeds))
    return [seed % model.classes for seed in seeds] if model.classes else None


def shared(request: SampleRequest) -> dict[str, Any]:
    """The part of a record that all pictures of a request have in common."""
    return {"psi": request.psi} | ({} if request.label is None else {"label": request.label})


def grid_of(
    model: Model, request: SampleRequest, pictures: Sequence[Picture], columns: int | None = None
) -> Picture:
    """All pictures of a request side by side, with a record that makes the whole again."""
    image = make_grid([p.image for p in pictures], columns)
    values = {"seeds": list(request.seeds), **shared(request)} | (
        {} if columns is None else {"columns": columns}
    )
    return Picture(image, make_record(model, "sample", values), "grid")
