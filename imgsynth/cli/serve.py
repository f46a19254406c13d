"""`serve`: the page, the HTTP endpoints and, where wanted, the MCP tools."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from imgsynth.cli.shared import Common
from imgsynth.errors import BadRequest

LAST_PORT = 65535


def serve(
    common: Common,
    *,
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="Address; else GRADIO_SERVER_NAME, else 127.0.0.1.")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="N", help="Port; else GRADIO_SERVER_PORT, else 7860.")
    ] = None,
    mcp: Annotated[bool, typer.Option("--mcp", help="Offer the actions as MCP tools too.")] = False,
) -> None:
    """Start the app for the browser."""
    name = host or os.environ.get("GRADIO_SERVER_NAME") or None
    number = parse_port(port or os.environ.get("GRADIO_SERVER_PORT"))
    from imgsynth.ui.app import launch

    try:
        launch(host=name, port=number, mcp=mcp, device=common.device, precision=common.precision)
    except OSError as error:
        if "port" not in str(error):
            raise
        taken = f"Port {number}" if number else "Every port near 7860"
        raise BadRequest(f"{taken} is taken already; choose another with --port.") from error


def parse_port(text: str | None) -> int | None:
    """
    Raises:
        BadRequest: not a port's number.
    """
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LAST_PORT:
        raise BadRequest(f"The port must be a whole number from 1 to {LAST_PORT}, not {text[:40]!r}.")
    return int(text)
