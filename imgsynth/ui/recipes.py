"""What a dropped record asks for: which tab can make it again, with which settings, from which photos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imgsynth.errors import BadRequest, CheckpointNotFound, NoRecord
from imgsynth.imaging.read import Photo
from imgsynth.imaging.record import Record, read_record
from imgsynth.tasks.redo import checkpoint_name, holds_latent, is_video
from imgsynth.tasks.requests import PHOTO, SampleRequest, make_request
from imgsynth.ui.dropped import is_token
from imgsynth.ui.picker import Opened
from imgsynth.ui.session import Session
from imgsynth.ui.settings import TabSettings

FILE_NEEDED = "This was made with the file {}; open that file in the Models tab, then press this again."
SOURCES_OF_FILES = ("file", "upload")
# Where each task is done, and the button that does it; what the Sample tab draws has no button of its own.
TABS = {
    "sample": ("sample", ""),
    "interpolate": ("interpolate", "interpolate-go"),
    "translate": ("translate", "translate-go"),
    "inpaint": ("inpaint", "inpaint-go"),
    "outpaint": ("inpaint", "inpaint-extend-go"),
    "blend": ("interpolate", "interpolate-blend-go"),
    "mix": ("sample", "mixing-go"),
}
# A single mixture is a table of one.
PAIRED = {"source": "sources", "destination": "destinations"}
# They say how a result was handed out, or what the tabs do of themselves, and change no pixel.
UNSEEN = {"seed", "crop", "depth", "video", "direction_sha256"}
UNSEEN |= {"latent", "variation_seed", "variation_amount"}


@dataclass(frozen=True)
class Recipe:
    """A record that a visitor dropped.

    Attributes:
        path: the file it came in.
        record: as it was read; written by a stranger.
    """

    path: str
    record: Record

    @property
    def request(self) -> dict[str, Any]:
        request = self.record.get("request")
        return dict(request) if isinstance(request, dict) else {}

    @property
    def task(self) -> str:
        return str(self.record["task"])

    @property
    def checkpoint(self) -> dict[str, Any]:
        checkpoint = self.record.get("checkpoint")
        return checkpoint if isinstance(checkpoint, dict) else {}

    @property
    def suffix(self) -> str:
        return Path(self.path).suffix.lower()

    @property
    def photos(self) -> int:
        """How many photos have to be given again."""
        used = self.record.get("input_sha256")
        return len(used) if isinstance(used, list) and not holds_latent(self.record) else 0

    @property
    def masked(self) -> bool:
        return self.task == "inpaint"

    @property
    def filmed(self) -> bool:
        """Whether what has to be given again is a video."""
        return is_video(self.record)

    @property
    def mentioned(self) -> tuple[Photo, ...]:
        """The photos that a latent was found from, as far as a further record has to name them."""
        used = self.record.get("input_sha256")
        known = [sha256 for sha256 in used if isinstance(sha256, str)] if isinstance(used, list) else []
        pixel = np.zeros((1, 1, 3), np.uint8)
        return tuple(Photo(pixel, None, None, "photo", sha256, ()) for sha256 in known)


@dataclass(frozen=True)
class Wish:
    """What a tab has to be set to.

    Attributes:
        settings: of the tab, or of the part of it that makes such results.
        button: what to press there once it is set; "" where nothing is.
        values: checked settings by name.
        beyond: what the recipe also asks for and no control of the tab can show.
    """

    settings: TabSettings
    button: str
    values: dict[str, Any]
    beyond: tuple[str, ...]

    @property
    def tab(self) -> str:
        """The tab's id."""
        return self.settings.task


def read_recipe(path: str) -> Recipe:
    """The recipe in a file.

    Raises:
        NoRecord: it carries none, or a damaged one.
        BadImage: it is neither picture nor video.
    """
    return Recipe(path, read_record(path))


def tab_of(recipe: Recipe) -> str | None:
    """The tab that makes such results; None where none does."""
    if recipe.task not in TABS or "difference" in recipe.request:
        return None
    return TABS[recipe.task][0]


def wish_of(recipe: Recipe, tabs: Mapping[str, TabSettings]) -> Wish:
    """What the record asks of its tab.

    Raises:
        BadRequest: no tab makes such results.
    """
    name = tab_of(recipe)
    if name is None:
        raise BadRequest("No tab makes results of this kind; make it again here instead.")
    tab = tabs.get(recipe.task, tabs[name])
    values, beyond = usual(tab), []
    for key, value in as_settings(recipe).items():
        if key in UNSEEN or value is None or has_photos(key, value):
            continue
        try:
            values[key] = tab.checked(key, value)
        except BadRequest:
            beyond.append(key)
    button = "" if recipe.filmed else TABS[recipe.task][1]
    return Wish(tab, button, values, tuple(beyond))


def has_photos(name: str, value: Any) -> bool:
    """Whether it is keyframes that are set only together with their photos."""
    return name == "keyframes" and isinstance(value, list) and PHOTO in value


def as_settings(recipe: Recipe) -> dict[str, Any]:
    """The request by the names of settings, with the kind of file that it was dropped as."""
    asked = recipe.request
    if recipe.task == "sample":
        asked.pop("columns", None)
        asked |= {"seeds": [asked["seed"]]} if "seed" in asked else {}
    for one, several in PAIRED.items():
        if recipe.task == "mix" and one in asked:
            asked[several] = [asked.pop(one)]
    if recipe.task == "interpolate" and recipe.suffix in (".mp4", ".webm", ".webp", ".gif"):
        asked["format"] = recipe.suffix.removeprefix(".")
    return asked


def usual(tab: TabSettings) -> dict[str, Any]:
    """What a record does not name was as the request has it by default, whatever the page begins with."""
    fields = tab.request.model_fields
    defaults = {n: fields[n].get_default(call_default_factory=True) for n in tab.names if n not in tab.least}
    return {name: value for name, value in defaults.items() if value is not None}


def drawing_of(recipe: Recipe) -> SampleRequest:
    """What the Sample tab draws: seeds, a variation or a latent, moved along directions.

    Raises:
        BadRequest: the record asks for what cannot be drawn.
    """
    asked = as_settings(recipe)
    asked.pop("seed", None)
    return make_request(SampleRequest, **asked)


def without_revision(name: str, pinned: str) -> bool:
    """Whether a name is that of a Hub file whose revision has been left open."""
    return "@" in pinned and name == pinned.partition("@")[0]


def held(recipe: Recipe, session: Session, names: Iterable[str]) -> str | None:
    """The one of several open models that has the recipe's weights."""
    wanted = recipe.checkpoint.get("sha256")
    return next((name for name in names if session.model(name).identity.sha256 == wanted), None)


def name_of(recipe: Recipe, session: Session, opened: Opened) -> str:
    """What the recipe's checkpoint is chosen by in this session.

    Raises:
        NoRecord: the record names none.
        CheckpointNotFound: it was a file that is not open in this session.
    """
    if recipe.checkpoint.get("source") not in SOURCES_OF_FILES:
        name = checkpoint_name(recipe.record)
        if is_token(name):
            raise NoRecord("The record in this file names no checkpoint that can be found again.")
        return held(recipe, session, [o.name for o in opened if without_revision(o.name, name)]) or name
    if token := held(recipe, session, [o.name for o in opened if is_token(o.name)]):
        return token
    file = Path(str(recipe.checkpoint.get("file") or "that made it")).name[:60]
    raise CheckpointNotFound(FILE_NEEDED.format(file))
