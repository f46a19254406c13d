"""Directions in files: found beside weights on this disk, on the Hub and in its cache, and read with care."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as packed

import imgsynth
from builders import save, tiny_cyclegan, tiny_vae
from cli_runs import Run, pixels
from hub_client import lead_client
from hub_server import HubServer
from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.cache import cached_files
from imgsynth.checkpoints.directions import LARGEST, directions_on_hub, name_of, read_direction
from imgsynth.checkpoints.hub import make_plan
from imgsynth.checkpoints.naming import resolve
from imgsynth.families import Model
from imgsynth.imaging.record import read_record
from imgsynth.runtime.opening import open_file

FILE = "model.safetensors"
VAE = packed(tiny_vae().state_dict())
SMILING = torch.tensor([0.0, 3.0, 0.0, 4.0, 0.0])


def in_bytes(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


SHIPPED = {"directions/Smiling.pt": in_bytes(SMILING), "directions/Blond_Hair.pt": in_bytes(-SMILING[None])}


def attributes(model: Model) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in model.opened.directions.items()}


def opened(what: object) -> Model:
    return imgsynth.open_checkpoint(str(what), device="cpu")


BOTH = {"Blond hair": [-0.0, -3.0, -0.0, -4.0, -0.0], "Smiling": [0.0, 3.0, 0.0, 4.0, 0.0]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Weights on this disk, with directions beside them."""
    place = tmp_path / "faces"
    (place / "directions").mkdir(parents=True)
    (place / FILE).write_bytes(VAE)
    for name, content in SHIPPED.items():
        (place / name).write_bytes(content)
    return place


# Where they are found


def test_beside_a_file(folder: Path) -> None:
    model = opened(folder / FILE)
    assert attributes(model) == BOTH
    assert imgsynth.directions(model).names[:2] == ("Blond hair", "Smiling")
    assert model.opened.warnings == []


def test_beside_a_file_of_the_hub(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED}, lfs=(FILE,))
    assert attributes(opened("owner/faces")) == BOTH
    assert attributes(opened(f"owner/faces:{FILE}")) == BOTH
    hub.add("owner/deeper", {f"a/{FILE}": VAE, **SHIPPED, "a/directions/Young.pt": in_bytes(SMILING)})
    assert attributes(opened(f"owner/deeper:a/{FILE}")) == {"Young": BOTH["Smiling"]}


