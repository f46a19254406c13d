"""What went wrong on the way to the Hub, in one plain sentence that says what to do."""

from __future__ import annotations

import errno

import huggingface_hub
from huggingface_hub import errors as hub

from imgsynth.checkpoints.cache import cached_files
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.errors import CheckpointNotFound, DownloadFailed, ImgsynthError

# The base of connection errors is httpx's in huggingface_hub 1.x and httpx2's in 2.x.
TransportError: type[Exception] = hub.HfHubHTTPError.__bases__[0]
FAILURES: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    RuntimeError,
    hub.EntryNotFoundError,
    TransportError,
)
MOST_NAMED = 4
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


def explain(error: Exception, checkpoint: Checkpoint) -> ImgsynthError:
    """The error to raise in place of one that huggingface_hub raised for this checkpoint."""
    repo = checkpoint.repo
    if isinstance(error, hub.LocalEntryNotFoundError):
        return _not_reached(error, checkpoint)
    if isinstance(error, hub.OfflineModeIsEnabled):
        return _offline(checkpoint)
    if isinstance(error, hub.GatedRepoError):
        return DownloadFailed(
            f"{repo} is gated: ask for access on its Hub page, then set HF_TOKEN or run 'hf auth login'."
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        return CheckpointNotFound(
            f"The Hub has no public repository {repo}: check its spelling, or set HF_TOKEN if it is private."
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return CheckpointNotFound(f"{repo} has no revision {checkpoint.revision}: check it on its Hub page.")
    if isinstance(error, hub.EntryNotFoundError):
        return CheckpointNotFound(f"{repo} has no file {checkpoint.file}: look up the name on its Hub page.")
    if isinstance(error, hub.HFValidationError):
        return CheckpointNotFound("This cannot be the name of a Hub repository: write it as owner/name.")
    if isinstance(error, hub.HfHubHTTPError):
        return _by_status(error.response.status_code, checkpoint)
    return _on_this_machine(error, checkpoint)


def _not_reached(error: hub.LocalEntryNotFoundError, checkpoint: Checkpoint) -> DownloadFailed:
    """Neither the Hub nor the cache had the file; the reason is the error's cause."""
    reason = error.__cause__
    if isinstance(reason, hub.OfflineModeIsEnabled) or huggingface_hub.is_offline_mode():
        return _offline(checkpoint)
    if isinstance(reason, hub.HfHubHTTPError):
        return _by_status(reason.response.status_code, checkpoint)
    if isinstance(reason, hub.FileMetadataError):
        return DownloadFailed(
            f"Asked for {_name(checkpoint)}, the server did not answer as the Hub does: "
            "check HF_ENDPOINT and the proxy of this network."
        )
    return _unreachable(checkpoint)


def _offline(checkpoint: Checkpoint) -> DownloadFailed:
    return DownloadFailed(
        f"{_name(checkpoint)} is not on this machine, and downloads are switched off (HF_HUB_OFFLINE): "
        f"{_what_is_here()}."
    )


def _what_is_here() -> str:
    names = list(dict.fromkeys(c.name for c in cached_files()))
    if not names:
        return "switch them on, or choose a bundled checkpoint"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"of the Hub's, {', '.join(names[:MOST_NAMED])}{more} can be opened"


def _by_status(status: int, checkpoint: Checkpoint) -> DownloadFailed:
    known = {
        401: f"The Hub did not accept the token for {checkpoint.repo}: "
        "renew it with 'hf auth login', or unset HF_TOKEN.",
        403: f"This account may not read {checkpoint.repo}: ask for access on its Hub page.",
        429: f"The Hub asks to slow down before it sends {_name(checkpoint)}: "
        "wait a few minutes, or sign in with 'hf auth login'.",
    }
    if status >= 500:
        return DownloadFailed(
            f"The Hub could not send {_name(checkpoint)} for trouble of its own ({status}): "
            "try again in a few minutes."
        )
    refused = f"The Hub refused to send {_name(checkpoint)} ({status}): try again later."
    return DownloadFailed(known.get(status, refused))


def _on_this_machine(error: Exception, checkpoint: Checkpoint) -> DownloadFailed:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC or "no space left" in str(error).lower():
        return DownloadFailed(
            f"The disk is full, so {_name(checkpoint)} could not be saved: free some space, "
            "or set HF_HOME to a larger disk."
        )
    if number in _READ_ONLY:
        return DownloadFailed("The Hub cache cannot be written to: set HF_HOME to a folder that can.")
    if isinstance(error, (ConnectionError, TimeoutError, TransportError)):
        return _unreachable(checkpoint)
    return DownloadFailed(f"The download of {_name(checkpoint)} broke off: try again.")


def _unreachable(checkpoint: Checkpoint) -> DownloadFailed:
    return DownloadFailed(
        f"The Hub could not be reached, so {_name(checkpoint)} could not be downloaded: "
        "check the connection and try again."
    )


def _name(checkpoint: Checkpoint) -> str:
    file = checkpoint.file.rpartition("/")[2]
    return f"{file} of {checkpoint.repo}" if file else f"{checkpoint.repo}"
