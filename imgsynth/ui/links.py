"""Deep links: an address that names a tab, a model and settings, such as `?tab=sample&seeds=0-15&psi=0.7`.

The names are those of the interface page, so that a link outlives a restart and later versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.summaries import TASKS
from imgsynth.ui.dropped import is_token
from imgsynth.ui.session import CHEAP, QUICK, plain
from imgsynth.ui.settings import TabSettings, Values

TAB, MODEL = "tab", "model"
MODELS = "models"
TABS = (*TASKS, MODELS)
COPY, COPIED, SHOWN_ONLY = "Copy link", "Copied", "In the address"
CLIPBOARD = "clipboard"  # where the script says it has put the link
# Servers and messengers cut longer addresses.
LONGEST = 6000
SHOWN = 40
FILE_LEFT_OUT = (
    "The model is a file of yours, which a link cannot carry: whoever follows it opens the file first."
)
SCRIPT = Path(__file__).with_name("links.js").read_text("utf-8")
WHERE, SHOW, PAUSE = (f"(...given) => ({SCRIPT}).{name}(...given)" for name in ("where", "show", "pause"))


@dataclass
class Link:
    """What an address asks of a tab.

    Attributes:
        wanted: checked values by name.
        refused: why others cannot be used, by name.
    """

    wanted: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """One sentence on what cannot be used; empty where everything can."""
        if not self.refused:
            return ""
        reason = next(iter(self.refused.values())).removesuffix(".")
        others = list(self.refused)[1:]
        also = f", and {' and '.join(others)} could not be used either" if others else ""
        return f"The link was followed as far as it goes: {reason}{also}."


def read_link(tab: TabSettings, query: Mapping[str, str]) -> Link:
    """The settings of a tab that an address names; what other names it holds is left aside."""
    link = Link()
    for name in tab.names:
        if name not in query:
            continue
        try:
            link.wanted[name] = tab.checked(name, tab.spelling(name).read(query[name]))
        except BadRequest as error:
            link.refused[name] = str(error)
    return link


def query_of(tab: TabSettings, values: Values) -> str:
    """The address of a tab as its controls stand, from its question mark on.

    Raises:
        BadRequest: a field holds something that the task does not take, or all of it is too long for a link.
    """
    wanted, name = tab.asked(values), values[tab.model]
    named = {TAB: tab.task}
    if name and is_token(name):
        gr.Info(FILE_LEFT_OUT)
    elif name:
        named[MODEL] = name
    written = {name: tab.spelling(name).write(wanted[name]) for name in tab.names if name in wanted}
    return encoded(named | written)


def encoded(parameters: Mapping[str, str]) -> str:
    """As a query, with what may stand in one unquoted left as it is."""
    query = f"?{urlencode(parameters, quote_via=quote, safe='/:@,')}"
    if len(query) > LONGEST:
        raise BadRequest(
            "These settings are too long for a link; download the result, which carries its recipe."
        )
    return query


def make_copy_button() -> gr.Button:
    return gr.Button(COPY, size="sm", elem_id="copy-link")


def connect_copy(button: gr.Button, tabs: Mapping[str, TabSettings], what: gr.Textbox) -> None:
    """The button puts the address of the tab that is seen on the clipboard and into the address bar.

    Args:
        what: the name in the Models tab.
    """
    where, query = gr.Textbox(visible=False), gr.Textbox(visible=False)

    @plain
    def link(values: Values) -> str:
        seen = values[where]
        if seen in tabs:
            return query_of(tabs[seen], values)
        named = {MODEL: values[what].strip()} if values[what].strip() else {}
        return encoded({TAB: MODELS, **named})

    controls = {control for tab in tabs.values() for control in tab.controls}
    seen = button.click(None, None, where, js=WHERE, **CHEAP)
    made = seen.then(link, {where, what, *controls}, query, **QUICK)
    shown = made.success(None, query, where, js=SHOW, **CHEAP)
    told = shown.then(lambda way: COPIED if way == CLIPBOARD else SHOWN_ONLY, where, button, **CHEAP)
    told.then(None, None, None, js=PAUSE, **CHEAP).then(lambda: COPY, None, button, **CHEAP)
