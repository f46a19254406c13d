"""The quality figures of a checkpoint, by what its family can do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from imgsynth.errors import BadRequest
from imgsynth.families import Autoencoder, Codec, Inpainter, LatentModel, Model, Translator
from imgsynth.metrics.autoencoder import score_rebuilding
from imgsynth.metrics.generator import score_samples
from imgsynth.metrics.inception import Inception, load_inception
from imgsynth.metrics.inpainter import score_filling
from imgsynth.metrics.pictures import require_pictures, require_size
from imgsynth.metrics.pool import Pool
from imgsynth.metrics.progress import Track, untracked
from imgsynth.metrics.report import Findings, NotMeasured
from imgsynth.metrics.request import ScoreRequest
from imgsynth.metrics.sets import INCEPTION_FIGURES
from imgsynth.metrics.translator import score_translations


@dataclass(frozen=True)
class Material:
    """What a checkpoint is measured with.

    Attributes:
        pool: real pictures; for a translator, photos to translate.
        pool_b: pictures of a translator's target domain.
        back: the checkpoint that undoes a translator.
        inception: torch-fidelity's Inception weights; None takes them from torch.hub's cache or the network.
    """

    pool: Pool
    pool_b: Pool | None = None
    back: Model | None = None
    inception: Path | None = None


def score(
    model: Model, material: Material, request: ScoreRequest, track: Track = untracked
) -> dict[str, Any]:
    """Measures a checkpoint on real pictures.

    Returns:
        The document that `imgsynth.metrics.report` describes.

    Raises:
        ImgsynthError: there is nothing to measure, or an option does not go with the checkpoint.
    """
    start = time.monotonic()
    require_pictures(model)
    require_size(model)
    check_options(model, material, request)
    findings = measure(model, material, request, track)
    pools = (material.pool, material.pool_b)
    data, data_b = (list(pool.sources) if pool else [] for pool in pools)
    return {
        "checkpoint": model.identity.as_record(),
        "family": model.architecture.family,
        "architecture": model.architecture.name,
        "data": data,
        "data_b": data_b,
        "settings": settings_of(model, material, request),
        **findings.as_json(),
        "seconds": round(time.monotonic() - start, 1),
    }


def settings_of(model: Model, material: Material, request: ScoreRequest) -> dict[str, Any]:
    return {
        **request.model_dump(),
        "back": material.back.identity.id if material.back else None,
        "device": str(model.device),
        "precision": model.precision,
        "torch": torch.__version__,
    }


def check_options(model: Model, material: Material, request: ScoreRequest) -> None:
    """
    Raises:
        BadRequest: an option that means nothing for this checkpoint.
    """
    if not isinstance(model, Translator) and (material.pool_b or material.back):
        raise BadRequest(f"{model.identity.id} does not translate; leave out --data-b and --back.")
    if material.back is not None and not isinstance(material.back, Translator):
        raise BadRequest(f"{material.back.identity.id} does not translate, so it is no way back.")
    draws = isinstance(model, LatentModel) and not isinstance(model, Codec)
    if not draws and (request.label is not None or request.psi != 1):
        raise BadRequest(f"{model.identity.id} draws nothing from seeds; leave out --psi and --label.")


def measure(model: Model, material: Material, request: ScoreRequest, track: Track) -> Findings:
    if isinstance(model, Inpainter):
        return score_filling(model, material.pool, request, track)
    findings = Findings()
    if isinstance(model, Codec):
        return score_rebuilding(model, material.pool, request, track)
    if isinstance(model, Autoencoder):
        findings.add(score_rebuilding(model, material.pool, request, track))
    compares_sets = isinstance(model, LatentModel) or material.pool_b is not None
    inception = inception_for(model, material, findings) if compares_sets else None
    if isinstance(model, LatentModel):
        findings.add(score_samples(model, material.pool, request, inception, track))
    else:
        assert isinstance(model, Translator)
        back = material.back
        assert back is None or isinstance(back, Translator)
        translations = score_translations(
            model, back, material.pool, material.pool_b, request, inception, track
        )
        findings.add(translations)
    return findings


def inception_for(model: Model, material: Material, findings: Findings) -> Inception | None:
    """The network, or None with the reason among the findings."""
    try:
        return load_inception(material.inception, model.device)
    except NotMeasured as why:
        findings.miss(INCEPTION_FIGURES, why)
        return None
