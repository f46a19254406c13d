"""Example photos, free to redistribute; credits are in examples/README.md."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "examples"
BY_TASK = {
    "translate": ("china.jpg", "flower.jpg", "rocket.jpg", "coffee.jpg"),
    "inpaint": ("china.jpg", "chelsea.jpg", "coffee.jpg", "flower.jpg"),
}


def example_photos(task: str) -> list[list[str]]:
    """Rows for `gr.Examples`; empty where the folder does not come along."""
    return [[str(FOLDER / name)] for name in BY_TASK[task] if (FOLDER / name).is_file()]
