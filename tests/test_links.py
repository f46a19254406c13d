"""Deep links without a server: an address sets tab, model and controls, and they make the same address."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from app_server import assert_plain
from imgsynth.errors import BadRequest
from imgsynth.ui import arrival as arrivals
from imgsynth.ui import links
from imgsynth.ui.links import FILE_LEFT_OUT, LONGEST, MODELS, query_of, read_link
from page_parts import PageParts, value_of, visitor

pytest_plugins = ["page_fixtures"]

LINKS = {
    "sample": "?tab=sample&model=tiny-gan&seeds=0-3,99&psi=0.7&label=3",
    "interpolate": (
        "?tab=interpolate&model=tiny-vae&keyframes=1,5,6,7&frames=24&path=spline&easing=smoothstep"
        "&loop=false&fps=12&psi=0.5&format=webm&label=2"
    ),
    "translate": "?tab=translate&model=tiny-cyclegan&strength=0.35",
    "inpaint": "?tab=inpaint&model=tiny-lama&grow=7&feather=0&left=16&top=0&right=64&bottom=0",
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page says in passing."""
    sentences: list[str] = []
    monkeypatch.setattr(arrivals.gr, "Warning", lambda text, **_: sentences.append(text))
    monkeypatch.setattr(links.gr, "Info", lambda text, **_: sentences.append(text))
    return sentences


@pytest.fixture(autouse=True)
def no_warning_goes_unseen() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


Follow = Callable[[str], dict[Any, Any]]


@pytest.fixture
def follow(page: PageParts) -> Follow:
    """What an address sets, directions included."""

    def go(query: str) -> dict[Any, Any]:
        updates = page.arrival.arrive(visitor(**dict(parse_qsl(query.removeprefix("?")))))
        model = value_of(updates[page.sampling.model]) or "tiny-gan"
        return updates | page.arrival.move(updates.get(page.arrival.moves), model)

    return go


def asked(page: PageParts, tab: str, updates: dict[Any, Any]) -> dict[Any, Any]:
    """The values of a tab's controls after updates."""
    settings, begun = page.settings[tab], page.begun()
    return {c: value_of(updates[c]) if c in updates else begun[c] for c in settings.controls}


@pytest.mark.parametrize("tab", LINKS)
def test_a_link_makes_the_page_that_makes_the_link(
    page: PageParts, follow: Follow, told: list[str], tab: str
) -> None:
    updates = follow(LINKS[tab])
    selected = updates[page.arrival.tabs].selected
    assert selected == tab
    assert updates[page.arrival.landed] == tab
    assert set(updates) <= {*page.arrival.outputs, *page.arrival.moved}
    assert query_of(page.settings[tab], asked(page, tab, updates)) == LINKS[tab]
    assert told == []


def test_directions_travel_in_a_link(page: PageParts, follow: Follow, told: list[str]) -> None:
    updates = follow("?tab=sample&model=tiny-gan&directions=component 2:1.5,component 1:-0.5")
    panel = page.sampling.parts.directions
    assert [value_of(updates[slider]) for slider in panel.sliders[:3]] == [-0.5, 1.5, 0]
    query = query_of(page.settings["sample"], asked(page, "sample", updates))
    assert query.endswith("&directions=component%201:-0.5,component%202:1.5")
    assert dict(parse_qsl(query))["directions"] == "component 1:-0.5,component 2:1.5"
    assert told == []


def test_a_single_latent_travels_in_a_link(page: PageParts, follow: Follow) -> None:
    updates = follow("?tab=sample&model=tiny-vae&directions=latent 3:2")
    assert query_of(page.settings["sample"], asked(page, "sample", updates)).endswith("latent%203:2")


def test_a_link_without_a_tab_goes_where_its_model_does(page: PageParts, follow: Follow) -> None:
    updates = follow("?model=tiny-cyclegan&strength=0.4")
    assert updates[page.arrival.tabs].selected == "translate"
    assert updates[page.translating.strength] == 0.4


def test_a_link_without_a_model_keeps_the_first(page: PageParts, follow: Follow) -> None:
    updates = follow("?tab=interpolate&keyframes=3,4&__theme=dark&utm_source=mail")
    assert updates[page.arrival.tabs].selected == "interpolate"
    assert updates[page.walking.keyframes] == "3,4"
    assert value_of(updates[page.walking.model]) is None


