"""The command line as a program, and the verbs that make no picture: models, inspect, serve, train."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from cli_runs import IDS, Run, assert_refused, make_photo, pixels, raising, unknown_network

pytestmark = pytest.mark.usefixtures("tiny_catalog")


def test_models_lists_what_can_be_had(run: Run) -> None:
    ran = run("models", "--json")
    rows = json.loads(ran.out)
    assert ran.code == 0 and [row["id"] for row in rows] == list(IDS)
    keys = "id title tasks source architecture resolution licence bytes available"
    assert list(rows[0]) == keys.split()
    assert rows[0]["available"] == "bundled" and rows[0]["bytes"] > 10_000
    assert [row["id"] for row in json.loads(run("models", "--json", "--task", "inpaint").out)] == [
        "tiny-lama"
    ]
    lines = run("models").out.splitlines()
    assert lines[0].startswith("id ") and len(lines) == 5
    assert len({line.index("bundled") for line in lines[1:]}) == 1


def test_inspect_tells_what_a_file_is(run: Run, tiny_checkpoints: dict[str, Path]) -> None:
    ran = run("inspect", tiny_checkpoints["conv_vae"], "--json")
    found = json.loads(ran.out)
    keys = "architecture family hyperparameters parameters resolution latent value_range sha256 bytes"
    assert ran.code == 0 and list(found)[:11] == [*keys.split(), "tasks", "warnings"]
    assert found["architecture"] == "conv_vae" and found["family"] == "autoencoder"
    assert (
        found["resolution"] == 32 and found["latent"] == [5] and found["tasks"] == ["sample", "interpolate"]
    )
    assert found["bytes"] == tiny_checkpoints["conv_vae"].stat().st_size
    found = json.loads(run("inspect", "tiny-lama", "--json").out)
    assert found["resolution"] is None and found["latent"] is None and found["value_range"] == "[0, 1]"
    assert "LaMa" in run("inspect", "tiny-lama").out


def test_inspect_says_what_was_taken_off(run: Run, tmp_path: Path, tiny_checkpoints: dict[str, Path]) -> None:
    from safetensors.torch import load_file

    state = {f"module.{k}": v for k, v in load_file(tiny_checkpoints["dcgan"]).items()}
    torch.save({"state_dict": state}, tmp_path / "wrapped.pth")
    ran = run("inspect", tmp_path / "wrapped.pth")
    assert ran.code == 0 and "dcgan" in ran.out
    assert "state_dict" in ran.out and "module." in ran.out


def test_inspect_of_an_unknown_network(run: Run, tmp_path: Path) -> None:
    ran = run("inspect", unknown_network(tmp_path), "--json")
    found = json.loads(ran.out)
    assert ran.code == 1 and list(found) == ["error", "nearest", "missing", "unexpected"]
    assert found["error"] == ran.last and any("head.weight" in key for key in found["unexpected"])
    ran = run("inspect", "./not-there.safetensors", "--json")
    assert ran.code == 1 and list(json.loads(ran.out)) == ["error"]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    calls: list[dict[str, object]] = []
    app = types.SimpleNamespace(launch=lambda **options: calls.append(options))
    monkeypatch.setitem(sys.modules, "imgsynth.ui.app", app)
    return calls


def test_serve_launches_the_app(run: Run, launched: list[dict[str, object]]) -> None:
    assert run("serve").code == 0
    assert run("serve", "--host", "0.0.0.0", "--port", 7861, "--mcp", "--device", "cpu").code == 0
    unset = {"host": None, "port": None, "mcp": False, "device": None, "precision": None}
    given = {"host": "0.0.0.0", "port": 7861, "mcp": True, "device": "cpu"}
    assert launched == [unset, {**unset, **given}]


def test_serve_honours_gradios_variables(
    run: Run, launched: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
    assert run("serve").code == 0 and run("serve", "--port", "80").code == 0
    assert [(call["host"], call["port"]) for call in launched] == [("0.0.0.0", 7999), ("0.0.0.0", 80)]
    monkeypatch.setenv("GRADIO_SERVER_PORT", "banana")
    assert_refused(run("serve"), "banana")


def test_serve_says_when_the_port_is_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    app = types.SimpleNamespace(launch=raising(OSError("Cannot find empty port")))
    monkeypatch.setitem(sys.modules, "imgsynth.ui.app", app)
    assert_refused(run("serve", "--port", "7860"), "7860")


@pytest.fixture(scope="module")
def training_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number in range(10):
        make_photo(folder / f"{number}.png", 34, 40, seed=number)
    return folder


TINY_RUN = ("--size", 32, "--width", 4, "--batch", 2)


def test_train_makes_a_checkpoint_that_opens(run: Run, tmp_path: Path, training_images: Path) -> None:
    out = tmp_path / "own.safetensors"
    ran = run("train", "gan", "--data", training_images, "--out", out, "--steps", 1, *TINY_RUN)
    assert (ran.code, ran.out) == (0, f"{out}\n")
    assert run("sample", "--checkpoint", out, "--seeds", "1", "--out", tmp_path).code == 0
    state = tmp_path / "own.state.pt"
    ran = run(
        "train", "gan", "--data", training_images, "--out", out, "--steps", 2, "--resume", state, *TINY_RUN
    )
    assert ran.code == 0
    assert torch.load(state, weights_only=True)["clock"]["step"] == 2


def test_train_starts_from_weights_of_the_same_size_only(
    run: Run, tmp_path: Path, training_images: Path
) -> None:
    words = ("train", "gan", "--data", training_images, "--steps", 1, *TINY_RUN)
    first = tmp_path / "first.safetensors"
    run(*words, "--out", first)
    assert run(*words, "--out", tmp_path / "second.safetensors", "--init", first).code == 0
    ran = run(*words, "--out", tmp_path / "third.safetensors", "--init", "tiny-gan")
    assert ran.code == 1 and "--width" in ran.last


def test_train_without_a_length_takes_an_hour_and_says_so(
    run: Run, tmp_path: Path, training_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgsynth.training import run as training

    budgets: list[training.Budget] = []

    def note(recipe: object, budget: training.Budget, *_: object) -> list[Path]:
        budgets.append(budget)
        return []

    monkeypatch.setattr(training, "train", note)
    out = tmp_path / "own.safetensors"
    ran = run("train", "gan", "--data", training_images, "--out", out, *TINY_RUN)
    assert ran.code == 0 and "60 minutes" in ran.err
    assert budgets == [training.Budget(None, 60.0)]


def start(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env=environment, text=True, check=False, **options)  # type: ignore[call-overload]


def test_the_program_runs_as_a_module(tmp_path: Path, tiny_checkpoints: dict[str, Path]) -> None:
    shutil.copy(tiny_checkpoints["dcgan"], tmp_path / "own.safetensors")
    # Linux allows names that are no valid text; they are printed as the bytes they are.
    folder = os.fsdecode(b"D\xe9") if sys.platform == "linux" else "D"
    words = ("-m", "imgsynth", "sample", "--checkpoint", "own.safetensors", "--seeds", "1", "--out", folder)
    done = start(*words, cwd=tmp_path, capture_output=True, errors="surrogateescape")
    assert (done.returncode, done.stdout) == (0, os.path.join(folder, "seed00000001.png") + "\n")
    assert pixels(tmp_path / folder / "seed00000001.png").shape == (32, 32, 3)


def test_help_loads_neither_torch_nor_gradio() -> None:
    code = (
        "import sys; from imgsynth.cli import main; code = main(['--help']);"
        "sys.exit(code or any(name in sys.modules for name in ('torch', 'gradio', 'numpy', 'PIL')))"
    )
    done = start("-c", code, capture_output=True)
    assert done.returncode == 0 and "interpolate" in done.stdout


def test_a_reader_that_leaves_is_no_trouble() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = start("-m", "imgsynth", "models", "--json", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
