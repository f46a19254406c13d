"""The events behind the Translate tab: strength, there and back, all models, many photos, a video."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from app_server import assert_plain
from builders import model_of, photo, pixels, png, save, tiny_cyclegan
from imgsynth.checkpoints import catalog
from imgsynth.errors import BadImage
from imgsynth.imaging.archive import SHEET
from imgsynth.imaging.clips import read_clip
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import Pace, count_frames, write_clip
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.round_trip import psnr
from imgsynth.tasks.translate import repaint, translate
from imgsynth.ui import strength as strength_module
from imgsynth.ui.app import build
from imgsynth.ui.batch_panel import make_paint_many
from imgsynth.ui.clip_panel import make_paint_clip
from imgsynth.ui.compare import make_compare
from imgsynth.ui.endpoints import Endpoints
from imgsynth.ui.round_trip import back_button, make_there_and_back, way_back
from imgsynth.ui.runs import begin, stop
from imgsynth.ui.session import Session
from imgsynth.ui.strength import Kept, mix_again
from imgsynth.ui.translate_tab import make_paint
from test_batch import BAD

PAIRS = {"there": "back", "back": "there", "alone": None, "broken": None}


class Bar:
    """Takes the place of Gradio's progress and remembers what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def __call__(self, progress: Any, desc: str = "", unit: str = "") -> None:
        self.shown.append(f"{desc} {progress[0]}/{progress[1]}" if isinstance(progress, tuple) else desc)


@pytest.fixture
def bar() -> Any:
    return Bar()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A page's session on three small translators, two of them a pair, and a file that holds none."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for seed, name in enumerate(("there", "back", "alone")):
        save(tiny_cyclegan(seed).state_dict(), weights / f"{name}.safetensors")
    (weights / "broken.safetensors").write_bytes(b"no weights")
    rows = {
        name: catalog.Checkpoint(
            name, name.title(), ("translate",), "bundled", f"{name}.safetensors", pair=pair
        )
        for name, pair in PAIRS.items()
    }
    monkeypatch.setattr(catalog, "_shipped_catalog", lambda: rows)
    monkeypatch.setenv("IMGSYNTH_WEIGHTS", str(weights))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Session(Runtime("cpu", "fp32"))


@pytest.fixture
def scene(tmp_path: Path) -> str:
    """A photo with alpha."""
    path = tmp_path / "scene.png"
    path.write_bytes(png(pixels(45, 62, 4)))
    return str(path)


