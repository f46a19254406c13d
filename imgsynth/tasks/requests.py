"""What can be asked of each task: fields, limits and descriptions, written once for UI, HTTP, MCP and CLI."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from imgsynth.errors import BadRequest
from imgsynth.seeds import LARGEST_SEED, NoiseKind

MOST_SEEDS = 4096
MOST_FRAMES = 3600
MOST_KEYFRAMES = 64
MOST_EXTENSION = 4096
PHOTO: Literal["photo"] = "photo"
LATENT = "latent:"  # what the text of a latent begins with
LONGEST_LATENT = 90_000  # characters: 2¹⁴ numbers of four bytes, in base64
MOST_DIRECTIONS = 64
MOST_MIXED = 16

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Psi = Annotated[
    float,
    Field(
        ge=0,
        le=2,
        description="Truncation: 1 draws from the whole model, less stays nearer to its average picture.",
    ),
]
Label = Annotated[
    int | None,
    Field(ge=0, description="Class to draw, for checkpoints that know classes; all in turn if unsaid."),
]


def check_latent(text: str) -> str:
    if re.fullmatch(rf"{LATENT}[wz]:[A-Za-z0-9+/]+={{0,2}}", text) is None:
        raise PydanticCustomError("latent", f"should be a latent as text, such as {LATENT}z: and its numbers")
    return text


def check_layers(text: str) -> str:
    if re.fullmatch(r"coarse|middle|fine|[0-9]{1,3}(-[0-9]{1,3})?", text) is None:
        raise PydanticCustomError("layers", "should be coarse, middle, fine, or layers such as 4-7")
    return text


LatentText = Annotated[str, Field(max_length=LONGEST_LATENT), AfterValidator(check_latent)]
Deviations = Annotated[float, Field(ge=-10, le=10)]
DirectionName = Annotated[str, Field(min_length=1, max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Keyframe = Seed | Literal["photo"] | LatentText
PathKind = Literal["slerp", "lerp", "spline"]
BlendPath = Literal["slerp", "lerp"]
Easing = Literal["none", "smoothstep"]
Fps = Annotated[int, Field(ge=1, le=120, description="Frames per second of the video.")]
Spread = Annotated[int, Field(ge=2, le=16)]


class Request(BaseModel):
    """Base of all requests: unknown fields and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class SampleRequest(Request):
    """Draws one picture per seed, or the one of a latent."""

    seeds: list[Seed] = Field(
        default_factory=list,
        min_length=1,
        max_length=MOST_SEEDS,
        description="One picture is drawn per seed.",
    )
    psi: Psi = 1.0
    label: Label = None
    # What older versions did not do; records name what follows only where it was asked for.
    latent: LatentText | None = Field(
        default=None,
        exclude=True,
        description="A point of latent space in place of seeds, such as the one found from a photo.",
    )
    variation_seed: Seed | None = Field(
        default=None,
        exclude=True,
        description="Which variation of each picture: it moves towards this seed's picture.",
    )
    variation_amount: float = Field(
        default=0.0,
        ge=0,
        le=1,
        exclude=True,
        description="How far a variation goes: 0 is the picture itself, 1 the variation seed's.",
    )
    directions: dict[DirectionName, Deviations] = Field(
        default_factory=dict,
        max_length=MOST_DIRECTIONS,
        exclude=True,
        description="How far to go along named directions of the model, in standard deviations.",
    )
    direction_sha256: dict[DirectionName, Sha256] = Field(
        default_factory=dict,
        max_length=MOST_DIRECTIONS,
        exclude=True,
        description="Which directions, of those shipped with the checkpoint, the names have to stand for.",
    )
    noise: NoiseKind | None = Field(
        default=None,
        exclude=True,
        description="random (of each seed's own), constant (the same for all) or none, for checkpoints with "
        "noise inputs; as the checkpoint's own kind if unsaid.",
    )

    @model_validator(mode="after")
    def check_start(self) -> Self:
        if bool(self.seeds) == (self.latent is not None):
            raise PydanticCustomError("start", "should have either seeds or a latent")
        if self.variation_amount and self.variation_seed is None:
            raise PydanticCustomError("variation", "should name a variation_seed for its variation_amount")
        return self

    @property
    def edits(self) -> dict[str, Any]:
        """What moves each picture away from its seed or latent, as records name it."""
        moved = {name: amount for name, amount in self.directions.items() if amount}
        variation = {"variation_seed": self.variation_seed, "variation_amount": self.variation_amount}
        return (variation if self.variation_amount else {}) | ({"directions": moved} if moved else {})


