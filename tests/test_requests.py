"""What can be asked: fields, limits, seeds, and the sentence that a wrong value is answered with."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgsynth.errors import BadRequest
from imgsynth.tasks.requests import (
    LARGEST_SEED,
    MOST_FRAMES,
    MOST_SEEDS,
    InpaintRequest,
    InterpolateRequest,
    Request,
    SampleRequest,
    TranslateRequest,
    make_request,
    parse_seeds,
    show_seeds,
)

seeds = st.integers(0, LARGEST_SEED)
starts_and_lengths = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9)), min_size=1)


@given(st.lists(seeds, min_size=1))
def test_shown_seeds_are_read_back(numbers: list[int]) -> None:
    assert parse_seeds(show_seeds(numbers)) == numbers


@given(starts_and_lengths)
def test_shown_runs_of_seeds_are_read_back(runs: list[tuple[int, int]]) -> None:
    numbers = [n for start, length in runs for n in range(start, start + length)]
    assert parse_seeds(show_seeds(numbers)) == numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", [7]),
        ("1,2,5-10", [1, 2, 5, 6, 7, 8, 9, 10]),
        (" 3 , 1 ", [3, 1]),
        ("4-4", [4]),
        ("2,2", [2, 2]),
        ("1,,2,", [1, 2]),
        (f"{LARGEST_SEED}", [LARGEST_SEED]),
    ],
)
def test_seeds_are_read_in_their_order(text: str, expected: list[int]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"), [("1,2,3,4", "1-4"), ("1,2", "1,2"), ("3,2,1", "3,2,1"), ("5-7,9", "5-7,9")]
)
def test_only_runs_of_three_or_more_become_ranges(text: str, shown: str) -> None:
    assert show_seeds(parse_seeds(text)) == shown


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("abc", "abc"),
        ("", "at least one seed"),
        (" , ", "at least one seed"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("5-1", "backwards"),
        ("1-2-3", "1-2-3"),
        ("0x10", "0x10"),
        (f"{LARGEST_SEED + 1}", "too large"),
        (f"0-{MOST_SEEDS}", f"At most {MOST_SEEDS}"),
        ("0-4294967295", f"At most {MOST_SEEDS}"),
        (f"0-{MOST_SEEDS - 1},7", f"At most {MOST_SEEDS}"),
        ("9" * 5000, "whole numbers"),
    ],
)
def test_wrong_seeds_are_refused_in_a_sentence(text: str, about: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(about)) as caught:
        parse_seeds(text)
    assert_sentence(str(caught.value))


@given(st.text(max_size=20))
def test_any_text_is_seeds_or_a_sentence(text: str) -> None:
    try:
        numbers = parse_seeds(text)
    except BadRequest as error:
        assert_sentence(str(error))
    else:
        assert all(0 <= n <= LARGEST_SEED for n in numbers)


def test_as_many_seeds_as_allowed_are_read() -> None:
    assert len(parse_seeds(f"0-{MOST_SEEDS - 1}")) == MOST_SEEDS


def assert_sentence(text: str) -> None:
    assert re.fullmatch(r"\S[^\n]*\.", text), text
    # What a person wrote is quoted as it is, full stops included.
    assert not re.search(r"[.!?]\s+\S", re.sub(r"""'.*'|".*\"""", "", text)), text
    assert len(text) < 200


WRONG: list[tuple[type[Request], str, Any]] = [
    (SampleRequest, "seeds", []),
    (SampleRequest, "seeds", [-1]),
    (SampleRequest, "seeds", [LARGEST_SEED + 1]),
    (SampleRequest, "seeds", ["seven"]),
    (SampleRequest, "seeds", [1.5]),
    (SampleRequest, "seeds", [None]),
    (SampleRequest, "seeds", list(range(MOST_SEEDS + 1))),
    (SampleRequest, "psi", -0.1),
    (SampleRequest, "psi", 2.1),
    (SampleRequest, "psi", float("nan")),
    (SampleRequest, "psi", float("inf")),
    (SampleRequest, "psi", "much"),
    (SampleRequest, "label", -1),
    (InterpolateRequest, "keyframes", [1]),
    (InterpolateRequest, "keyframes", [1, "picture"]),
    (InterpolateRequest, "keyframes", [1, -2]),
    (InterpolateRequest, "keyframes", list(range(65))),
    (InterpolateRequest, "frames", 1),
    (InterpolateRequest, "frames", MOST_FRAMES + 1),
    (InterpolateRequest, "frames", 2.5),
    (InterpolateRequest, "path", "zigzag"),
    (InterpolateRequest, "loop", "perhaps"),
    (InterpolateRequest, "fps", 0),
    (TranslateRequest, "strength", 1.01),
    (TranslateRequest, "strength", None),
    (InpaintRequest, "grow", -1),
    (InpaintRequest, "feather", 257),
    (InpaintRequest, "colour", "red"),
    (InpaintRequest, "kind", "red"),
]


@pytest.mark.parametrize(("kind", "field", "value"), WRONG)
def test_wrong_values_are_refused_in_a_sentence_that_names_the_field(
    kind: type[Request], field: str, value: Any
) -> None:
    fine = {SampleRequest: {"seeds": [1]}, InterpolateRequest: {"keyframes": [1, 2]}}.get(kind, {})
    with pytest.raises(BadRequest) as caught:
        make_request(kind, **{**fine, field: value})
    assert str(caught.value).startswith(field)
    assert_sentence(str(caught.value))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadRequest, match="seeds"):
        make_request(SampleRequest)


def test_defaults_are_those_of_the_command_line() -> None:
    assert make_request(SampleRequest, seeds=[1]).model_dump() == {"seeds": [1], "psi": 1.0, "label": None}
    assert make_request(InterpolateRequest, keyframes=[1, "photo"]).model_dump() == {
        "keyframes": [1, "photo"],
        "frames": 120,
        "path": "slerp",
        "loop": False,
        "fps": 30,
        "psi": 1.0,
        "label": None,
    }
    assert make_request(TranslateRequest).model_dump() == {"strength": 1.0}
    assert make_request(InpaintRequest).model_dump() == {"grow": 0, "feather": 0}


@pytest.mark.parametrize("kind", [SampleRequest, InterpolateRequest, TranslateRequest, InpaintRequest])
def test_every_field_but_switches_is_described(kind: type[Request]) -> None:
    assert all(field.description for field in kind.model_fields.values())
