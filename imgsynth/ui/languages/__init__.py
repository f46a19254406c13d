"""The page in the language of the visitor's browser.

The code says each text in English, at the place where it is used. The files beside this one, one a language,
say it in another, by the English text; `#` in them stands for a number. `Page` marks what they know on its
way to the front end, which puts the visitor's words there. Python and the endpoints see nothing but English.
"""

from __future__ import annotations

import functools
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

Texts = dict[str, str]  # by the English text
Say = Callable[[str], str]  # from an English text to what a page shows

CODES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))
# Screen readers pronounce a page by the language that it says it is in.
DECLARE = f"""() => {{
  const code = navigator.language.split("-")[0]
  document.documentElement.lang = {json.dumps(CODES)}.includes(code) ? code : "en"
}}"""
MOST_NUMBERED = 40
# Properties of any component that are texts of ours, and components whose value is one as well.
PROPERTIES = ("label", "info", "placeholder")
SPEAKING = (gr.Button, gr.Markdown, gr.HTML)


@functools.cache
def texts(code: str) -> Texts:
    """The texts of one language, with `#` counted out."""
    said = tomllib.loads((Path(__file__).parent / f"{code}.toml").read_text("utf-8"))
    numbers = [str(number) for number in range(1, MOST_NUMBERED + 1)]
    return {
        key.replace("#", number): text.replace("#", number)
        for key, text in said.items()
        for number in (numbers if "#" in key else ("",))
    }


def english(text: str) -> str:
    """What the code says is English already."""
    return text


def said_in(code: str) -> Say:
    """Says a text in a language; one that it does not know, in English."""
    return lambda text: texts(code).get(text, text)


def translations(wholes: Sequence[Callable[[Say], str]]) -> gr.I18n:
    """What the front end needs to know.

    Args:
        wholes: make HTML by saying the texts in it; the front end, which translates one text a component,
            gets such HTML as one text.
    """
    every = {}
    for code in CODES:
        said = texts(code)
        every[code] = said | {make(english): make(said_in(code)) for make in wholes}
    return gr.I18n(**every)


class Page(gr.Blocks):
    """Blocks whose texts reach the visitor in the browser's language.

    Attributes:
        languages: for `launch`, which takes it as `i18n`.
    """

    def __init__(self, wholes: Sequence[Callable[[Say], str]] = (), **options: Any) -> None:
        self.languages = translations(wholes)
        self._known = frozenset().union(*self.languages.translations.values())
        super().__init__(**options)

    def get_config_file(self) -> Any:
        """What the page begins with, marked but for the parts of endpoints, which no page shows."""
        config = super().get_config_file()
        hidden = self.parts_of_endpoints()
        for part in config["components"]:
            if part["id"] not in hidden:
                part["props"] = self.marked(self.blocks[part["id"]], part["props"])
        return config

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """What an event hands over, marked; an endpoint's results are left as they are."""
        output = await super().postprocess_data(block_fn, predictions, state)
        if block_fn.api_visibility == "public":
            return output
        return [self.marked(*pair) for pair in zip(block_fn.outputs, output, strict=True)]

    def parts_of_endpoints(self) -> set[int]:
        """The numbers of the components that endpoints are declared on."""
        endpoints = [fn for fn in self.fns.values() if fn.api_visibility == "public"]
        parts = {part._id for fn in endpoints for part in (*fn.inputs, *fn.outputs)}
        return parts | {number for fn in endpoints for number, _ in fn.targets if number is not None}

    def marked(self, block: Block, value: Any) -> Any:
        """A component's new value, or its properties, with every text marked that has a translation."""
        speaks = isinstance(block, SPEAKING)
        if not isinstance(value, dict):
            return self.mark(value) if speaks else value
        names = (*PROPERTIES, "value") if speaks else PROPERTIES
        changed = {name: self.mark(value[name]) for name in names if name in value}
        if value.get("choices"):
            changed["choices"] = [self.marked_choice(choice) for choice in value["choices"]]
        return value | changed

    def marked_choice(self, choice: Any) -> Any:
        """A choice as its name and value; of a name of several lines, the first is a text of ours."""
        if not isinstance(choice, list | tuple):
            return choice
        first, line_break, others = str(choice[0]).partition("\n")
        return (f"{self.mark(first)}{line_break}{others}", choice[1])

    def mark(self, value: Any) -> Any:
        """A text as the front end translates it, also amidst other HTML; anything else as it is."""
        known = isinstance(value, str) and value in self._known
        return str(self.languages(value)) if known else value
