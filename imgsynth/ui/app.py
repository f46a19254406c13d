"""The page: header, five tabs, endpoints."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import gradio as gr

from imgsynth.errors import BadRequest
from imgsynth.runtime.device import describe
from imgsynth.runtime.opening import Runtime
from imgsynth.summaries import TASKS
from imgsynth.ui.arrival import MODELS, Arrival
from imgsynth.ui.carrying import Carrier, photo_of
from imgsynth.ui.endpoints import add_endpoints
from imgsynth.ui.facts import memory_card, note_card
from imgsynth.ui.inpaint_tab import InpaintTab, make_inpaint_tab
from imgsynth.ui.interpolate_tab import InterpolateTab, make_interpolate_tab
from imgsynth.ui.keys import add_keys, sheet
from imgsynth.ui.languages import DECLARE, Page, Say
from imgsynth.ui.leftovers import keep_clean
from imgsynth.ui.links import connect_copy, make_copy_button
from imgsynth.ui.models_events import EMPTY as UNCHOSEN
from imgsynth.ui.models_events import UNTOLD
from imgsynth.ui.models_tab import LOOKING, ModelsTab
from imgsynth.ui.picked import PickedPanel
from imgsynth.ui.picker import offered, strips_css
from imgsynth.ui.queueing import bound_queue
from imgsynth.ui.recipe_panel import connect_recipe, make_recipe_panel
from imgsynth.ui.recipe_parts import Targets
from imgsynth.ui.recipe_words import EMPTY as NO_RECIPE
from imgsynth.ui.recipe_words import FOREIGN
from imgsynth.ui.sample_tab import SampleTab, make_sample_tab
from imgsynth.ui.session import CHEAP, LANE, PRIVATE, QUICK, Session, most_megabytes, plain
from imgsynth.ui.tab_settings import page_settings
from imgsynth.ui.theme import CSS, make_theme
from imgsynth.ui.translate_tab import TranslateTab, make_translate_tab
from imgsynth.ui.zero_gpu import borrow_gpus

TITLE = "imgsynth"
PROMISE = "See and use GANs, VAEs and CycleGANs: sample, interpolate, translate and inpaint."
# Uploads and results are looked at every ten minutes and deleted an hour after they were made.
DELETE_CACHE = (600, 3600)
PORT = 7860
# docker stop and systemd send the first, a terminal that is closed the second, which Windows does not know.
STOPPING = ("SIGTERM", "SIGHUP")


def spoken_note(sentence: str, say: Say) -> str:
    return note_card(say(sentence))


# HTML that the page begins with, or that an event brings, the same each time.
WHOLES: tuple[Callable[[Say], str], ...] = (
    sheet,
    functools.partial(memory_card, ()),
    *(functools.partial(spoken_note, sentence) for sentence in (UNCHOSEN, UNTOLD, NO_RECIPE, FOREIGN)),
)


def header(runtime: Runtime, say: Say) -> str:
    """Name, promise, and a badge with the device and the memory that models take."""
    megabytes = runtime.pool.bytes_in_memory() / 1e6
    badge = f"{describe(runtime.device)} · {runtime.precision} · {megabytes:.0f} MB of models"
    return f'<div id="header"><h1>{TITLE}</h1><p>{say(PROMISE)}</p><span class="badge">{badge}</span></div>'


def build(runtime: Runtime) -> Page:
    """The whole page over one runtime; sessions share its models and nothing else."""
    session = Session(runtime)
    with Page(WHOLES, title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE) as page:
        top = gr.HTML(header(runtime, page.mark), padding=False)
        add_keys(page)
        page.load(None, None, None, js=DECLARE, **CHEAP)
        copy, recipe = make_copy_button(), make_recipe_panel()
        opened: gr.State = gr.State(())
        with gr.Tabs() as tabs:
            with gr.Tab("Sample", id="sample"):
                sampling = make_sample_tab(session, opened)
            with gr.Tab("Interpolate", id="interpolate") as walk_tab:
                walking = make_interpolate_tab(session, opened)
            with gr.Tab("Translate", id="translate"):
                translating = make_translate_tab(session, opened)
            with gr.Tab("Inpaint", id="inpaint"):
                inpainting = make_inpaint_tab(session, opened)
            with gr.Tab("Models", id=MODELS):
                pickers = (sampling.model, walking.model, translating.model, inpainting.model)
                models = ModelsTab(session, opened, pickers)
        walking.draw(walk_tab.select)
        connect_keyframes(session, sampling, walking, tabs)
        connect_use_in(sampling.picked, translating, inpainting, tabs)
        connect_models(models, sampling, tabs)
        settings = page_settings(sampling, walking, translating, inpainting)
        arrival = Arrival(session, models.events, tabs, settings)
        connect_arrival(page, arrival, sampling, walking)
        connect_copy(copy, settings, models.parts.what)
        targets = Targets(walking.controls, translating.photo, inpainting.photo, inpainting.hole)
        walking.draw(connect_recipe(page, recipe, arrival, targets, sampling).success)
        add_endpoints(session)
        gr.Timer(5).tick(functools.partial(state_of, runtime, page.mark), None, [top, models.memory], **CHEAP)
    borrow_gpus(page, runtime)
    bound_queue(page)
    return page


def state_of(runtime: Runtime, say: Say) -> tuple[str, str]:
    """What changes without a visitor's doing: the header, and what is in memory."""
    return header(runtime, say), memory_card(runtime.pool.loaded(), say)


