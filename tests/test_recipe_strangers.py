"""Files and records of strangers in the recipe panel: they are told, and break nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from app_server import assert_plain
from imgsynth.errors import ImgsynthError
from imgsynth.imaging.read import read_photo
from imgsynth.ui.facts import note_card
from imgsynth.ui.recipe_words import FOREIGN
from page_parts import Visitor, drawn_by, strange, value_of

pytest_plugins = ["page_fixtures"]


def test_a_file_from_elsewhere_is_told_kindly(visit: Visitor, photo: Path) -> None:
    visit.drop(drawn_by(visit, "tiny-gan", seeds=[1]))
    updates, p = visit.drop(photo), visit.parts
    assert updates[p.card] == note_card(FOREIGN)
    assert_plain(FOREIGN)
    assert updates[p.recipe] is None
    assert all(not updates[part].get("visible") for part in (p.apply, p.again, p.lead, p.needed))


@pytest.mark.parametrize("content", [b"", b"Dear diary", b'{"imgsynth": "1.0.0"}', b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_told(visit: Visitor, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.png").write_bytes(content)
    updates = visit.drop(tmp_path / "notes.png")
    assert updates[visit.parts.card].startswith('<div class="facts empty"><p>')
    assert str(tmp_path) not in updates[visit.parts.card]


STRANGE: dict[str, dict[str, Any]] = {
    "markup": {"request": {"<b>seed</b>": "<script>alert(1)</script>"}, "checkpoint": {"id": "<img src=x>"}},
    "no request": {"request": None},
    "no checkpoint": {"checkpoint": None},
    "an endless list": {"request": {"seeds": list(range(5000))}},
    "another task": {"task": "<i>dream</i>"},
    "bad values": {"request": {"seed": "seven", "psi": [], "directions": 3}},
    "a path": {"checkpoint": {"id": "/etc/passwd", "source": "bundled"}},
    "a token": {"checkpoint": {"id": "upload-" + "0" * 32}},
    "photos of no kind": {"input_sha256": "many", "task": "translate"},
}


@pytest.mark.parametrize("case", STRANGE)
def test_records_of_strangers_break_nothing(visit: Visitor, tmp_path: Path, case: str) -> None:
    updates = visit.drop(strange(tmp_path, **STRANGE[case]))
    card = updates[visit.parts.card] + updates[visit.parts.note].replace("\\<", "")
    assert not any(tag in card for tag in ("<script", "<img", "<b>", "<i>"))
    assert "passwd is" not in card
    for press in (visit.apply, visit.again):
        with pytest.raises(ImgsynthError) as refused:
            press()
        assert_plain(str(refused.value))


UNSENDABLE: dict[str, Any] = {"half a character": "\ud800", "endless digits": 10**30, "too deep": None}


@pytest.mark.parametrize("case", UNSENDABLE)
def test_what_no_browser_can_be_sent_is_no_recipe(visit: Visitor, tmp_path: Path, case: str) -> None:
    value = UNSENDABLE[case]
    for _ in range(0 if value else 300):
        value = [value]
    updates, p = visit.drop(strange(tmp_path, request={"seed": value})), visit.parts
    assert (updates[p.card], updates[p.recipe], updates[p.raw]) == (note_card(FOREIGN), None, None)


@pytest.mark.parametrize("keyframes", [["photo", "photo"], ["photo", "<b>", 5], "photo", 7])
def test_keyframes_of_strangers_are_checked(
    visit: Visitor, photo: Path, tmp_path: Path, keyframes: Any
) -> None:
    request, used = {"keyframes": keyframes}, [read_photo(photo).sha256]
    made_by = {"id": "tiny-vae"}
    visit.drop(strange(tmp_path, task="interpolate", request=request, input_sha256=used, checkpoint=made_by))
    visit.give(photo)
    with pytest.raises(ImgsynthError) as refused:
        visit.apply()
    assert_plain(str(refused.value))


def test_a_file_is_shown_only_as_what_imgsynth_writes(visit: Visitor, tmp_path: Path) -> None:
    made = drawn_by(visit, "tiny-gan", seeds=[1])
    for name in ("drawn.svg", "drawn", "drawn.html"):
        updates = visit.drop(shutil.copy(made, tmp_path / name))
        assert updates[visit.parts.recipe] is not None
        assert value_of(updates[visit.parts.image]) is None
    assert value_of(visit.drop(made)[visit.parts.image]) == made
