"""The endpoints as tools of the Model Context Protocol, met with the protocol's own client."""

from __future__ import annotations

import asyncio
import base64
import re
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from PIL import Image

from app_server import AppServer, started
from builders import pixels, png
from imgsynth.imaging.record import read_record

Answer = TypeVar("Answer")
ACTIONS = {"models", "inspect", "sample", "interpolate", "translate", "inpaint", "record", "redo"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with started(tmp_path_factory.mktemp("mcp"), "-m", "imgsynth", "serve", "--mcp") as server:
        yield server


def ask(server: AppServer, question: Callable[[ClientSession], Awaitable[Answer]]) -> Answer:
    """What a client hears that asks one thing."""

    async def asking() -> Answer:
        async with (
            streamable_http_client(f"{server.url}/gradio_api/mcp/") as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await question(session)

    return asyncio.run(asking())


def tools_of(server: AppServer) -> dict[str, Tool]:
    async def listed(session: ClientSession) -> list[Tool]:
        return (await session.list_tools()).tools

    return {tool.name: tool for tool in ask(server, listed)}


def call(server: AppServer, tool: str, **values: Any) -> CallToolResult:
    async def called(session: ClientSession) -> CallToolResult:
        return await session.call_tool(tool, values)

    return ask(server, called)


def address_in(answer: CallToolResult) -> str:
    """Where the one file lies that a tool gave."""
    return re.findall(r"http://[^'\"\s]+\.png", "".join(map(str, answer.content)))[-1]


def test_every_action_is_a_tool_whose_parameters_are_typed_and_described(server: AppServer) -> None:
    tools = tools_of(server)
    assert set(tools) >= ACTIONS
    for tool in tools.values():
        assert tool.description
        for name, about in tool.inputSchema["properties"].items():
            assert about.get("type") and about.get("description"), f"{tool.name}: {name}"
    sample = tools["sample"].inputSchema
    assert sample["required"] == ["checkpoint", "seeds"]
    assert sample["properties"]["psi"] | {"description": ""} == {
        "type": "number",
        "default": 1.0,
        "description": "",
    }


def test_a_tool_gives_pictures_with_their_recipes(server: AppServer) -> None:
    answer = call(server, "sample", checkpoint="avatars-gan", seeds="3", psi=0.7)
    assert not answer.isError
    data = urllib.request.urlopen(address_in(answer)).read()
    assert Image.open(BytesIO(data)).size == (64, 64)
    request = read_record(data)["request"]
    assert (request["seed"], request["psi"]) == (3, 0.7)


def test_a_tool_works_on_what_another_made(server: AppServer) -> None:
    drawn = address_in(call(server, "sample", checkpoint="avatars-gan", seeds="3"))
    answer = call(server, "translate", checkpoint="photo2monet", photo=drawn)
    assert not answer.isError, answer.content
    assert read_record(urllib.request.urlopen(address_in(answer)).read())["task"] == "translate"


def test_a_tool_takes_a_photo_as_data(server: AppServer) -> None:
    data = base64.b64encode(png(pixels(24, 32, 3))).decode()
    answer = call(server, "translate", checkpoint="photo2monet", photo=f"data:image/png;base64,{data}")
    assert not answer.isError, answer.content


def test_no_other_address_is_fetched(server: AppServer, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png(pixels(24, 32, 3)))
    for address in ("http://example.com/a.png", f"{server.url}/gradio_api/file={tmp_path}/photo.png"):
        answer = call(server, "translate", checkpoint="photo2monet", photo=address)
        assert answer.isError and "no other address is fetched" in str(answer.content[0])


def test_a_tool_that_refuses_says_why(server: AppServer) -> None:
    answer = call(server, "sample", checkpoint="avatars-gan", seeds="many")
    assert answer.isError
    assert "Seeds are whole numbers" in str(answer.content[0])
