"""Removing a downloaded file: for a person at this machine itself, and only after a second click."""

from __future__ import annotations

import ipaddress
import os

import gradio as gr

from imgsynth.checkpoints.cache import cached_files, remove
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.errors import BadRequest
from imgsynth.ui.facts import megabytes

REMOVE = "Remove from this machine"
# What a proxy adds for the visitors that it brings.
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


def is_local(request: gr.Request | None) -> bool:
    """Whether a request was made on this machine, by nobody's proxy; on a Space nobody is local."""
    if request is None or os.environ.get("SPACE_ID"):
        return False
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except (AttributeError, ValueError):
        return False


def bytes_cached(checkpoint: Checkpoint) -> int:
    """How much of this disk its file takes, at all its commits; 0 for one that is not from the Hub."""
    if checkpoint.source != "hub":
        return 0
    ours = [c for c in cached_files() if c.repo == checkpoint.repo and checkpoint.file in ("", c.file)]
    return sum({c.blob: c.bytes for c in ours}.values())


def removal_button(checkpoint: Checkpoint | None, request: gr.Request | None) -> gr.Button:
    """Shown only for what may be removed, by whom it may."""
    visible = checkpoint is not None and is_local(request) and bytes_cached(checkpoint) > 0
    return gr.Button(REMOVE, visible=visible, variant="secondary")


def confirmation_button(checkpoint: Checkpoint) -> gr.Button:
    return gr.Button(f"Really remove {megabytes(bytes_cached(checkpoint))}", variant="stop")


def remove_for(checkpoint: Checkpoint, request: gr.Request | None) -> int:
    """Deletes the file; returns the bytes set free.

    Raises:
        BadRequest: the request comes from elsewhere.
        CheckpointNotFound: there is no such file.
    """
    if not is_local(request):
        raise BadRequest("Files are removed only from the machine itself; ask whoever runs this server.")
    return remove(checkpoint)
