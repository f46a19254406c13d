"""LPIPS (Zhang et al. 2018, arXiv:1801.03924): how different two pictures look to an AlexNet.

It comes from the package lpips, whose AlexNet is a download of 244 MB, made once. Both are optional.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.metrics.downloads import patient_for_seconds
from imgsynth.metrics.report import NotMeasured

NO_PACKAGE = "It needs the package lpips, which is not installed: pip install lpips."
NO_WEIGHTS = "It needs AlexNet's weights, which could not be downloaded; run again where there is a network."

# Of less, nothing would be left after AlexNet's strides.
LEAST_SIDE = 64

Distance = Callable[[Tensor, Tensor], Tensor]


def load_lpips(device: torch.device) -> Distance:
    """A function of two batches, float N×3×H×W in [0, 1], that gives N distances; 0 is the same.

    Raises:
        NotMeasured: the package is not there, or its weights cannot be had.
    """
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise NotMeasured(NO_PACKAGE) from error
    try:
        with patient_for_seconds(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls torchvision as it was years ago
            network = LPIPS(net="alex", verbose=False).eval().to(device)
    except (OSError, RuntimeError) as error:  # no network, no answer, or other bytes than promised
        raise NotMeasured(NO_WEIGHTS) from error

    @torch.inference_mode()
    def distance(a: Tensor, b: Tensor) -> Tensor:
        pair = (large_enough(x).to(device) for x in (a, b))
        return network(*pair, normalize=True).flatten().cpu()

    return distance


def large_enough(x: Tensor) -> Tensor:
    if min(x.shape[-2:]) >= LEAST_SIDE:
        return x
    return F.interpolate(x, size=(LEAST_SIDE, LEAST_SIDE), mode="bilinear")
