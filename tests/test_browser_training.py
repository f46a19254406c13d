"""The page of a run, in a real browser: curves and sheet, wide and narrow, and news as they come."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgsynth.training.log import log_path, sheet_path
from imgsynth.ui.training_page import watching

CHROMIUM = shutil.which("chromium")
api: Any = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -r requirements-dev.txt"
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine's PATH"),
]
PATIENCE = 60_000  # milliseconds


def add_lines(out: Path, steps: range) -> None:
    with log_path(out).open("a") as file:
        for step in steps:
            losses = {"D": 2.0 / (step + 1), "G": step * 0.1, "real spread": 0.4}
            more = {"images_per_second": 31.7, "rates": {"g": 2e-4}, "memory_mb": 812, "note": ""}
            entry = {"step": step, "seconds": step * 2.0, "progress": step / 100, "losses": losses, **more}
            file.write(json.dumps(entry) + "\n")


def test_a_run_can_be_watched(tmp_path: Path) -> None:
    out = tmp_path / "made.safetensors"
    add_lines(out, range(30))
    Image.new("RGB", (274, 274), "teal").save(sheet_path(out))
    with watching(out) as address, api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        asked: list[str] = []
        for width, height in ((1280, 900), (390, 844)):
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE)
            page.on("request", lambda request: asked.append(request.url))
            page.goto(address)
            page.get_by_text("step 30 ").wait_for()
            for name in ("D", "G", "real spread"):
                page.get_by_text(name, exact=True).wait_for()
            page.wait_for_function("document.querySelectorAll('canvas, svg.marks').length >= 3")
            sheet = page.locator(".sheet img")
            sheet.wait_for()
            assert sheet.bounding_box()["width"] > 0.4 * min(width, 800)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        add_lines(out, range(30, 40))
        page.get_by_text("step 40 ").wait_for()
        assert all(url.startswith((address, "data:", "blob:")) for url in asked)
        browser.close()
