"""Fixtures of the Translate tab; a module that needs them says `pytest_plugins = ["translate_fixtures"]`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders import pixels, png, save, tiny_cyclegan
from imgsynth.checkpoints import catalog
from imgsynth.runtime.opening import Runtime
from imgsynth.ui.session import Session
from translate_parts import PAIRS, Bar


@pytest.fixture
def bar() -> Any:
    return Bar()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A page's session on three small translators, two of them a pair, and a file that holds none."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for seed, name in enumerate(("there", "back", "alone")):
        save(tiny_cyclegan(seed).state_dict(), weights / f"{name}.safetensors")
    (weights / "broken.safetensors").write_bytes(b"no weights")
    rows = {
        name: catalog.Checkpoint(
            name, name.title(), ("translate",), "bundled", f"{name}.safetensors", pair=pair
        )
        for name, pair in PAIRS.items()
    }
    monkeypatch.setattr(catalog, "_shipped_catalog", lambda: rows)
    monkeypatch.setenv("IMGSYNTH_WEIGHTS", str(weights))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Session(Runtime("cpu", "fp32"))


@pytest.fixture
def scene(tmp_path: Path) -> str:
    """A photo with alpha."""
    path = tmp_path / "scene.png"
    path.write_bytes(png(pixels(45, 62, 4)))
    return str(path)
