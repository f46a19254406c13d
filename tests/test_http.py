"""Every endpoint as a script uses it: through gradio_client, against the started app."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from gradio_client import Client
from PIL import ExifTags, Image

import imgsynth
from app_server import AppServer, NewClient, OpenHere, send
from builders import pixels
from imgsynth.imaging.masks import feather_weights, grow_mask, read_mask
from imgsynth.imaging.read import read_photo
from imgsynth.imaging.record import read_record
from imgsynth.imaging.video import count_frames, write_video
from imgsynth.imaging.write import write_png

pytest_plugins = ["app_fixtures"]

REQUIRED = object()
PARAMETERS: dict[str, dict[str, Any]] = {
    "/models": {"task": ""},
    "/inspect": {"what": REQUIRED},
    "/open": {"what": "", "file": None},
    "/sample": {"checkpoint": REQUIRED, "seeds": REQUIRED, "psi": 1.0, "label": None, "noise": ""},
    "/mix": {
        "checkpoint": REQUIRED,
        "sources": REQUIRED,
        "destinations": REQUIRED,
        "layers": "coarse",
        "psi": 1.0,
        "noise": "",
    },
    "/interpolate": {
        "checkpoint": REQUIRED,
        "keyframes": REQUIRED,
        "frames": 120,
        "path": "slerp",
        "loop": False,
        "fps": 30,
        "psi": 1.0,
        "format": "mp4",
        "label": None,
        "photos": None,
        "easing": "none",
        "seconds": None,
        "noise": "",
    },
    "/blend": {
        "checkpoint": REQUIRED,
        "keyframes": REQUIRED,
        "columns": 5,
        "rows": 5,
        "path": "slerp",
        "psi": 1.0,
        "label": None,
        "photos": None,
    },
    "/translate": {"checkpoint": REQUIRED, "photo": REQUIRED, "strength": 1.0},
    "/inpaint": {"checkpoint": REQUIRED, "photo": REQUIRED, "mask": REQUIRED, "grow": 0, "feather": 0},
    "/outpaint": {"checkpoint": REQUIRED, "photo": REQUIRED, "left": 0, "top": 0, "right": 0, "bottom": 0},
    "/record": {"picture": REQUIRED},
    "/redo": {"picture": REQUIRED, "photo": None, "mask": None, "photos": None},
}


def values(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def decoded(path: str | Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_exactly_the_endpoints_of_the_interface_are_public(client: Client) -> None:
    api = client.view_api(return_format="dict", print_info=False)
    assert isinstance(api, dict)
    found = {
        name: {
            p["parameter_name"]: p["parameter_default"] if p["parameter_has_default"] else REQUIRED
            for p in endpoint["parameters"]
        }
        for name, endpoint in api["named_endpoints"].items()
    }
    assert found == PARAMETERS
    assert api["unnamed_endpoints"] == {}
    assert all(p["label"] for e in api["named_endpoints"].values() for p in e["parameters"])


def test_models_lists_what_is_bundled(client: Client, app_server: AppServer) -> None:
    rows = {row["id"]: row for row in client.predict(api_name="/models")}
    for path in app_server.weights.iterdir():
        row = rows[path.stem]
        assert (row["available"], row["bytes"]) == ("bundled", path.stat().st_size)
    wanted = {"id", "title", "tasks", "source", "architecture", "resolution", "licence", "bytes", "available"}
    assert all(set(row) >= wanted for row in rows.values())
    inpainters = client.predict(task="inpaint", api_name="/models")
    assert [r["id"] for r in inpainters] == [i for i, row in rows.items() if "inpaint" in row["tasks"]]


def test_inspect_tells_what_a_file_holds(client: Client) -> None:
    told = client.predict(what="avatars-vae", api_name="/inspect")
    assert told["architecture"] == "conv_vae"
    assert told["latent"] == [8]
    assert told["tasks"] == ["sample", "interpolate"]
    wanted = {"family", "hyperparameters", "parameters", "resolution", "value_range", "sha256", "bytes"}
    assert set(told) >= wanted | {"warnings"}


@pytest.mark.parametrize("name", ["avatars-gan", "avatars-vae"])
def test_sample_gives_the_pixels_of_the_python_api(client: Client, open_here: OpenHere, name: str) -> None:
    paths = client.predict(checkpoint=name, seeds="99,3-11", psi=0.7, api_name="/sample")
    seeds = [99, *range(3, 12)]
    assert [Path(p).name for p in paths] == [f"seed{s:08d}.png" for s in seeds]
    here = imgsynth.sample(open_here(name), seeds=seeds, psi=0.7)
    for path, seed, picture in zip(paths, seeds, here, strict=True):
        record = read_record(path)
        assert record["task"] == "sample"
        assert record["request"] == {"seed": seed, "psi": 0.7}
        assert record["checkpoint"]["id"] == name
        np.testing.assert_array_equal(values(path), np.asarray(picture))
    assert len({values(path).tobytes() for path in paths}) == len(seeds)


@pytest.mark.parametrize("form", ["mp4", "gif"])
def test_interpolate_gives_a_video_of_all_frames(client: Client, form: str) -> None:
    options = {"frames": 26, "path": "spline", "loop": True, "fps": 12, "format": form}
    path = client.predict(checkpoint="avatars-vae", keyframes="1,5,9", api_name="/interpolate", **options)
    assert Path(path).suffix == f".{form}"
    assert count_frames(path) == 26
    request = read_record(path)["request"]
    assert request["keyframes"] == [1, 5, 9]
    assert {k: request[k] for k in ("frames", "path", "loop", "fps")} == {
        k: options[k] for k in ("frames", "path", "loop", "fps")
    }


def test_a_walk_passes_through_photos(client: Client, open_here: OpenHere, tmp_path: Path) -> None:
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    for seed, path in enumerate(photos):
        Image.fromarray(pixels(70, 90, seed=seed)).save(path)
    points: dict[str, Any] = {"checkpoint": "avatars-vae", "keyframes": "photo,7,photo", "frames": 9}
    made = client.predict(photos=[send(p) for p in photos], api_name="/interpolate", format="webp", **points)
    keyframes = [photos[0], 7, photos[1]]
    here = imgsynth.interpolate(open_here("avatars-vae"), keyframes=keyframes, frames=9)
    with Image.open(made) as walk:
        for index, frame in enumerate(here):
            walk.seek(index)
            np.testing.assert_array_equal(np.asarray(walk.convert("RGB")), np.asarray(frame))
    record = read_record(made)
    assert record["request"]["keyframes"] == ["photo", 7, "photo"]
    assert record["input_sha256"] == [read_photo(p).sha256 for p in photos]
    again = client.predict(picture=send(made), photos=[send(p) for p in photos], api_name="/redo")
    assert read_record(again) == record


def test_translate_keeps_size_and_alpha(client: Client, open_here: OpenHere, scene: Path) -> None:
    path = client.predict(checkpoint="photo2monet", photo=send(scene), strength=0.5, api_name="/translate")
    assert Path(path).name == "scene.png"
    here = imgsynth.translate(open_here("photo2monet"), scene, strength=0.5)
    np.testing.assert_array_equal(values(path), np.asarray(here))
    np.testing.assert_array_equal(values(path)[..., 3], values(scene)[..., 3])
    assert read_record(path)["input_sha256"] == [read_photo(scene).sha256]


def test_translate_turns_a_phone_photo_upright(client: Client, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels(90, 140)).save(tmp_path / "phone.jpg", exif=exif)
    path = client.predict(checkpoint="monet2photo", photo=send(tmp_path / "phone.jpg"), api_name="/translate")
    assert values(path).shape == (140, 90, 3)


@pytest.mark.parametrize(("grow", "feather"), [(0, 0), (3, 4)])
def test_inpaint_changes_only_the_hole(
    client: Client, open_here: OpenHere, scene: Path, hole: Path, grow: int, feather: int
) -> None:
    options = {"grow": grow, "feather": feather}
    path = client.predict(
        checkpoint="inpaint-small", photo=send(scene), mask=send(hole), api_name="/inpaint", **options
    )
    mask = read_mask(hole, None)
    outside = feather_weights(grow_mask(mask, grow), feather) == 0
    np.testing.assert_array_equal(values(path)[outside], values(scene)[outside])
    assert (values(path)[mask] != values(scene)[mask]).any(axis=1).mean() > 0.9
    here = imgsynth.inpaint(open_here("inpaint-small"), scene, hole, **options)
    np.testing.assert_array_equal(values(path), np.asarray(here))


def test_record_tells_what_made_a_file(client: Client) -> None:
    [picture] = client.predict(checkpoint="avatars-gan", seeds="7", api_name="/sample")
    told = client.predict(picture=send(picture), api_name="/record")
    assert told == read_record(picture)
    assert told["request"] == {"seed": 7, "psi": 1.0}


def blackened(made: str, folder: Path) -> Any:
    """A black picture or video with the record of one that was made, which alone helps to make it again."""
    record, path = read_record(made), folder / f"black-{Path(made).name}"
    if path.suffix == ".mp4":
        write_video(path, [Image.new("RGB", (64, 64))] * 2, record["request"]["fps"], record)
    else:
        write_png(path, Image.new("RGB", (8, 8)), record)
    return send(path)


def test_redo_gives_the_same_pixels(client: Client, scene: Path, hole: Path, tmp_path: Path) -> None:
    photo, mask = send(scene), send(hole)
    [sampled] = client.predict(checkpoint="avatars-vae", seeds="5", psi=0.8, api_name="/sample")
    translated = client.predict(checkpoint="photo2monet", photo=photo, api_name="/translate")
    edges = {"grow": 2, "feather": 2}
    filled = client.predict(checkpoint="inpaint-small", photo=photo, mask=mask, api_name="/inpaint", **edges)
    for made, inputs in (
        (sampled, {}),
        (translated, {"photo": photo}),
        (filled, {"photo": photo, "mask": mask}),
    ):
        again = client.predict(picture=blackened(made, tmp_path), api_name="/redo", **inputs)
        np.testing.assert_array_equal(values(again), values(made))
        assert read_record(again) == read_record(made)


def test_redo_gives_the_same_video(client: Client, tmp_path: Path) -> None:
    request = {"checkpoint": "avatars-gan", "keyframes": "1,2", "frames": 17, "fps": 9}
    made = client.predict(api_name="/interpolate", **request)
    again = client.predict(picture=blackened(made, tmp_path), api_name="/redo")
    np.testing.assert_array_equal(decoded(again), decoded(made))
    assert len(decoded(again)) == 17
    assert read_record(again) == read_record(made)


def test_two_visitors_get_their_own_checkpoints(new_client: NewClient, open_here: OpenHere) -> None:
    def visit(name: str) -> list[np.ndarray]:
        visitor = new_client()
        rounds = [visitor.predict(checkpoint=name, seeds="0-3", api_name="/sample") for _ in range(4)]
        return [np.stack([values(p) for p in paths]) for paths in rounds]

    names = ["avatars-gan", "flowers-gan"]
    with ThreadPoolExecutor(2) as visitors:
        got = dict(zip(names, visitors.map(visit, names), strict=True))
    for name in names:
        here = np.stack([np.asarray(p) for p in imgsynth.sample(open_here(name), seeds=range(4))])
        for drawn in got[name]:
            np.testing.assert_array_equal(drawn, here)
