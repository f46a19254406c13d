"""The app as visitors meet it: a process of its own, on tiny random networks. Fixtures: app_fixtures.py."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from torch import nn

from builders import randomised, save
from imgsynth import errors
from imgsynth.architectures.conv_vae import ConvVAE
from imgsynth.architectures.cyclegan_resnet import ResnetGenerator
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.lama import LaMaGenerator
from imgsynth.families import Model

REPOSITORY = Path(__file__).resolve().parents[1]
ARTIFACTS = Path(__file__).resolve().parent / "artifacts"
# How long the slowest thing may take on a busy machine before a test gives up; no verdict hangs on it.
PATIENCE = 120.0
LOG_SHOWN = 6000

NewClient = Callable[[], Client]
OpenHere = Callable[[str], Model]

UNKNOWN_NETWORK = "example/unknown:model.safetensors"


@dataclass(frozen=True)
class AppServer:
    """A running app: its address, the bundled weights it was given, the file it logs to, and its process."""

    url: str
    weights: Path
    log: Path
    process: subprocess.Popen[bytes]


def tiny_networks() -> dict[str, nn.Module]:
    """By catalog id: random networks with the sizes that a visitor sees, but few channels."""
    cyclegan: dict[str, Any] = {"width": 8, "blocks": 6, "upsampling": "nearest"}
    return {
        "avatars-gan": randomised(DCGANGenerator(16, [32, 16, 8, 8], 3), 1),
        "flowers-gan": randomised(DCGANGenerator(16, [32, 16, 8, 8], 3), 2),
        "avatars-vae": randomised(ConvVAE(8, [32] * 4, [32] * 4, 32), 3),
        "photo2monet": randomised(ResnetGenerator(**cyclegan), 4),
        "monet2photo": randomised(ResnetGenerator(**cyclegan), 5),
        "inpaint-small": randomised(LaMaGenerator(width=8, blocks=2, global_channels=48), 6),
    }


def write_unknown_network(hub_cache: Path) -> None:
    """A Hub download, as its cache keeps it, whose weights belong to no network that we know."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = hub_cache / "models--example--unknown"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    save({"encoder.weight": torch.zeros(3, 3), "head.bias": torch.zeros(3)}, snapshot / "model.safetensors")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, port: int) -> dict[str, str]:
    """Nothing of the host's own settings, caches or tokens reaches the app, and nothing of it the host."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "HF_", "IMGSYNTH_"))}
    return kept | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_OFFLINE": "1",
        "IMGSYNTH_DEVICE": "cpu",
        "IMGSYNTH_WEIGHTS": str(folder / "weights"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def wait_until_it_answers(server: AppServer) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            pytest.fail(f"The app ended with exit code {server.process.returncode}:\n{tail(server.log)}")
        try:
            urllib.request.urlopen(server.url, timeout=PATIENCE).close()
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"The app does not answer:\n{tail(server.log)}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def started(folder: Path, *command: str, **settings: str) -> Iterator[AppServer]:
    """The app in a process of its own, ended when the context is left.

    Args:
        command: what Python is to run, if not app.py.
        settings: environment.
    """
    (folder / "weights").mkdir()
    for name, network in tiny_networks().items():
        save(network.state_dict(), folder / "weights" / f"{name}.safetensors")
    write_unknown_network(folder / "hub" / "hub")
    port = free_port()
    path = folder / "app.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *(command or ["app.py"])],
            cwd=REPOSITORY,
            env=environment(folder, port) | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = AppServer(f"http://127.0.0.1:{port}", folder / "weights", path, process)
        try:
            wait_until_it_answers(server)
            yield server
        finally:
            stop(process)


def send(path: str | Path) -> Any:
    """A file as a parameter of an endpoint."""
    return handle_file(str(path))


def assert_plain(sentence: str) -> None:
    """One sentence with a full stop; no path, no traceback, no name of a class."""
    path = r"(?:^|[\s'\"(])(?:/|~|[A-Z]:\\|\.\.?/)"
    classes = "|".join(name for name in vars(errors) if name[0].isupper())
    assert re.fullmatch(r"[^\n]*[^.\s]\.", sentence), f"not one line with a full stop: {sentence!r}"
    assert not re.search(r"[.!?]\s+\S", sentence), f"more than one sentence: {sentence!r}"
    assert not re.search(path, sentence), f"a path: {sentence!r}"
    assert not re.search(rf"Traceback|\w+(?:Error|Exception)\b|\b(?:{classes})\b", sentence), (
        f"a name of the program's: {sentence!r}"
    )


def sentence_of(client: Client, **call: Any) -> str:
    """What an endpoint that refuses a call says."""
    with pytest.raises(AppError) as caught:
        client.predict(**call)
    assert_plain(str(caught.value))
    return str(caught.value)


def tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-LOG_SHOWN:]
