"""`record` and `redo`: what a file says of itself, and the same pixels made from it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli_runs import Run, assert_refused, make_mask, make_photo, pixels
from imgsynth.cli.shared import Common
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames
from imgsynth.imaging.write import write_png

pytestmark = pytest.mark.usefixtures("tiny_catalog")


def same_frames(one: Path, other: Path) -> bool:
    names = sorted(p.name for p in one.glob("frame*.png"))
    return bool(names) and all(np.array_equal(pixels(one / n), pixels(other / n)) for n in names)


def test_record_is_readable_and_json(run: Run, tmp_path: Path) -> None:
    run("sample", "--checkpoint", "tiny-gan", "--seeds", "7", "--out", tmp_path)
    picture = tmp_path / "seed00000007.png"
    ran = run("record", picture, "--json")
    assert ran.code == 0 and ran.err == ""
    found = json.loads(ran.out)
    assert found == read_record(picture)
    assert found["checkpoint"]["id"] == "tiny-gan" and found["device"] == "cpu"
    assert str(tmp_path) not in ran.out
    text = run("record", picture).out
    assert "tiny-gan" in text and found["checkpoint"]["sha256"] in text


def test_record_text_holds_nothing_that_a_terminal_obeys(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    write_png(picture, Image.new("RGB", (2, 2)), {"imgsynth": "1", "task": "\x1b[2Jsample", "\x1b]0;": 1})
    ran = run("record", picture)
    assert ran.code == 0 and "\x1b" not in ran.out and "[2Jsample" in ran.out


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_redo_of_a_picture_and_a_grid(run: Run, tmp_path: Path, precision: str) -> None:
    words = ("--checkpoint", "tiny-gan", "--seeds", "3-8", "--psi", 0.5, "--precision", precision)
    run("sample", *words, "--out", tmp_path, "--grid", tmp_path / "grid.png")
    for name in ("seed00000005.png", "grid.png"):
        ran = run("redo", tmp_path / name, "--out", tmp_path / "again.png")
        assert (ran.code, ran.out, ran.err) == (0, f"{tmp_path / 'again.png'}\n", "")
        assert np.array_equal(pixels(tmp_path / name), pixels(tmp_path / "again.png"))
        assert read_record(tmp_path / name) == read_record(tmp_path / "again.png")


def test_redo_of_a_video_a_folder_and_a_frame(run: Run, tmp_path: Path) -> None:
    words = ("--checkpoint", "tiny-gan", "--keyframes", "1,2,3", "--frames", 11, "--loop", "--fps", 12)
    run("interpolate", *words, "--out", tmp_path / "walk.mp4")
    run("interpolate", *words, "--out", tmp_path / "frames")
    for number, made in enumerate(("walk.mp4", "frames", "frames/record.json")):
        again = tmp_path / f"again{number}"
        assert run("redo", tmp_path / made, "--out", again).code == 0
        assert same_frames(tmp_path / "frames", again)
        assert read_record(again) == read_record(tmp_path / made)
    frame = tmp_path / "frames" / "frame00004.png"
    assert run("redo", frame, "--out", tmp_path / "frame.png").code == 0
    assert np.array_equal(pixels(frame), pixels(tmp_path / "frame.png"))
    assert run("redo", frame, "--out", tmp_path / "again.mp4").code == 1
    assert run("redo", tmp_path / "walk.mp4", "--out", tmp_path / "again.mp4").code == 0
    assert count_frames(tmp_path / "again.mp4") == 11


def test_redo_of_a_translation_needs_its_photo(run: Run, tmp_path: Path) -> None:
    photo, other = make_photo(tmp_path / "a.png"), make_photo(tmp_path / "b.png", seed=1)
    run("translate", "--checkpoint", "tiny-cyclegan", photo, "--strength", 0.7, "--out", tmp_path / "D")
    made, again = tmp_path / "D" / "a.png", tmp_path / "again.png"
    assert_refused(run("redo", made, "--out", again), "photo")
    assert_refused(run("redo", made, "--input", other, "--out", again), "b", "sha256")
    assert run("redo", made, "--input", photo, "--out", again).code == 0
    assert np.array_equal(pixels(made), pixels(again))


def test_redo_of_an_inpainting_needs_its_mask(run: Run, tmp_path: Path) -> None:
    photo, mask, made = make_photo(tmp_path / "a.png"), make_mask(tmp_path / "m.png"), tmp_path / "o.png"
    other = tmp_path / "n.png"
    Image.fromarray(np.eye(56, dtype=np.uint8)[:40] * 255).save(other)
    words = ("--checkpoint", "tiny-lama", "--mask", mask, photo)
    run("inpaint", *words, "--feather", 2, "--out", made)
    again = tmp_path / "again.png"
    assert_refused(run("redo", made, "--input", photo, "--out", again), "mask")
    assert_refused(run("redo", made, "--input", photo, "--mask", other, "--out", again), "mask", "sha256")
    assert run("redo", made, "--input", photo, "--mask", mask, "--out", again).code == 0
    assert np.array_equal(pixels(made), pixels(again))


def test_redo_asks_for_a_checkpoint_that_has_no_id(
    run: Run, tmp_path: Path, tiny_checkpoints: dict[str, Path]
) -> None:
    own = tiny_checkpoints["dcgan"]
    run("sample", "--checkpoint", own, "--seeds", 1, "--out", tmp_path)
    made, again = tmp_path / "seed00000001.png", tmp_path / "again.png"
    assert_refused(run("redo", made, "--out", again), own.name, "--checkpoint")
    assert_refused(run("redo", made, "--out", again, "--checkpoint", tiny_checkpoints["conv_vae"]), "sha256")
    assert run("redo", made, "--out", again, "--checkpoint", own).code == 0
    assert np.array_equal(pixels(made), pixels(again))


def test_redo_says_when_pixels_may_differ(run: Run, tmp_path: Path) -> None:
    run("sample", "--checkpoint", "tiny-gan", "--seeds", 1, "--out", tmp_path)
    found = read_record(tmp_path / "seed00000001.png")
    made = tmp_path / "elsewhere.png"
    write_png(made, Image.new("RGB", (32, 32)), {**found, "device": "cuda:99", "precision": "fp16"})
    ran = run("redo", made, "--out", tmp_path / "again.png")
    assert ran.code == 0 and "may differ" in ran.err and "cuda:99" in ran.err
    assert read_record(tmp_path / "again.png")["device"] == "cpu"


def test_redo_runs_where_the_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from imgsynth.cli.redo import place_of

    monkeypatch.delenv("IMGSYNTH_DEVICE")
    made = {"imgsynth": "1.0.0", "task": "sample", "device": "cpu", "precision": "bf16"}
    assert place_of(Common(), made) == Common("cpu", "bf16")
    assert place_of(Common("auto", "fp32"), made) == Common("cpu", "fp32")
    assert place_of(Common(), {**made, "device": "cuda:99", "precision": "?"}) == Common("auto", "auto")


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "dream"},
        {"checkpoint": None},
        {"request": None},
        {"request": {"seed": "x"}},
        {"request": {"seed": 1, "kind": 2}},
        {"request": {"seeds": [1, 2], "columns": -1}},
        {"input_sha256": {"a": 1}},
        {"checkpoint": {"id": "/etc/hostname", "source": "bundled"}},
    ],
)
def test_redo_refuses_a_strangers_record_in_a_sentence(
    run: Run, tmp_path: Path, changes: dict[str, object]
) -> None:
    run("sample", "--checkpoint", "tiny-gan", "--seeds", 1, "--out", tmp_path)
    made = tmp_path / "made.png"
    write_png(made, Image.new("RGB", (32, 32)), {**read_record(tmp_path / "seed00000001.png"), **changes})
    ran = run("redo", made, "--out", tmp_path / "again.png")
    assert_refused(ran)
    assert not (tmp_path / "again.png").exists()


def test_interpolate_takes_photos_as_keyframes(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "photo.png")
    out = tmp_path / "frames"
    words = ("--checkpoint", "tiny-vae", "--keyframes", f"3,{photo}", "--frames", 5, "--path", "spline")
    assert run("interpolate", *words, "--out", out).code == 0
    assert read_record(out)["request"]["keyframes"] == [3, "photo"]
    assert len(read_record(out)["input_sha256"]) == 1
    again = tmp_path / "again"
    assert_refused(run("redo", out, "--out", again), "photo")
    assert run("redo", out, "--input", photo, "--out", again).code == 0
    assert same_frames(out, again)
