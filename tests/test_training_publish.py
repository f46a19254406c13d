"""A finished run on the Hub: what lies there, who sees it, and that it opens again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from PIL import Image

import imgsynth
from builders import all_equal, drawn
from cli_runs import Run, assert_refused
from hub_client import lead_client
from hub_uploads import WritableHub
from training_runs import make_images

TINY = ("--steps", 1, "--size", 32)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WritableHub]:
    """A local Hub that takes what its one account uploads."""
    with WritableHub() as hub:
        lead_client(hub, tmp_path / "home", monkeypatch)
        # The client would send large files by Xet's own protocol, which no server but the Hub speaks.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        monkeypatch.setenv("IMGSYNTH_DEVICE", "cpu")
        yield hub
        huggingface_hub.close_session()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images")


def test_a_checkpoint_is_published_and_opens_from_there(
    hub: WritableHub, run: Run, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    words = ("train", "gan", "--data", images, "--out", out, *TINY, "--width", 4, "--batch", 4)
    ran = run(*words, "--push-to-hub", "me/mine")
    assert (ran.code, ran.out) == (0, f"{out}\n")
    assert ran.last == f"Published at {hub.url}/me/mine."
    assert files(hub) == {"model.safetensors", "model.jpg", "config.json", "README.md"}
    local, there = (imgsynth.open_checkpoint(what, device="cpu") for what in (str(out), "me/mine"))
    assert local.identity.sha256 == there.identity.sha256
    assert all_equal(drawn(local, [0, 1]), drawn(there, [0, 1]))
    assert json.loads(text(hub, "config.json")) == {"architecture": "dcgan"}
    readme = text(hub, "README.md")
    assert readme.startswith("---\nlibrary_name: imgsynth\npipeline_tag: unconditional-image-generation\n")
    for words in ("# mine\n", "![sample sheet](model.jpg)", "imgsynth sample --checkpoint me/mine"):
        assert words in readme
    assert str(tmp_path) not in readme
    with Image.open(huggingface_hub.hf_hub_download("me/mine", "model.jpg")) as sheet:
        assert min(sheet.size) > 8 * 32


def test_what_is_published_is_private_unless_said(
    hub: WritableHub, run: Run, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    words = ("train", "vae", "--data", images, "--out", out, *TINY, "--width", 32, "--batch", 2)
    assert run(*words, "--push-to-hub", "me/shown", "--public").code == 0
    assert run(*words, "--push-to-hub", "me/kept").code == 0
    seen = {name: huggingface_hub.model_info(name).private for name in ("me/shown", "me/kept")}
    assert seen == {"me/shown": False, "me/kept": True}
    # Again, to a repository that is there: a new commit.
    first = huggingface_hub.model_info("me/kept").sha
    assert run(*words, "--seed", 5, "--push-to-hub", "me/kept").code == 0
    assert huggingface_hub.model_info("me/kept").sha != first


def test_both_directions_go_to_one_repository_without_photos(
    hub: WritableHub, run: Run, images: Path, tmp_path: Path
) -> None:
    outs = ("--out", tmp_path / "there.safetensors", "--out-back", tmp_path / "back.safetensors")
    words = ("train", "cyclegan", "--data", images, "--data-b", images, *outs, *TINY, "--width", 4)
    assert run(*words, "--push-to-hub", "me/pair").code == 0
    assert files(hub) == {"there.safetensors", "back.safetensors", "config.json", "README.md"}
    readme = text(hub, "README.md")
    assert "sample sheet" not in readme
    for name in ("there", "back"):
        assert f"# {name}\n" in readme
        assert f"imgsynth translate --checkpoint me/pair:{name}.safetensors photo.jpg" in readme
        opened = imgsynth.open_checkpoint(f"me/pair:{name}.safetensors", device="cpu")
        assert opened.architecture.name == "cyclegan_resnet"


@pytest.mark.parametrize(
    ("repo", "token", "about"),
    [
        ("me/mine", None, "HF_TOKEN"),
        ("me/mine", "hf_old", "did not accept the token"),
        ("me", "hf_mine", "owner/name"),
        ("me/mine/more", "hf_mine", "owner/name"),
        ("me/..", "hf_mine", "owner/name"),
    ],
)
def test_who_may_not_publish_is_told_before_training(
    repo: str,
    token: str | None,
    about: str,
    hub: WritableHub,
    run: Run,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
    out = tmp_path / "mine.safetensors"
    assert_refused(run("train", "gan", "--data", images, "--out", out, *TINY, "--push-to-hub", repo), about)
    assert not out.exists()


def test_a_hub_that_refuses_leaves_the_checkpoint_here(
    hub: WritableHub, run: Run, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    words = ("train", "gan", "--data", images, "--out", out, *TINY, "--width", 4, "--batch", 4)
    ran = run(*words, "--push-to-hub", "other/mine")
    assert ran.code == 1 and "other/mine" in ran.last and "name of your own" in ran.last
    assert ran.out == f"{out}\n" and out.is_file()
    # A run that is over can be resumed to publish what it made.
    state = out.with_name("mine.state.pt")
    assert run(*words, "--resume", state, "--push-to-hub", "me/mine").code == 0
    assert "model.safetensors" in files(hub)


def files(hub: WritableHub) -> set[str]:
    (name,) = hub.made
    return set(huggingface_hub.list_repo_files(name)) - {".gitattributes"}


def text(hub: WritableHub, file: str) -> str:
    (name,) = hub.made
    return Path(huggingface_hub.hf_hub_download(name, file)).read_text("utf-8")
