"""What a safetensors file on the Hub is, from its header: told, chosen or refused before it is downloaded."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save as packed

import imgsynth
from app_server import assert_plain
from builders import DCGAN, tiny_dcgan, tiny_vae
from hub_server import HubServer
from imgsynth.checkpoints.access import OWNER, Access
from imgsynth.checkpoints.cache import cached_files
from imgsynth.checkpoints.headers import LONGEST, USUAL, beginning_on_hub, read_header
from imgsynth.checkpoints.hub import MOST_HEADERS, make_plan
from imgsynth.checkpoints.naming import resolve
from imgsynth.checkpoints.state_dict import MOST_TENSORS
from imgsynth.errors import CheckpointUnreadable, DownloadFailed, UnknownArchitecture
from imgsynth.summaries import inspection

FILE = "model.safetensors"
NAMED = f"owner/name:{FILE}"
SIZES: dict[str, Any] = {**DCGAN, "widths": [64, 48, 16]}
WEIGHTS = packed(tiny_dcgan(**SIZES).state_dict())  # more than a header's usual part
VAE = packed(tiny_vae().state_dict())
TEXT = packed({"wte.weight": torch.zeros(50, 8), "h.0.attn.c_attn.weight": torch.zeros(8, 24)})


def inspected(what: str = NAMED, access: Access = OWNER) -> dict[str, Any]:
    return inspection(resolve(what), access)


def sizes_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts["hyperparameters"][name] for name in SIZES}


def parts_asked_for(hub: HubServer) -> set[str | None]:
    """The ranges of all files that were asked for, whether or not a request was sent on to the CDN."""
    return {request.range for request in hub.asked(r"GET (?!/api/)")}


# --- told ---


def test_only_the_header_of_a_file_is_read(hub: HubServer) -> None:
    commit = hub.add("owner/name", {FILE: WEIGHTS, "config.json": b"{}"}, lfs=(FILE,))
    facts = inspected()
    assert len(WEIGHTS) > 2 * USUAL
    assert {request.range for request in hub.asked(f"GET .*{FILE}")} == {f"bytes=0-{USUAL - 1}"}
    assert cached_files() == []
    assert (facts["architecture"], sizes_in(facts)) == ("dcgan", SIZES)
    assert (facts["sha256"], facts["bytes"]) == (hashlib.sha256(WEIGHTS).hexdigest(), len(WEIGHTS))
    assert (facts["revision"], facts["downloaded"], facts["verified"]) == (commit, False, None)


@pytest.mark.parametrize("lfs", [(FILE,), ()], ids=["large", "small"])
def test_the_whole_file_tells_the_same(hub: HubServer, lfs: tuple[str, ...]) -> None:
    """But for the sum of a small file, which the Hub does not keep."""
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=lfs)
    before = inspected()
    imgsynth.open_checkpoint(NAMED, device="cpu")
    after = inspected()
    changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
    expected = {"downloaded": (False, True), "verified": (None, "hub")}
    assert changed == expected | ({} if lfs else {"sha256": (None, after["sha256"])})


def test_what_only_config_and_metadata_tell_is_heeded(hub: HubServer) -> None:
    vae = tiny_vae(groups=8).state_dict()
    hub.add("owner/config", {FILE: packed(vae), "config.json": b'{"norm_num_groups": 8}'}, lfs=(FILE,))
    hub.add("owner/own", {FILE: packed(vae, {"config": '{"norm_num_groups": 8}'})}, lfs=(FILE,))
    hub.add("owner/plain", {FILE: packed(vae)}, lfs=(FILE,))
    groups = [inspected(f"owner/{name}")["hyperparameters"]["groups"] for name in ("config", "own", "plain")]
    assert groups[:2] == [8, 8] != groups[1:]


def test_a_long_header_is_read_to_its_end(hub: HubServer) -> None:
    weights = packed(tiny_dcgan(**SIZES).state_dict(), {"note": "x" * USUAL})
    hub.add("owner/name", {FILE: weights}, lfs=(FILE,))
    assert sizes_in(inspected()) == SIZES
    end = 8 + int.from_bytes(weights[:8], "little")
    assert parts_asked_for(hub) == {f"bytes=0-{USUAL - 1}", f"bytes=0-{end - 1}"}


def test_a_server_that_knows_no_parts_is_not_heard_to_its_end(hub: HubServer) -> None:
    hub.ranges = False
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,))
    assert beginning_on_hub(resolve(NAMED), OWNER, 1000) == WEIGHTS[:1000]
    assert sizes_in(inspected()) == SIZES


def test_a_header_lost_on_its_way_is_asked_for_again(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,))
    hub.fail("cut", at="bytes=0-", after=50)
    assert inspected()["architecture"] == "dcgan"
    hub.fail("cut", at="bytes=0-", times=None, after=50)
    with pytest.raises(DownloadFailed, match=f"The Hub could not be reached, so {FILE} of owner/name"):
        inspected()


def test_inspecting_a_visitors_file_sends_no_token(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("owner/name", {FILE: WEIGHTS, "b.safetensors": VAE}, lfs=(FILE,))
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert inspected("owner/name", Access(token=False))["architecture"] == "dcgan"
    assert {request.authorization for request in hub.requests} == {None}


def test_a_file_too_large_for_a_visitor_can_be_inspected(hub: HubServer) -> None:
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,))
    assert inspected(access=Access(False, USUAL))["bytes"] == len(WEIGHTS)


def test_the_token_of_a_private_file_stays_with_the_hub(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/name", {FILE: WEIGHTS}, lfs=(FILE,), private_token="hf_mine")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert inspected()["architecture"] == "dcgan"
    assert {request.token for request in hub.asked("owner/name")} == {"hf_mine"}
    assert {request.token for request in hub.asked("/cdn/")} == {None}


def test_a_file_without_a_header_is_downloaded(hub: HubServer) -> None:
    buffer = io.BytesIO()
    torch.save(tiny_dcgan(**SIZES).state_dict(), buffer)
    hub.add("owner/name", {"pytorch_model.bin": buffer.getvalue()}, lfs=("pytorch_model.bin",))
    facts = inspected("owner/name")
    assert (facts["architecture"], sizes_in(facts)) == ("dcgan", SIZES)
    assert (facts["downloaded"], facts["verified"]) == (True, "hub")
    assert facts["sha256"] == hashlib.sha256(buffer.getvalue()).hexdigest()


# --- refused ---


@pytest.mark.parametrize("what", ["owner/name", NAMED])
def test_a_file_of_no_known_network_is_refused_before_it_is_downloaded(hub: HubServer, what: str) -> None:
    large = packed({"wte.weight": torch.zeros(50_000, 8)})
    hub.add("owner/name", {FILE: large}, lfs=(FILE,))
    for refused in (inspected, lambda it: imgsynth.open_checkpoint(it, device="cpu")):
        with pytest.raises(UnknownArchitecture, match="it looks like a network for text"):
            refused(what)
    assert parts_asked_for(hub) == {f"bytes=0-{USUAL - 1}"}


def tensor(dtype: Any = "F32", shape: Any = (2, 3), end: Any = 24) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


def with_header(header: Any, length: int | None = None) -> bytes:
    """A file with this header, which says that it is as long as it is, or of another length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(24)


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "a few bytes": b"\x01\x02",
    "length only": bytes(8),
    "length of 0": with_header({}, 0),
    "length without end": with_header({"w": tensor()}, 2**64 - 1),
    "length above what is read": with_header({"w": tensor()}, LONGEST + 1),
    "length beyond the file": with_header({"w": tensor()}, 90_000),
    "length beyond the file and the usual part": with_header({"w": tensor()}, 5_000_000),
    "length within the header": with_header({"w": tensor()}, 20),
    "no JSON": with_header(b"weights"),
    "no text": with_header(b"\xff\xfe\xfd"),
    "a list": with_header([1, 2]),
    "a number": with_header(7),
    "nested without end": with_header(b"[" * 50_000),
    "a tensor that is a list": with_header({"w": [1]}),
    "a tensor that is null": with_header({"w": None}),
    "a tensor without a shape": with_header({"w": {"dtype": "F32", "data_offsets": [0, 4]}}),
    "a tensor with more to it": with_header({"w": {**tensor(), "name": "v"}}),
    "metadata that is text": with_header({"w": tensor(), "__metadata__": "config"}),
    "a negative size": with_header({"w": tensor(shape=(-2, -3))}),
    "a size with a fraction": with_header({"w": tensor(shape=(2.0, 3))}),
    "a size in words": with_header({"w": tensor(shape=("two", 3))}),
    "sizes that repeat": with_header({"w": tensor(shape=("a", 10**12))}),
    "no list of sizes": with_header({"w": tensor(shape="23")}),
    "a shape beyond all numbers": with_header({"w": tensor(shape=(2**40, 2**40), end=2**82)}),
    "a size beyond all numbers": with_header({"w": tensor(shape=(10**30,), end=4 * 10**30)}),
    "digits without end": with_header(b'{"w": ' + b"9" * 9999 + b"}"),
    "a place that is too small": with_header({"w": tensor(end=20)}),
    "a place backwards": with_header({"w": tensor(end=-24)}),
    "a place in words": with_header({"w": tensor(end="24")}),
    "a place of three numbers": with_header({"w": {**tensor(), "data_offsets": [0, 24, 48]}}),
    "a number type that is a list": with_header({"w": tensor(dtype=["F32"])}),
}
OTHERWISE: dict[str, tuple[bytes, str]] = {
    "no tensors": (with_header({"__metadata__": {"format": "pt"}}), "holds no tensors"),
    "another number type": (
        with_header({"a/b": tensor("F4")}),
        r"stores a\?b as F4, numbers that are not known",
    ),
    "far too many tensors": (
        with_header({f"w{n}": tensor() for n in range(MOST_TENSORS + 1)}),
        f"holds {MOST_TENSORS + 1} tensors, more than any network",
    ),
    "far too large": (with_header({"w": tensor(shape=(2**33, 1), end=2**35)}), "holds more than 8 GB"),
}
HOSTILE = {**{name: (content, "is cut short or damaged") for name, content in DAMAGED.items()}, **OTHERWISE}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_that_cannot_be_is_one_plain_sentence(hub: HubServer, case: str) -> None:
    content, words = HOSTILE[case]
    hub.add("owner/name", {FILE: content}, lfs=(FILE,))
    with pytest.raises(CheckpointUnreadable, match=f"^{FILE} {words}") as caught:
        inspected()
    assert_plain(str(caught.value))
    ends = [int(str(request.range).rpartition("-")[2]) for request in hub.asked(f"GET .*{FILE}")]
    assert max(ends) < LONGEST


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def joined(header: Mapping[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_metadata_that_is_no_text_is_left_out(hub: HubServer) -> None:
    state = tiny_dcgan().state_dict()
    header, data = split(packed(state))
    strange = {"config": {"latent_dim": 9}, "list": [1], "note": "kept"}
    hub.add("owner/name", {FILE: joined({**header, "__metadata__": strange}, data)}, lfs=(FILE,))
    assert read_header(resolve(NAMED)).metadata == {"note": "kept"}
    assert inspected()["architecture"] == "dcgan"


@pytest.mark.parametrize("config", ["[" * 50_000, "{", "7"])
def test_metadata_with_no_config_in_it_is_no_hint(hub: HubServer, config: str) -> None:
    hub.add("owner/name", {FILE: packed(tiny_dcgan().state_dict(), {"config": config})}, lfs=(FILE,))
    assert inspected()["architecture"] == "dcgan"
    assert imgsynth.open_checkpoint(NAMED, device="cpu").opened.architecture.name == "dcgan"


# --- chosen ---

CHOICES: dict[str, tuple[dict[str, bytes], str]] = {
    "the codec of a diffusion model": (
        {f"{part}/{FILE}": TEXT for part in ("text_encoder", "unet", "safety_checker")}
        | {"vae/diffusion_pytorch_model.safetensors": VAE},
        "vae/diffusion_pytorch_model.safetensors",
    ),
    "averaged weights": ({FILE: WEIGHTS, "model_ema.safetensors": WEIGHTS}, "model_ema.safetensors"),
    "averaged weights of something else": ({FILE: WEIGHTS, "text_ema.safetensors": TEXT}, FILE),
    "not what is damaged": ({FILE: b"damaged", "b.safetensors": VAE}, "b.safetensors"),
    "the safe format, though unknown": ({"a.bin": WEIGHTS, "b.safetensors": TEXT}, "b.safetensors"),
    "the most likely of unknown ones": ({"b.safetensors": TEXT, FILE: TEXT}, FILE),
}


@pytest.mark.parametrize("case", CHOICES)
def test_of_several_files_one_of_a_known_network_is_taken(hub: HubServer, case: str) -> None:
    files, chosen = CHOICES[case]
    hub.add("owner/name", files, lfs=tuple(files))
    plan = make_plan(resolve("owner/name"))
    assert plan.checkpoint.file == chosen
    assert plan.bytes == len(files[chosen])
    assert f"{chosen} was taken" in plan.notes[0]
    assert parts_asked_for(hub) <= {f"bytes=0-{USUAL - 1}"}


def test_only_so_many_headers_are_read(hub: HubServer) -> None:
    files = {f"{letter}.safetensors": packed({letter: torch.zeros(2)}) for letter in "abcehijk"}
    hub.add("owner/name", files)
    make_plan(resolve("owner/name"))
    assert len(hub.asked("GET .*/resolve/")) == MOST_HEADERS


def test_the_choice_is_the_same_without_the_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, bytes] = {FILE: TEXT, "b.safetensors": VAE}
    hub.add("owner/name", files, lfs=tuple(files))
    online = inspected("owner/name")
    for file in files:
        huggingface_hub.hf_hub_download("owner/name", file)
    hub.forget()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    offline = inspected("owner/name")
    assert (offline["file"], offline["hyperparameters"]) == ("b.safetensors", online["hyperparameters"])
    assert hub.requests == []
