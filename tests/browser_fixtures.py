"""Fixtures around the browser; a test module that needs them says `pytest_plugins = ["browser_fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app_fixtures import FAILED
from app_server import ARTIFACTS, PATIENCE, AppServer
from browser_pages import CHROMIUM, Visit, api, keep

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = ["--no-sandbox", "--disable-background-networking"]
# The mask's editor draws with WebGL, which headless Chromium has only from its software renderer. Every page
# then costs a fifth more, so only a module whose tests paint says EDITOR = True.
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    ARTIFACTS.mkdir(exist_ok=True)
    drawing = WEBGL if getattr(request.module, "EDITOR", False) else ["--disable-gpu"]
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *drawing])
        yield browser
        browser.close()


@pytest.fixture
def not_a_photo(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary, today nothing happened.")
    return path


@pytest.fixture
def visit(browser: Browser, app_server: AppServer, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens the page and waits for its first pictures; in the end, no request may have left the machine.

    Of a test that failed, the pages as they are then are kept among the screenshots.
    """
    contexts, asked, failed, servers = [], [], [], [app_server]

    def go(
        query: str = "",
        width: int = 1280,
        height: int = 900,
        server: AppServer = app_server,
        locale: str = "en-US",
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        servers.append(server)
        page = context.new_page()
        context.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(server.url + query)
        api.expect(page.locator("#sample-gallery img")).to_have_count(16)
        return page

    yield go
    for number, context in enumerate(contexts):
        if request.node.stash[FAILED]:
            keep(context.pages[0], f"failed-{request.node.name}-{number}")
        context.close()
    assert asked
    allowed = (*(f"{server.url}/" for server in servers), "data:", "blob:")
    assert [url for url in asked if not url.startswith(allowed)] == []
    assert failed == []
