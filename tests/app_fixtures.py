"""Fixtures around the started app; a test module that needs them says `pytest_plugins = ["app_fixtures"]`.

Were they imported by name, every module would start an app of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradio_client import Client

import imgsynth
from app_server import AppServer, NewClient, OpenHere, started, tail
from builders import pixels, png

FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with started(tmp_path_factory.mktemp("app")) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows the app's log beside every failure of a test that used it."""
    report: Any = yield
    server = getattr(item, "funcargs", {}).get("app_server")
    item.stash[FAILED] = report.failed
    if report.failed and isinstance(server, AppServer):
        report.sections.append(("log of the app", tail(server.log)))
    return report


@pytest.fixture(scope="session")
def new_client(app_server: AppServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewClient]:
    """Makes clients that are visitors of their own and keep what they download apart."""
    clients: list[Client] = []

    def new() -> Client:
        folder = tmp_path_factory.mktemp("downloads")
        options: dict[str, Any] = {"verbose": False, "analytics_enabled": False, "max_workers": 64}
        clients.append(Client(app_server.url, download_files=folder, **options))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def client(new_client: NewClient) -> Client:
    return new_client()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A PNG with alpha whose sides are no multiples of anything."""
    path = tmp_path / "scene.png"
    path.write_bytes(png(pixels(131, 177, 4)))
    return path


@pytest.fixture
def hole(tmp_path: Path) -> Path:
    """A mask for `scene`: black, with a white box."""
    mask = np.zeros((131, 177), np.uint8)
    mask[40:80, 50:110] = 255
    path = tmp_path / "hole.png"
    path.write_bytes(png(mask))
    return path


@pytest.fixture(scope="module")
def open_here(app_server: AppServer) -> Iterator[OpenHere]:
    """Opens in this process what the app opens in its own, with as many threads, so that bits are equal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGSYNTH_WEIGHTS", str(app_server.weights))
        yield lambda name: imgsynth.open_checkpoint(name, device="cpu", precision="fp32")
    torch.set_num_threads(threads)