class InterpolateRequest(Request):
    """Walks through the latents of keyframes."""

    keyframes: list[Keyframe] = Field(
        min_length=2,
        max_length=MOST_KEYFRAMES,
        description="Points to pass through: seeds, photos in their order, or latents as text.",
    )
    frames: int = Field(default=120, ge=2, le=MOST_FRAMES, description="Number of frames in all.")
    path: PathKind = Field(
        default="slerp",
        description="slerp keeps the length of Gaussian latents, lerp goes straight, spline is smooth.",
    )
    loop: bool = Field(default=False, description="Whether the last keyframe leads back to the first.")
    fps: Fps = 30
    psi: Psi = 1.0
    label: int | None = Field(default=None, ge=0, description="Class to draw; the first if unsaid.")
    # What older versions did not do; records name it only where it was asked for.
    easing: Easing = Field(
        default="none",
        exclude=True,
        description="none walks at constant speed, smoothstep rests a moment at every keyframe.",
    )
    noise: Literal["constant", "none"] | None = Field(
        default=None,
        exclude=True,
        description="none draws every frame without noise, for checkpoints with noise inputs; else all have "
        "the same.",
    )


class LengthRequest(Request):
    """How long a walk is, in seconds."""

    seconds: float = Field(gt=0, le=MOST_FRAMES, description="Length of the video in seconds.")
    fps: Fps = 30

    @property
    def frames(self) -> int:
        """As many frames as come nearest; a walk has two at least."""
        return max(2, round(self.seconds * self.fps))


class BlendRequest(Request):
    """Blends four keyframes into a sheet of pictures, one keyframe in each corner."""

    keyframes: list[Keyframe] = Field(
        min_length=4,
        max_length=4,
        description="The corners: top left, top right, bottom left, bottom right.",
    )
    columns: Spread = Field(default=5, description="Pictures in each row, corners included.")
    rows: Spread = Field(default=5, description="Pictures in each column, corners included.")
    path: BlendPath = Field(
        default="slerp", description="slerp keeps the length of Gaussian latents, lerp goes straight."
    )
    psi: Psi = 1.0
    label: int | None = Field(default=None, ge=0, description="Class to draw; the first if unsaid.")


class MixRequest(Request):
    """Draws a picture for each pair of seeds, some layers with one's style, the others with the other's."""

    sources: list[Seed] = Field(
        min_length=1, max_length=MOST_MIXED, description="Seeds whose styles are taken in the layers named."
    )
    destinations: list[Seed] = Field(
        min_length=1, max_length=MOST_MIXED, description="Seeds whose styles stay in all other layers."
    )
    layers: Annotated[str, AfterValidator(check_layers)] = Field(
        default="coarse",
        description="coarse (up to 8 pixels a side), middle (16 and 32), fine (from 64 on), or layers such "
        "as 4-7, counted from 0.",
    )
    psi: Psi = 1.0
    noise: NoiseKind | None = Field(
        default=None,
        exclude=True,
        description="random (of the destination's own), constant or none; as the checkpoint's own if unsaid.",
    )


class InvertRequest(Request):
    """Looks for the latent whose picture is nearest to a photo."""

    steps: int = Field(default=300, ge=1, le=5000, description="Steps of the search; more come nearer.")
    seed: Seed = Field(default=0, description="Which random latents the search begins with.")
    label: int | None = Field(default=None, ge=0, description="Class to look in; the first if unsaid.")


class TranslateRequest(Request):
    """Repaints a photo in another style."""

    strength: float = Field(
        default=1.0, ge=0, le=1, description="0 keeps the photo, 1 takes the translation."
    )
    # What older versions did not do; records name it only where there were tiles.
    tiles: int | None = Field(
        default=None,
        ge=0,
        le=16384,
        exclude=True,
        description="Side of the tiles to work in, in pixels; 0 for one piece; as memory demands if unsaid.",
    )


