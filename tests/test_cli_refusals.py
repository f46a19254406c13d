"""What cannot be done ends in one plain sentence and exit 1; what is misspelt in exit 2."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image

from cli_runs import Ran, Run, assert_refused, make_photo, raising, unknown_network
from evil_files import evil_objects
from imgsynth.checkpoints.catalog import Task
from imgsynth.imaging import record as record_module
from imgsynth.imaging.record import read_record

pytestmark = pytest.mark.usefixtures("tiny_catalog")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sample --checkpoint tiny-gan --seeds abc --out D", "abc"),
        ("sample --checkpoint tiny-gan --seeds -5 --out D", "-5"),
        ("sample --checkpoint tiny-gan --seeds 9-3 --out D", "backwards"),
        ("sample --checkpoint tiny-gan --seeds 4294967296 --out D", "4294967295"),
        ("sample --checkpoint tiny-gan --seeds 0-9999 --out D", "4096"),
        ("sample --checkpoint tiny-gan --seeds 1 --psi banana --out D", "banana"),
        ("sample --checkpoint tiny-gan --seeds 1 --psi nan --out D", "psi"),
        ("sample --checkpoint tiny-gan --seeds 1 --psi 2.5 --out D", "2.5"),
        ("sample --checkpoint tiny-gan --seeds 1 --label 3 --out D", "classes"),
        ("sample --checkpoint tiny-gan --seeds 1 --label x --out D", "label"),
        ("sample --checkpoint tiny-gan --seeds 1 --grid grid.txt --out D", "grid.txt"),
        ("sample --checkpoint tiny-gan --seeds 1 --out D --device banana", "banana"),
        ("sample --checkpoint tiny-gan --seeds 1 --out D --device cuda:99", "cuda:99"),
        ("sample --checkpoint tiny-gan --seeds 1 --out D --precision int3", "int3"),
        ("sample --checkpoint tiny-gna --seeds 1 --out D", "tiny-gan"),
        ("sample --checkpoint ./nowhere.safetensors --seeds 1 --out D", "nowhere.safetensors"),
        ("sample --checkpoint tiny-lama --seeds 1 --out D", "fill holes"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,2 --frames abc --out w.mp4", "abc"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,2 --frames 1 --out w.mp4", "frames"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,2 --fps 0 --out w.mp4", "fps"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,2 --path zigzag --out w.mp4", "zigzag"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,2 --out w.avi", "w.avi"),
        ("interpolate --checkpoint tiny-gan --keyframes 1 --out w.mp4", "keyframes"),
        ("interpolate --checkpoint tiny-gan --keyframes 1,gone.jpg --out w.mp4", "gone.jpg"),
        ("translate --checkpoint tiny-cyclegan gone.jpg --out D", "gone.jpg"),
        ("translate --checkpoint tiny-cyclegan gone.jpg --strength 2 --out D", "strength"),
        ("translate --checkpoint tiny-gan gone.jpg --out D", "translate"),
        ("inpaint --checkpoint tiny-lama --mask m.png gone.jpg --out o.png", "gone.jpg"),
        ("inpaint --checkpoint tiny-lama --mask m.png gone.jpg --grow -1 --out o.png", "grow"),
        ("inpaint --checkpoint tiny-lama --mask m.png gone.jpg --out o.jpg", "o.jpg"),
        ("inpaint --checkpoint tiny-lama --mask m.png gone.jpg --out o", ".png"),
        ("models --task foo", "foo"),
        ("models --device banana", "banana"),
        ("inspect no-such-thing", "no-such-thing"),
        ("record gone.png", "gone.png"),
        ("redo gone.png --out a.png", "gone.png"),
        ("serve --port banana", "banana"),
        ("serve --port 65536", "65536"),
        ("train dream --data . --out a.safetensors", "gan, vae, cyclegan, inpaint"),
        ("train gan --data gone --out a.safetensors", "gone"),
        ("train gan --data . --out a.pth", "a.pth"),
        ("train gan --data . --out a.safetensors --minutes 0", "minutes"),
        ("train gan --data . --out a.safetensors --steps ten", "ten"),
        ("train gan --data . --out a.safetensors --steps 2 --minutes 1", "--steps"),
        ("train gan --data . --out a.safetensors --resume gone.pt", "gone.pt"),
        ("train gan --data . --out a.safetensors --data-b .", "cyclegan"),
        ("train gan --data . --out a.safetensors --init tiny-gan --init tiny-gan", "--init"),
        ("train cyclegan --data . --data-b . --out a.safetensors --out-back a.safetensors", "--out-back"),
        ("train cyclegan --data . --out a.safetensors --steps 1", "--data-b"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(run: Run, words: str, told: str) -> None:
    ran = run(*words.split())
    if words.endswith(("--steps 1", "--data gone --out a.safetensors")):
        ran = Ran(ran.code, ran.out, f"{ran.last}\n")  # how long it would have trained was said before
    assert_refused(ran, told)


def huge_png(path: Path) -> Path:
    """A PNG whose header promises 60,000×60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    )
    return path


