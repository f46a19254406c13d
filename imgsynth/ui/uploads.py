"""Components that take files; on their own, for Gradio writes a stub beside a module that defines any."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio_client.utils import is_http_url_like

ADDRESS = "Send the file itself; addresses are not fetched."


async def move_upload(component: Block, url_or_file_path: Any) -> str | None:
    """Takes files that were uploaded; addresses, which Gradio would fetch at any size, are refused."""
    if is_http_url_like(str(url_or_file_path)):
        raise gr.Error(ADDRESS, title="Not done", print_exception=False)
    return await Block.async_move_resource_to_block_cache(component, url_or_file_path)


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
