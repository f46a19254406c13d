"""What tests of recipes share: a recipe of the least size. Its pictures: `images` in conftest.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgsynth.training.options import CycleGANOptions, GANOptions, InpaintOptions, VAEOptions
from imgsynth.training.recipe import Settings
from imgsynth.training.run import make_recipe

KINDS = {"gan": GANOptions, "vae": VAEOptions, "cyclegan": CycleGANOptions, "inpaint": InpaintOptions}


def make(name: str, images: Path, init: tuple[Any, ...] = (), /, **options: Any) -> Any:
    """The recipe of that name on the pictures of a folder."""
    sizes = {"size": 32, "width": 32 if name == "vae" else 4, "batch": 2}
    domains = {"data_b": (images,), "out_back": Path("back.safetensors")} if name == "cyclegan" else {}
    settings = Settings((images,), Path("made.safetensors"), init=init, options=options, **domains, **sizes)
    return make_recipe(name, settings)
