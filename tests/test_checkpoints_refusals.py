"""Files that are refused: nothing in them runs, and the sentence says what they are."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evil_files import evil_objects
from imgsynth.checkpoints import state_dict as reader
from imgsynth.checkpoints.state_dict import read_state_dict
from imgsynth.checkpoints.unwrap import DEEPEST
from imgsynth.errors import CheckpointNotFound, CheckpointUnreadable

# torch warns of the odd files that are made and read here on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def state(value: float = 1.0) -> dict[str, Tensor]:
    return {"model.1.weight": torch.full((4, 3, 3, 3), value), "model.1.bias": torch.full((4,), value)}


def saved(folder: Path, what: Any) -> Path:
    torch.save(what, folder / "file.pth")
    return folder / "file.pth"


def sentence_of(path: Path) -> str:
    with pytest.raises(CheckpointUnreadable) as caught:
        read_state_dict(path)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "/" not in sentence
    assert "\n" not in sentence
    return sentence


# --- files that hold code ---


@pytest.mark.parametrize("case", ["system", "bare", "eval", "exec", "tensor", "module"])
@pytest.mark.parametrize("way", ["zip", "legacy", "pickle0", "pickle2", "pickle4", "pickle5"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_code_never_runs_and_is_named(tmp_path: Path, case: str, way: str, suffix: str) -> None:
    marker, path = tmp_path / "it-ran", tmp_path / f"evil{suffix}"
    evil, name = evil_objects(marker)[case]
    if way.startswith("pickle"):
        path.write_bytes(pickle.dumps(evil, protocol=int(way[-1])))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=way == "zip")
    sentence = sentence_of(path)
    assert not marker.exists()
    if (case, way[:6]) != ("module", "pickle"):  # such a pickle fails before its one class is asked for
        assert name in sentence
        assert "files that hold code are not opened" in sentence
        assert ".safetensors" in sentence


def test_a_name_out_of_a_file_is_shown_plainly(tmp_path: Path) -> None:
    name = "<img src=x>/\x1b[31m" + "y" * 500
    (tmp_path / "a.pth").write_bytes(b"\x80\x02c" + name.encode() + b"\nz\n.")
    sentence = sentence_of(tmp_path / "a.pth")
    assert "asks Python for ?img" in sentence
    assert "<" not in sentence
    assert len(sentence) < 300


def test_the_evil_files_would_have_run(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(evil_objects(marker)["system"][0]))
    assert marker.exists()


def test_torchscript_is_named(tmp_path: Path) -> None:
    path = tmp_path / "traced.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    assert "TorchScript" in sentence_of(path)


# --- damaged files and other formats ---


@pytest.mark.parametrize("kept", [1, 7, 9, 40, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_truncated_files(tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    sentence = sentence_of(path)
    assert "cut short or damaged" in sentence or "damaged or" in sentence or "no format" in sentence


def test_a_flipped_bit_in_a_zip_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": torch.ones(1000)})
    data = bytearray(path.read_bytes())
    data[data.find(struct.pack("<f", 1.0) * 8) + 101] ^= 1
    path.write_bytes(data)
    assert "damaged" in sentence_of(path)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_files_with_wrong_bytes_end_in_a_sentence_or_open(tmp_path: Path, kind: str) -> None:
    path, random = tmp_path / "a", Random(7)
    if kind == "safetensors":
        save_file(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=kind == "zip")
    whole, sentences = path.read_bytes(), []
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(random.choice((1, 3, 20))):
            data[random.randrange(len(data))] = random.randrange(256)
        path.write_bytes(data)
        try:
            read_state_dict(path)
        except CheckpointUnreadable as error:
            sentences.append(str(error))
    assert len(sentences) > 10
    assert all(s.endswith(".") and "\n" not in s for s in sentences)


def test_safetensors_that_promise_more_than_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    header = b'{"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 40)
    assert "damaged" in sentence_of(path)
    path.write_bytes(struct.pack("<Q", 2**40) + header)
    assert "damaged" in sentence_of(path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9\n", "Git LFS pointer"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.0.0:\xff" + b"\0" * 80, "ONNX"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 80, "HDF5"),
        (b"GGUF\x03\0\0\0" + b"\0" * 80, "GGUF"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 80, "TensorFlow Lite"),
        (b"\x93NUMPY\x01\0" + b"\0" * 80, "NumPy"),
        (gzip.compress(b"x" * 99), "gzip"),
        (b"\n <!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b'{"architectures": ["Generator"]}', "JSON"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 80, "picture"),
        (b"checkpoint notes\nby hand\n", "no format that is known"),
        (bytes(range(1, 200)), "no format that is known"),
        (b"\x80\x02garbage", "damaged"),
        (b".", "damaged"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_other_files_are_called_what_they_are(tmp_path: Path, content: bytes, word: str, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    sentence = sentence_of(tmp_path / name)
    assert word in sentence or (word.startswith("no format") and "damaged" in sentence and name != "a.pth")


def test_archives_are_called_what_they_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("models/best.ckpt", b"x")
    assert "zip archive" in sentence_of(tmp_path / "a.zip")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    assert "tar archive" in sentence_of(tmp_path / "a.tar")


def test_a_safetensors_header_of_any_length_is_no_other_format(tmp_path: Path) -> None:
    """Its length comes first and can spell gzip's or JSON's first bytes."""
    for first_bytes in (b"\x1f\x8b", b'{"', b"\x08\x07"):
        length = int.from_bytes(first_bytes, "little")
        header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
        (tmp_path / "a").write_bytes(struct.pack("<Q", length) + header + struct.pack("<f", 2.5))
        assert read_state_dict(tmp_path / "a").tensors["w"].item() == 2.5


@pytest.mark.parametrize(
    "nothing", [{}, {"state_dict": {}}, {"epoch": 3}, [torch.ones(2)], 7, {3: torch.ones(1)}]
)
def test_files_without_a_state_dict(tmp_path: Path, nothing: Any) -> None:
    assert "no tensors" in sentence_of(saved(tmp_path, nothing))


def test_containers_that_only_hold_themselves(tmp_path: Path) -> None:
    hollow: dict[str, Any] = {}
    hollow.update(dict.fromkeys(("state_dict", "model", "params", "ema", "G", "netG", "gen"), hollow))
    assert "no tensors" in sentence_of(saved(tmp_path, hollow))


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900])
def test_containers_without_end(tmp_path: Path, depth: int) -> None:
    """No writer of Python's nests so deep, so the pickle is written by hand."""
    nested = b"\x80\x02" + b"}X\x05\0\0\0model" * depth + b"}" + b"s" * depth + b"."
    with zipfile.ZipFile(tmp_path / "deep.pth", "w") as archive:
        for name, content in {"data.pkl": nested, "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"archive/{name}", content)
    assert "no tensors" in sentence_of(tmp_path / "deep.pth")


def test_one_tensor_is_no_network(tmp_path: Path) -> None:
    assert "single tensor" in sentence_of(saved(tmp_path, torch.ones(3)))


def test_several_networks_are_named(tmp_path: Path) -> None:
    assert "several networks (cats, dogs)" in sentence_of(
        saved(tmp_path, {"cats": state(), "dogs": state(1)})
    )


def test_sparse_weights_are_refused(tmp_path: Path) -> None:
    assert "sparse" in sentence_of(saved(tmp_path, {"w": torch.eye(3).to_sparse()}))


def test_more_than_the_limit_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 2**20)
    monkeypatch.setattr(reader, "LARGEST", 2**19)
    assert bomb.stat().st_size < 2**19
    assert "more than" in sentence_of(bomb)