def bad_picture(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.png"
    if kind == "huge":
        return huge_png(path)
    path.write_bytes(b"" if kind == "empty" else b"these are words")
    return path


@pytest.mark.parametrize("kind", ["words", "empty", "huge"])
def test_what_is_no_picture_is_refused_by_every_verb(run: Run, tmp_path: Path, kind: str) -> None:
    bad, good = bad_picture(kind, tmp_path), make_photo(tmp_path / "a.png")
    out = tmp_path / "o.png"
    assert_refused(run("translate", "--checkpoint", "tiny-cyclegan", bad, "--out", tmp_path / "D"), bad.name)
    assert_refused(run("inpaint", "--checkpoint", "tiny-lama", "--mask", good, bad, "--out", out), bad.name)
    assert_refused(run("inpaint", "--checkpoint", "tiny-lama", "--mask", bad, good, "--out", out), bad.name)
    words = ("--checkpoint", "tiny-vae", "--keyframes", f"1,{bad}", "--out", tmp_path / "w.mp4")
    assert_refused(run("interpolate", *words), bad.name)
    assert_refused(run("record", bad))
    assert_refused(run("redo", bad, "--out", out))
    assert not out.exists() and not (tmp_path / "D").exists()


def test_masks_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.png")
    for name, value in (("nothing", 0), ("everything", 255)):
        mask = tmp_path / f"{name}.png"
        Image.new("L", (56, 40), value).save(mask)
        ran = run("inpaint", "--checkpoint", "tiny-lama", "--mask", mask, photo, "--out", tmp_path / "o.png")
        assert_refused(ran, "mask")
    square = tmp_path / "square.png"
    Image.new("L", (40, 40), 9).save(square)
    ran = run("inpaint", "--checkpoint", "tiny-lama", "--mask", square, photo, "--out", tmp_path / "o.png")
    assert_refused(ran, "40")


def test_checkpoints_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    words = tmp_path / "words.safetensors"
    words.write_text("these are words")
    for bad in (unknown_network(tmp_path), words, tmp_path):
        assert_refused(run("sample", "--checkpoint", bad, "--seeds", 1, "--out", tmp_path / "D"))
        assert_refused(run("inspect", bad))


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run("sample", "--checkpoint", "tiny-gan", "--seeds", "1,2", "--out", tmp_path / "file")
    assert_refused(ran, "folder")


@pytest.mark.parametrize(
    "words",
    [
        "dream",
        "sample --dream",
        "sample --seeds 1 --out D",
        "sample --checkpoint",
        "inspect",
        "inspect a b",
        "translate --checkpoint tiny-gan --out D",
    ],
)
def test_misuse_exits_with_2_in_plain_text(run: Run, words: str) -> None:
    ran = run(*words.split())
    assert ran.code == 2 and ran.out == ""
    assert ran.err.count("\n") == 1 and "--help" in ran.err and "│" not in ran.err


def test_without_a_verb_the_help_is_shown(run: Run) -> None:
    ran = run()
    assert ran.code == 2 and ran.out == "" and "interpolate" in ran.err
    ran = run("--help")
    assert ran.code == 0 and ran.err == "" and "interpolate" in ran.out
    assert run("--version").out.startswith("imgsynth 1.")


@pytest.mark.parametrize("verb", ["serve", "models", "inspect", *get_args(Task), "record", "redo", "train"])
def test_every_verb_takes_the_common_options(run: Run, verb: str) -> None:
    ran = run(verb, "--help")
    assert ran.code == 0 and "╭" not in ran.out
    for option in ("--device", "--precision", "--debug"):
        assert option in ran.out


def test_common_options_may_stand_before_the_verb(run: Run) -> None:
    assert_refused(run("--device", "banana", "models"), "banana")
    assert run("--device", "banana", "models", "--device", "cpu").code == 0
    assert "Traceback" in run("--debug", "record", "gone.png").err


def test_the_environment_chooses_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("sample", "--checkpoint", "tiny-gan", "--seeds", 1, "--out", tmp_path)
    monkeypatch.setenv("IMGSYNTH_PRECISION", "bf16")
    assert run(*words).code == 0
    assert read_record(tmp_path / "seed00000001.png")["precision"] == "bf16"
    monkeypatch.setenv("IMGSYNTH_DEVICE", "banana")
    assert_refused(run(*words), "banana")


def test_debug_shows_the_traceback_before_the_sentence(run: Run) -> None:
    ran = run("record", "gone.png", "--debug")
    assert ran.code == 1 and ran.err.startswith("Traceback") and ran.last.startswith("gone.png ")


def test_what_nobody_foresaw_still_ends_in_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "read_record", raising(ValueError("secret")))
    ran = run("record", "a.png")
    assert ran.code == 1 and ran.out == ""
    assert ran.err == (
        "Something went wrong inside imgsynth (ValueError); run again with --debug to see where.\n"
    )
    assert list(json.loads(run("record", "a.png", "--json").out)) == ["error"]


def test_ctrl_c_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "read_record", raising(KeyboardInterrupt()))
    ran = run("record", "a.png")
    assert ran.code == 130 and ran.err == "Stopped before it was done.\n"


@pytest.mark.parametrize("case", ["system", "eval", "exec", "tensor"])
@pytest.mark.parametrize("ending", [".pth", ".bin", ".safetensors"])
def test_a_file_that_would_run_a_command_is_refused_and_runs_nothing(
    run: Run, tmp_path: Path, case: str, ending: str
) -> None:
    marker, file = tmp_path / "it-ran", tmp_path / f"evil{ending}"
    evil, name = evil_objects(marker)[case]
    torch.save(evil, file)
    for command in (
        ("inspect", file),
        ("sample", "--checkpoint", file, "--seeds", 1, "--out", tmp_path / "o"),
    ):
        assert_refused(run(*command), name, "files that hold code are not opened")
    assert not marker.exists()
