"""The practical side of training: the log and who follows it, too little memory, images from the Hub."""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from builders import pixels
from cli_runs import Run, assert_refused
from imgsynth.cli.follow import with_port
from imgsynth.errors import OutOfMemory, TrainingFailed
from imgsynth.training.data import list_entries, load, title_of
from imgsynth.training.log import log_path, read_log, sheet_path
from imgsynth.training.microbatch import MicroBatches, Terms, parts
from imgsynth.training.recipe import Settings
from imgsynth.training.run import Budget, train
from imgsynth.training.watch import Curve, Follower, summary
from training_runs import SIZE, ToyRecipe, logged, losses, make_images, values


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images")


def toy(images: Path, folder: Path, **more: Any) -> ToyRecipe:
    return ToyRecipe(Settings(data=(images,), out=folder / "made.safetensors", **more))


def run(recipe: ToyRecipe, steps: int) -> list[str]:
    """What a run said."""
    said: list[str] = []
    train(recipe, Budget(steps, None), None, said.append)
    return said


# The log


def test_the_log_tells_every_step(images: Path, tmp_path: Path) -> None:
    recipe = toy(images, tmp_path)
    run(recipe, 4)
    log = list(read_log(log_path(recipe.settings.out)))
    assert [entry["step"] for entry in log] == [0, 1, 2, 3]
    assert [entry["progress"] for entry in log] == [0, 0.25, 0.5, 0.75]
    assert [entry["rates"]["judge"] for entry in log] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])
    seconds = [entry["seconds"] for entry in log]
    assert seconds == sorted(seconds) and seconds[-1] == pytest.approx(log[-1]["seconds"])
    for entry in log:
        assert entry["losses"].keys() == {"D", "G"}
        assert entry["images_per_second"] > 0 and entry["memory_mb"] > 50
        assert entry["note"] == ""


# Following it


def write_log(out: Path, steps: range, value: float = 1.0, **more: Any) -> None:
    """Adds lines to a log."""
    with log_path(out).open("a") as file:
        for step in steps:
            entry = {"step": step, "seconds": step * 2.0, "progress": step / 100, "losses": {"D": value}}
            speed = {"images_per_second": 31.7, "rates": {"g": 2e-4, "d": 2e-4}, "memory_mb": 812}
            file.write(json.dumps({**entry, **speed, **more}) + "\n")


def test_a_follower_reads_on(tmp_path: Path) -> None:
    out = tmp_path / "made.safetensors"
    follower = Follower(out)
    assert not follower.look() and follower.last is None
    write_log(out, range(3))
    assert follower.look() and not follower.look()
    write_log(out, range(3, 5), note="Memory ran out.")
    with log_path(out).open("a") as file:
        file.write('{"step": 5, "losses"')  # being written just now
    assert follower.look()
    assert follower.last is not None and follower.last["step"] == 4
    assert list(follower.curves["D"].steps) == [0, 1, 2, 3, 4]
    assert follower.note == "Memory ran out."
    assert follower.speed == pytest.approx(31.7)


@pytest.mark.parametrize("again", [2, 4, 9], ids=["shorter", "as long", "longer"])
def test_a_follower_notices_that_a_log_was_cut_back(again: int, tmp_path: Path) -> None:
    out = tmp_path / "made.safetensors"
    follower = Follower(out)
    write_log(out, range(4), value=1.0)
    follower.look()
    log_path(out).write_text("")
    write_log(out, range(again), value=2.0)
    assert follower.look()
    assert list(follower.curves["D"].values) == [2.0] * again


def test_curves_are_thinned_to_means() -> None:
    curve = Curve()
    for step in range(10):
        curve.steps.append(step)
        curve.values.append(float(step))
    assert curve.thinned(20) == (list(range(10)), [float(v) for v in range(10)])
    assert curve.thinned(5) == ([1, 3, 5, 7, 9], [0.5, 2.5, 4.5, 6.5, 8.5])
    assert Curve().thinned() == ([], [])


@pytest.mark.parametrize(
    ("seconds", "progress", "left"),
    [
        (30.0, 0.0, None),
        (60.0, 0.5, "about 1 minutes left"),
        (30.0, 0.9, "less than a minute left"),
        (3600.0, 0.2, "about 4.0 hours left"),
    ],
)
def test_a_run_in_one_line(seconds: float, progress: float, left: str | None) -> None:
    entry = {"step": 1233, "seconds": seconds, "progress": progress}
    more = {"rates": {"g": 2e-4, "d": 4e-4}, "memory_mb": 812}
    facts = ["step 1,234", f"{progress:.0%} done", left, "103 images/s", "rate 0.0002 and 0.0004", "812 MB"]
    assert summary({**entry, **more}, speed=103.2) == " · ".join(filter(None, facts))
    assert summary(None, speed=0.0) == "Waiting for the first step."


