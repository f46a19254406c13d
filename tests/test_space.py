"""What goes to a Space: all that the app needs, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgsynth import space

ROOT = Path(__file__).resolve().parents[1]


def test_the_app_its_weights_and_its_examples_go() -> None:
    listed = space.files()
    needed = {"README.md", "app.py", "requirements.txt", "imgsynth/__main__.py", "imgsynth/ui/style.css"}
    assert needed <= set(listed)
    weights = {f"weights/{path.name}" for path in (ROOT / "weights").glob("*.safetensors")}
    strips = {f"weights/{path.name}" for path in (ROOT / "weights").glob("*.strip.jpg")}
    assert weights | strips <= set(listed)
    assert "imgsynth/checkpoints/catalog.toml" in listed


def test_what_was_made_or_is_for_developers_stays(tmp_path: Path) -> None:
    kept = ["app.py", "imgsynth/a.py", "weights/a.safetensors", "examples/a.jpg"]
    left = [
        "tests/test_a.py",
        "benchmarks/a.py",
        "imgsynth/__pycache__/a.pyc",
        "imgsynth/ui/a.pyi",
        "weights/a.state.pt",
        ".venv/lib/app.py",
        ".git/config",
    ]
    for name in kept + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert space.files(tmp_path) == sorted(kept)


def test_a_space_is_made_and_filled(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    (tmp_path / "notes.txt").touch()
    calls: list[tuple[str, dict[str, Any]]] = []

    class Made(str):
        repo_id = "someone/page"

    def create_repo(name: str, **options: Any) -> Made:
        calls.append((name, options))
        return Made("https://example.org/someone/page")

    api: Any = SimpleNamespace(
        create_repo=create_repo, upload_folder=lambda **options: calls.append(("upload", options))
    )
    assert space.upload("page", tmp_path, api) == "https://example.org/someone/page"
    (_, made), (_, sent) = calls
    assert made == {"repo_type": "space", "space_sdk": "gradio", "exist_ok": True}
    assert (sent["repo_id"], sent["allow_patterns"]) == ("someone/page", ["app.py"])


def test_a_dry_run_lists_and_uploads_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "upload", lambda name: pytest.fail("uploaded"))
    space.main("someone/page", dry_run=True)
    out, told = capsys.readouterr()
    assert out.split() == space.files()
    assert "would go to someone/page" in told
