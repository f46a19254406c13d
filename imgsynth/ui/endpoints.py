"""The HTTP, gradio_client and MCP endpoints: the names and parameters of the interface page.

They are kept apart from the tabs' own events, whose components come and go with the page's design.
Files arrive as files and are opened by our own decoder, so that limits and sentences are ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from imgsynth.imaging.clips import is_film, read_clip
from imgsynth.imaging.masks import read_mask
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import write_clip, write_video
from imgsynth.summaries import inspection, list_models
from imgsynth.tasks.inpaint import inpaint
from imgsynth.tasks.outpaint import outpaint
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Inputs, Result, Walk, checkpoint_name, is_video, redo, redo_video
from imgsynth.tasks.requests import (
    InpaintRequest,
    OutpaintRequest,
    SampleRequest,
    TranslateRequest,
    make_request,
    parse_seeds,
)
from imgsynth.tasks.sample import sample
from imgsynth.tasks.translate import translate
from imgsynth.tasks.translate_video import Film, translate_video
from imgsynth.ui.mixing_endpoint import add_mixing_endpoint
from imgsynth.ui.parameters import add, file, files, given, number, optional, text, whole
from imgsynth.ui.session import (
    DOWNLOADS,
    LANE,
    Session,
    download_bar,
    new_folder,
    save,
    save_all,
    wanted,
)
from imgsynth.ui.walk_endpoints import add_walk_endpoints
from imgsynth.ui.walk_file import VIDEO_FORMATS


class Endpoints:
    """The functions behind the endpoints; their docstrings are what API pages and MCP clients show."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def models(self, task: str = "") -> list[dict[str, Any]]:
        """Lists the checkpoints that can be used, as a JSON array.

        Args:
            task: sample, interpolate, translate or inpaint; empty lists all.
        """
        return list_models(task or None)

    def inspect(self, what: str) -> dict[str, Any]:
        """Says what a checkpoint holds: architecture, hyper-parameters, size, value range and tasks.

        Args:
            what: catalog id such as avatars-gan, or a Hub name such as owner/name:file@revision.
        """
        return inspection(self.session.checkpoint(what), self.session.access)

    def open(
        self,
        what: str = "",
        file: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[str, Any]:
        """Opens a checkpoint, downloading it where need be; "checkpoint" is its name for the other endpoints.

        Args:
            what: catalog id, or a Hub name such as owner/name:file@revision; empty where a file is sent.
            file: a file of weights, of any format that PyTorch or safetensors write.
        """
        name = self.session.uploads.add(file) if file else (what or "").strip()
        facts, _ = self.session.open(name, download_bar(progress))
        return {**facts, "checkpoint": name}

    def sample(
        self,
        checkpoint: str,
        seeds: str,
        psi: float = 1.0,
        label: float | None = None,
        noise: str = "",
    ) -> list[str]:
        """Draws one picture per seed; every PNG carries the recipe that made it.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of a generator or autoencoder.
            seeds: whole numbers and ranges, such as 1,2,5-10.
            psi: truncation from 0 to 2; 1 draws from the whole model.
            label: class to draw, for checkpoints that know classes; empty draws all in turn.
            noise: random (of each seed's own), constant (the same for all) or none, for checkpoints with
                noise inputs; empty takes the checkpoint's own kind.
        """
        given = {"seeds": parse_seeds(seeds or ""), "psi": psi, "label": optional(label)}
        request = make_request(SampleRequest, **given, noise=noise or None)
        return list(save_all(wanted(sample(self.session.model(checkpoint), request))))

    def translate(self, checkpoint: str, photo: str, strength: float = 1.0) -> str:
        """Repaints a photo or short video in another style, at its own size.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of a translation network or codec.
            photo: picture file; PNG, JPEG, WebP, TIFF, BMP or GIF; or a video file, which stays a video.
            strength: 0 keeps the photo, 1 takes the whole translation.
        """
        request = make_request(TranslateRequest, strength=strength)
        if is_film(given(photo, "photo")):
            clip = read_clip(photo)
            return save_film(translate_video(self.session.model(checkpoint), request, clip))
        opened = read_photo(photo)
        return save(translate(self.session.model(checkpoint), request, opened))

    def inpaint(self, checkpoint: str, photo: str, mask: str, grow: float = 0, feather: float = 0) -> str:
        """Fills the hole of a photo; every pixel outside the hole stays as it is.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of an inpainting network.
            photo: picture file.
            mask: picture file of the same size; any non-black (or non-transparent) pixel is hole.
            grow: pixels by which the hole is widened.
            feather: pixels over which the fill fades into the photo.
        """
        request = make_request(InpaintRequest, grow=whole(grow, "grow"), feather=whole(feather, "feather"))
        opened = read_photo(given(photo, "photo"))
        hole = read_mask(given(mask, "mask"), (opened.width, opened.height))
        return save(inpaint(self.session.model(checkpoint), request, opened, hole))

    def record(self, picture: str) -> dict[str, Any]:
        """Reads the recipe inside a picture or video that imgsynth made.

        Args:
            picture: PNG, WebP, JPEG, GIF, MP4 or WebM file.
        """
        return read_record(given(picture, "picture"))

    def redo(
        self,
        picture: str,
        photo: str | None = None,
        mask: str | None = None,
        photos: list[str] | None = None,
    ) -> str:
        """Makes a picture or video again from the recipe inside it.

        Args:
            picture: a file that imgsynth made.
            photo: the photo or video that was used, where one was.
            mask: the mask that was used, where one was.
            photos: the photos that were used, in their order, where there were several.
        """
        record = read_record(given(picture, "picture"))
        model = self.session.recorded(checkpoint_name(record), record)
        if is_video(record):
            return save_film(
                redo_video(model, record, read_clip(given(photo, "photo"))), Path(picture).suffix
            )
        opened = [read_photo(path) for path in (photo, *(photos or ())) if path]
        size = (opened[0].width, opened[0].height) if opened else None
        hole = read_mask(mask, size) if mask else None
        return save_result(redo(model, record, Inputs(opened, hole)), Path(picture).suffix)

    def outpaint(
        self,
        checkpoint: str,
        photo: str,
        left: float = 0,
        top: float = 0,
        right: float = 0,
        bottom: float = 0,
    ) -> str:
        """Extends the canvas of a photo; inside its old borders every pixel stays as it is.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of an inpainting network.
            photo: picture file.
            left: pixels to add on the left.
            top: pixels to add above.
            right: pixels to add on the right.
            bottom: pixels to add below.
        """
        sides = {"left": left, "top": top, "right": right, "bottom": bottom}
        request = make_request(OutpaintRequest, **{side: whole(added, side) for side, added in sides.items()})
        opened = read_photo(given(photo, "photo"))
        return save(outpaint(self.session.model(checkpoint), request, opened))


def save_result(result: Result, suffix: str) -> str:
    """A picture as PNG; a walk in the format of the file it was made from."""
    if not isinstance(result, Walk):
        return save(result)
    target = new_folder() / f"walk{suffix if suffix.removeprefix('.') in VIDEO_FORMATS else '.mp4'}"
    write_video(target, wanted(result.frames), result.fps, result.record)
    return str(target)


def save_film(film: Film | Picture, suffix: str = "") -> str:
    """A translated video, in a file of the ending given if that is a video's, else of its own kind.

    One frame of it becomes a PNG.
    """
    if isinstance(film, Picture):
        return save(film)
    ending = suffix if suffix.removeprefix(".") in VIDEO_FORMATS else film.ending
    target = new_folder() / f"{film.name}{ending}"
    write_clip(target, wanted(film.frames), film.pace, film.record)
    return str(target)


def add_endpoints(session: Session) -> None:
    """Declares every endpoint inside the current Blocks, on components that no page shows."""
    e = Endpoints(session)
    checkpoint = "Catalog id or Hub name of a checkpoint"
    add(
        e.models, [text("Task: sample, interpolate, translate, inpaint or empty", "")], gr.JSON(visible=False)
    )
    add(e.inspect, [text(checkpoint)], gr.JSON(visible=False))
    add(e.open, [text(checkpoint, ""), file("File of weights")], gr.JSON(visible=False), DOWNLOADS)
    add(
        e.sample,
        [
            text(checkpoint),
            text("Seeds such as 1,2,5-10"),
            number("Truncation", 1.0),
            number("Class"),
            text("Noise: random, constant or none", ""),
        ],
        gr.File(file_count="multiple", visible=False),
        LANE,
    )
    add_mixing_endpoint(session)
    add_walk_endpoints(session)
    add(e.translate, [text(checkpoint), file("Photo"), number("Strength", 1.0)], file("Picture"), LANE)
    add(
        e.inpaint,
        [text(checkpoint), file("Photo"), file("Mask"), number("Grow", 0), number("Feather", 0)],
        file("Picture"),
        LANE,
    )
    add(e.record, [file("Picture or video")], gr.JSON(visible=False))
    inputs = [file("Picture or video"), file("Photo"), file("Mask"), files("Photos")]
    add(e.redo, inputs, file("Result"), LANE)
    sides = [number(f"Pixels to add: {side}", 0) for side in ("left", "top", "right", "bottom")]
    add(e.outpaint, [text(checkpoint), file("Photo"), *sides], file("Picture"), LANE)
