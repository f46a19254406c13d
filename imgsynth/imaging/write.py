"""Pictures → PNG, WebP and JPEG files with the record inside; several at once in a pool of threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from imgsynth.errors import BadRequest
from imgsynth.imaging._files import spoken_name, write_whole
from imgsynth.imaging.masks import encode_mask
from imgsynth.imaging.record import RECORD_KEY, Record, dump_record, exif_with_record

Job = tuple[Path, Image.Image, Record, bytes | None]

# Up to three times as quick as Pillow's own choice (6), for files that are a few per cent larger at most.
_PNG_EFFORT = 4
_JPEG_QUALITY = 95
_MODES = ("L", "RGB", "RGBA")
_PNG_MODES = (*_MODES, "I;16")
_WORKERS = min(8, os.cpu_count() or 1)


def _new_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_WORKERS, thread_name_prefix="imgsynth-encode")


# Starts its threads when first used. Threads suffice: Pillow lets go of the interpreter while it compresses.
ENCODERS = _new_pool()


def _renew_pool() -> None:
    """A forked process inherits the pool without its threads, and would wait on them for ever."""
    global ENCODERS
    ENCODERS = _new_pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_pool)


def encode_png(image: Image.Image, record: Record, icc: bytes | None = None) -> bytes:
    """PNG bytes, lossless, with the record as iTXt chunk `imgsynth` before the pixels.

    Args:
        image: L, I;16, RGB or RGBA; other modes are converted. Its own metadata is left out.
        record: what made it; JSON values only.
        icc: the colour profile that describes the pixels, where it is not sRGB.

    Raises:
        BadRequest: the record is too long.
    """
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECORD_KEY, dump_record(record))
    return _saved(_bare(image, _PNG_MODES), "PNG", pnginfo=text, compress_level=_PNG_EFFORT, icc_profile=icc)


def encode_webp(image: Image.Image, record: Record, icc: bytes | None = None) -> bytes:
    """WebP bytes, lossless but for 16-bit grey, which becomes 8-bit RGB; the record is in EXIF UserComment.

    Arguments and errors as `encode_png`.
    """
    exif = exif_with_record(record)
    icc = None if image.mode == "I;16" else icc  # one for grey describes no RGB
    return _saved(_bare(image), "WEBP", lossless=True, exact=True, exif=exif, icc_profile=icc)


def encode_jpeg(image: Image.Image, record: Record, icc: bytes | None = None) -> bytes:
    """JPEG bytes of high quality with the record in EXIF UserComment; transparent parts become white.

    Raises:
        BadRequest: the record is longer than the 64 kB that EXIF can hold in a JPEG.
    """
    exif = exif_with_record(record)
    flat = on_white(_bare(image))
    return _saved(flat, "JPEG", quality=_JPEG_QUALITY, subsampling=0, exif=exif, icc_profile=icc)


_ENCODERS_BY_ENDING = {".png": encode_png, ".webp": encode_webp, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}


def write_png(path: str | Path, image: Image.Image, record: Record, icc: bytes | None = None) -> Path:
    """Writes a PNG, whole or not at all, and makes the folders above it; arguments as `encode_png`.

    Raises:
        BadRequest: the disk refused.
    """
    return write_whole(Path(path), encode_png(image, record, icc))


def write_image(path: str | Path, image: Image.Image, record: Record, icc: bytes | None = None) -> Path:
    """As `write_png`, in the format that the path's ending names.

    Raises:
        BadRequest: an ending other than .png, .webp, .jpg, .jpeg; or the disk refused.
    """
    path = Path(path)
    encode = _ENCODERS_BY_ENDING.get(path.suffix.lower())
    if encode is None:
        endings = ".png, .webp, .jpg or .jpeg"
        raise BadRequest(f"{spoken_name(path)} cannot be written; let the name end in {endings}.")
    return write_whole(path, encode(image, record, icc))


def write_mask(path: str | Path, mask: np.ndarray) -> Path:
    """Writes a bool H×W mask as a PNG that `read_mask` reads as the same mask.

    Raises:
        BadRequest: an ending other than .png; or the disk refused.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise BadRequest(f"{spoken_name(path, 'The mask')} cannot be written; let the name end in .png.")
    return write_whole(path, encode_mask(mask))


def encode_all(jobs: Iterable[Job]) -> Generator[Path, None, None]:
    """Writes pictures in parallel and yields their paths in the order given, each as soon as it is on disk.

    Jobs are drawn only a little ahead of what is written, so a long generator of them is fine, and the
    network that makes the next picture runs while the last one is compressed.

    Args:
        jobs: (path, image, record, icc) each, as for `write_image`.

    Raises:
        BadRequest: as `write_image`; later pictures are then not written.
    """
    pending: deque[Future[Path]] = deque()
    try:
        for job in jobs:
            pending.append(ENCODERS.submit(write_image, *job))
            while pending and (pending[0].done() or len(pending) >= 2 * _WORKERS):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            if not future.cancel():  # it runs already: nothing may be written once the caller cleans up
                wait([future])


def _bare(image: Image.Image, modes: tuple[str, ...] = _MODES) -> Image.Image:
    """Without metadata, which Pillow's writers would carry over unasked (comments, transparency, XMP)."""
    if image.mode == "I;16" and image.mode not in modes:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # Pillow's own would clip at 255
    if image.mode not in modes:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.info:
        image = image.copy()
        image.info = {}
    return image


def on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # over 64 kB of EXIF, or more pixels a side than the format knows
        sentence = f"The picture or its record is too large for a {kind} file; write a PNG instead."
        raise BadRequest(sentence) from error
    return buffer.getvalue()