BAD = {
    "seeds=cats&psi=0.7": ("Seeds are whole numbers", {"psi": 0.7}),
    "psi=loud&seeds=7": ("psi should be a valid number", {"seeds": "7"}),
    "psi=1.9&seeds=7": ("psi can be 0 to 1.5 on the page, not 1.9", {"seeds": "7"}),
    "psi=nan&seeds=7": ("psi should be", {"seeds": "7"}),
    "seeds=1-99999999": ("At most 4096 seeds", {}),
    "label=-2&psi=0.5": ("label should be", {"psi": 0.5}),
    "directions=component 1:far&psi=0.5": ("directions should be", {"psi": 0.5}),
    "directions=component 1:9&psi=0.5": ("directions can be -4 to 4", {"psi": 0.5}),
    "directions=laughter:1&psi=0.5": ("no slider for the direction 'laughter'", {"psi": 0.5}),
    "tab=interpolate&frames=9999&fps=12": ("frames should be", {"fps": 12}),
    "tab=interpolate&frames=601&fps=12": ("frames can be 10 to 600 on the page, not 601", {"fps": 12}),
    "tab=interpolate&path=home&fps=12": ("path should be", {"fps": 12}),
    "tab=interpolate&format=exe&fps=12": ("format should be", {"fps": 12}),
    "tab=interpolate&keyframes=/etc/passwd,2&fps=12": ("Keyframes in a link are seeds", {"fps": 12}),
    "tab=interpolate&keyframes=photo,2": ("Keyframes in a link are seeds", {}),
    "tab=interpolate&loop=perhaps&fps=12": ("loop should be", {"fps": 12}),
    "tab=translate&strength=2": ("strength should be", {}),
    "tab=inpaint&grow=-1&feather=3": ("grow should be", {"feather": 3}),
    "tab=nowhere&psi=0.5": ("There is no tab 'nowhere'", {"psi": 0.5}),
    "tab=translate&model=tiny-gan&strength=0.5": (
        "Tiny-Gan cannot be used in Translate",
        {"strength": 0.5},
    ),
}


@pytest.mark.parametrize("query", BAD)
def test_what_cannot_be_used_is_told_and_the_rest_applies(
    page: PageParts, follow: Follow, told: list[str], query: str
) -> None:
    reason, kept = BAD[query]
    updates = follow(query)
    assert len(told) == 1
    sentence = told[0].replace("&#x27;", "'")
    assert_plain(sentence)
    assert reason in sentence
    asked_for = dict(parse_qsl(query)).get("tab", "sample")
    tab = page.settings[asked_for if asked_for in page.settings else "sample"]
    controls = {setting.name: setting.control for setting in tab.settings}
    assert {name: value_of(updates[controls[name]]) for name in kept} == kept


def test_a_sentence_on_a_link_names_all_that_was_left_aside(page: PageParts) -> None:
    link = read_link(page.settings["sample"], {"psi": "x", "seeds": "y", "label": "z", "model": "tiny-gan"})
    assert link.wanted == {}
    assert_plain(link.sentence)
    assert link.sentence.endswith("psi and label could not be used either.")


@pytest.mark.parametrize("model", ["someone/faces", "tiny-cyclegan"])
def test_directions_of_another_model_move_nothing(
    page: PageParts, told: list[str], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(arrivals, "is_here", lambda checkpoint, session: checkpoint.source != "hub")
    query = {"tab": "sample", "model": model, "psi": "0.5", "directions": "component 1:2"}
    updates = page.arrival.arrive(visitor(**query))
    assert page.arrival.moves not in updates
    assert updates[page.sampling.parts.psi] == 0.5
    assert len(told) == 1
    assert_plain(told[0])
    assert "directions" in told[0].lower()


def test_what_a_link_says_is_shown_letter_by_letter(follow: Follow, told: list[str]) -> None:
    follow("?tab=<img src=x onerror=alert(1)>")
    assert "<img" not in told[0]
    assert "&lt;img" in told[0]


@pytest.mark.parametrize("what", ["/etc/passwd", "./secret.safetensors", "upload-" + "0" * 32])
def test_no_file_of_the_server_is_named_by_a_link(
    page: PageParts, follow: Follow, told: list[str], what: str
) -> None:
    updates = follow(f"?tab=sample&model={what}&psi=0.5")
    assert updates[page.arrival.tabs].selected == MODELS
    assert updates[page.sampling.parts.psi] == 0.5
    assert updates[page.arrival.events.parts.found].endswith(".</p></div>")


def test_a_dropped_file_is_in_no_link(page: PageParts, told: list[str]) -> None:
    values = page.begun() | {page.sampling.model: "upload-" + "a" * 32}
    query = query_of(page.settings["sample"], values)
    assert "upload" not in query
    assert told == [FILE_LEFT_OUT]


def test_photos_and_endless_settings_are_in_no_link(page: PageParts) -> None:
    field, tab = page.walking.keyframes, page.settings["interpolate"]
    with pytest.raises(BadRequest, match="photos stay with you"):
        query_of(tab, page.begun() | {field: "1,me.jpg"})
    latents = ",".join(["latent:z:" + "A" * LONGEST] * 2)
    with pytest.raises(BadRequest, match="too long for a link"):
        query_of(tab, page.begun() | {field: latents})
