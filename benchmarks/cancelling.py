"""How soon a long walk that is cancelled half-way keeps its frames and lets the next visitor draw.

python -m benchmarks.cancelling [--frames 200] [--size 256]

The app runs in a process of its own with a random StyleGAN2, slow enough to be caught at work; Chromium
presses the buttons.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright
from safetensors.torch import save_file

from imgsynth.training.generators import PLANS

MODEL = "avatars-gan"  # the id that the random network takes
PATIENCE = 120.0


def write_network(folder: Path, size: int) -> None:
    plan = PLANS["stylegan2"]
    network = plan.generator(plan.hyperparameters(size, 16))
    save_file(network.state_dict(), folder / f"{MODEL}.safetensors")


@contextmanager
def app(folder: Path) -> Iterator[str]:
    """The address of an app that knows one model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {"IMGSYNTH_WEIGHTS": str(folder), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "imgsynth", "serve", "--port", port]
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        until_open(int(port))
        yield f"http://127.0.0.1:{port}/?model={MODEL}"
    finally:
        process.terminate()
        process.wait()


def until_open(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("The app does not start.")


def half_a_walk(page: Page, frames: int) -> str:
    """Starts a walk and waits until half of it is drawn; what the status said last."""
    page.get_by_role("tab", name="Interpolate").click()
    page.get_by_label("number input for Frames").fill(str(frames))
    page.locator("#interpolate-keyframes textarea").fill("1,2,3")
    page.locator("#interpolate-go").click()
    status = page.locator("#interpolate-status")
    while True:
        done = re.search(r"(\d+) of \d+", status.inner_text())
        if done and int(done[1]) >= frames // 2:
            return status.inner_text()
        page.wait_for_timeout(20)


def measure(page: Page, other: Page, frames: int) -> tuple[str, float, float]:
    """What was kept, seconds until it was, and seconds until another visitor's picture was drawn."""
    half_a_walk(page, frames)
    start = time.perf_counter()
    page.locator("#interpolate-cancel").click()
    other.locator("#sample-go").click()
    expect(other.locator("#sample-status")).to_contain_text("1 picture")
    drawn = time.perf_counter() - start
    status = page.locator("#interpolate-status")
    expect(status).to_contain_text("are kept")
    return status.inner_text(), time.perf_counter() - start, drawn


def visitor(browser: Any, address: str) -> Page:
    page: Page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(address)
    expect(page.locator("#sample-status")).to_contain_text("16 pictures", timeout=PATIENCE * 1000)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    expect.set_options(timeout=PATIENCE * 1000)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_network(Path(folder), options.size)
        with app(Path(folder)) as address:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            page, other = (visitor(browser, address) for _ in range(2))
            other.locator("#sample-seeds textarea").fill("77")
            kept, stopped, drawn = measure(page, other, options.frames)
            browser.close()
    print(f"{kept}  {stopped:.2f} s after Cancel; another visitor's picture: {drawn:.2f} s")


if __name__ == "__main__":
    main()
