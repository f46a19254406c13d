"""The page in other languages: every text has its translation, every translation its text."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from imgsynth.runtime.opening import Runtime
from imgsynth.ui import app, languages
from imgsynth.ui.keys import SHORTCUTS, sheet
from imgsynth.ui.languages import CODES, PROPERTIES, SPEAKING, Page, english, texts
from imgsynth.ui.picker import about, as_offer, available, card
from imgsynth.ui.session import literal

SOURCES = Path(languages.__file__).parents[1]
# Pages of their own, and parameters that only API clients see.
ENGLISH_ONLY = re.compile(r"training_page|parameters|.*endpoints?")
MARKED = re.compile(r'__i18n__(\{"__type__": "translation_metadata", "key": "(?:[^"\\]|\\.)*"\})')
STOPPED = "Stopped."
# What of a formatted text stands before its first value, if it is to tell which text it is.
SHORTEST_START = 4


@pytest.fixture(scope="module")
def page() -> Page:
    return app.build(Runtime("cpu"))


@pytest.fixture(params=CODES)
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shown_parts(page: Page) -> Iterator[Any]:
    hidden = page.parts_of_endpoints()
    return (block for number, block in page.blocks.items() if number not in hidden)


def of_the_catalog() -> set[str]:
    """What models are called and said to do: data, in the language of their authors."""
    rows = available().values()
    return {card(as_offer(row)) for row in rows} | {literal(about(row)) for row in rows}


def texts_of(block: Any) -> Iterator[str]:
    """The texts that the front end looks up; HTML as a whole, or what is marked in it."""
    names = (*PROPERTIES, "value") if isinstance(block, SPEAKING) else PROPERTIES
    every = [getattr(block, name, None) for name in names]
    every += [name for name, _ in getattr(block, "choices", None) or ()]
    for text in every:
        if isinstance(text, str) and re.search(r"[^\W\d_]", text):
            marks = [json.loads(mark)["key"] for mark in MARKED.findall(text)]
            yield from marks or [text]


def texts_on(page: Page) -> set[str]:
    return {text for block in shown_parts(page) for text in texts_of(block)} - of_the_catalog()


def parts_of_wholes() -> set[str]:
    """The texts that are translated within HTML."""
    said: list[str] = []
    for make in app.WHOLES:
        make(lambda text: said.append(text) or text)  # type: ignore[func-returns-value]
    return set(said)


def trees() -> list[ast.AST]:
    return [
        ast.parse(p.read_text("utf-8")) for p in SOURCES.glob("*.py") if not ENGLISH_ONLY.fullmatch(p.stem)
    ]


def constants(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def formatted(node: ast.AST) -> Iterator[str]:
    """f-strings as patterns of what they may become."""
    for text in (n for n in ast.walk(node) if isinstance(n, ast.JoinedStr)):
        start = text.values[0]
        if isinstance(start, ast.Constant) and len(str(start.value)) >= SHORTEST_START:
            parts = (re.escape(str(v.value)) if isinstance(v, ast.Constant) else ".+" for v in text.values)
            yield "".join(parts)


def in_file(code: str) -> dict[str, str]:
    """A language's texts with their numbers still `#`."""
    return tomllib.loads((SOURCES / "languages" / f"{code}.toml").read_text("utf-8"))


def properties_in_code() -> set[str]:
    """Labels, infos and placeholders that are given as they are, on the page or by an event."""
    calls = (n for tree in trees() for n in ast.walk(tree) if isinstance(n, ast.Call))
    given = (keyword.value for call in calls for keyword in call.keywords if keyword.arg in PROPERTIES)
    return {str(v.value) for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)}


def test_every_text_of_the_page_is_translated(page: Page, code: str) -> None:
    known = page.languages.translations[code]
    assert sorted((texts_on(page) | parts_of_wholes()) - known.keys()) == []


def test_every_label_that_an_event_brings_is_translated(code: str) -> None:
    assert sorted(properties_in_code() - texts(code).keys()) == []


