"""Photos of visitors → upright 8-bit RGB. Every file is taken for hostile until it is decoded."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from imgsynth.errors import BadImage
from imgsynth.imaging._files import opened, spoken_name

MAX_PIXELS = 64_000_000

Source = str | Path | bytes | Image.Image

# Raster formats only: Pillow hands EPS to Ghostscript, and rarer decoders are seldom looked after.
# MPO, the format of many phones, is opened through JPEG.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 32

# Grey of so many bits in a PNG: Pillow widens the values to 8, and leaves the transparent one as it was.
_WIDENED = {"L;2": 85, "L;4": 17}

# A profile for RGB describes what these become; pictures of other modes are converted to other colours.
_RGB_MODES = ("RGB", "RGBA", "RGBa", "P", "PA")

_TURN_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_NOTE_FIRST = "Only the first of the file's pictures is used."
_NOTE_16_BIT = "Its 16-bit values were reduced to 8 bits, for only grey without transparency can keep them."
_NOTE_16_BIT_GREY = (
    "Networks see its 16-bit grey as 8 bits: filling a hole keeps all 16 bits around it, "
    "everything else gives 8-bit pictures."
)
_NOTE_STRETCHED = "Its values were stretched from their own range to 0–255."
_NOTE_CMYK_PROFILE = "Its print colours (CMYK) were converted to RGB with its own colour profile."
_NOTE_CMYK_PLAIN = "Its print colours (CMYK) were converted to RGB without a colour profile and may look off."
_NOTE_NO_PROFILE = "Its colour profile could not be read and was left out."
_NOTE_NO_EXIF = "Its EXIF data is damaged, so it may not stand upright."


@dataclass(frozen=True, eq=False)
class Grey16:
    """A 16-bit grey picture as its file has it.

    Attributes:
        values: uint16 H×W, upright.
        icc: the file's ICC profile where it is one for grey, else None.
    """

    values: np.ndarray
    icc: bytes | None


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture; of its metadata only the colour profile is left, never EXIF or GPS.

    Attributes:
        pixels: uint8 H×W×3, RGB, upright.
        alpha: uint8 H×W, 255 = opaque; None where the file has no transparency.
        icc: the file's ICC profile where it describes `pixels`, else None (take sRGB).
        name: stem of the file, without a path.
        sha256: of the upright pixels as H×W×3 bytes, or H×W×4 with alpha.
        notes: plain sentences on what was changed in decoding, to show to a person.
        grey16: what `pixels` are the high bytes of, where the file is 16-bit grey without transparency.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    name: str
    sha256: str
    notes: tuple[str, ...]
    grey16: Grey16 | None = None

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def image(self) -> Image.Image:
        """A new Pillow image: RGB, or RGBA where there is alpha."""
        return Image.fromarray(_with_alpha(self.pixels, self.alpha))


@dataclass
class Upright:
    """A decoded picture that stands upright, still in the file's own mode.

    Attributes:
        image: loaded; its `info` still holds the file's metadata.
        what: how sentences call it.
        deep: the file had 16 bits a value where `image` may have 8.
        key: the transparent colour of a PNG, as `image` has it; None where Pillow itself makes alpha of it.
        notes: see `Photo.notes`; grows while the picture is converted.
    """

    image: Image.Image
    what: str
    deep: bool
    key: np.ndarray | None
    notes: list[str]


def read_photo(source: Source, name: str | None = None) -> Photo:
    """Decodes a picture to upright 8-bit RGB(A).

    Args:
        source: a path, a file's bytes, or a Pillow image (which is left as it is).
        name: the file's name where `source` does not tell it; default: the path's own, else "picture".

    Raises:
        BadImage: nothing there, empty, not a picture, damaged, or more than `MAX_PIXELS`.
    """
    with open_upright(source, name) as upright:
        try:
            pixels, alpha = _rgb_and_alpha(upright)
        except Exception as error:  # Pillow's conversions raise many kinds, none of them promised
            raise BadImage(f"{upright.what} has colours of a kind we cannot read; save it as RGB.") from error
        icc = _profile(upright, "RGB") if upright.image.mode in _RGB_MODES else None
        grey16 = _grey16(upright)
        sha256 = hashlib.sha256(_with_alpha(pixels, alpha).data).hexdigest()
        return Photo(pixels, alpha, icc, _stem(source, name), sha256, tuple(upright.notes), grey16)


@contextmanager
def open_upright(source: Source, name: str | None = None) -> Iterator[Upright]:
    """Opens, checks, decodes and turns a picture; it is whole, but good only inside the `with`.

    Raises:
        BadImage: as `read_photo`.
    """
    what = spoken_name(name or _own_name(source))
    with _picture(source, what) as image:
        _check_size(*image.size, what)
        notes: list[str] = []
        stored = str(getattr(image, "tile", ""))  # known until it is decoded
        deep = image.mode.startswith("I;16") or ";16" in stored
        try:
            if image.format != "MPO" and getattr(image, "is_animated", False):
                notes.append(_NOTE_FIRST)
            image.load()
        except Exception as error:  # decoders of hostile bytes raise nearly anything
            raise damaged(what) from error
        yield Upright(_turned(image, notes), what, deep, _colour_key(image, stored), notes)


def identify(stream: BinaryIO, what: str) -> Image.Image:
    """Reads a picture's header, and nothing more, with the first decoder that knows its signature.

    `Image.open` is not used: its bomb check raises before the size is known, and warns below that,
    and warnings can be held back only for all threads at once. Callers check the size themselves.

    Raises:
        BadImage: no signature we know, or a header that is damaged or promises too much.
    """
    Image.init()
    header = stream.read(_HEADER_BYTES)
    _check_png_header(header, what)
    for kind in _FORMATS:
        factory, accepts = Image.OPEN.get(kind, (None, None))
        if factory is None or accepts is None or accepts(header.ljust(_HEADER_BYTES, b"\0")) is not True:
            continue  # accepts() answers with a string where this Pillow was built without the decoder
        stream.seek(0)
        try:
            return factory(stream, "")
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise BadImage(f"{what} is too large; {_limit()}.") from error
        except Exception as error:  # as above
            if kind != "AVIF":  # HEIC wears the same signature, and is not damaged but unknown
                raise damaged(what) from error
    raise BadImage(f"{what} holds no picture we can open; use a PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF.")


@contextmanager
def _picture(source: Source, what: str) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image):
        yield source
        return
    with opened(source, what) as stream:
        yield identify(stream, what)


def _own_name(source: Source) -> str | None:
    if isinstance(source, Image.Image):
        filename = getattr(source, "filename", "")
        return filename if isinstance(filename, str) else None
    return None if isinstance(source, bytes) else str(source)


def _stem(source: Source, name: str | None) -> str:
    return Path(name or _own_name(source) or "picture").stem


def _limit() -> str:
    return f"pictures may have at most {MAX_PIXELS // 1_000_000} million pixels, so make it smaller first"


def damaged(what: str) -> BadImage:
    """The error for a file that starts like a picture or video but cannot be decoded."""
    return BadImage(f"{what} is damaged or cut off and cannot be opened; save or send it again.")


def _check_size(width: int, height: int, what: str) -> None:
    if width < 1 or height < 1:
        raise BadImage(f"{what} is {width} × {height} pixels, so nothing is in it; choose another file.")
    if width * height > MAX_PIXELS:
        raise BadImage(f"{what} is {width:,} × {height:,} pixels; {_limit()}.")


def _check_png_header(header: bytes, what: str) -> None:
    """A PNG's size stands in its first 24 bytes; Pillow reads on to the pixels before it tells."""
    if header.startswith(_PNG_SIGNATURE) and header[12:16] == b"IHDR" and len(header) >= 24:
        width, height = struct.unpack(">II", header[16:24])
        _check_size(width, height, what)