def values(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def value_of(component: gr.components.Component) -> Any:
    """What an event gives a component to show."""
    return component.constructor_args["value"]


def refusal(call: Any) -> str:
    with pytest.raises(gr.Error) as caught:
        call()
    assert_plain(caught.value.message)
    return str(caught.value.message)


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


# many photos


@pytest.fixture
def mixed(tmp_path: Path) -> list[str]:
    """30 files: every third one is bad, in one of four ways, whatever its ending says."""
    files = []
    for index in range(30):
        kind = list(BAD)[index // 3 % len(BAD)] if index % 3 == 1 else "good"
        path = tmp_path / f"{kind}{index}.{'jpg' if kind == 'text' else 'png'}"
        path.write_bytes(png(pixels(16, 20 + index, seed=index)) if kind == "good" else BAD[kind][0]())
        files.append(str(path))
    return files


def test_the_good_ones_of_thirty_files_are_done_and_the_bad_ones_named(
    session: Session, mixed: list[str], bar: Any
) -> None:
    *steps, last = make_paint_many(session)("there", 0.5, mixed, begin(None), bar)
    assert len(steps) == 30
    line, shown, failed, _ = steps[-1]
    good = [Path(path) for path in mixed if Path(path).stem.startswith("good")]
    assert [caption for _, caption in shown] == [path.stem for path in good]
    for (path, _), given in zip(shown, good, strict=True):
        expected = translate(session.model("there"), TranslateRequest(strength=0.5), read_photo(given))
        assert np.array_equal(values(path), np.asarray(expected.image))
    told = failed.splitlines()
    bad = [Path(path) for path in mixed if not Path(path).stem.startswith("good")]
    assert len(told) == len(bad) == 10 and line.startswith("30 photos") and "10 could not" in line
    for sentence, path in zip(told, bad, strict=True):
        about = BAD[path.stem.rstrip("0123456789")][1]
        assert sentence.startswith(f"- {path.name} ") and about in sentence.replace("\\", "")
        assert str(path.parent) not in sentence
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert archive.namelist() == [*(f"{path.stem}.png" for path in good), SHEET]
        assert archive.read(f"{good[0].stem}.png") == Path(shown[0][0]).read_bytes()
    assert bar.shown[-1].endswith("30/30")


def test_a_stopped_batch_keeps_what_is_done(session: Session, mixed: list[str], bar: Any) -> None:
    run = begin(None)
    steps = make_paint_many(session)("there", 1.0, mixed, run, bar)
    line, shown, _, _ = list(itertools.islice(steps, 4))[-1]
    stop(run)
    (last,) = steps
    assert line.startswith("4 of 30 photos") and len(shown) == 3
    assert last[0].startswith("Stopped after 4 of 30 photos")
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert len(archive.namelist()) == 3 + 1


def test_a_batch_of_bad_files_alone_ends_without_a_zip(session: Session, mixed: list[str], bar: Any) -> None:
    bad = [path for path in mixed if "good" not in path]
    steps = list(make_paint_many(session)("there", 1.0, bad, begin(None), bar))
    assert len(steps) == len(bad) and steps[-1][1] == []


def test_a_photo_may_be_called_like_the_contact_sheet(session: Session, tmp_path: Path, bar: Any) -> None:
    path = tmp_path / "Contact-Sheet.png"
    path.write_bytes(png(pixels(20, 20)))
    *_, last = make_paint_many(session)("there", 1.0, [str(path)], begin(None), bar)
    with zipfile.ZipFile(value_of(last[-1])) as archive:
        assert archive.namelist() == [path.name]


def test_a_new_run_ends_the_earlier_one_of_its_button(session: Session, mixed: list[str], bar: Any) -> None:
    run = begin(None)
    steps = make_paint_many(session)("there", 1.0, mixed, run, bar)
    next(steps)
    assert begin(run) != run
    assert len(list(steps)) == 1  # the ZIP of what is done


# a video


@pytest.fixture(params=[".mp4", ".gif"])
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Six frames of three tenths of a second in all."""
    path = tmp_path / f"holiday{request.param}"
    frames: Iterator[Image.Image] = (Image.fromarray(pixels(36, 48, seed=seed)) for seed in range(6))
    pace = Pace.of([Fraction(1, 20)] * 6)
    write_clip(path, frames, pace, {"imgsynth": "1.0.0", "task": "test", "request": {}})
    return str(path)


def test_a_video_stays_a_video_and_can_be_made_again(session: Session, clip: str, bar: Any) -> None:
    *steps, last = make_paint_clip(session)("there", 0.5, clip, begin(None), bar)
    done = [int(step[0].split()[0]) for step in steps]
    assert done == sorted(set(done)) and done[-1] == 6 and last[0].startswith("6 frames")
    made = Path(value_of(last[-1]))
    assert made.suffix == Path(clip).suffix and count_frames(made) == 6
    record = read_record(made)
    assert record["request"] == {"strength": 0.5, "video": True}
    assert record["input_sha256"] == [read_clip(clip).sha256]

    endpoints = Endpoints(session)
    again = endpoints.redo(str(made), clip)
    assert Path(again).suffix == made.suffix and read_record(again) == record
    for one, other in zip(read_clip(again).frames(), read_clip(made).frames(), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    with pytest.raises(BadImage, match="parameter photo is missing"):
        endpoints.redo(str(made))
    with pytest.raises(BadImage, match="not the photo that was used"):
        endpoints.redo(str(made), str(made))


def test_a_stopped_video_keeps_the_frames_that_are_done(
    session: Session, clip: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(None)
    model, painted = session.model("there"), itertools.count(1)
    whole = type(model).translate  # type: ignore[attr-defined]

    def translating(self: Any, batch: torch.Tensor) -> torch.Tensor:
        # The first two are the noise that tells how much memory a pass takes, and the first frame.
        if next(painted) == 3:
            stop(run)
        return whole(self, batch)

    monkeypatch.setattr(type(model), "translate", translating)
    *_, last = make_paint_clip(session)("there", 1.0, clip, run, bar)
    assert count_frames(value_of(last[-1])) == 2
    assert last[0].startswith("Stopped after 2 of 6 frames")


def test_a_video_that_nobody_waits_for_ends_and_leaves_no_file(
    session: Session, clip: str, bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, painted = begin(None), []
    model = session.model("there")
    whole = type(model).translate  # type: ignore[attr-defined]
    monkeypatch.setattr(type(model), "translate", lambda self, batch: painted.append(1) or whole(self, batch))
    steps = make_paint_clip(session)("there", 1.0, clip, run, bar)
    next(steps)
    steps.close()  # waits for the writer
    seen = len(painted)
    assert list(Path(run).iterdir()) == []
    assert list(steps) == [] and len(painted) == seen


def test_what_is_no_video_is_refused(session: Session, scene: str, bar: Any) -> None:
    assert "still picture" in refusal(
        lambda: list(make_paint_clip(session)("there", 1.0, scene, begin(None), bar))
    )


def test_the_endpoint_takes_videos(session: Session, clip: str) -> None:
    made = Path(Endpoints(session).translate("there", clip))
    assert made.suffix == (".mp4" if clip.endswith(".mp4") else ".png")


# the page


def test_the_page_has_all_parts(session: Session) -> None:
    page = build(session.runtime)
    found = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    for part in ("photo", "strength", "go", "cancel", "back", "compare", "side", "many-go", "clip-go"):
        assert f"translate-{part}" in found
    assert found["translate-back"].interactive
    assert "webcam" in found["translate-photo"].sources
