"""The pictures that ship beside a checkpoint: a sheet for its card and a strip for its place in the page.

    python -m imgsynth.training.showcase avatars-gan photo2monet

Nothing here is picked by eye: generators show seeds 0 to 63; translators and inpainters show the
example photos, which are free to redistribute.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from imgsynth import api
from imgsynth.checkpoints.catalog import bundled_path, load_catalog
from imgsynth.families import Inpainter, LatentModel, Model, Translator
from imgsynth.imaging.grid import make_grid
from imgsynth.imaging.masks import mask_image, random_strokes

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PHOTOS = ("china.jpg", "flower.jpg", "coffee.jpg", "rocket.jpg")
TILE = (384, 256)
SEEDS = range(64)
CARD_TILE = (96, 96)
QUALITY = 88


def example(name: str) -> Image.Image:
    """An example photo, cropped to a tile."""
    return ImageOps.fit(Image.open(EXAMPLES / name).convert("RGB"), TILE, Image.Resampling.LANCZOS)


def latent_tiles(model: LatentModel) -> list[list[Image.Image]]:
    """Rows of eight samples."""
    pictures = api.sample(model, SEEDS)
    return [pictures[i : i + 8] for i in range(0, len(pictures), 8)]


def translator_tiles(model: Translator) -> list[list[Image.Image]]:
    """Rows of photo and translation; a model that starts from paintings gets those of its own pair."""
    photos = [example(name) for name in PHOTOS]
    pair = load_catalog()[model.identity.id].pair
    if model.identity.id.endswith("2photo") and pair:
        painter = api.open_checkpoint(pair)
        photos = [api.translate(painter, photo) for photo in photos]
    return [[photo, api.translate(model, photo)] for photo in photos]


def inpainter_tiles(model: Inpainter) -> list[list[Image.Image]]:
    """Rows of the photo with its hole, and filled."""
    rows = []
    for index, name in enumerate(PHOTOS):
        photo = example(name)
        mask = random_strokes(TILE[1], TILE[0], np.random.RandomState(index))
        holed = Image.composite(Image.new("RGB", TILE, "white"), photo, mask_image(mask))
        rows.append([holed, api.inpaint(model, photo, mask)])
    return rows


def tiles(model: Model) -> list[list[Image.Image]]:
    """The sheet of a model, row by row."""
    if isinstance(model, LatentModel):
        return latent_tiles(model)
    if isinstance(model, Translator):
        return translator_tiles(model)
    assert isinstance(model, Inpainter)
    return inpainter_tiles(model)


def strip(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Three squares side by side: what the model makes."""
    made = list(rows[0][:3]) if len(rows[0]) > 2 else [row[-1] for row in rows[:3]]
    squares = [ImageOps.fit(tile, CARD_TILE, Image.Resampling.LANCZOS) for tile in made]
    return make_grid(squares, columns=3, gap=0)


def show(checkpoint_id: str) -> None:
    """Writes `<id>.jpg` and `<id>.strip.jpg` beside a bundled checkpoint."""
    weights = bundled_path(load_catalog()[checkpoint_id])
    rows = tiles(api.open_checkpoint(checkpoint_id, device="cpu"))
    sheet = make_grid([tile for row in rows for tile in row], columns=len(rows[0]))
    for image, suffix in ((sheet, ".jpg"), (strip(rows), ".strip.jpg")):
        image.save(weights.with_suffix(suffix), quality=QUALITY)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        show(each)
