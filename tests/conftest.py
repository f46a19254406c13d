"""Fixtures of several modules: tiny checkpoints, and the command line run on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from PIL import Image

from builders import BUILDERS, model_of, pixels, save
from hub_server import HubServer
from imgsynth.checkpoints import catalog
from imgsynth.cli import main

pytest.register_assert_rewrite("cli_runs")
from cli_runs import IDS, Ran, Run  # noqa: E402, only now will its asserts explain themselves
from hub_client import lead_client  # noqa: E402, it imports cli_runs


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of tiny random networks, one of each architecture, by its name; pictures have 32×32 pixels."""
    folder = tmp_path_factory.mktemp("checkpoints")
    networks = {name: build() for name, build in BUILDERS.items()}
    return {name: save(n.state_dict(), folder / f"tiny-{name}.safetensors") for name, n in networks.items()}


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten small pictures, for recipes; nobody adds to it."""
    folder = tmp_path_factory.mktemp("images")
    for i in range(10):
        Image.fromarray(pixels(40, 40, seed=i)).save(folder / f"image{i:02}.png")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Ran(code, *capsys.readouterr())

    return go


@pytest.fixture
def tiny_catalog(
    tiny_checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids for the tiny checkpoints, an empty folder to be in, and the CPU, whose pixels every machine has."""
    rows = {
        name: catalog.Checkpoint(name, name.title(), tasks, "bundled", tiny_checkpoints[architecture].name)
        for name, (architecture, tasks) in IDS.items()
    }
    monkeypatch.setattr(catalog, "_shipped_catalog", lambda: rows)
    monkeypatch.setenv("IMGSYNTH_WEIGHTS", str(tiny_checkpoints["dcgan"].parent))
    monkeypatch.setenv("IMGSYNTH_DEVICE", "cpu")
    for name in ("IMGSYNTH_PRECISION", "GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty local Hub, which the real client in this process is led to; its cache is in `home`."""
    with HubServer() as hub:
        lead_client(hub, tmp_path / "home", monkeypatch)
        yield hub
        huggingface_hub.close_session()


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    """A loaded model of every architecture, tiny and of random weights."""
    return {name: model_of(build()) for name, build in BUILDERS.items()}


@pytest.fixture(params=["dcgan", "conv_vae"])
def drawer(request: pytest.FixtureRequest, models: dict[str, Any]) -> Any:
    """Each of `models` that draws pictures from latents."""
    return models[request.param]
