"""What cannot be done over HTTP: told in one plain sentence, with nothing of the server given away."""

from __future__ import annotations

import json
import struct
import zlib
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file

from app_server import (
    PATIENCE,
    REPOSITORY,
    UNKNOWN_NETWORK,
    AppServer,
    NewClient,
    assert_plain,
    send,
    sentence_of,
)
from builders import pixels, png
from imgsynth.ui.queueing import MOST_WAITING

pytest_plugins = ["app_fixtures"]


def test_redo_refuses_another_photo(client: Client, scene: Path, tmp_path: Path) -> None:
    made = client.predict(checkpoint="photo2monet", photo=send(scene), api_name="/translate")
    (tmp_path / "other.png").write_bytes(png(pixels(131, 177, 4, seed=1)))
    assert "sha256" in sentence_of(
        client, picture=send(made), photo=send(tmp_path / "other.png"), api_name="/redo"
    )


def huge_png() -> bytes:
    """The header of a 60,000×60,000 picture, and no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


SAMPLE: dict[str, Any] = {"checkpoint": "avatars-gan", "seeds": "1", "api_name": "/sample"}
WALK: dict[str, Any] = {"checkpoint": "avatars-vae", "keyframes": "1,2", "api_name": "/interpolate"}
PAINT: dict[str, Any] = {"checkpoint": "photo2monet", "photo": None, "api_name": "/translate"}

BAD_VALUES: dict[str, dict[str, Any]] = {
    "seeds that are words": SAMPLE | {"seeds": "abc"},
    "no seeds": SAMPLE | {"seeds": None},
    "a seed too large": SAMPLE | {"seeds": "4294967296"},
    "no checkpoint": SAMPLE | {"checkpoint": None},
    "an unknown id": SAMPLE | {"checkpoint": "avatars-gna"},
    "an unknown network": SAMPLE | {"checkpoint": UNKNOWN_NETWORK},
    "a checkpoint for another task": SAMPLE | {"checkpoint": "photo2monet"},
    "a class where there are none": SAMPLE | {"label": 2},
    "psi out of range": SAMPLE | {"psi": 9},
    "psi in words": SAMPLE | {"psi": "much"},
    "one keyframe": WALK | {"keyframes": "1"},
    "half a frame": WALK | {"frames": 2.5},
    "frames in words": WALK | {"frames": "many"},
    "an unknown path": WALK | {"path": "zigzag"},
    "a class where there are none to walk through": WALK | {"label": 1},
    "half a class": SAMPLE | {"label": 0.5},
    "keyframes in words": WALK | {"keyframes": "1,cat"},
    "a photo that was not sent": WALK | {"keyframes": "1,photo"},
    "an unknown format": WALK | {"format": "avi"},
    "no format": WALK | {"format": None},
    "no photo": PAINT,
    "an address for a photo": PAINT | {"photo": handle_file("http://127.0.0.1/photo.png")},
    "addresses for photos": WALK | {"photos": [handle_file("http://127.0.0.1/photo.png")]},
    "nothing to open": {"api_name": "/open"},
    "an unknown id to open": {"what": "avatars-gna", "api_name": "/open"},
    "an unknown network to open": {"what": UNKNOWN_NETWORK, "api_name": "/open"},
    "an unknown task": {"task": "paint", "api_name": "/models"},
    "an unknown network to inspect": {"what": UNKNOWN_NETWORK, "api_name": "/inspect"},
    "a repository out of reach": {"what": "example/nothing", "api_name": "/inspect"},
}


@pytest.mark.parametrize("call", BAD_VALUES.values(), ids=BAD_VALUES)
def test_bad_values_are_told_in_one_sentence(client: Client, call: dict[str, Any]) -> None:
    sentence_of(client, **call)
    assert len(client.predict(**SAMPLE)) == 1


BAD_FILES = {"text": b"Dear diary, today nothing happened.", "empty": b"", "huge": huge_png()}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_are_told_in_one_sentence(
    client: Client, kind: str, scene: Path, hole: Path, tmp_path: Path
) -> None:
    (tmp_path / f"{kind}.png").write_bytes(BAD_FILES[kind])
    bad = send(tmp_path / f"{kind}.png")
    for call in (
        PAINT | {"photo": bad},
        {"checkpoint": "inpaint-small", "photo": bad, "mask": send(hole), "api_name": "/inpaint"},
        {"checkpoint": "inpaint-small", "photo": send(scene), "mask": bad, "api_name": "/inpaint"},
        {"picture": bad, "api_name": "/record"},
        {"picture": bad, "api_name": "/redo"},
    ):
        sentence_of(client, **call)
    assert client.predict(**PAINT | {"photo": send(scene)})


@pytest.mark.parametrize(("value", "shape"), [(0, (131, 177)), (255, (131, 177)), (255, (90, 20))])
def test_unfit_masks_are_told_in_one_sentence(
    client: Client, scene: Path, hole: Path, tmp_path: Path, value: int, shape: tuple[int, int]
) -> None:
    (tmp_path / "mask.png").write_bytes(png(np.full(shape, value, np.uint8)))
    call = {"checkpoint": "inpaint-small", "photo": send(scene), "api_name": "/inpaint"}
    assert "mask" in sentence_of(client, mask=send(tmp_path / "mask.png"), **call)
    assert client.predict(mask=send(hole), **call)


def test_paths_of_the_server_are_no_checkpoints(client: Client, app_server: AppServer) -> None:
    there = app_server.weights / "avatars-gan.safetensors"
    names = [
        str(there),
        str(there.with_name("none.safetensors")),
        "./app.py",
        "../none/at/all",
        "/etc/passwd",
    ]
    calls = [{"what": n, "api_name": "/inspect"} for n in names]
    calls += [SAMPLE | {"checkpoint": n} for n in names]
    said = {sentence_of(client, **call) for call in calls}
    assert len(said) == 1, "the answer tells whether a file exists"


def post(server: AppServer, name: str, *data: Any) -> tuple[str, Any]:
    """The bare protocol, without the client's own care for files: (event, its data)."""
    joined = httpx.post(f"{server.url}/gradio_api/call/{name}", json={"data": data}, timeout=PATIENCE)
    event_id = joined.raise_for_status().json()["event_id"]
    answer = httpx.get(f"{server.url}/gradio_api/call/{name}/{event_id}", timeout=PATIENCE)
    event, told = answer.text.strip().splitlines()[-2:]
    return event.removeprefix("event: "), json.loads(told.removeprefix("data: "))


