"""The public Python API; every function here is also a name of the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from imgsynth.families import Model
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.runtime.opening import open_checkpoint
from imgsynth.seeds import NoiseKind
from imgsynth.tasks.blend import blend as blend_task
from imgsynth.tasks.directions import Directions, directions_of
from imgsynth.tasks.inpaint import inpaint as inpaint_task
from imgsynth.tasks.interpolate import interpolate as interpolate_task
from imgsynth.tasks.inversion import Found, run_inversion
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.mixing import Mixture, run_mix
from imgsynth.tasks.outpaint import outpaint as outpaint_task
from imgsynth.tasks.requests import (
    LATENT,
    PHOTO,
    BlendPath,
    BlendRequest,
    Easing,
    InpaintRequest,
    InterpolateRequest,
    InvertRequest,
    MixRequest,
    OutpaintRequest,
    PathKind,
    SampleRequest,
    TranslateRequest,
    make_request,
)
from imgsynth.tasks.sample import sample as sample_task
from imgsynth.tasks.sample import sample_each
from imgsynth.tasks.translate import translate as translate_task
from imgsynth.tasks.variations import neighbours

__all__ = [
    "blend",
    "directions",
    "inpaint",
    "interpolate",
    "invert",
    "mix",
    "open_checkpoint",
    "outpaint",
    "sample",
    "translate",
    "variations",
]

PhotoLike = str | Path | bytes | Image.Image


def sample(
    model: Model,
    seeds: Iterable[int] | None = None,
    psi: float = 1.0,
    label: int | None = None,
    *,
    latent: Latent | str | None = None,
    variation_seed: int | None = None,
    variation_amount: float = 0.0,
    directions: Mapping[str, float] | None = None,
    noise: NoiseKind | None = None,
) -> list[Image.Image]:
    """Draws one picture per seed, or the one of a latent.

    Args:
        model: from `open_checkpoint`.
        seeds: integers from 0 to 2³²−1.
        psi: truncation, 0 … 2; 1 draws from the whole model.
        label: class to draw, for a model with classes.
        latent: in place of seeds, a point such as `invert` finds.
        variation_seed: which variation of each picture.
        variation_amount: how far it goes, 0 … 1.
        directions: how far to go along directions of the model, −10 … 10 standard deviations by name.
        noise: "random" (each seed's own), "constant" or "none", for noise inputs; None: the usual one.

    Returns:
        RGB pictures, in the order of the seeds.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> sample(open_checkpoint("avatars-gan"), seeds=range(16))[0].save("face.png")
    """
    request = make_request(
        SampleRequest,
        **start_of(seeds, latent),
        psi=psi,
        label=label,
        variation_seed=variation_seed,
        variation_amount=variation_amount,
        directions=dict(directions or {}),
        noise=noise,
    )
    return [picture.image for picture in sample_task(model, request)]


def start_of(seeds: Iterable[int] | None, latent: Latent | str | None) -> dict[str, Any]:
    """What a request starts from, as far as it was given."""
    given: dict[str, Any] = {} if seeds is None else {"seeds": list(seeds)}
    return given if latent is None else {**given, "latent": as_text(latent)}


def as_text(latent: Latent | str) -> str:
    return latent.text if isinstance(latent, Latent) else latent


def variations(
    model: Model,
    start: int | Latent,
    count: int = 8,
    amount: float = 0.25,
    psi: float = 1.0,
    label: int | None = None,
    noise: NoiseKind | None = None,
) -> list[Image.Image]:
    """Draws neighbours of one picture, the same ones every time.

    Args:
        model: from `open_checkpoint`.
        start: the picture's seed, or its latent.
        count: how many, 1 … 256; fewer are the first of more.
        amount: how far from the picture, 0 … 1.
        psi: truncation, 0 … 2.
        label: class to draw, for a model with classes.
        noise: as for `sample`.

    Returns:
        RGB pictures.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> variations(open_checkpoint("avatars-gan"), 7, amount=0.3)[0].save("sibling.png")
    """
    given = start_of(None, start) if isinstance(start, Latent) else start_of([start], None)
    picture = make_request(SampleRequest, **given, psi=psi, label=label, noise=noise)
    return [p.image for p in sample_each(model, neighbours(picture, count, amount))]


def mix(
    model: Model,
    sources: Iterable[int],
    destinations: Iterable[int],
    layers: str = "coarse",
    psi: float = 1.0,
    noise: NoiseKind | None = None,
) -> Mixture:
    """Mixes the styles of seeds: some layers take those of a source, the others those of a destination.

    Args:
        model: from `open_checkpoint`; one with a style per layer, such as a StyleGAN.
        sources: seeds whose styles are taken in the layers named.
        destinations: seeds whose styles stay in all other layers.
        layers: "coarse", "middle", "fine", or layers such as "4-7", counted from 0.
        psi: truncation, 0 … 2.
        noise: as for `sample`; "random" is of the destination's own.

    Returns:
        A table with sources on the left and destinations above; and the mixtures, row by row.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> mix(open_checkpoint("ffhq-stylegan1-128"), [1, 2, 3], range(10, 15)).table.image.save("mix.png")
    """
    given = {"sources": list(sources), "destinations": list(destinations), "layers": layers}
    return run_mix(model, make_request(MixRequest, **given, psi=psi, noise=noise))


def directions(model: Model) -> Directions:
    """The directions of a model, for `sample(…, directions=…)`.

    Attributes shipped with it, such as "Smiling", and the principal components along which its pictures
    change most.

    Args:
        model: from `open_checkpoint`; the directions are computed once and kept with it.

    Returns:
        Their names and what lies behind them.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> model = open_checkpoint("avatars-gan")
        >>> sample(model, [7], directions={directions(model).names[0]: 2.0})
    """
    return directions_of(model)


def invert(
    model: Model, photo: PhotoLike, steps: int = 300, label: int | None = None, seed: int = 0
) -> Found:
    """Finds the latent whose picture is nearest to a photo.

    Args:
        model: from `open_checkpoint`.
        photo: a path, bytes or picture; its middle square is looked for.
        steps: of the search; an autoencoder takes none.
        label: class to look in, for a model with classes.
        seed: which random latents the search begins with.

    Returns:
        The latent, for `sample`, `variations` and keyframes; its picture, and that picture's PSNR.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> found = invert(model, "me.jpg")
        >>> interpolate(model, [found.latent, 7])
    """
    request = make_request(InvertRequest, steps=steps, label=label, seed=seed)
    return run_inversion(model, request, read_photo(photo))


def interpolate(
    model: Model,
    keyframes: Sequence[int | Latent | PhotoLike],
    frames: int = 120,
    path: PathKind = "slerp",
    loop: bool = False,
    psi: float = 1.0,
    easing: Easing = "none",
    noise: Literal["constant", "none"] | None = None,
) -> Iterator[Image.Image]:
    """Walks through the latents of keyframes.

    Args:
        model: from `open_checkpoint`.
        keyframes: seeds, latents, or photos (paths, bytes, pictures) for a model that encodes them.
        frames: number of frames in all.
        path: "slerp", "lerp" or "spline".
        loop: whether the last keyframe leads back to the first.
        psi: truncation, 0 … 2.
        easing: "none" for constant speed, or "smoothstep" to rest a moment at every keyframe.
        noise: "none" draws every frame without noise, for a model with noise inputs; else all have the same.

    Returns:
        An iterator of RGB pictures, drawn as they are asked for.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    names, photos = opened_keyframes(keyframes)
    options = {"frames": frames, "path": path, "loop": loop, "psi": psi, "easing": easing, "noise": noise}
    return interpolate_task(model, make_request(InterpolateRequest, keyframes=names, **options), photos)


def blend(
    model: Model,
    keyframes: Sequence[int | Latent | PhotoLike],
    columns: int = 5,
    rows: int = 5,
    path: BlendPath = "slerp",
    psi: float = 1.0,
    label: int | None = None,
) -> Image.Image:
    """Blends four keyframes into a sheet of pictures, one keyframe in each corner.

    Args:
        model: from `open_checkpoint`.
        keyframes: top left, top right, bottom left and bottom right: seeds, latents, or photos (paths,
            bytes, pictures) for a model that encodes them.
        columns, rows: how many pictures, corners included, 2 … 16 each.
        path: "slerp" or "lerp".
        psi: truncation, 0 … 2.
        label: class to draw, for a model with classes.

    Returns:
        One RGB picture of the whole sheet.

    Raises:
        ImgsynthError: with the reason in one sentence.

    Example:
        >>> blend(open_checkpoint("avatars-gan"), [1, 5, 9, 13], columns=8).save("sheet.png")
    """
    names, photos = opened_keyframes(keyframes)
    options = {"columns": columns, "rows": rows, "path": path, "psi": psi, "label": label}
    return blend_task(model, make_request(BlendRequest, keyframes=names, **options), photos).image


def opened_keyframes(keyframes: Sequence[int | Latent | PhotoLike]) -> tuple[list[int | str], list[Photo]]:
    """Keyframes as a request has them, and the photos among them."""
    points = [opened_keyframe(keyframe) for keyframe in keyframes]
    names = [PHOTO if isinstance(point, Photo) else point for point in points]
    return names, [point for point in points if isinstance(point, Photo)]


def opened_keyframe(keyframe: int | Latent | PhotoLike) -> int | str | Photo:
    """A keyframe as a request has it, or a photo that stands for one."""
    if isinstance(keyframe, int | np.integer):
        return int(keyframe)
    if isinstance(keyframe, Latent):
        return keyframe.text
    if isinstance(keyframe, str) and keyframe.startswith(LATENT):
        return keyframe
    return read_photo(keyframe)


def translate(model: Model, photo: PhotoLike, strength: float = 1.0, tiles: int | None = None) -> Image.Image:
    """Repaints a photo in the model's style.

    Args:
        model: from `open_checkpoint`.
        photo: a path, bytes or picture; any size.
        strength: 0 keeps the photo, 1 takes the translation.
        tiles: side of the tiles to work in, in pixels; 0 for one piece; None: as memory demands.

    Returns:
        A picture of the same size, RGBA where the photo has alpha.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    request = make_request(TranslateRequest, strength=strength, tiles=tiles)
    return translate_task(model, request, read_photo(photo)).image


def inpaint(
    model: Model, photo: PhotoLike, mask: PhotoLike | np.ndarray, grow: int = 0, feather: int = 0
) -> Image.Image:
    """Fills the hole of a photo.

    Args:
        model: from `open_checkpoint`.
        photo: a path, bytes or picture; any size.
        mask: a picture whose non-black (or, with alpha, non-transparent) pixels are the hole,
            or a bool array H×W, True = hole.
        grow: pixels by which the hole is widened.
        feather: pixels over which the fill fades into the photo.

    Returns:
        A picture of the same size; outside the grown, feathered hole it equals the photo bit for bit.
        RGBA where the photo has alpha, I;16 where it is 16-bit grey.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    opened = read_photo(photo)
    request = make_request(InpaintRequest, grow=grow, feather=feather)
    return inpaint_task(model, request, opened, as_mask(mask, opened)).image


def outpaint(
    model: Model, photo: PhotoLike, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0
) -> Image.Image:
    """Extends the canvas of a photo and fills what is new.

    Args:
        model: from `open_checkpoint`; one that inpaints.
        photo: a path, bytes or picture; any size.
        left, top, right, bottom: pixels to add on each side.

    Returns:
        A larger picture; where the photo was it equals the photo bit for bit.

    Raises:
        ImgsynthError: with the reason in one sentence.
    """
    request = make_request(OutpaintRequest, left=left, top=top, right=right, bottom=bottom)
    return outpaint_task(model, request, read_photo(photo)).image


def as_mask(mask: PhotoLike | np.ndarray, photo: Photo) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask.astype(bool)
    return read_mask(mask, (photo.width, photo.height))