def test_the_page_shows_what_is_new(tmp_path: Path) -> None:
    from imgsynth.ui.training_page import MOST_CURVES, NOTHING, TrainingPage

    out = tmp_path / "<made>.safetensors"
    page = TrainingPage(out)
    seen, head, sheet, *plots = page.refresh(NOTHING)
    assert is_skip(sheet) and all(map(is_skip, plots)) and len(plots) == MOST_CURVES

    write_log(out, range(3), note="Memory ran out.")
    Image.new("RGB", (20, 10)).save(sheet_path(out))
    seen, head, sheet, first, second, *_ = page.refresh(NOTHING)
    assert "&lt;made&gt;" in head and "<made>" not in head
    assert "step 3" in head and "Memory ran out." in head
    assert sheet.size == (20, 10)
    assert (first.label, first.visible) == ("D", True)
    assert is_skip(second)
    assert all(map(is_skip, page.refresh(seen)))

    write_log(out, range(3, 4))
    seen, head, sheet, *_ = page.refresh(seen)
    assert "step 4" in head and is_skip(sheet)


def is_skip(update: Any) -> bool:
    return isinstance(update, dict) and update == {"__type__": "update"}


@pytest.mark.parametrize(
    ("words", "understood"),
    [
        ("gan --watch --steps 2", "gan --watch=any --steps 2"),
        ("gan --watch 7861 --steps 2", "gan --watch 7861 --steps 2"),
        ("gan --watch", "gan --watch=any"),
        ("--watch gan", "--watch=any gan"),
        ("gan --watch=80", "gan --watch=80"),
    ],
)
def test_the_port_of_the_page_may_be_left_out(words: str, understood: str) -> None:
    assert list(with_port(words.split())) == understood.split()


# Too little memory


def starve(recipe: ToyRecipe, most: int, error: Callable[[], Exception], when: str = "judge") -> list[int]:
    """From now on a part of more than `most` samples is too much for an optimiser's step; notes all parts."""
    taken: list[int] = []
    update = recipe.update

    def starved(name: str, loss_of: Callable[[slice], Terms], clip: float | None = None) -> dict[str, float]:
        def failing(part: slice) -> Terms:
            taken.append(part.stop - part.start)
            terms = loss_of(part)
            if name == when and part.stop - part.start > most:
                raise error()
            return terms

        return update(name, failing, clip)

    recipe.update = starved  # type: ignore[method-assign]
    return taken


ERRORS: dict[str, Callable[[], Exception]] = {
    "CUDA": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CPU": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
    ),
    "Windows": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 2 bytes."),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("when", ["judge", "generator"])
def test_without_memory_the_batch_comes_in_parts(kind: str, when: str, images: Path, tmp_path: Path) -> None:
    whole, starved = (toy(images, tmp_path / name, batch=6) for name in ("whole", "starved"))
    taken = starve(starved, 2, ERRORS[kind], when)
    assert run(whole, 3) == []
    (said,) = run(starved, 3)
    assert said == (
        "Memory ran out, so gradients are now summed over parts of 2 pictures; the batch stays as it was, "
        "and what looks across a batch, such as batch norm, sees one part."
    )
    assert [entry["note"] for entry in logged(starved.settings.out)] == [said, "", ""]
    assert taken[-6:] == [2] * 6
    expected, found = (values(losses(recipe.settings.out)) for recipe in (whole, starved))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_one_picture_that_does_not_fit_ends_the_run(images: Path, tmp_path: Path) -> None:
    recipe = toy(images, tmp_path)
    starve(recipe, 0, ERRORS["CUDA"])
    with pytest.raises(OutOfMemory, match="smaller --size or --width"):
        run(recipe, 1)


def test_other_errors_are_not_taken_for_a_lack_of_memory(images: Path, tmp_path: Path) -> None:
    recipe = toy(images, tmp_path)
    taken = starve(recipe, 0, lambda: RuntimeError("sizes differ"))
    with pytest.raises(RuntimeError, match="sizes differ"):
        run(recipe, 1)
    assert taken == [4]


