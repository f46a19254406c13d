"""`mix`: some layers of pictures with the styles of one seed, the others with those of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsynth.cli.make import counted
from imgsynth.cli.shared import (
    PICTURES,
    Checkpoint,
    Common,
    Noise,
    Psi,
    check_ending,
    open_model,
    progress_bar,
    put,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgsynth.families import Model
    from imgsynth.tasks.pictures import Picture
    from imgsynth.tasks.requests import MixRequest


def mix(
    common: Common,
    *,
    checkpoint: Checkpoint,
    sources: Annotated[
        str, typer.Option(metavar="1,2,5-10", help="Seeds whose styles are taken in the layers named.")
    ],
    destinations: Annotated[
        str, typer.Option(metavar="1,2,5-10", help="Seeds whose styles stay in all other layers.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A table of all mixtures on one sheet.")],
    layers: Annotated[
        str, typer.Option(metavar="coarse|middle|fine|4-7", help="Which layers take the source's style.")
    ] = "coarse",
    pictures: Annotated[Path | None, typer.Option(metavar="DIR", help="Each mixture alone, too.")] = None,
    psi: Psi = "1",
    noise: Noise = None,
) -> None:
    """Mix the styles of seeds, for networks with a style per layer."""
    from imgsynth.imaging.write import write_image
    from imgsynth.tasks.mixing import table_of
    from imgsynth.tasks.requests import MixRequest, make_request, parse_seeds

    request = make_request(
        MixRequest,
        sources=parse_seeds(sources),
        destinations=parse_seeds(destinations),
        layers=layers,
        psi=psi,
        noise=noise,
    )
    check_ending(out, PICTURES)
    model = open_model(common, checkpoint)
    mixtures = list(drawn(model, request, pictures))
    table = table_of(model, request, mixtures)
    put(write_image(out, table.image, table.record))
    say(f"Drew {counted(len(mixtures), 'mixture')} with {model.identity.id}.")


def drawn(model: Model, request: MixRequest, folder: Path | None) -> Iterator[Picture]:
    """Each mixture, once it is written where a folder is given."""
    from imgsynth.imaging.write import write_png
    from imgsynth.tasks.mixing import mix as draw_each

    with progress_bar(len(request.sources) * len(request.destinations), "picture") as bar:
        for picture in draw_each(model, request):
            if folder is not None:
                put(write_png(folder / f"{picture.name}.png", picture.image, picture.record))
            bar.update()
            yield picture