def test_in_the_cache_without_the_hub(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    opened("owner/faces")
    with HubServer() as gone:
        lead_client(gone, tmp_path / "home", monkeypatch)
    assert attributes(opened("owner/faces")) == BOTH


def test_those_of_a_commit_are_asked_for_once(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    opened("owner/faces")
    assert hub.asked("GET .*directions/Smiling")
    hub.forget()
    opened("owner/faces")
    assert hub.asked("directions/") == []


def test_new_ones_on_the_branch_are_taken(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    opened("owner/faces")
    hub.add("owner/faces", {FILE: VAE, "directions/Smiling.pt": in_bytes(-SMILING)})
    assert attributes(opened("owner/faces")) == {"Smiling": BOTH["Blond hair"]}


def test_a_visitor_brings_no_token_for_them(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    found = open_file(resolve("owner/faces"), access=Access(token=False)).opened.directions
    assert len(found) == 2
    assert {request.authorization for request in hub.requests} == {None}


def test_a_server_downloads_none_above_a_visitors_limit(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED, "directions/Long.pt": in_bytes(torch.ones(2000))})
    found, notes = directions_on_hub(make_plan(resolve("owner/faces")), Access(most_bytes=4000))
    assert set(found) == set(BOTH) and len(notes) == 1
    assert not hub.asked("GET .*directions/Long")


def test_one_that_is_too_large_stays_on_the_hub_and_is_told(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED, "directions/Padded.pt": REFUSED["padded"]})
    model = opened(f"owner/faces:{FILE}")
    assert attributes(model) == BOTH
    assert not hub.asked("GET .*directions/Padded")
    assert model.opened.warnings == [
        "1 of the files in its folder 'directions' could not be read, so it opens without."
    ]


def test_networks_without_latents_are_not_asked_for_any(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: packed(tiny_cyclegan().state_dict()), **SHIPPED})
    opened(f"owner/name:{FILE}")
    assert hub.asked("directions/") == []


def test_they_are_no_weights_in_the_cache(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    opened("owner/faces")
    assert [cached.file for cached in cached_files()] == [FILE]


def test_a_checkpoint_opens_without_them(hub: HubServer) -> None:
    hub.add("owner/faces", {FILE: VAE, **SHIPPED})
    hub.fail("status", at="directions/", status=500, times=None)
    model = opened(f"owner/faces:{FILE}")
    assert attributes(model) == {}
    assert any("directions" in warning for warning in model.opened.warnings)


def test_none_takes_the_name_of_a_direction_that_is_found(folder: Path) -> None:
    found = imgsynth.directions(opened(folder / FILE))
    for name in ("Component_1", "latent_2"):
        (folder / "directions" / f"{name}.pt").write_bytes(in_bytes(SMILING))
    again = imgsynth.directions(opened(folder / FILE))
    assert again.names == found.names
    assert torch.equal(again.step("latent 2"), found.step("latent 2"))


# What is read


def huge() -> bytes:
    """Small as a file, large once it is unpacked."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(in_bytes(SMILING))) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
        target.writestr("archive/padding", b"\0" * (LARGEST + 1))
    return buffer.getvalue()


class Code:
    """Asks, when it is unpickled, for a function to be called."""

    def __reduce__(self) -> Any:
        return print, ("it ran",)


REFUSED: dict[str, bytes] = {
    "code": in_bytes(Code()),
    "a dict": in_bytes({"direction": SMILING}),
    "integers": in_bytes(SMILING.int()),
    "zeros": in_bytes(SMILING * 0),
    "no number": in_bytes(SMILING / 0),
    "of no length that can be told": in_bytes(SMILING.double() * 1e-200),
    "of endless length": in_bytes(SMILING.double() * 1e200),
    "empty": in_bytes(torch.zeros(0)),
    "too long": in_bytes(torch.ones(2**14 + 1)),
    "one value told to be many": in_bytes(torch.ones(1).expand(2**20)),
    "sparse": in_bytes(SMILING.to_sparse()),
    "the old format": in_bytes(SMILING, _use_new_zipfile_serialization=False),
    "unpacked": huge(),
    "padded": in_bytes(SMILING) + b"\0" * LARGEST,
    "text": b"smile",
    "nothing": b"",
    "cut short": in_bytes(SMILING)[:-200],
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_direction_is_left_out_and_said(
    folder: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "directions" / "Bad.pt").write_bytes(REFUSED[kind])
    model = opened(folder / FILE)
    assert attributes(model) == BOTH
    assert model.opened.warnings == [
        "1 of the files in its folder 'directions' could not be read, so it opens without."
    ]
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_read(tmp_path: Path, kind: torch.dtype) -> None:
    path = save({}, tmp_path / "unused.pt").with_name("Smiling.pt")
    path.write_bytes(in_bytes(SMILING.to(kind)))
    found = read_direction(path)
    assert found is not None and found.dtype == torch.float64
    assert torch.equal(found, SMILING.double())


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("Smiling", "Smiling"),
        ("Blond_Hair", "Blond hair"),
        ("5_o_Clock_Shadow", "5 o clock shadow"),
        ("<b>", None),
        ("a=b", None),
        ("_", None),
        ("x" * 61, None),
        ("[link](x)", None),
    ],
)
def test_names_are_words(stem: str, name: str | None) -> None:
    assert name_of(stem) == name


# As a person uses them


def test_the_command_line_makes_somebody_smile_and_again(run: Run, folder: Path, tmp_path: Path) -> None:
    weights, first, again = folder / FILE, tmp_path / "seed00000007.png", tmp_path / "again.png"
    words = ["sample", "--checkpoint", weights, "--seeds", "7", "--out", tmp_path]
    ran = run(*words, "--direction", "Smiling=2", "--direction", "Blond_Hair=-1")
    assert ran.code == 0, ran.err
    asked = read_record(first)["request"]
    assert asked["directions"] == {"Smiling": 2.0, "Blond_Hair": -1.0}
    assert set(asked["direction_sha256"]) == {"Smiling", "Blond_Hair"}
    assert run("redo", first, "--out", again, "--checkpoint", weights).code == 0
    assert (pixels(first) == pixels(again)).all()
    (folder / "directions" / "Smiling.pt").unlink()
    ran = run("redo", first, "--out", again, "--checkpoint", weights)
    assert ran.code == 1 and "no longer beside the checkpoint" in ran.err