def _turned(image: Image.Image, notes: list[str]) -> Image.Image:
    """`ImageOps.exif_transpose`, without writing the EXIF anew, which fails where any tag of it is odd."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow parses EXIF by hand and raises many kinds; the pixels are fine all the same
        notes.append(_NOTE_NO_EXIF)
        return image
    method = _TURN_UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _colour_key(image: Image.Image, stored: str) -> np.ndarray | None:
    """See `Upright.key`; `stored` names the kind of the file's values, as Pillow's decoder does."""
    key = image.info.get("transparency")
    if not isinstance(key, int | tuple):
        return None
    if image.mode.startswith("I;16"):
        return np.array(key)
    if "RGB;16" in stored:
        return np.array(key) >> 8
    scale = next((scale for kind, scale in _WIDENED.items() if f"'{kind}'" in stored), None)
    return None if scale is None else np.array(key) * scale


def unlike_key(upright: Upright) -> np.ndarray:
    """Where a picture with a transparent colour has another one: bool H×W."""
    return np.asarray(np.atleast_3d(np.asarray(upright.image) != upright.key).any(axis=2))


def _with_alpha(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    return pixels if alpha is None else np.dstack([pixels, alpha])


def _rgb_and_alpha(upright: Upright) -> tuple[np.ndarray, np.ndarray | None]:
    """→ uint8 H×W×3 and H×W (or None), contiguous and writable."""
    image = _eight_bit(upright)
    if image.mode == "CMYK":
        image = _from_cmyk(image, upright.notes)
    if image.mode in ("La", "RGBa"):  # premultiplied; converts to its plain twin only
        image = image.convert(image.mode.upper())
    if upright.key is not None:
        return np.array(image.convert("RGB")), np.where(unlike_key(upright), np.uint8(255), np.uint8(0))
    if not image.has_transparency_data:
        return np.array(image.convert("RGB")), None
    rgba = np.array(image.convert("RGBA"))
    return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])


def _eight_bit(upright: Upright) -> Image.Image:
    """Brings deeper grey to 8 bits; 16 bits lose the low byte, as decoders do for colour."""
    image = upright.image
    if _is_grey16(image):
        upright.notes.append(_NOTE_16_BIT_GREY if upright.key is None else _NOTE_16_BIT)
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if upright.deep:
        upright.notes.append(_NOTE_16_BIT)
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image).astype(np.float64), upright.notes))
    return image


def _is_grey16(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def _grey16(upright: Upright) -> Grey16 | None:
    if not _is_grey16(upright.image) or upright.key is not None:
        return None
    return Grey16(np.asarray(upright.image).astype(np.uint16), _profile(upright, "GRAY"))


def _stretched(values: np.ndarray, notes: list[str]) -> np.ndarray:
    """Float64 H×W of unknown range → uint8: [0, 1] is taken as it is, else its own ends become 0 and 255."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0.0 or high > 1.0:
        notes.append(_NOTE_STRETCHED)
        values = (values - low) / max(high - low, 1e-12)
    return np.rint(values * 255.0).astype(np.uint8)


def _from_cmyk(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION  # without it, printed black comes out grey
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, intent, "RGB", flags=flags)
    except (KeyError, TypeError, OSError, ImageCms.PyCMSError):  # no profile, or one that is not for CMYK
        converted = None
    notes.append(_NOTE_CMYK_PLAIN if converted is None else _NOTE_CMYK_PROFILE)
    return image.convert("RGB") if converted is None else converted


def _profile(upright: Upright, space: str) -> bytes | None:
    """The embedded profile where it describes colours of the space: "RGB" or "GRAY"."""
    icc = upright.image.info.get("icc_profile")
    if not isinstance(icc, bytes) or not icc:
        return None
    try:
        found = ImageCms.ImageCmsProfile(BytesIO(icc)).profile.xcolor_space
    except (OSError, TypeError, ValueError, ImageCms.PyCMSError):
        upright.notes.append(_NOTE_NO_PROFILE)
        return None
    return icc if found.strip() == space else None