def test_files_of_the_server_cannot_be_read(app_server: AppServer) -> None:
    picture = REPOSITORY / "examples" / "china.jpg"
    assert picture.is_file()
    paths = [str(picture), str(picture.with_name("none.jpg")), "examples/china.jpg", "/etc/passwd"]
    meta = {"_type": "gradio.FileData"}
    forms: list[Any] = [{"path": p, "meta": meta} for p in paths]
    forms += [{"path": p, "meta": meta, "is_stream": True} for p in paths]
    forms += [{"path": p} for p in paths] + list(paths)
    said = set()
    for form in forms:
        for name, data in (("translate", ["photo2monet", form, 1.0]), ("record", [form])):
            event, told = post(app_server, name, *data)
            assert event == "error"
            assert_plain(told["error"])
            said.add(told["error"])
    assert len(said) == 1, "the answer tells whether a file exists"
    for path in paths:
        assert httpx.get(f"{app_server.url}/gradio_api/file={path}", timeout=PATIENCE).status_code in (
            403,
            404,
        )


def test_a_full_queue_is_told_in_one_sentence(new_client: NewClient) -> None:
    """One request runs and MOST_WAITING wait; a few more, should walks end while the rest come in."""
    visitor = new_client()
    jobs = [visitor.submit(frames=300, **WALK) for _ in range(MOST_WAITING + 9)]
    try:
        ended, _ = wait([job.future for job in jobs], PATIENCE, FIRST_EXCEPTION)
        refusals = [str(error) for f in ended if (error := f.exception())]
        assert refusals
        for sentence in refusals:
            assert_plain(sentence)
            assert "queue is full" in sentence
    finally:
        for job in reversed(jobs):  # those that wait first, lest they start
            job.cancel()
    assert new_client().predict(**SAMPLE)
