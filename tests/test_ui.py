"""What every event of the page leans on, without a server."""

from __future__ import annotations

import contextvars
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from app_server import assert_plain
from builders import model_of, pixels, png, tiny_dcgan, tiny_vae
from imgsynth.architectures.taesd import TAESD, TAESD_BARE
from imgsynth.errors import BadRequest
from imgsynth.ui.keyframes import keyframes_of, psi_of
from imgsynth.ui.session import literal, plain, wanted


def test_work_for_a_cancelled_event_ends() -> None:
    def event() -> None:
        waiting: dict[str, Any] = {"walk": object()}
        LocalContext.event_id.set("walk")
        LocalContext.blocks.set(SimpleNamespace(_queue=SimpleNamespace(event_ids_to_events=waiting)))
        frames = wanted(range(9))
        assert [next(frames), next(frames)] == [0, 1]
        waiting.clear()
        with pytest.raises(gr.Error):
            next(frames)

    contextvars.Context().run(event)


def test_work_outside_an_event_runs_to_its_end() -> None:
    assert contextvars.Context().run(lambda: list(wanted(range(9)))) == list(range(9))


def test_our_errors_keep_their_sentence_and_others_tell_nothing() -> None:
    @plain
    def event(error: Exception) -> None:
        raise error

    @plain
    def stream(error: Exception) -> Any:
        yield 1
        raise error

    for call in (event, lambda error: list(stream(error))):
        with pytest.raises(gr.Error) as refused:
            call(BadRequest("Seeds are whole numbers."))
        assert refused.value.message == "Seeds are whole numbers."
        with pytest.raises(gr.Error) as failed:
            call(RuntimeError("no kernel at /opt/secret"))
        assert_plain(failed.value.message)
        assert "secret" not in failed.value.message


def test_a_toast_shows_what_strangers_wrote_letter_by_letter() -> None:
    def event() -> None:
        raise BadRequest("psi should be a number, not '<img src=x>'.")

    for call, told in (
        (plain(event), "psi should be a number, not '&lt;img src=x&gt;'."),
        (plain(event, on_page=False), "psi should be a number, not '<img src=x>'."),
    ):
        with pytest.raises(gr.Error) as refused:
            call()
        assert refused.value.message == told


def test_names_of_strangers_are_no_markdown() -> None:
    assert literal("[a](http://b) *c* <d>") == r"\[a\](http://b) \*c\* \<d\>"


@pytest.fixture
def two_photos(tmp_path: Path) -> list[str]:
    for seed, name in enumerate("ab"):
        (tmp_path / f"{name}.png").write_bytes(png(pixels(40, 40, seed=seed)))
    return [str(tmp_path / f"{name}.png") for name in "ab"]


def test_keyframes_are_what_the_model_takes(two_photos: list[str]) -> None:
    gan, vae = model_of(tiny_dcgan()), model_of(tiny_vae())
    codec = model_of(TAESD(**TAESD_BARE.example))
    photos = tuple((Path(path).name, path) for path in two_photos)
    # What an earlier model took stays in the field, and is left aside.
    assert keyframes_of(gan, "1-3,a.png", photos) == ([1, 2, 3], [])
    for model, text in ((vae, "a.png,b.png"), (codec, "abc,1-3,a.png,b.png")):
        keyframes, opened = keyframes_of(model, text, photos)
        assert keyframes == ["photo", "photo"]
        assert [photo.name for photo in opened] == ["a", "b"]
    for few in ("1-3", "1-3,a.png"):
        with pytest.raises(BadRequest, match="two photos"):
            keyframes_of(codec, few, photos)
    assert (psi_of(gan, 0.7), psi_of(codec, 0.7)) == (0.7, 1.0)
