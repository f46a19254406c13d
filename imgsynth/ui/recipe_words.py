"""A recipe in plain words, as HTML; all of it was written by a stranger and passes `text`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from imgsynth.imaging.record import RECORD_KEY
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.requests import LATENT, show_seeds
from imgsynth.ui.facts import Row, card, shown_value, text
from imgsynth.ui.recipes import Recipe, tab_of
from imgsynth.ui.session import literal

TITLES = {
    "sample": "Drawn by {}",
    "interpolate": "A walk through {}",
    "blend": "A blend of four pictures of {}",
    "mix": "Styles mixed by {}",
    "translate": "Translated by {}",
    "inpaint": "Filled by {}",
    "outpaint": "Extended by {}",
}
NAMES = {
    "psi": "Truncation (psi)",
    "label": "Class",
    "fps": "Frames per second",
    "kept": "Frames kept",
    "crop": "Filled in parts",
    "depth": "Bits of grey",
    "difference": "Difference, amplified",
    "tiles": "Side of the tiles",
    "layers": "Layers from the source",
    "variation_seed": "Variation towards seed",
    "variation_amount": "How far",
}
EMPTY = (
    "Every picture, video and GIF that imgsynth writes carries the recipe that made it. "
    "Drop one here to see it and to make it again."
)
FOREIGN = (
    "This file holds no recipe that can be read: drop it as imgsynth wrote it, "
    "for some sites and apps take the recipe out."
)
NO_TAB = "No tab makes results of this kind, so it is made again right here."


def recipe_card(recipe: Recipe) -> str:
    """What made a file: its model, and each setting in a row."""
    model = str(recipe.checkpoint.get("id", "an unnamed model"))
    title = TITLES.get(recipe.task, "Made by {}").replace("{}", model)
    rows: list[Row] = [
        (text(spoken(name)), text(told(name, value))) for name, value in recipe.request.items()
    ]
    rows += [("Photos", text(str(recipe.photos)))] if recipe.photos else []
    rows.append(("Made with", text(made_with(recipe))))
    return card(title, "", rows)


def spoken(name: str) -> str:
    """A setting's name in words."""
    return NAMES.get(name, name.replace("_", " ").capitalize())


def told(name: str, value: Any) -> str:
    """A setting's value in words."""
    if name == "seeds" and is_seeds(value):
        return show_seeds(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {amount:+g}" for key, amount in value.items() if is_number(amount)) or "none"
    if isinstance(value, list):
        return ", ".join(told(name, part) for part in value)
    if isinstance(value, str) and value.startswith(LATENT):
        return "a point of latent space"
    if name == "variation_amount" and is_number(value):
        return f"{value:.0%} of the way"
    return f"{value:g}" if isinstance(value, float) else shown_value(value)


def is_seeds(value: Any) -> bool:
    return isinstance(value, list) and all(type(seed) is int for seed in value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def made_with(recipe: Recipe) -> str:
    record = recipe.record
    parts = [f"imgsynth {record[RECORD_KEY]}", record.get("device"), record.get("precision")]
    version = [f"torch {record['torch']}"] if record.get("torch") else []
    return " · ".join(str(part) for part in (*parts, *version) if part)


def elsewhere(recipe: Recipe, runtime: Runtime) -> str:
    """One sentence where the result was made on another device or version; else empty."""
    here = {"device": str(runtime.device), "precision": runtime.precision, "torch": torch.__version__}
    others = [f"{name} {now}" for name, now in here.items() if recipe.record.get(name) not in (now, None)]
    return f"Here it runs on {' and '.join(others)}, so values may differ by a hair." if others else ""


def photos_wanted(recipe: Recipe) -> str:
    """What has to be given for the very same result; empty where the record holds everything."""
    if not recipe.photos:
        return ""
    mask = " and the mask that was drawn" if recipe.masked else ""
    if recipe.filmed:
        return "The recipe knows the video that was translated only by its checksum: add that video."
    if recipe.photos == 1:
        return f"The recipe knows the photo only by its checksum: add the photo{mask}."
    return (
        f"The recipe knows the {recipe.photos} photos only by their checksums: add them in their order{mask}."
    )


def notes(recipe: Recipe, runtime: Runtime) -> str:
    """What to know before it is made again."""
    no_tab = "" if tab_of(recipe) else NO_TAB
    return " ".join(filter(None, [photos_wanted(recipe), no_tab, elsewhere(recipe, runtime)]))


def beyond(names: tuple[str, ...]) -> str:
    """What a tab could not be set to."""
    if not names:
        return ""
    listed = " and ".join(literal(spoken(name)) for name in names)
    return f"The tab has no control for: {listed}. *Make it again here* follows the whole recipe."
