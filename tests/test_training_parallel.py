"""Two processes as one run: the losses of one process with twice the batch, and networks that stay equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import imgsynth
from imgsynth.errors import DeviceUnavailable
from imgsynth.training import parallel
from imgsynth.training.log import log_path
from imgsynth.training.recipe import Settings
from imgsynth.training.run import RECIPES
from imgsynth.training.state import state_path
from training_runs import (
    PATIENCE,
    Job,
    logged,
    losses,
    make_images,
    networks,
    networks_path,
    run_alone,
    run_together,
    values,
)

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = {
    "gan": {"size": 32, "width": 4, "batch": 2},
    "vae": {"size": 32, "width": 32, "batch": 2},
    "cyclegan": {"size": 32, "width": 4, "batch": 1},
    "inpaint": {"size": 32, "width": 8, "batch": 1, "options": {"adversarial_from": 0.0}},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images")


def settings_of(images: Path, folder: Path, **more: object) -> Settings:
    return Settings(data=(images,), out=folder / "made.safetensors", **more)


def test_two_processes_are_one_with_twice_the_batch(images: Path, tmp_path: Path) -> None:
    run_together(Job("toy", settings_of(images, tmp_path / "two", batch=4), steps=8))
    run_alone(Job("toy", settings_of(images, tmp_path / "one", batch=8), steps=8))
    run_alone(Job("toy", settings_of(images, tmp_path / "half", batch=4), steps=8))
    two, one, half = (tmp_path / name / "made.safetensors" for name in ("two", "one", "half"))
    torch.testing.assert_close(values(losses(two)), values(losses(one)), rtol=2e-5, atol=1e-6)
    assert (values(losses(half)) - values(losses(one))).abs().max() > 1e-3
    for part, weights in networks(two, rank=0).items():
        for key, value in networks(two, rank=1)[part].items():
            assert torch.equal(value, weights[key]), (part, key)


def test_processes_stop_together_and_each_goes_on_with_its_own_state(images: Path, tmp_path: Path) -> None:
    whole, parts = (settings_of(images, tmp_path / name, batch=4) for name in ("whole", "parts"))
    run_together(Job("toy", whole, steps=6))
    run_together(Job("toy", parts, steps=6, stop_at=2))
    assert [entry["step"] for entry in logged(parts.out)] == [0, 1, 2]
    saved = torch.load(state_path(parts.out))["state"]
    assert (saved["extra"], saved["others"]) == ({"ranks": [0]}, [{"ranks": [1]}])
    run_together(Job("toy", parts, steps=6, resume=True))
    assert logged(parts.out) == logged(whole.out)
    extras = [torch.load(networks_path(parts.out, rank))[1] for rank in (0, 1)]
    assert extras == [{"ranks": [0, 0]}, {"ranks": [1, 1]}]


def test_a_run_of_two_goes_on_alone(images: Path, tmp_path: Path) -> None:
    settings = settings_of(images, tmp_path, batch=4)
    run_together(Job("toy", settings, steps=6, stop_at=2))
    run_alone(Job("toy", settings, steps=6, resume=True))
    assert [entry["step"] for entry in logged(settings.out)] == list(range(6))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_networks_of_every_recipe_stay_equal(name: str, images: Path, tmp_path: Path) -> None:
    domains = {"data_b": (images,), "out_back": tmp_path / "back.safetensors"} if name == "cyclegan" else {}
    settings = settings_of(images, tmp_path, **domains, **SMALL[name])
    run_together(Job(name, settings, steps=2))
    first, second = networks(settings.out, 0), networks(settings.out, 1)
    for part, weights in first.items():
        learnt = {key for key in weights if not key.endswith(("running_mean", "running_var"))}
        different = [key for key in learnt if not torch.equal(weights[key], second[part][key])]
        assert different == [], part


def test_torchrun_makes_one_checkpoint(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.safetensors"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train = f"-m imgsynth train vae --data {images} --out {out} --steps 2 --size 32 --width 32 --batch 2"
    done = subprocess.run(
        [*torchrun, *train.split(), "--device", "cpu"],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert done.stderr.count("Training vae for 2 steps.") == 1
    log = [json.loads(line) for line in log_path(out).read_text().splitlines()]
    assert [line["step"] for line in log] == [0, 1]
    card = out.with_suffix(".md").read_text("utf-8")
    assert "| processes | 2, each with a batch of its own |" in card
    assert imgsynth.open_checkpoint(str(out), device="cpu").architecture.name == "conv_vae"


def test_one_process_is_the_first_and_only() -> None:
    assert (parallel.rank(), parallel.world_size(), parallel.is_first()) == (0, 1, True)
    assert parallel.own(4) == slice(0, 4)
    assert parallel.means([1.5, 2.0], torch.device("cpu")) == [1.5, 2.0]
    assert parallel.gather({"a": 1}) == [{"a": 1}]


def test_processes_without_a_gpu_of_their_own_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert parallel.own_device(torch.device("cuda"), 0) == torch.device("cuda", 0)
    assert parallel.own_device(torch.device("cpu"), 7) == torch.device("cpu")
    with pytest.raises(DeviceUnavailable, match="--nproc-per-node 1"):
        parallel.own_device(torch.device("cuda"), 1)
    with pytest.raises(DeviceUnavailable, match="one process"):
        parallel.own_device(torch.device("mps"), 0)