class InpaintRequest(Request):
    """Fills the hole of a photo."""

    grow: int = Field(default=0, ge=0, le=256, description="Pixels by which the hole is widened.")
    feather: int = Field(
        default=0, ge=0, le=256, description="Pixels over which the fill fades into the photo."
    )
    # What older versions did not do; records name these two only where they matter.
    crop: bool = Field(
        default=True,
        exclude=True,
        description="Whether a large photo is filled from what lies around each hole, not run whole.",
    )
    depth: Literal[8, 16] = Field(
        default=16, exclude=True, description="Most bits of a grey photo's values to keep outside the hole."
    )


Extension = Annotated[int, Field(ge=0, le=MOST_EXTENSION)]


class OutpaintRequest(Request):
    """Extends the canvas of a photo."""

    left: Extension = Field(default=0, description="Pixels to add on the left.")
    top: Extension = Field(default=0, description="Pixels to add above.")
    right: Extension = Field(default=0, description="Pixels to add on the right.")
    bottom: Extension = Field(default=0, description="Pixels to add below.")


AnyRequest = TypeVar("AnyRequest", bound=Request)


def make_request(kind: type[AnyRequest], /, **values: Any) -> AnyRequest:
    """A checked request.

    Raises:
        BadRequest: naming the first field that cannot be used, and why.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        raise BadRequest(sentence(error)) from error


def sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "The request"
    reason = re.sub(r"^(Input|List|Value) should", "should", first["msg"])
    reason = re.sub(r", unable to parse .*| after validation", "", reason)
    given = first.get("input")
    shown = f", not {given!r}" if isinstance(given, int | float | str) and len(str(given)) < 60 else ""
    return f"{name} {reason}{shown}." if reason.startswith("should") else f"{name}: {reason}{shown}."


# Python reads no number of thousands of digits.
SEED_PART = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")


def parse_seeds(text: str) -> list[int]:
    """`1,2,5-10` → [1, 2, 5, 6, 7, 8, 9, 10].

    Raises:
        BadRequest: not such a list, a seed too large, or too many of them.
    """
    seeds: list[int] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = SEED_PART.fullmatch(part)
        if match is None:
            raise BadRequest(f"Seeds are whole numbers and ranges such as 1,2,5-10, not {part[:40]!r}.")
        first, last = int(match[1]), int(match[2] or match[1])
        check_range(first, last, MOST_SEEDS - len(seeds))
        seeds += range(first, last + 1)
    if not seeds:
        raise BadRequest("Give at least one seed, such as 7 or 0-15.")
    return seeds


def check_range(first: int, last: int, room: int) -> None:
    if first > last:
        raise BadRequest(f"The range {first}-{last} runs backwards; write the smaller seed first.")
    if last > LARGEST_SEED:
        raise BadRequest(f"Seeds end at {LARGEST_SEED}; {last} is too large.")
    if last - first >= room:
        raise BadRequest(f"At most {MOST_SEEDS} seeds can be drawn at once; give fewer.")


def parse_keyframes(
    text: str, is_photo: Callable[[str], bool] = PHOTO.__eq__
) -> tuple[list[int | str], list[str]]:
    """`1,5-6,photo` → [1, 5, 6, "photo"], and the parts that stand for photos, in order.

    The text of a latent stays as it is.

    Args:
        is_photo: whether a part stands for a photo; one that does is taken for no seed.

    Raises:
        BadRequest: a part is neither.
    """
    points: list[int | str] = []
    photos: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if part.startswith(LATENT):
            points.append(part)
        elif is_photo(part):
            points.append(PHOTO)
            photos.append(part)
        elif SEED_PART.fullmatch(part):
            points += parse_seeds(part)
        else:
            name = PurePath(part).name[:60]
            raise BadRequest(f"Keyframes are seeds and photos; {name} is no seed and no photo that is there.")
    return points, photos


def show_seeds(seeds: Sequence[int]) -> str:
    """The shortest text that `parse_seeds` reads as these seeds: runs of three or more become ranges."""
    parts: list[str] = []
    start = 0
    while start < len(seeds):
        end = start
        while end + 1 < len(seeds) and seeds[end + 1] == seeds[end] + 1:
            end += 1
        run = seeds[start : end + 1]
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(s) for s in run]
        start = end + 1
    return ",".join(parts)
