"""The events behind the Translate tab: one photo, its strength, there and back, all models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from app_server import assert_plain
from builders import model_of, photo, pixels, png, tiny_cyclegan
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.round_trip import psnr
from imgsynth.tasks.translate import repaint, translate
from imgsynth.ui import strength as strength_module
from imgsynth.ui.app import build
from imgsynth.ui.batch_panel import make_paint_many
from imgsynth.ui.clip_panel import make_paint_clip
from imgsynth.ui.compare import make_compare
from imgsynth.ui.round_trip import back_button, make_there_and_back, way_back
from imgsynth.ui.runs import begin, stop
from imgsynth.ui.session import Session
from imgsynth.ui.strength import Kept, mix_again
from imgsynth.ui.translate_tab import make_paint
from translate_parts import PAIRS, refusal, value_of, values

pytest_plugins = ["translate_fixtures"]


# one photo


@pytest.mark.parametrize("tiles", [None, 200], ids=["whole", "tiles"])
def test_every_strength_is_a_blend_of_one_pass(tiles: int | None) -> None:
    model, given = model_of(tiny_cyclegan()), photo(210, 230, 4)
    repainting = repaint(model, TranslateRequest(strength=0.3, tiles=tiles), given)
    for strength in (0.0, 0.3, 0.55, 1.0):
        expected = translate(model, TranslateRequest(strength=strength, tiles=tiles), given)
        blended = repainting.at(strength)
        assert blended.image.tobytes() == expected.image.tobytes()
        assert blended.record == expected.record


def test_dragging_strength_gives_the_pixels_of_the_task_without_the_network(
    session: Session, scene: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = session.model("there")
    *_, kept = make_paint(session)("there", scene, 0.7, None, bar)
    given = read_photo(scene)
    steps = [step / 20 for step in range(21)]
    expected = [translate(model, TranslateRequest(strength=s), given) for s in steps]
    whole = type(model).translate  # type: ignore[attr-defined]
    monkeypatch.setattr(type(model), "translate", None)
    dragged = [mix_again("there", scene, step, kept) for step in steps]
    monkeypatch.setattr(type(model), "translate", whole)
    for step, wanted, (pictures, line, _) in zip(steps, expected, dragged, strict=True):
        before, after = pictures
        assert np.array_equal(values(before), values(scene))
        assert np.array_equal(values(after), np.asarray(wanted.image))
        assert f"strength {step:g}" in line
        record = read_record(after)
        assert record == wanted.record and record["request"]["strength"] == step
    again: Any = redo(model, read_record(dragged[7][0][1]), Inputs([given]))
    assert again.image.tobytes() == expected[7].image.tobytes()


def test_strength_leaves_alone_what_is_not_of_the_chosen_model_and_photo(
    session: Session, scene: str, bar: Any, tmp_path: Path
) -> None:
    skipped = (gr.skip(),) * 3
    *_, kept = make_paint(session)("there", scene, 1.0, None, bar)
    assert isinstance(kept, Kept)
    other = tmp_path / "other.png"
    other.write_bytes(png(pixels(20, 20)))
    for name, path, known in (("back", scene, kept), ("there", str(other), kept), ("there", scene, None)):
        assert mix_again(name, path, 0.5, known) == skipped
    # Only the last translation of a visitor stays on the disk.
    *_, later = make_paint(session)("there", str(other), 1.0, kept, bar)
    assert not Path(kept.whole).exists() and Path(later.whole).exists()
    assert mix_again("there", scene, 0.5, kept) == skipped


def test_the_translation_of_a_very_large_photo_is_not_kept(
    session: Session, scene: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strength_module, "MOST_KEPT_PIXELS", 45 * 62 - 1)
    assert make_paint(session)("there", scene, 1.0, None, bar)[-1] is None


def test_a_photo_in_tiles_shows_which_tile_is_painted(
    session: Session, tmp_path: Path, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(png(pixels(64, 420)))
    monkeypatch.setattr("imgsynth.tasks.translate.sides_to_try", lambda *_: iter([200]))
    pictures, line, _, _ = make_paint(session)("there", str(path), 1.0, None, bar)
    tiles = [text for text in bar.shown if "tile" in text]
    assert tiles[0].startswith("Painting tile 2 of ") and len(tiles) > 1
    assert read_record(pictures[1])["request"]["tiles"] == 200 and line.startswith("420×64 · **there**")


def test_a_phones_photo_stands_upright_and_tells_no_place(session: Session, tmp_path: Path, bar: Any) -> None:
    exif, icc = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    path = tmp_path / "phone.jpg"
    Image.fromarray(pixels(30, 40)).save(path, exif=exif, icc_profile=icc)
    assert Image.open(path).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    pictures, _, _, kept = make_paint(session)("there", str(path), 1.0, None, bar)
    for result in (*pictures, mix_again("there", str(path), 0.5, kept)[0][1]):
        with Image.open(result) as image:
            assert image.size == (30, 40) and image.info["icc_profile"] == icc and not image.getexif()


def test_notes_on_the_photo_are_told(session: Session, tmp_path: Path, bar: Any) -> None:
    path = tmp_path / "print.tif"
    Image.fromarray(pixels(20, 24, 4), "CMYK").save(path)
    _, line, _, kept = make_paint(session)("there", str(path), 1.0, None, bar)
    for told in (line, mix_again("there", str(path), 0.5, kept)[1]):
        assert "print colours (CMYK) were converted" in told


def test_no_photo_is_told_in_a_sentence(session: Session, bar: Any) -> None:
    run = begin(None)
    for call in (
        lambda: make_paint(session)("there", None, 1.0, None, bar),
        lambda: make_there_and_back(session)("there", None, 1.0, (), bar),
        lambda: list(make_compare(session)(None, 1.0, (), run, bar)),
        lambda: list(make_paint_many(session)("there", 1.0, None, run, bar)),
        lambda: list(make_paint_clip(session)("there", 1.0, None, run, bar)),
    ):
        assert re.match("There (is|are) no", refusal(call))


# side by side


def test_a_pair_leads_there_and_back(session: Session, scene: str, bar: Any) -> None:
    line, gallery = make_there_and_back(session)("there", scene, 1.0, (), bar)
    before, there, back, apart = [Path(path) for path, _ in value_of(gallery)]
    assert np.array_equal(values(before), values(scene))
    assert [read_record(p)["checkpoint"]["id"] for p in (there, back, apart)] == ["there", "back", "back"]
    assert read_record(back)["input_sha256"] == [read_photo(there).sha256]
    assert f"PSNR {psnr(read_photo(scene).pixels, read_photo(back).pixels):.1f} dB" in line
    assert "unchanged" in make_there_and_back(session)("there", scene, 0.0, (), bar)[0]


def test_only_pairs_lead_back(session: Session, scene: str, bar: Any, tmp_path: Path) -> None:
    assert [way_back(name) for name in PAIRS] == ["back", "there", None, None]
    assert way_back(None) is None and way_back("owner/name") is None
    assert not back_button("alone", ()).interactive and back_button("there", ()).interactive
    assert "leads back" in refusal(lambda: make_there_and_back(session)("alone", scene, 1.0, (), bar))
    (tmp_path / "weights" / "back.safetensors").unlink()
    assert way_back("there") is None


def test_all_models_paint_one_photo_and_a_broken_one_is_named(session: Session, scene: str, bar: Any) -> None:
    run = begin(None)
    steps = list(make_compare(session)(scene, 0.5, (), run, bar))
    assert [len(value_of(gallery)) for _, gallery in steps] == [2, 3, 4, 4]
    line, gallery = steps[-1]
    assert [caption for _, caption in value_of(gallery)] == ["Your photo", "There", "Back", "Alone"]
    for (path, _), name in zip(value_of(gallery)[1:], ("there", "back", "alone"), strict=True):
        expected = translate(session.model(name), TranslateRequest(strength=0.5), read_photo(scene))
        assert np.array_equal(values(path), np.asarray(expected.image))
    head, failed = line.split("\n\n")
    assert head.startswith("All 4 models") and failed.startswith("- Broken: ")
    assert_plain(failed.removeprefix("- "))


def test_comparing_stops_after_the_model_at_hand(session: Session, scene: str, bar: Any) -> None:
    run = begin(None)
    steps = make_compare(session)(scene, 1.0, (), run, bar)
    line, _ = next(steps)
    stop(run)
    assert line.startswith("1 of 4 models") and list(steps) == []


# the page


def test_the_page_has_all_parts(session: Session) -> None:
    page = build(session.runtime)
    found = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    for part in ("photo", "strength", "go", "cancel", "back", "compare", "side", "many-go", "clip-go"):
        assert f"translate-{part}" in found
    assert found["translate-back"].interactive
    assert "webcam" in found["translate-photo"].sources
