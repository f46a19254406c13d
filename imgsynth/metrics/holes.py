"""Simple ways to fill a hole, which a checkpoint should do better than."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from imgsynth.architectures.harmonic import harmonic_fill
from imgsynth.metrics.report import NotMeasured

# Pixels around a point that it is filled from, as OpenCV's own examples have it.
RADIUS = 3
OPENCV = ("telea", "navier_stokes")
NO_PACKAGE = "It needs OpenCV, which is not installed: pip install opencv-python-headless."

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mean_colour(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Every hole pixel takes the mean of those outside: uint8 H×W×3 and bool H×W → uint8 H×W×3."""
    filled = photo.copy()
    filled[hole] = np.rint(photo[~hole].mean(0))
    return filled


def harmonic(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The smoothest continuation of what is around the hole: uint8 H×W×3 and bool H×W → uint8 H×W×3."""
    image, mask = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None], torch.from_numpy(hole)[None, None]
    filled = harmonic_fill(image.float(), mask.float())
    return filled[0].permute(1, 2, 0).round().byte().numpy()


# Those that need no package.
OWN: dict[str, Fill] = {"mean_colour": mean_colour, "harmonic": harmonic}


def opencv_fills() -> dict[str, Fill]:
    """Telea's fast marching (2004) and the Navier-Stokes method (Bertalmio et al. 2001), by OpenCV.

    Raises:
        NotMeasured: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise NotMeasured(NO_PACKAGE) from error

    def with_flag(flag: int) -> Fill:
        return lambda photo, hole: np.asarray(cv2.inpaint(photo, hole.astype(np.uint8), RADIUS, flag))

    flags = (cv2.INPAINT_TELEA, cv2.INPAINT_NS)
    return dict(zip(OPENCV, map(with_flag, flags), strict=True))
