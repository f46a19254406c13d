"""A picture that the Sample tab shows: its file, what it takes to draw it again, and how it is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from imgsynth.errors import BadRequest
from imgsynth.families import LatentModel
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record, read_record
from imgsynth.seeds import NoiseKind
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import SampleRequest, make_request, show_seeds
from imgsynth.tasks.sample import grid_of, latent_model, latent_of, sample_each, singles
from imgsynth.ui.session import Session, new_folder, save, save_all, wanted

# A first batch shows at once; later ones grow, for each is sent to the page with all before it.
FIRST, MOST_AT_ONCE = 8, 32
GONE = "This picture's file has been cleared away, as happens after an hour; draw it again."


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture of a session.

    Attributes:
        path: its file, under a secret name.
        model: what its model is chosen by.
        request: asks for this picture alone.
        label: the class it was drawn with, where the model knows classes.
        photos: what its latent was found from, for its record.
    """

    path: str
    model: str
    request: SampleRequest
    label: int | None = None
    photos: tuple[Photo, ...] = ()

    @property
    def file(self) -> Path:
        """Its file.

        Raises:
            BadRequest: it is no longer there.
        """
        if not Path(self.path).is_file():
            raise BadRequest(GONE)
        return Path(self.path)

    @property
    def record(self) -> Record:
        return read_record(self.file)


Pictures = tuple[Shown, ...]


def draw(
    session: Session, name: str, requests: Sequence[SampleRequest], photos: tuple[Photo, ...] = ()
) -> Iterator[Pictures]:
    """Draws one picture for each request; yields what is new, the first few at once."""
    pictures = wanted(sample_each(session.model(name), requests, photos))
    folder, done = new_folder(), 0
    while fresh := list(islice(pictures, min(MOST_AT_ONCE, max(FIRST, done)))):
        asked = requests[done : done + len(fresh)]
        labels = [picture.record["request"].get("label") for picture in fresh]
        paths = save_all(iter(fresh), folder)
        yield tuple(Shown(p, name, r, n, photos) for p, r, n in zip(paths, asked, labels, strict=True))
        done += len(fresh)


def items(pictures: Pictures) -> list[tuple[str, str]]:
    """Paths and captions, as a gallery takes them."""
    return [(shown.path, caption(shown, number)) for number, shown in enumerate(pictures, 1)]


def caption(shown: Shown, number: int | None = None) -> str:
    """The seed, or which variation it is, and its class where it has one.

    Args:
        number: of a variation among its neighbours; None where it stands among others.
    """
    start = str(shown.request.seeds[0]) if shown.request.seeds else "latent"
    if shown.request.variation_amount:
        start = f"near {start}" if number is None else f"variation {number}"
    return start if shown.label is None else f"{start} · class {shown.label}"


def recipe(requests: Sequence[SampleRequest]) -> str:
    """What pictures have in common, in a few words."""
    first = requests[0]
    seeds = [r.seeds[0] for r in requests if r.seeds]
    if first.variation_amount:
        origin = f"seed {seeds[0]}" if seeds else "a latent"
        start = f"variations of {origin}, {first.variation_amount:g} away"
    else:
        start = f"seeds {show_seeds(seeds)}" if seeds else "a latent"
    label = [] if first.label is None else [f"class {first.label}"]
    return " · ".join([start, *label, f"psi {first.psi:g}", *noises(first.noise), *moves(first)])


def details(shown: Shown) -> list[str]:
    """One picture's recipe, part by part."""
    r = shown.request
    towards = f"{r.variation_amount:.0%} towards seed {r.variation_seed}"
    return [
        f"seed {r.seeds[0]}" if r.seeds else "from a photo" if shown.photos else "from a latent",
        f"psi {r.psi:g}",
        *([] if shown.label is None else [f"class {shown.label}"]),
        *noises(r.noise),
        *([towards] if r.variation_amount else []),
        *moves(r),
    ]


def noises(kind: NoiseKind | None) -> list[str]:
    """What was asked of the noise, in words."""
    return [] if kind is None else ["no noise" if kind == "none" else f"{kind} noise"]


def moves(request: SampleRequest) -> list[str]:
    return [f"{name} {amount:+g}" for name, amount in request.directions.items() if amount]


def drawer_of(session: Session, shown: Shown) -> LatentModel:
    """The model that drew a picture."""
    return latent_model(session.model(shown.model), "sample")


def keyframe_of(session: Session, shown: Shown) -> str:
    """A picture as Interpolate takes it: its seed where that is all, else its latent."""
    request = shown.request
    if request.seeds and not request.edits:
        return str(request.seeds[0])
    return latent_of(drawer_of(session, shown), request).text


def start_of_variations(session: Session, shown: Shown) -> SampleRequest:
    """What neighbours are neighbours of: the picture's request, or its latent where it is one itself."""
    request = shown.request
    if not request.variation_amount:
        return request
    latent = latent_of(drawer_of(session, shown), request).text
    kept = {"psi": request.psi, "label": shown.label, "noise": request.noise}
    return make_request(SampleRequest, latent=latent, **kept)


def whole(pictures: Pictures) -> SampleRequest:
    """One request for all pictures.

    Raises:
        BadRequest: there are none, or no single request asks for them.
    """
    if not pictures:
        raise BadRequest("There are no pictures yet; draw some first.")
    requests = [shown.request for shown in pictures]
    if len(requests) == 1:
        return requests[0]
    together = requests[0].model_copy(update={"seeds": [seed for r in requests for seed in r.seeds]})
    if singles(together) != requests:
        raise BadRequest("Variations have no recipe in common; take the ZIP, which has a sheet of all.")
    return together


def save_grid(session: Session, pictures: Pictures) -> str:
    """Writes all pictures side by side, with one record for the whole; returns the path.

    Raises:
        BadRequest: as `whole`, or a file is no longer there.
    """
    request, model = whole(pictures), drawer_of(session, pictures[0])
    opened = [Picture(Image.open(shown.file), {}, shown.file.stem) for shown in pictures]
    return save(grid_of(model, request, opened, photos=pictures[0].photos), new_folder())