def test_parts_cover_a_batch() -> None:
    assert list(parts(5, 5)) == [slice(0, 5)]
    assert list(parts(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_uneven_parts_count_by_their_samples() -> None:
    weight = torch.zeros((), requires_grad=True)
    data = torch.arange(5.0)
    batches = MicroBatches(5)
    batches.size = 2
    figures = batches.backward(lambda part: ((data[part] * weight).mean(), {"mean": data[part].mean()}), list)
    assert weight.grad is not None
    assert (weight.grad.item(), figures["mean"]) == (2.0, 2.0)


# Images from the Hub


class Rows:
    """As much of a `datasets.Dataset` as is used."""

    def __init__(self, features: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        self.features, self.rows = features, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def select_columns(self, names: list[str]) -> Rows:
        return Rows({n: self.features[n] for n in names}, [{n: row[n] for n in names} for row in self.rows])

    def cast_column(self, name: str, kind: Any) -> Rows:
        assert not kind.decode
        return Rows({**self.features, name: kind}, self.rows)


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for the optional package, without any dataset."""
    module: Any = types.ModuleType("datasets")

    class FeatureImage:
        def __init__(self, decode: bool = True) -> None:
            self.decode = decode

    class DatasetsError(Exception):
        pass

    def load_dataset(name: str, split: str) -> Rows:
        if (name, split) not in module.known:
            raise DatasetsError(f"no {name}")
        return module.known[name, split]

    module.known, module.Image, module.load_dataset = {}, FeatureImage, load_dataset
    module.exceptions = types.SimpleNamespace(DatasetsError=DatasetsError)
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def test_images_come_from_a_hub_dataset(datasets: Any, images: Path) -> None:
    files = sorted(images.iterdir(), reverse=True)
    held = [{"bytes": file.read_bytes(), "path": None} for file in files[:6]]
    beside = [{"bytes": None, "path": str(file)} for file in files[6:]]
    rows = [{"label": i, "photo": photo} for i, photo in enumerate([*held, *beside])]
    features = {"label": object(), "photo": datasets.Image(), "mask": datasets.Image()}
    rows = [{**row, "mask": None} for row in rows]
    datasets.known["owner/name", "train"] = datasets.known["owner/name", "test"] = Rows(features, rows)
    for spelling in ("hf:owner/name", "hf:owner/name:test"):
        entries = list_entries(Path(spelling))
        assert [entry.read() for entry in entries] == [file.read_bytes() for file in files]
        assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
        assert title_of(Path(spelling)) == spelling
    assert len(load([Path("hf:owner/name")], SIZE, True, holdout=0.25)) == 9


def test_hub_datasets_that_cannot_be_had_are_refused(datasets: Any) -> None:
    datasets.known["owner/texts", "train"] = Rows({"text": object()}, [{"text": "a"}])
    datasets.known["owner/empty", "train"] = Rows({"image": datasets.Image()}, [])
    for name, about in (
        ("hf:owner/gone", "owner/gone could not be loaded"),
        ("hf:owner/texts:test", "name and split"),
        ("hf:owner/texts", "no column of images"),
        ("hf:owner/empty", "holds no images"),
    ):
        with pytest.raises(TrainingFailed, match=about):
            list_entries(Path(name))


def test_without_the_package_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TrainingFailed, match="pip install datasets"):
        list_entries(Path("hf:owner/name"))


def test_a_folder_may_be_called_as_a_hub_dataset_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hf:mine").mkdir()
    Image.fromarray(pixels(20, 20)).save(tmp_path / "hf:mine" / "1.png")
    assert [entry.name for entry in list_entries(tmp_path / "hf:mine")] == ["1.png"]


# The command line


def test_the_commands_of_the_guide_are_understood(run: Run) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "training.md").read_text("utf-8")
    commands = re.findall(
        r"^.*?imgsynth (\w+) (.*)$", "\n".join(re.findall(r"```\n(.*?)```", guide, re.S)), re.M
    )
    assert {verb for verb, _ in commands} == {"train", "sample", "score"}
    for verb, words in commands:
        known = run(verb, "--help").out
        for option in re.findall(r"--[\w-]+", words):
            assert re.search(rf"{option}\b", known), (verb, option)
    for option in re.findall(r"`(--[\w-]+)", guide):
        assert option in run("train", "--help").out, option


@pytest.mark.usefixtures("tiny_catalog")
def test_what_cannot_be_watched_or_published_is_refused_at_once(
    run: Run, images: Path, tmp_path: Path
) -> None:
    words = ("train", "vae", "--data", images, "--out", tmp_path / "a.safetensors", "--steps", 1)
    assert_refused(run(*words, "--public"), "--push-to-hub")
    assert_refused(run(*words, "--push-to-hub", "me"), "owner/name")
    ran = run(*words, "--size", 32, "--width", 32, "--watch=70000")
    assert ran.code == 1 and "port" in ran.last
