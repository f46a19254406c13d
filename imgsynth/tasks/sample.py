"""Random sampling: one picture per seed or latent, as it is or edited, and grids of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch

from imgsynth.families import LatentModel, Model, require_task
from imgsynth.families.latent import Space
from imgsynth.imaging.grid import check_sheet, make_grid
from imgsynth.imaging.read import Photo
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.directions import directions_of, moved
from imgsynth.tasks.latents import Latent, read_latent, space_of
from imgsynth.tasks.pictures import Picture, make_record, to_images
from imgsynth.tasks.requests import SampleRequest
from imgsynth.tasks.variations import varied


def latent_model(model: Model, task: str) -> LatentModel:
    """The model as one that has latents, or TaskNotOffered."""
    require_task(model, task)
    assert isinstance(model, LatentModel)
    return model


def sample(model: Model, request: SampleRequest, photos: Sequence[Photo] = ()) -> Iterator[Picture]:
    """Yields one picture per seed, in order, or the one of a latent, each batch as soon as it is drawn.

    Args:
        photos: what the latent was found from, for the record.

    Raises:
        TaskNotOffered: the model draws nothing from seeds.
        BadRequest: the model has no such class or direction, or the latent is of another model.
    """
    yield from sample_each(model, singles(request), photos)


def singles(request: SampleRequest) -> list[SampleRequest]:
    """One request for each picture of a request."""
    if request.latent is not None:
        return [request]
    return [request.model_copy(update={"seeds": [seed]}) for seed in request.seeds]


def sample_each(
    model: Model, requests: Iterable[SampleRequest], photos: Sequence[Photo] = ()
) -> Iterator[Picture]:
    """As `sample`, of many requests for one picture each, in full batches: variations, for one."""
    drawer = latent_model(model, "sample")
    for (_, _, space), alike in groupby(requests, key=lambda r: (r.psi, r.noise, space_for(drawer, r))):
        group = list(alike)
        for start in range(0, len(group), drawer.batch):
            yield from drawn(drawer, group[start : start + drawer.batch], space, photos)


def drawn(
    model: LatentModel, requests: Sequence[SampleRequest], space: Space, photos: Sequence[Photo]
) -> Iterator[Picture]:
    """The pictures of one batch, alike in psi and noise."""
    psi, kind = requests[0].psi, requests[0].noise
    latents = torch.stack([latent_of(model, r).values for r in requests])
    labels = [label_of(model, r) for r in requests]
    classes = [label for label in labels if label is not None] or None
    noise = model.noise([noise_seed(r) for r in requests], kind)
    with memory_guard():
        batch = model.render(latents, psi=psi, labels=classes, noise=noise, space=space)
    for request, label, image in zip(requests, labels, to_images(batch), strict=True):
        known = {} if label is None else {"label": label}
        values = {**start_of(request), **shared(model, request), **known}
        record = make_record(model, "sample", values, photos)
        yield Picture(image, record, name_of(request))


def latent_of(model: LatentModel, request: SampleRequest) -> Latent:
    """The latent of a request for one picture: a keyframe, or where further edits start.

    Drawn again from its latent alone, a picture has the noise maps of seed 0, where the model uses any.
    """
    if request.latent is not None:
        latent = read_latent(model, request.latent)
    else:
        latent = Latent("z", model.latents(request.seeds)[0])
    if request.variation_amount and request.variation_seed is not None:
        latent = varied(model, latent, request.variation_seed, request.variation_amount)
    if is_moved(request):
        directions = directions_of(model)
        directions.check(request.direction_sha256)
        latent = moved(model, latent, directions.shift(request.directions))
    return latent


def is_moved(request: SampleRequest) -> bool:
    return any(request.directions.values())


def space_for(model: LatentModel, request: SampleRequest) -> Space:
    """The space of a request's latent, known before it is drawn."""
    start: Space = "z" if request.latent is None else space_of(request.latent)
    return model.space if is_moved(request) else start


def noise_seed(request: SampleRequest) -> int:
    """Whose noise maps a picture has: a variation keeps those of its seed, a latent has none of its own."""
    return request.seeds[0] if request.seeds else 0


def label_of(model: LatentModel, request: SampleRequest) -> int | None:
    """The class of a single picture; None for a model without classes."""
    labels = labels_of(model, [noise_seed(request)], request.label)
    return None if labels is None else labels[0]


def labels_of(model: LatentModel, seeds: Sequence[int], label: int | None) -> list[int] | None:
    """A class for each seed: the one asked for, else all in turn; None for a model without classes."""
    if label is not None:
        return model.checked_labels([label] * len(seeds), len(seeds))
    return [seed % model.classes for seed in seeds] if model.classes else None


def name_of(request: SampleRequest) -> str:
    """A file name without ending."""
    start = f"seed{request.seeds[0]:08d}" if request.latent is None else "latent"
    return f"{start}-variation{request.variation_seed:08d}" if request.variation_amount else start


def start_of(request: SampleRequest) -> dict[str, Any]:
    """Where a single picture starts from, as its record names it."""
    return {"seed": request.seeds[0]} if request.latent is None else {"latent": request.latent}


def shared(model: Model, request: SampleRequest) -> dict[str, Any]:
    """The part of a record that all pictures of a request have in common."""
    label = {} if request.label is None else {"label": request.label}
    noise = {} if request.noise is None else {"noise": request.noise}
    edits = request.edits
    sums = directions_of(model).sums(edits["directions"]) if is_moved(request) else {}
    return {"psi": request.psi, **label, **noise, **edits} | ({"direction_sha256": sums} if sums else {})


def check_grid(model: Model, request: SampleRequest) -> None:
    """
    Raises:
        BadRequest: the sheet of all pictures of a request would be too large.
    """
    side = model.image_size or 0
    check_sheet(len(singles(request)), (side, side), "pictures")


def grid_of(
    model: Model,
    request: SampleRequest,
    pictures: Iterable[Picture],
    columns: int | None = None,
    photos: Sequence[Photo] = (),
) -> Picture:
    """All pictures of a request side by side, with a record that makes the whole again.

    Args:
        pictures: of the request; they are taken only once it is known that the sheet will not be too large.

    Raises:
        BadRequest: as `check_grid`.
    """
    check_grid(model, request)
    image = make_grid([p.image for p in pictures], columns)
    start = {"seeds": list(request.seeds)} if request.latent is None else start_of(request)
    values = {**start, **shared(model, request)} | ({} if columns is None else {"columns": columns})
    return Picture(image, make_record(model, "sample", values, photos), "grid")
