"""Features of the Inception network that FID, KID and the Inception score are defined on.

It comes from the package torch-fidelity, whose weights are a download of 91 MB, made once. Both are
optional: without them the figures are left out, and it is said why.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imgsynth.checkpoints.state_dict import read_state_dict
from imgsynth.errors import BadRequest
from imgsynth.metrics.downloads import patient_for_seconds
from imgsynth.metrics.report import NotMeasured

NAME = "weights-inception-2015-12-05-6726825d.pth"
POOLED, LOGITS = "2048", "logits_unbiased"
BATCH = 32
NO_PACKAGE = "It needs the package torch-fidelity, which is not installed: pip install torch-fidelity."
NO_WEIGHTS = "It needs Inception's weights, which could not be downloaded; give their file with --inception."


@dataclass(frozen=True)
class Inception:
    """The network, on a device."""

    network: Any
    device: torch.device

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 N×3×H×W → features N×2048 and logits N×1008, float32 on the CPU."""
        pairs = [self.network(batch.to(self.device)) for batch in pictures.split(BATCH)]
        features, logits = zip(*pairs, strict=True)
        return torch.cat(features).float().cpu(), torch.cat(logits).float().cpu()


def load_inception(weights: Path | None, device: torch.device) -> Inception:
    """
    Args:
        weights: torch-fidelity's own checkpoint file; None takes it from torch.hub's cache, or the network.

    Raises:
        NotMeasured: the package is not there, or its weights cannot be had.
        ImgsynthError: the file given cannot be read, or is not that checkpoint.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (
            URL_INCEPTION_V3,
            FeatureExtractorInceptionV3,
        )
    except ImportError as error:
        raise NotMeasured(NO_PACKAGE) from error
    state = read_state_dict(weights).tensors if weights else fetched(URL_INCEPTION_V3)
    # The package unpickles whatever file it is given; it gets a copy of the tensors that were read safely.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "inception.pth")
        torch.save(state, copy)
        try:
            network = FeatureExtractorInceptionV3("inception", [POOLED, LOGITS], str(copy))
        except RuntimeError as error:
            name = weights.name if weights else "The downloaded file"
            raise BadRequest(f"{name} does not hold torch-fidelity's Inception; give {NAME}.") from error
    return Inception(network.to(device), device)


def fetched(url: str) -> dict[str, Tensor]:
    try:
        with patient_for_seconds():
            return torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError) as error:  # no network, no answer, or other bytes than the name promises
        raise NotMeasured(NO_WEIGHTS) from error
