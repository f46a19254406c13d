"""A codec that is published as two files, its encoder and its decoder, is opened by the name of either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as packed
from torch import Tensor

import imgsynth
from app_server import assert_plain
from builders import randomised, save
from hub_server import HubServer
from imgsynth.architectures.taesd import TAESD
from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.cache import cached_files
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.naming import from_path, resolve
from imgsynth.errors import CheckpointUnreadable, DownloadFailed, ImgsynthError, UnknownArchitecture
from imgsynth.runtime.opening import inspect_checkpoint, open_file
from imgsynth.summaries import inspection

State = dict[str, Tensor]

SIZES: dict[str, Any] = {"encoder_widths": [4] * 4, "decoder_widths": [6] * 4}
ENCODER, DECODER = "taesd_encoder.safetensors", "taesd_decoder.safetensors"
EITHER = pytest.mark.parametrize("file", [ENCODER, DECODER])


def codec(seed: int = 0) -> Any:
    return randomised(TAESD(**SIZES), seed)


def half(which: str, seed: int = 0) -> State:
    return {
        k.removeprefix(f"{which}."): v for k, v in codec(seed).state_dict().items() if k.startswith(which)
    }


def files(seed: int = 0) -> dict[str, bytes]:
    return {ENCODER: packed(half("encoder", seed)), DECODER: packed(half("decoder", seed))}


def add(hub: HubServer, content: dict[str, bytes]) -> str:
    return hub.add("owner/name", content, lfs=tuple(content))


def assert_whole(what: str | Path, network: Any) -> None:
    """It is opened as the network, with nothing lost or swapped."""
    model = imgsynth.open_checkpoint(str(what), device="cpu")
    expected, found = network.state_dict(), model.network.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[key].equal(expected[key]) for key in expected)
    x = torch.rand(1, 3, 16, 8)
    assert torch.equal(model.network(x), network(x))


def refused(checkpoint: Checkpoint) -> str:
    """The sentence for half a codec, the same however it is met."""
    with pytest.raises(UnknownArchitecture) as opened:
        open_file(checkpoint)
    with pytest.raises(UnknownArchitecture) as inspected:
        inspect_checkpoint(checkpoint)
    assert str(opened.value) == str(inspected.value)
    assert_plain(str(opened.value))
    return str(opened.value)


# --- on this disk ---


@pytest.mark.parametrize(
    "names",
    [(ENCODER, DECODER), ("encoder.pth", "decoder.pth"), ("a-encoder-v2.bin", "a-decoder-v2.bin")],
    ids=str,
)
def test_two_files_side_by_side_are_one_codec(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, which in zip(names, ("encoder", "decoder"), strict=True):
        save(half(which), tmp_path / name)
    for name, other in (names, names[::-1]):
        assert_whole(tmp_path / name, codec())
        facts = inspection(from_path(tmp_path / name))
        assert (facts["architecture"], facts["file"]) == ("taesd", name)
        assert any(f"was read from {other}" in warning for warning in facts["warnings"])


def test_a_whole_codec_needs_no_other_file(tmp_path: Path) -> None:
    path = save(codec().state_dict(), tmp_path / ENCODER)
    save(half("decoder", 1), tmp_path / DECODER)
    assert_whole(path, codec())
    assert inspection(from_path(path))["warnings"] == []


@pytest.mark.parametrize(
    ("file", "which", "other"), [(ENCODER, "encoder", "decoder"), (DECODER, "decoder", "encoder")]
)
def test_half_a_codec_alone_is_refused(tmp_path: Path, file: str, which: str, other: str) -> None:
    path = save(half(which), tmp_path / file)
    sentence = refused(from_path(path))
    assert sentence.startswith(f"{file} is the {which} of a TAESD codec alone: put its {other} beside it")
    assert f"with '{other}' in place of '{which}'" in sentence


def test_a_name_that_does_not_tell_leads_to_no_other_half(tmp_path: Path) -> None:
    path = save(half("encoder"), tmp_path / "net.safetensors")
    save(half("decoder"), tmp_path / DECODER)
    assert "net.safetensors is the encoder of a TAESD codec alone" in refused(from_path(path))


@pytest.mark.parametrize("wrong", [half("encoder"), codec().state_dict()], ids=["same half", "both"])
def test_the_other_file_must_be_the_other_half(tmp_path: Path, wrong: State) -> None:
    path = save(half("encoder"), tmp_path / ENCODER)
    save(wrong, tmp_path / DECODER)
    assert f"{ENCODER} is the encoder of a TAESD codec alone" in refused(from_path(path))


def test_halves_of_two_codecs_make_none(tmp_path: Path) -> None:
    path = save(half("encoder"), tmp_path / ENCODER)
    other = TAESD(**SIZES, latent_channels=16).state_dict()
    save({k[8:]: v for k, v in other.items() if k.startswith("decoder.")}, tmp_path / DECODER)
    with pytest.raises(UnknownArchitecture, match="nearly a taesd network"):
        open_file(from_path(path))


def test_a_damaged_other_half_is_named(tmp_path: Path) -> None:
    path = save(half("encoder"), tmp_path / ENCODER)
    (tmp_path / DECODER).write_bytes(files()[DECODER][:-9])
    with pytest.raises(CheckpointUnreadable, match=f"^{DECODER} is cut short"):
        open_file(from_path(path))


def test_an_uploaded_half_never_meets_another_persons(tmp_path: Path) -> None:
    for name, content in files().items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / ENCODER
    upload = Checkpoint("taesd", "taesd", (), "upload", ENCODER, path=path)
    sentence = refused(upload)
    assert sentence.startswith(
        f"{ENCODER} is the encoder of a TAESD codec alone: give the one file that has both"
    )


# --- on the Hub ---


@EITHER
def test_two_files_of_a_repository_are_one_codec(hub: HubServer, file: str) -> None:
    add(hub, files())
    facts = inspection(resolve(f"owner/name:{file}"))
    assert (facts["architecture"], facts["downloaded"]) == ("taesd", False)
    assert facts["hyperparameters"]["decoder_widths"] == SIZES["decoder_widths"]
    assert cached_files() == []
    assert_whole(f"owner/name:{file}", codec())
    assert {cached.file for cached in cached_files()} == {ENCODER, DECODER}


def test_a_repository_of_two_halves_is_opened_by_its_name(hub: HubServer) -> None:
    add(hub, {**files(), "README.md": b"A codec."})
    assert_whole("owner/name", codec())


@EITHER
def test_both_halves_are_of_one_commit(hub: HubServer, file: str) -> None:
    first = add(hub, files(1))
    add(hub, files(2))
    assert_whole(f"owner/name:{file}@{first}", codec(1))
    assert_whole(f"owner/name:{file}", codec(2))


def test_without_the_hub_both_halves_are_found(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    add(hub, files())
    assert_whole(f"owner/name:{DECODER}", codec())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for file in (ENCODER, DECODER):
        assert_whole(f"owner/name:{file}", codec())


@EITHER
def test_half_a_repository_is_refused_before_it_is_downloaded(hub: HubServer, file: str) -> None:
    add(hub, {file: files()[file]})
    assert f"{file} is the" in refused(resolve(f"owner/name:{file}"))
    assert all(request.range for request in hub.asked("GET .*taesd"))


@pytest.mark.parametrize("fault", ["drop", "status"])
def test_a_half_that_cannot_be_fetched_is_no_half_that_is_missing(hub: HubServer, fault: Any) -> None:
    add(hub, files())
    hub.fail(fault, at=f"GET .*{DECODER}", times=None)
    with pytest.raises(DownloadFailed, match=DECODER) as caught:
        open_file(resolve(f"owner/name:{ENCODER}"))
    assert_plain(str(caught.value))
    hub.heal()
    assert_whole(f"owner/name:{ENCODER}", codec())


def test_what_a_visitor_may_download_holds_for_each_half(hub: HubServer) -> None:
    content = files()
    add(hub, content)
    assert len(content[ENCODER]) < len(content[DECODER])
    with pytest.raises(ImgsynthError, match=f"^{DECODER} has .* MB and this server downloads at most"):
        open_file(resolve(f"owner/name:{ENCODER}"), access=Access(False, len(content[ENCODER])))
    assert {cached.file for cached in cached_files()} <= {ENCODER}


def test_progress_is_told_for_both_halves(hub: HubServer) -> None:
    content = files()
    add(hub, content)
    seen: list[tuple[int, int]] = []
    open_file(resolve(f"owner/name:{ENCODER}"), progress=lambda done, total: seen.append((done, total)))
    sizes = [len(content[ENCODER]), len(content[DECODER])]
    assert [total for done, total in seen if done == 0] == sizes
    assert [total for done, total in seen if done == total] == sizes
