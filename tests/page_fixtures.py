"""Fixtures of the page's parts; a test module that needs them says `pytest_plugins = ["page_fixtures"]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import pixels, png
from page_parts import PageParts, Visitor, build_parts


@pytest.fixture(scope="module")
def built() -> PageParts:
    return build_parts()


@pytest.fixture
def page(built: PageParts, tiny_catalog: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PageParts:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return built


@pytest.fixture
def visit(page: PageParts) -> Visitor:
    return Visitor(page)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    path.write_bytes(png(pixels(48, 64)))
    return path
