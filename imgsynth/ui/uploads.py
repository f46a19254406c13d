"""Components that take files; on their own, for Gradio writes a stub beside a module that defines any."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.blocks import Block
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

ADDRESS = "Send the file itself, or the address of a file that this app made; no other address is fetched."
SERVED_AT = "/gradio_api/file="


async def move_upload(component: Block, url_or_file_path: Any) -> str | None:
    """Takes files that were uploaded or made here; other addresses, which Gradio would fetch at any size, are
    refused."""
    if is_http_url_like(str(url_or_file_path)):
        own = served_file(str(url_or_file_path))
        if own is None:
            raise gr.Error(ADDRESS, title="Not done", print_exception=False)
        url_or_file_path = str(own)
    return await Block.async_move_resource_to_block_cache(component, url_or_file_path)


def served_file(address: str) -> Path | None:
    """The upload or result that the app serves at an address; None if it is none.

    A client of the Model Context Protocol has nothing else to name a file by, be it one that it uploaded or
    one that another tool gave it. Folders there have secret names: whoever knows one may read it anyway.
    """
    path = unquote(urlsplit(address).path).partition(SERVED_AT)[2]
    found = Path(path).resolve()
    inside = path and found.is_relative_to(Path(get_upload_folder()).resolve())
    return found if inside and found.is_file() else None


class FileInput(gr.File):
    """A file parameter of an endpoint."""

    is_template = True
    async_move_resource_to_block_cache = move_upload


class PhotoEditor(gr.ImageEditor):
    """The editor that is painted in."""

    is_template = True
    async_move_resource_to_block_cache = move_upload


class PhotoInput(gr.Image):
    """An image upload whose file reaches us untouched, so that limits and sentences are our decoder's."""

    is_template = True
    async_move_resource_to_block_cache = move_upload

    def preprocess(self, payload: Any) -> str | None:
        """The uploaded file's path, undecoded."""
        return None if payload is None else payload.path
