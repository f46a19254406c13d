"""The real huggingface_hub client, led to the local Hub (hub_server.py), in this process or in another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from cli_runs import Ran
from hub_server import HubServer

REPOSITORY = Path(__file__).resolve().parents[1]
# Requests that have nothing to do with a download stay out of the record.
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
HOSTS_OWN = ("HF_", "HUGGING", "IMGSYNTH_", "TRANSFORMERS_", "XDG_")
# What huggingface_hub keeps of a broken download is whole pieces of this many bytes; its own are 10 MB.
CHUNK = 1024
HARD_LIMIT = 300.0  # seconds, after which a process that hangs is ended; no verdict hangs on it


class Hurried:
    """Stands in for the module `time` in huggingface_hub, which would pause between its attempts."""

    def sleep(self, seconds: float) -> None:
        """Returns at once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def lead_client(hub: HubServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets what huggingface_hub read from the environment when it was imported, for one test.

    Its pauses are left out and its pieces made small; apart from that it does as it always does.
    """
    constants = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "DOWNLOAD_CHUNK_SIZE": CHUNK,
    }
    for name, value in constants.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.url)  # of the module's own functions
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(home / "hub"))  # a copy
    for module in ("file_download", "utils._http"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", Hurried())
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    huggingface_hub.close_session()  # one of an earlier test may know a proxy


def imgsynth_process(hub: HubServer, home: Path, *words: str, **settings: str) -> Ran:
    """`python -m imgsynth …` with the local Hub and the cache in `home`; `settings` are environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(HOSTS_OWN)}
    own = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "IMGSYNTH_DEVICE": "cpu",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    done = subprocess.run(
        [sys.executable, "-m", "imgsynth", *words],
        cwd=REPOSITORY,
        env={**kept, **QUIET, **own, "OMP_NUM_THREADS": "1", **settings},
        capture_output=True,
        text=True,
        timeout=HARD_LIMIT,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def share_blob(path: Path) -> Path:
    """Moves a cached file's bytes to the store of all repositories, as Xet downloads do, and says where."""
    store = pytest.importorskip(
        "huggingface_hub.utils._shared_blobs", reason="huggingface_hub 1 has no such store"
    )
    blob, cache = path.parent / path.readlink(), huggingface_hub.constants.HF_HUB_CACHE
    size = path.stat().st_size
    assert store.publish_blob_to_shared_store(
        blob_path=os.path.abspath(blob), xet_hash="0123abcd" * 8, cache_dir=cache, expected_size=size
    )
    return path.resolve()