@pytest.mark.parametrize(
    ("dtype", "zipped"), [(torch.float8_e4m3fn, True), (torch.float32, False), (torch.int8, True)]
)
def test_a_tensor_of_more_numbers_than_the_file_holds_is_refused(
    tmp_path: Path, dtype: torch.dtype, zipped: bool
) -> None:
    stretched = torch.zeros(3, 1).to(dtype).expand(3, 2)
    torch.save(
        {**state(), "big.weight": stretched}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped
    )
    assert "holds fewer numbers for big.weight than its shape asks for" in sentence_of(tmp_path / "a.pth")


def test_numbers_are_counted_at_the_size_that_the_network_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight under many names makes as many weights, and 8 bits in the file are 32 in the network."""
    shared = torch.zeros(2**18).to(torch.float8_e5m2)
    tied = saved(tmp_path, {"a": shared, "b": shared, "steps": torch.zeros(2**16, dtype=torch.uint8)})
    monkeypatch.setattr(reader, "LARGEST", 2 * 2**20 + 2**16)
    assert read_state_dict(tied).tensors.keys() == {"a", "b", "steps"}
    monkeypatch.setattr(reader, "LARGEST", 2 * 2**20 + 2**16 - 1)
    assert tied.stat().st_size < 2**19
    assert "more than 0 GB in 32-bit numbers" in sentence_of(tied)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match=r"no file gone\.pth"):
        read_state_dict(tmp_path / "gone.pth")
    assert "folder" in sentence_of(tmp_path)
