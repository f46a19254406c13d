"""Blends of four keyframes: their corners, what lies between, the record, and the doors that lead to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

import imgsynth
from builders import all_equal, drawn, photo
from cli_runs import Run, assert_refused, make_photo, pixels
from imgsynth.errors import BadImage, BadRequest, TaskNotOffered
from imgsynth.families import LatentModel
from imgsynth.imaging import grid as sheets
from imgsynth.imaging.record import read_record
from imgsynth.runtime.opening import Runtime
from imgsynth.tasks.blend import blend, blend_latents
from imgsynth.tasks.keyframes import keyframe_latents
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.redo import Inputs, redo
from imgsynth.tasks.requests import BlendRequest, make_request
from imgsynth.ui.blend_panel import make_blend, make_blend_panel
from imgsynth.ui.session import Session
from imgsynth.ui.walk_endpoints import WalkEndpoints
from latent_models import classed, styled
from walkers import Walker, given

CORNERS = [3, 1, 2, 7]
SIDE, GAP = 32, 2


def ask(**options: Any) -> BlendRequest:
    return BlendRequest(**{"keyframes": CORNERS, "columns": 4, "rows": 3, **options})


def cell(sheet: Any, row: int, column: int) -> Any:
    """One picture of a sheet."""
    left, top = column * (SIDE + GAP), row * (SIDE + GAP)
    return sheet.crop((left, top, left + SIDE, top + SIDE))


@pytest.mark.parametrize("path", ["slerp", "lerp"])
def test_the_keyframes_are_the_corners(drawer: LatentModel, path: str) -> None:
    sheet = blend(drawer, ask(path=path)).image
    assert sheet.size == (4 * SIDE + 3 * GAP, 3 * SIDE + 2 * GAP)
    corners = [cell(sheet, row, column) for row, column in ((0, 0), (0, 3), (2, 0), (2, 3))]
    assert all_equal(corners, drawn(drawer, CORNERS))


def test_straight_blends_are_bilinear(models: dict[str, Any]) -> None:
    model: LatentModel = models["dcgan"]
    a, b, c, d = model.latents(CORNERS).double()
    made = blend_latents(model, ask(path="lerp"), [])
    for row in range(3):
        for column in range(4):
            u, v = column / 3, row / 2
            expected = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)
            torch.testing.assert_close(made[row * 4 + column], expected.float())


def test_spherical_blends_stay_on_the_sphere(models: dict[str, Any]) -> None:
    """Between keyframes of one length, all have that length; straight ones are shorter."""
    model: LatentModel = models["dcgan"]
    points = [Latent("z", z / z.norm()) for z in model.latents(CORNERS)]
    request = ask(keyframes=[point.text for point in points], columns=5, rows=5)
    lengths = blend_latents(model, request, []).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(25))
    straight = blend_latents(model, request.model_copy(update={"path": "lerp"}), [])
    assert straight.flatten(1).norm(dim=1)[12] < 0.9


def test_an_edge_is_the_walk_between_its_corners(models: dict[str, Any]) -> None:
    model = models["conv_vae"]
    sheet = blend(model, ask(columns=5, rows=2)).image
    frames = list(imgsynth.interpolate(model, CORNERS[:2], frames=5))
    assert all_equal([cell(sheet, 0, column) for column in range(5)], frames)


def test_equal_corners_give_equal_pictures(drawer: LatentModel) -> None:
    sheet = blend(drawer, ask(keyframes=[4, 4, 4, 4])).image
    cells = [cell(sheet, row, column) for row in range(3) for column in range(4)]
    assert all_equal(cells, [cells[0]] * 12)


def test_blends_meet_in_w_where_a_corner_lies_there() -> None:
    model = styled()
    w = Latent("w", model.styles(model.latents([3]))[0])
    keyframes = [w.text, 1, 2, 7]
    centre = model.centre("w")
    corners = keyframe_latents(model, keyframes, [])
    made = blend_latents(model, ask(keyframes=keyframes, columns=2, rows=2), [])
    torch.testing.assert_close(made, corners)
    middle = blend_latents(model, ask(keyframes=keyframes, columns=3, rows=3, path="lerp"), [])[4]
    torch.testing.assert_close(middle - centre, (corners - centre).mean(0))


def test_the_class_is_that_of_all(models: dict[str, Any]) -> None:
    model = classed()
    first, second = (blend(model, ask(label=label)).image.tobytes() for label in (0, 1))
    assert first == blend(model, ask()).image.tobytes()
    assert first != second
    with pytest.raises(BadRequest, match="knows no classes"):
        blend(models["dcgan"], ask(label=1))


def test_progress_is_told_batch_by_batch(models: dict[str, Any]) -> None:
    done: list[tuple[int, int]] = []
    blend(models["dcgan"], ask(columns=5), report=lambda *counts: done.append(counts))
    assert done == [(8, 15), (15, 15)]


def test_the_record_makes_it_again(models: dict[str, Any]) -> None:
    model, given_photo = models["conv_vae"], photo(40, 50)
    request = ask(keyframes=[3, "photo", 2, Latent("z", model.latents([5])[0]).text], psi=0.8, path="lerp")
    made = blend(model, request, [given_photo])
    assert made.record["task"] == "blend"
    assert made.record["request"] == request.model_dump()
    assert made.record["input_sha256"] == [given_photo.sha256]
    again = redo(model, json.loads(json.dumps(made.record)), Inputs([given_photo]))
    assert isinstance(again, Picture)
    assert again.image.tobytes() == made.image.tobytes()
    assert again.record == made.record
    with pytest.raises(BadImage, match="from 1 photos and 0 were given"):
        redo(model, made.record, Inputs())


@pytest.mark.parametrize(
    ("field", "value"),
    [("keyframes", [1, 2, 3]), ("keyframes", [1] * 5), ("columns", 1), ("rows", 17), ("path", "spline")],
)
def test_what_cannot_be_blended_is_refused(field: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=field):
        make_request(BlendRequest, **{"keyframes": CORNERS, field: value})


def test_models_that_cannot_blend(models: dict[str, Any]) -> None:
    with pytest.raises(TaskNotOffered):
        blend(models["lama"], ask())
    with pytest.raises(TaskNotOffered, match="cannot take photos"):
        blend(models["dcgan"], ask(keyframes=[1, 2, 3, "photo"]), [photo(8, 8)])


def test_a_sheet_that_is_too_large_is_refused_early(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_PIXELS", 12 * SIDE * SIDE - 1)
    done: list[int] = []
    with pytest.raises(BadRequest, match="fewer columns or rows"):
        blend(models["dcgan"], ask(), report=lambda count, _: done.append(count))
    assert done == []


# Doors


def test_the_command_line_blends_and_makes_it_again(run: Run, tiny_catalog: None, tmp_path: Path) -> None:
    face, out = make_photo(tmp_path / "face.png"), tmp_path / "sheet.png"
    words = ("blend", "--checkpoint", "tiny-vae", "--keyframes", f"1,2,{face},4", "--columns", 3, "--rows", 2)
    ran = run(*words, "--out", out)
    assert (ran.code, ran.out.strip()) == (0, str(out))
    assert ran.last == "Blended 6 pictures with tiny-vae."
    assert read_record(out)["request"]["keyframes"] == [1, 2, "photo", 4]
    again = tmp_path / "again.png"
    assert run("redo", out, "--out", again, "--input", face).code == 0
    assert np.array_equal(pixels(again), pixels(out))


def test_the_command_line_refuses_in_a_sentence(run: Run, tiny_catalog: None, tmp_path: Path) -> None:
    words = ("blend", "--checkpoint", "tiny-gan", "--out", tmp_path / "sheet.png", "--keyframes")
    assert_refused(run(*words, "1,2,3"), "keyframes", "4 items")
    assert_refused(run(*words, "1-4", "--rows", "many"), "rows")
    assert_refused(run("blend", "--checkpoint", "tiny-gan", "--keyframes", "1-4", "--out", "a.mp4"), "a.mp4")


def test_python_blends(models: dict[str, Any]) -> None:
    model = models["conv_vae"]
    keyframes = [1, Latent("z", model.latents([2])[0]), photo(40, 40).image, 4]
    sheet = imgsynth.blend(model, keyframes, columns=3, rows=2)
    assert sheet.size == (3 * SIDE + 2 * GAP, 2 * SIDE + GAP)
    assert all_equal([cell(sheet, 0, 0), cell(sheet, 0, 2), cell(sheet, 1, 2)], drawn(model, [1, 2, 4]))


@pytest.fixture
def walker(tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walker:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return Walker(Session(Runtime("cpu", "fp32")))


def test_the_endpoint_blends(walker: Walker) -> None:
    made = WalkEndpoints(walker.session).blend("tiny-gan", "1-4", columns=3.0, rows=2)
    assert read_record(made)["request"]["columns"] == 3
    with pytest.raises(BadRequest, match="whole number"):
        WalkEndpoints(walker.session).blend("tiny-gan", "1-4", columns=2.5)


def test_the_page_blends_the_first_four_keyframes(walker: Walker) -> None:
    with gr.Blocks():
        panel = make_blend_panel()
    event = make_blend(walker.session, walker.controls, panel)
    chosen = {panel.columns: 3, panel.rows: 4}
    shown: list[str] = []

    def bar(_: Any, desc: str = "", unit: str = "") -> None:
        shown.append(desc)

    with pytest.raises(gr.Error, match="four keyframes and there are 3"):
        event(walker.having(keyframes="1-3") | chosen, bar)
    for path, expected in (("slerp", "slerp"), ("lerp", "lerp"), ("spline", "slerp")):
        updates = event(walker.having(keyframes="5,1,7,2,9", path=path) | chosen, bar)
        file = given(updates[panel.image])
        assert given(updates[panel.download]) == file
        assert read_record(file)["request"] == {
            "keyframes": [5, 1, 7, 2],
            "columns": 3,
            "rows": 4,
            "path": expected,
            "psi": 1.0,
            "label": None,
        }
        assert updates[panel.status].startswith("3×4 pictures")
    assert "Drawing" in shown
