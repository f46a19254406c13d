"""Style mixing: some layers of a picture with the style of one seed, the others with that of another.

Karras et al. 2019, arXiv:1812.04948, section 3.1 and figure 3. Which layers are coarse, middle and fine goes
by the size of their feature maps, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from PIL import Image
from torch import Tensor

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import LatentModel, Model
from imgsynth.imaging.grid import make_grid
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.pictures import Picture, make_record, to_images
from imgsynth.tasks.requests import MixRequest, SampleRequest
from imgsynth.tasks.sample import latent_model, sample

# The largest side of feature maps in each part of the layers.
PARTS = {"coarse": 8, "middle": 32, "fine": 4096}
LARGEST_TABLE = 2**27  # pixels; what is larger by a third, Pillow takes for an attack
Pair = tuple[int, int]


@dataclass(frozen=True)
class Mixture:
    """What style mixing makes.

    Attributes:
        table: sources on the left, destinations above, and between them their mixtures.
        pictures: the mixtures alone, row by row.
    """

    table: Picture
    pictures: tuple[Picture, ...]


def styled_model(model: Model) -> LatentModel:
    """The model as one that takes a style for each layer.

    Raises:
        TaskNotOffered: it takes none.
    """
    drawer = latent_model(model, "sample")
    if not drawer.layers:
        raise TaskNotOffered(
            f"{model.identity.id} has no styles to mix; choose a StyleGAN or another model "
            "with a style for each layer."
        )
    return drawer


def mix(model: Model, request: MixRequest) -> Iterator[Picture]:
    """Yields a picture for each source with each destination, row by row, each batch as soon as it is drawn.

    Raises:
        TaskNotOffered: the model takes no styles.
        BadRequest: it has no such layers, or the table would be too large.
    """
    drawer = styled_model(model)
    layers = layers_of(drawer, request.layers)
    check_size(drawer, request)
    pairs = list(product(request.sources, request.destinations))
    for start in range(0, len(pairs), drawer.batch):
        yield from drawn(drawer, request, pairs[start : start + drawer.batch], layers)


def drawn(model: LatentModel, request: MixRequest, pairs: Sequence[Pair], layers: range) -> Iterator[Picture]:
    """The pictures of one batch; noise is the destination's, whose picture is being changed."""
    sources, destinations = ([pair[side] for pair in pairs] for side in (0, 1))
    noise = model.noise(destinations, request.noise)
    with memory_guard():
        w = mixed(model, sources, destinations, layers)
        images = to_images(model.render(w, psi=request.psi, noise=noise, space="w"))
    for (source, destination), image in zip(pairs, images, strict=True):
        values = {"source": source, "destination": destination, **shared(request)}
        name = f"source{source:08d}-destination{destination:08d}"
        yield Picture(image, make_record(model, "mix", values), name)


def mixed(model: LatentModel, sources: Sequence[int], destinations: Sequence[int], layers: range) -> Tensor:
    """w of pairs of seeds, float32 N×layers×w_dim, before truncation."""
    w = model.styles(model.latents(destinations)).unsqueeze(1).repeat(1, model.layers, 1)
    w[:, layers] = model.styles(model.latents(sources)).unsqueeze(1)
    return w


def shared(request: MixRequest) -> dict[str, Any]:
    """The part of a record that table and pictures have in common."""
    noise = {} if request.noise is None else {"noise": request.noise}
    return {"layers": request.layers, "psi": request.psi, **noise}


def parts_of(model: LatentModel) -> dict[str, range]:
    """The layers of each part that a model has: two for each side of feature maps, from the smallest on."""
    side, first = model.image_size or 0, 0
    smallest = side >> (model.layers // 2 - 1)
    parts: dict[str, range] = {}
    for name, largest in PARTS.items():
        end = sum(smallest << (layer // 2) <= largest for layer in range(model.layers))
        if end > first:
            parts[name] = range(first, end)
        first = end
    return parts


def layers_of(model: LatentModel, text: str) -> range:
    """The layers that a request names.

    Raises:
        BadRequest: the model does not have them.
    """
    parts = parts_of(model)
    if text in PARTS:
        if text not in parts:
            raise BadRequest(
                f"{model.identity.id} draws {model.image_size} pixels a side and has no {text} layers; "
                f"it has {' and '.join(parts)} ones."
            )
        return parts[text]
    first, _, last = text.partition("-")
    layers = range(int(first), int(last or first) + 1)
    if not layers or layers[-1] >= model.layers:
        raise BadRequest(f"{model.identity.id} has layers 0 to {model.layers - 1}, not {text}.")
    return layers


def check_size(model: LatentModel, request: MixRequest) -> None:
    cells = (len(request.sources) + 1) * (len(request.destinations) + 1)
    pixels = cells * (model.image_size or 0) ** 2
    if pixels > LARGEST_TABLE:
        raise BadRequest(f"The table would have {pixels / 1e6:.0f} million pixels; give fewer seeds.")


def table_of(model: Model, request: MixRequest, pictures: Sequence[Picture]) -> Picture:
    """All pictures of a request between those of its seeds, with a record that makes the whole again."""
    rows, columns = (unmixed(model, request, seeds) for seeds in (request.sources, request.destinations))
    images, width = [Image.new("RGB", rows[0].size, "white"), *columns], len(columns)
    for number, first in enumerate(rows):
        row = pictures[number * width : (number + 1) * width]
        images += [first, *(picture.image for picture in row)]
    values = {
        "sources": list(request.sources),
        "destinations": list(request.destinations),
        **shared(request),
    }
    return Picture(make_grid(images, width + 1), make_record(model, "mix", values), "mix")


def unmixed(model: Model, request: MixRequest, seeds: Sequence[int]) -> list[Image.Image]:
    plain = SampleRequest(seeds=list(seeds), psi=request.psi, noise=request.noise)
    return [picture.image for picture in sample(model, plain)]


def run_mix(model: Model, request: MixRequest) -> Mixture:
    """As `mix`, to its end, and the table."""
    pictures = tuple(mix(model, request))
    return Mixture(table_of(model, request, pictures), pictures)
