"""What `train inpaint` begins with: the size of its network, and how holes start."""

from __future__ import annotations

from imgsynth.architectures.lama import HARMONIC, LAMA
from imgsynth.architectures.registry import Hints, Hyperparameters, StateDict, shapes_of
from imgsynth.training.recipe import Settings

# What a fresh network has between its stages; four of the pictures' pixels become one place there, a side, so
# that half of the channels hold all of them (see `identity.py`).
DOWNSAMPLINGS, BLOCKS = 2, 6


def chosen_sizes(start: str | None, width: int, settings: Settings) -> Hyperparameters:
    """Those of the LaMa to start from, or of a fresh generator.

    Args:
        start: how holes start, if that was asked for.
        width: of a fresh generator.
    """
    begun, smooth = beginning(settings), starts_harmonic(start, settings)
    if begun is not None:
        begun.pop("harmonic", None)
        return {**begun, "harmonic": True} if smooth else begun
    deepest = width * 2**DOWNSAMPLINGS
    sizes = {"width": width, "downsamplings": DOWNSAMPLINGS, "blocks": BLOCKS}
    own = {"harmonic": True, "output": "none"} if smooth else {}
    return {**sizes, "global_channels": deepest * 3 // 4, **own}


def starts_harmonic(start: str | None, settings: Settings) -> bool:
    """Whether holes start as the smoothest continuation of what surrounds them.

    Args:
        start: how they do, if that was asked for; else they do as in the LaMa to start from, and in a fresh
            one harmonic.
    """
    begun = beginning(settings)
    usual = begun is None or bool(begun.get("harmonic", False))
    return usual if start is None else start == HARMONIC


def beginning(settings: Settings) -> Hyperparameters | None:
    """Sizes of the LaMa to start from; None where there is none."""
    if settings.init_sizes and is_lama(settings.init[0]):
        return dict(settings.init_sizes[0])
    return None


def is_lama(weights: StateDict) -> bool:
    """Whether they are a LaMa's of colour pictures; no other weights can be loaded into one."""
    shapes = shapes_of(weights)
    return LAMA.detect(shapes) and LAMA.channels(LAMA.read(shapes, {})) == (3, 3)


def hints_of(sizes: Hyperparameters) -> Hints:
    """What no shape tells of a LaMa."""
    start = {"hole_start": HARMONIC} if sizes.get("harmonic") else {}
    output = sizes.get("output", "sigmoid")
    return start | ({} if output == "sigmoid" else {"add_out_act": output})
