"""The verbs that make pictures: what they write, and that the same request gives the same pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli_runs import Run, assert_refused, make_mask, make_photo, pixels
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.fetch import Fetched
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames
from imgsynth.runtime import opening

pytestmark = pytest.mark.usefixtures("tiny_catalog")


def test_sample_writes_one_picture_per_seed_and_a_grid(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "D"
    ran = run(
        "sample", "--checkpoint", "tiny-gan", "--seeds", "0-2,9", "--out", out, "--grid", out / "grid.png"
    )
    assert ran.code == 0
    names = ["seed00000000.png", "seed00000001.png", "seed00000002.png", "seed00000009.png", "grid.png"]
    assert ran.out.splitlines() == [str(out / name) for name in names]
    assert pixels(out / "seed00000000.png").shape == (32, 32, 3)
    assert len({pixels(out / name).tobytes() for name in names}) == 5
    assert read_record(out / "seed00000009.png")["request"] == {"seed": 9, "psi": 1.0}
    assert read_record(out / "grid.png")["request"]["seeds"] == [0, 1, 2, 9]


def test_a_seed_gives_the_same_pixels_in_any_order_and_alone(run: Run, tmp_path: Path) -> None:
    seeds = [*range(11), 4294967295]
    run("sample", "--checkpoint", "tiny-gan", "--seeds", ",".join(map(str, seeds)), "--out", tmp_path / "a")
    run(
        "sample",
        "--checkpoint",
        "tiny-gan",
        "--seeds",
        ",".join(map(str, seeds[::-1])),
        "--out",
        tmp_path / "b",
    )
    for seed in seeds:
        run("sample", "--checkpoint", "tiny-gan", "--seeds", seed, "--out", tmp_path / "c")
        name = f"seed{seed:08d}.png"
        first = pixels(tmp_path / "a" / name)
        assert np.array_equal(first, pixels(tmp_path / "b" / name))
        assert np.array_equal(first, pixels(tmp_path / "c" / name))


def test_psi_draws_nearer_to_the_average(run: Run, tmp_path: Path) -> None:
    for psi in ("0", "1"):
        run("sample", "--checkpoint", "tiny-gan", "--seeds", "1,2", "--psi", psi, "--out", tmp_path / psi)
    one, two = (pixels(tmp_path / "0" / f"seed0000000{n}.png") for n in (1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, pixels(tmp_path / "1" / "seed00000001.png"))


@pytest.mark.parametrize("name", ["walk.mp4", "walk.webm", "walk.webp", "walk.gif", "frames"])
def test_interpolate_writes_every_kind_with_its_record(run: Run, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    ran = run(
        "interpolate",
        "--checkpoint",
        "tiny-gan",
        "--keyframes",
        "1,5-6",
        "--frames",
        7,
        "--loop",
        "--out",
        out,
    )
    assert (ran.code, ran.out) == (0, f"{out}\n")
    assert count_frames(out) == 7
    request = read_record(out)["request"]
    assert request["keyframes"] == [1, 5, 6] and request["loop"] is True and request["fps"] == 30


def test_translate_keeps_size_alpha_and_uprightness(run: Run, tmp_path: Path) -> None:
    clear, turned = make_photo(tmp_path / "clear.png", 37, 51, channels=4), tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.new("RGB", (45, 30)).save(turned, exif=exif)
    out = tmp_path / "D"
    ran = run("translate", "--checkpoint", "tiny-cyclegan", clear, turned, "--out", out)
    assert ran.code == 0
    assert ran.out.splitlines() == [str(out / "clear.png"), str(out / "turned.png")]
    assert pixels(out / "clear.png").shape == (37, 51, 4)
    assert np.array_equal(pixels(out / "clear.png")[..., 3], pixels(clear)[..., 3])
    assert pixels(out / "turned.png").shape == (45, 30, 3)


def test_translate_of_strength_0_is_the_photo(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.png")
    run("translate", photo, "--checkpoint", "tiny-cyclegan", "--strength", "0", "--out", tmp_path / "D")
    assert np.array_equal(pixels(photo), pixels(tmp_path / "D" / "a.png"))


def test_photos_of_one_stem_do_not_overwrite_each_other(run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    photos = [
        make_photo(folders[0] / "a.png", seed=1),
        make_photo(folders[1] / "A.png", seed=2),
        make_photo(folders[2] / "a-2.png", seed=3),
    ]
    out = tmp_path / "D"
    ran = run("translate", "--checkpoint", "tiny-cyclegan", *photos, "--out", out, "--strength", 0)
    assert [Path(line).name for line in ran.out.splitlines()] == ["a.png", "A-3.png", "a-2.png"]
    assert "A-3.png" in ran.err
    for photo, name in zip(photos, ("a.png", "A-3.png", "a-2.png"), strict=True):
        assert np.array_equal(pixels(photo), pixels(out / name))


def test_one_bad_photo_does_not_lose_the_others(run: Run, tmp_path: Path) -> None:
    good = [make_photo(tmp_path / name) for name in ("a.png", "c.png")]
    bad, empty = tmp_path / "b.png", tmp_path / "d.png"
    bad.write_text("not a picture")
    empty.touch()
    out = tmp_path / "D"
    ran = run("translate", "--checkpoint", "tiny-cyclegan", good[0], bad, good[1], "--out", out)
    assert ran.code == 1 and ran.last.startswith("b.png ")
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "c.png"]
    ran = run("translate", "--checkpoint", "tiny-cyclegan", bad, empty, good[0], "--out", tmp_path / "E")
    assert ran.code == 1 and (tmp_path / "E" / "a.png").is_file()
    assert [line.split()[0] for line in ran.err.splitlines()] == ["b.png", "d.png", "2"]


def test_translate_never_overwrites_a_photo(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "a.png")
    before = photo.read_bytes()
    assert_refused(run("translate", "--checkpoint", "tiny-cyclegan", photo, "--out", tmp_path), "a.png")
    assert photo.read_bytes() == before


@pytest.mark.parametrize("name", ["out.png", "out.webp"])
def test_inpaint_changes_only_the_hole(run: Run, tmp_path: Path, name: str) -> None:
    photo, mask, out = make_photo(tmp_path / "a.png"), make_mask(tmp_path / "m.png"), tmp_path / name
    ran = run("inpaint", "--checkpoint", "tiny-lama", "--mask", mask, photo, "--out", out)
    assert (ran.code, ran.out) == (0, f"{out}\n")
    changed = (pixels(out) != pixels(photo)).any(axis=2)
    assert changed[10:20, 12:30].any()
    changed[10:20, 12:30] = False
    assert not changed.any()


def test_inpaint_changes_nothing_beyond_grow_and_feather(run: Run, tmp_path: Path) -> None:
    photo, mask, out = make_photo(tmp_path / "a.png"), make_mask(tmp_path / "m.png"), tmp_path / "o.png"
    words = ("--checkpoint", "tiny-lama", "--mask", mask, photo, "--out", out)
    assert run("inpaint", *words, "--grow", 2, "--feather", 3).code == 0
    changed = (pixels(out) != pixels(photo)).any(axis=2)
    assert changed[6:24, 8:34].sum() > changed[10:20, 12:30].sum()
    changed[5:25, 7:35] = False
    assert not changed.any()


# what is said on the way


def test_what_changed_in_decoding_a_photo_is_said(run: Run, tmp_path: Path) -> None:
    photo = tmp_path / "deep.png"
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(photo)
    ran = run("translate", "--checkpoint", "tiny-cyclegan", photo, "--out", tmp_path / "D")
    assert ran.code == 0 and "deep.png: " in ran.err and "16-bit" in ran.err


def test_what_fetching_a_checkpoint_noted_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = opening.fetch

    def noting(checkpoint: Checkpoint, progress: Callable[[int, int], None], **options: Any) -> Fetched:
        progress(1, 2)
        progress(2, 2)
        return replace(fetch(checkpoint, **options), notes=("This file was taken.",))

    monkeypatch.setattr(opening, "fetch", noting)
    ran = run("sample", "--checkpoint", "tiny-gan", "--seeds", 1, "--out", tmp_path)
    assert ran.code == 0 and ran.err.count("Downloading") == 1 and "This file was taken." in ran.err
    assert json.loads(run("inspect", "tiny-gan", "--json").out)["warnings"] == ["This file was taken."]