def test_every_translation_is_used(page: Page, code: str) -> None:
    every = trees()
    used = texts_on(page) | parts_of_wholes() | set().union(*map(constants, every))
    patterns = [re.compile(pattern) for tree in every for pattern in formatted(tree)]
    firsts = {key.replace("#", "1") for key in in_file(code)}
    unused = {text for text in firsts - used if not any(pattern.fullmatch(text) for pattern in patterns)}
    assert sorted(unused) == []


def test_translations_are_written_like_the_text(code: str) -> None:
    said = texts(code)
    for text, other in said.items():
        assert other.strip() == other != "", text
        assert "}" not in text, f"the front end would cut it there: {text}"
        assert re.search(r"[.:?…]?$", text)[0] == re.search(r"[.:?…]?$", other)[0], (text, other)  # type: ignore[index]
        named = re.findall(r"\*(.+?)\*", text)
        assert re.findall(r"\*(.+?)\*", other) == [said[button] for button in named], (text, other)


def test_numbered_texts_are_counted_out() -> None:
    said = texts("de")
    assert said["Name of direction 8"] == "Name der Richtung 8"
    assert not any("#" in text for text in said)


def test_html_is_translated_as_a_whole(page: Page) -> None:
    german = page.languages.translations["de"]
    told = german[sheet()]
    for _, what, where in SHORTCUTS:
        assert texts("de")[what] in told and texts("de")[where] in told
    assert german[sheet()] == sheet(texts("de").__getitem__) != sheet(english)


def brought(page: Page, outcome: Any) -> Any:
    """What the front end gets of an event's outcome."""
    return asyncio.run(page.postprocess_data(page.fns[0], outcome, None))[0]


def page_of(part: Any, **options: Any) -> Page:
    """A page with one part and one event that changes it."""
    with Page() as page:
        shown = part()
        gr.Button().click(lambda: None, None, shown, **options)
    return page


def test_texts_that_an_event_brings_are_marked() -> None:
    page = page_of(gr.Markdown, api_visibility="private")
    mark = brought(page, STOPPED)
    assert [json.loads(found)["key"] for found in MARKED.findall(mark)] == [STOPPED]
    assert brought(page, "4 pictures") == "4 pictures"
    assert brought(page, gr.Markdown(value=STOPPED))["value"] == mark
    image = page_of(gr.Image, api_visibility="private")
    update = brought(image, gr.Image(label="Newest frame", visible=False))
    radio = page_of(gr.Radio, api_visibility="private")
    choices = brought(radio, gr.Radio([("Any size\nMine", "mine"), ("Theirs", "theirs")]))["choices"]
    assert choices == [(f"{gr.I18n()('Any size')}\nMine", "mine"), ("Theirs", "theirs")]
    assert update["label"] == str(gr.I18n()("Newest frame")) and update["visible"] is False


def test_the_page_begins_with_marked_texts(page: Page) -> None:
    props = {c["props"]["elem_id"]: c["props"] for c in page.config["components"] if "elem_id" in c["props"]}
    assert props["sample-seeds"]["label"] == str(gr.I18n()("Seeds"))
    assert props["sample-seeds"]["value"] == "0-15"
    assert props["keys-corner"]["value"] == str(gr.I18n()(sheet()))


def test_what_visitors_type_and_endpoints_return_is_left_alone(page: Page) -> None:
    assert brought(page_of(gr.Textbox, api_visibility="private"), STOPPED) == STOPPED
    assert brought(page_of(gr.Markdown), STOPPED) == STOPPED
    assert "__i18n__" not in json.dumps(page.get_api_info(), default=str)
    hidden = page.parts_of_endpoints()
    parts = [part["props"] for part in page.config["components"] if part["id"] in hidden]
    assert {"Strength", "Photo"} <= {props.get("label") for props in parts}


def test_python_sees_english(page: Page) -> None:
    buttons = {block.value for block in shown_parts(page) if isinstance(block, gr.Button)}
    assert {"Draw", "Translate", "Fill", "Open"} <= buttons
