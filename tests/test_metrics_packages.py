"""Figures that need somebody else's package: right where it is there, and plainly left out where not."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imgsynth.errors import BadRequest
from imgsynth.metrics.frechet import frechet_distance
from imgsynth.metrics.holes import OPENCV, OWN, opencv_fills
from imgsynth.metrics.inception import load_inception
from imgsynth.metrics.inception_score import inception_score
from imgsynth.metrics.kernel_distance import kernel_distance
from imgsynth.metrics.perceptual import load_lpips
from imgsynth.metrics.report import NotMeasured
from imgsynth.metrics.sets import INCEPTION_FIGURES, compare
from real_pictures import scenes

CPU = torch.device("cpu")
NO_FIDELITY = "torch-fidelity (extra 'score') is not installed"


def no_network(*_: object, **__: object) -> None:
    raise OSError("Name or service not known")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch_fidelity", "torch_fidelity.feature_extractor_inceptionv3", "lpips", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotMeasured, match="torch-fidelity, which is not installed"):
        load_inception(None, CPU)
    with pytest.raises(NotMeasured, match="lpips, which is not installed"):
        load_lpips(CPU)
    with pytest.raises(NotMeasured, match="OpenCV, which is not installed"):
        opencv_fills()


def test_opencv_continues_a_gradient() -> None:
    pytest.importorskip("cv2", reason="opencv-python-headless (extra 'score') is not installed")
    rows, columns = np.mgrid[:40, :40]
    photo = np.stack([rows * 6, columns * 6, np.full((40, 40), 90)], -1).astype(np.uint8)
    hole = np.zeros((40, 40), bool)
    hole[15:25, 12:30] = True
    errors = {
        way: np.abs(fill(photo, hole).astype(int) - photo)[hole].mean()
        for way, fill in {**opencv_fills(), **OWN}.items()
    }
    assert set(errors) == {*OPENCV, *OWN}
    assert max(errors[way] for way in (*OPENCV, "harmonic")) < errors["mean_colour"] / 2


def test_inception_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_fidelity", reason=NO_FIDELITY)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    with pytest.raises(NotMeasured, match="could not be downloaded"):
        load_inception(None, CPU)


def test_lpips_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lpips", reason="lpips (extra 'score') is not installed")
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(NotMeasured, match="could not be downloaded"):
        load_lpips(CPU)


def test_lpips_is_nothing_for_equal_pictures_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    lpips = pytest.importorskip("lpips", reason="lpips (extra 'score') is not installed")
    monkeypatch.setattr(lpips, "LPIPS", partial(lpips.LPIPS, pnet_rand=True))
    distance = load_lpips(CPU)
    for side in (16, 80):
        a, b = (scenes(3, side, seed=seed).float() / 255 for seed in (0, 1))
        assert distance(a, a).tolist() == [0, 0, 0]
        assert distance(a, b).shape == (3,) and (distance(a, b) > 0).all()


def random_inception(path: Path) -> Path:
    """A file of torch-fidelity's Inception, with random weights."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason=NO_FIDELITY)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "load_state_dict_from_url", no_network)
            patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
            patch.setattr(torch, "load", lambda *_, **__: {})
            network = module.FeatureExtractorInceptionV3("inception", ["2048"], "unread")
    torch.save(network.state_dict(), path)
    return path


def test_inception_from_a_file(tmp_path: Path) -> None:
    inception = load_inception(random_inception(tmp_path / "inception.pth"), CPU)
    real, other = scenes(10, 32), scenes(10, 32, seed=1)
    features, logits = inception(real)
    assert features.shape == (10, 2048) and logits.shape == (10, 1008)
    row = compare(real, {"made": other}, 0, inception)["made"]
    assert {*INCEPTION_FIGURES} < set(row) and row["fid"] > 0 and row["inception_score"] >= 1


def test_a_file_that_is_no_inception_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity", reason=NO_FIDELITY)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BadRequest, match=r"other\.pth"):
        load_inception(tmp_path / "other.pth", CPU)


def features_pair() -> tuple[Any, Any]:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40, 12, generator=rng)
    return a, b * 1.5 + 0.3


def test_our_figures_are_those_of_torch_fidelity() -> None:
    fidelity = pytest.importorskip("torch_fidelity", reason=NO_FIDELITY)
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    assert fidelity is not None
    a, b = features_pair()
    statistics = (fid_features_to_statistics(x) for x in (a, b))
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-4)
    whole = {"kid_subsets": 1, "kid_subset_size": 40, "verbose": False}
    theirs = kid_features_to_metric(a, b, **whole)["kernel_inception_distance_mean"]
    assert kernel_distance(a, b) == pytest.approx(theirs, rel=1e-4)
    theirs = isc_features_to_metric(b, splits=1)["inception_score_mean"]
    assert inception_score(b) == pytest.approx(theirs, rel=1e-4)