def connect_arrival(page: gr.Blocks, arrival: Arrival, sampling: SampleTab, walking: InterpolateTab) -> None:
    """Pickers and the address first, then sixteen pictures and whatever else the chosen models call for."""
    p = arrival.events.parts
    arrived = page.load(plain(arrival.arrive), None, arrival.outputs, **QUICK)
    walking.draw(arrival.landed.change)
    if offered("sample"):
        drawing = sampling.draw_after(arrived)
        drawing.then(sampling.fit, sampling.fit_inputs, sampling.fit_outputs, **QUICK)
        wished = [arrival.moves, sampling.model]
        moved = arrival.moves.change(plain(arrival.move), wished, arrival.moved, **LANE, **PRIVATE)
        sampling.draw_after(moved)
        drawing.then(walking.fit, walking.fit_inputs, walking.fit_outputs, **QUICK)
    arrived.then(plain(arrival.look), arrival.asked, arrival.outputs, show_progress_on=[p.found], **LOOKING)


def connect_models(models: ModelsTab, sampling: SampleTab, tabs: gr.Tabs) -> None:
    """'Go to …' leads to the tabs that have the model now; Sample draws it at once."""
    for task, button in zip(TASKS, models.parts.go, strict=True):
        gone = button.click(functools.partial(gr.Tabs, selected=task), None, tabs, **CHEAP)
        if task == "sample":
            sampling.draw_after(gone)


def connect_keyframes(session: Session, sampling: SampleTab, walking: InterpolateTab, tabs: gr.Tabs) -> None:
    """What is shown, kept or picked becomes keyframes, with its model and class."""
    carrier, picked, kept = Carrier(session), sampling.picked, sampling.tray.kept
    targets = [walking.model, walking.keyframes, walking.label, tabs]
    carried = [sampling.model, sampling.seeds, sampling.label, sampling.shown]
    walking.draw(sampling.to_keyframes.click(plain(carrier.seeds), carried, targets, **QUICK).success)
    walking.draw(sampling.tray.to_keyframes.click(plain(carrier.pictures), kept, targets, **QUICK).success)
    there = [picked.picked, walking.model, walking.keyframes]
    picked.to_keyframe.click(plain(carrier.appended), there, targets, **QUICK)


def connect_use_in(
    picked: PickedPanel, translating: TranslateTab, inpainting: InpaintTab, tabs: gr.Tabs
) -> None:
    """The picked picture becomes another tab's photo."""
    uses = (
        (picked.to_translate, translating.photo, "translate"),
        (picked.to_inpaint, inpainting.photo, "inpaint"),
    )
    for button, photo, tab in uses:
        button.click(plain(functools.partial(photo_of, tab=tab)), picked.picked, [photo, tabs], **QUICK)


def launch(
    host: str | None = None,
    port: int | None = None,
    mcp: bool = False,
    device: str | None = None,
    precision: str | None = None,
    **options: Any,
) -> Any:
    """Starts the app and blocks until it is stopped, by Ctrl-C or a signal; nothing of visitors stays then.

    Args:
        host, port: where to listen; None reads GRADIO_SERVER_NAME and GRADIO_SERVER_PORT,
            else 127.0.0.1:7860.
        mcp: whether to serve the endpoints as MCP tools too.
        device, precision: None reads IMGSYNTH_DEVICE and IMGSYNTH_PRECISION, else auto.
        options: for `gradio.Blocks.launch`.

    Raises:
        ImgsynthError: the device is not there, the port is taken, or the temporary folder cannot be
            written to.
    """
    stop_in_order()
    try:
        keep_clean(*DELETE_CACHE)
    except OSError as error:
        raise BadRequest(
            "The temporary folder cannot be written to; make room there, or set GRADIO_TEMP_DIR to another."
        ) from error
    page = build(Runtime(device, precision))
    place = port or int(os.environ.get("GRADIO_SERVER_PORT") or PORT)
    try:
        return start(page, host, place, mcp, options)
    except OSError as error:
        raise BadRequest(f"Port {place} is taken; stop what uses it, or choose another port.") from error


def stop_in_order() -> None:
    """Has signals that would kill the app interrupt it as Ctrl-C does; forked processes die of them as ever.

    Those that somebody sees to stay as they are: nohup has one ignored. Python takes handlers in its main
    thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (getattr(signal, name) for name in STOPPING if hasattr(signal, name)):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
            if hasattr(os, "register_at_fork"):
                as_ever = functools.partial(signal.signal, number, signal.SIG_DFL)
                os.register_at_fork(after_in_child=as_ever)


def start(page: Page, host: str | None, port: int, mcp: bool, options: dict[str, Any]) -> Any:
    return page.launch(
        server_name=host,
        server_port=port,
        mcp_server=mcp,
        theme=make_theme(),
        css=CSS + strips_css(),
        footer_links=["api", "settings"],
        max_file_size=f"{most_megabytes()}mb",
        ssr_mode=False,
        i18n=page.languages,
        **options,
    )
