"""imgsynth: see and use GANs, VAEs, CycleGANs and inpainting networks.

    model = imgsynth.open_checkpoint("avatars-gan")
    pictures = imgsynth.sample(model, seeds=range(16))

Importing the package is quick: torch is loaded by the first call that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from imgsynth import errors
from imgsynth.version import VERSION as __version__

if TYPE_CHECKING:
    from imgsynth.api import (
        blend,
        directions,
        inpaint,
        interpolate,
        invert,
        mix,
        open_checkpoint,
        outpaint,
        sample,
        translate,
        variations,
    )

__all__ = [
    "__version__",
    "blend",
    "directions",
    "errors",
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


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("imgsynth.api"), name)
    raise AttributeError(f"module 'imgsynth' has no attribute {name!r}")
