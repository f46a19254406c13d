"""The endpoints that go between keyframes: `/interpolate` and `/blend`."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.video import write_video
from imgsynth.tasks.blend import blend
from imgsynth.tasks.interpolate import interpolate, walk_record
from imgsynth.tasks.requests import (
    BlendRequest,
    InterpolateRequest,
    LengthRequest,
    make_request,
    parse_keyframes,
)
from imgsynth.ui.parameters import add, file, files, number, optional, text, whole
from imgsynth.ui.session import LANE, Session, new_folder, save, wanted
from imgsynth.ui.walk_file import VIDEO_FORMATS


class WalkEndpoints:
    """The functions behind the endpoints; their docstrings are what API pages and MCP clients show."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def interpolate(
        self,
        checkpoint: str,
        keyframes: str,
        frames: float = 120,
        path: str = "slerp",
        loop: bool = False,
        fps: float = 30,
        psi: float = 1.0,
        format: str = "mp4",
        label: float | None = None,
        photos: list[str] | None = None,
        easing: str = "none",
        seconds: float | None = None,
        noise: str = "",
    ) -> str:
        """Walks through the latents of seeds and photos and returns the walk as a video.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of a generator or autoencoder.
            keyframes: what to pass through, such as 1,5,9, or 1,photo,5 with the word photo for each photo.
            frames: number of frames in all.
            path: slerp, lerp or spline.
            loop: whether the last keyframe leads back to the first.
            fps: frames per second.
            psi: truncation from 0 to 2; 1 draws from the whole model.
            format: mp4, webm, webp or gif.
            label: class to draw, for checkpoints that know classes; empty draws the first.
            photos: picture files, one for every photo among the keyframes, in their order.
            easing: none for constant speed, smoothstep to rest a moment at every keyframe.
            seconds: length of the video in place of the number of frames; empty takes frames.
            noise: none draws every frame without noise, for checkpoints with noise inputs; empty or constant
                gives all the same.
        """
        if format not in VIDEO_FORMATS:
            raise BadRequest(f"format must be one of {', '.join(VIDEO_FORMATS)}, not {str(format)[:20]!r}.")
        rate = whole(fps, "fps")
        request = make_request(
            InterpolateRequest,
            keyframes=parse_keyframes(keyframes or "")[0],
            frames=whole(frames, "frames") if seconds is None else frames_in(seconds, rate),
            path=path,
            easing=easing,
            loop=loop,
            fps=rate,
            psi=psi,
            label=optional(label),
            noise=noise or None,
        )
        return self.film(checkpoint, request, photos or (), format)

    def film(self, checkpoint: str, request: InterpolateRequest, photos: Sequence[str], format: str) -> str:
        """A walk as a file."""
        opened = [read_photo(photo) for photo in photos]
        model = self.session.model(checkpoint)
        target = new_folder() / f"walk.{format}"
        frames, record = interpolate(model, request, opened), walk_record(model, request, opened)
        write_video(target, wanted(frames), request.fps, record)
        return str(target)

    def blend(
        self,
        checkpoint: str,
        keyframes: str,
        columns: float = 5,
        rows: float = 5,
        path: str = "slerp",
        psi: float = 1.0,
        label: float | None = None,
        photos: list[str] | None = None,
    ) -> str:
        """Blends four seeds or photos into a sheet of pictures, one of them in each corner.

        Args:
            checkpoint: catalog id, Hub name, or what /open calls it, of a generator or autoencoder.
            keyframes: top left, top right, bottom left and bottom right, such as 1,5,9,13 or 1,photo,5,7.
            columns: pictures in each row, 2 to 16.
            rows: pictures in each column, 2 to 16.
            path: slerp or lerp.
            psi: truncation from 0 to 2; 1 draws from the whole model.
            label: class to draw, for checkpoints that know classes; empty draws the first.
            photos: picture files, one for every photo among the keyframes, in their order.
        """
        request = make_request(
            BlendRequest,
            keyframes=parse_keyframes(keyframes or "")[0],
            columns=whole(columns, "columns"),
            rows=whole(rows, "rows"),
            path=path,
            psi=psi,
            label=optional(label),
        )
        opened = [read_photo(photo) for photo in photos or ()]
        return save(blend(self.session.model(checkpoint), request, opened))


def frames_in(seconds: float, fps: int) -> int:
    return make_request(LengthRequest, seconds=seconds, fps=fps).frames


def add_walk_endpoints(session: Session) -> None:
    """Declares both inside the current Blocks."""
    e = WalkEndpoints(session)
    checkpoint = "Catalog id or Hub name of a checkpoint"
    add(
        e.interpolate,
        [
            text(checkpoint),
            text("Seeds such as 1,5,9, and the word photo for each photo"),
            number("Frames in all", 120),
            text("slerp, lerp or spline", "slerp"),
            gr.Checkbox(False, label="Lead back to the first keyframe", visible=False),
            number("Frames per second", 30),
            number("Truncation", 1.0),
            text("mp4, webm, webp or gif", "mp4"),
            number("Class"),
            files("Photos"),
            text("none or smoothstep", "none"),
            number("Seconds in all, in place of frames"),
            text("Noise: constant or none", ""),
        ],
        file("Video"),
        LANE,
    )
    add(
        e.blend,
        [
            text(checkpoint),
            text("Four seeds such as 1,5,9,13, and the word photo for each photo"),
            number("Columns", 5),
            number("Rows", 5),
            text("slerp or lerp", "slerp"),
            number("Truncation", 1.0),
            number("Class"),
            files("Photos"),
        ],
        file("Picture"),
        LANE,
    )
