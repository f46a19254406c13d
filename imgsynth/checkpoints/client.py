"""Questions to the Hub: put again where the connection broke, and to the cache where no answer comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imgsynth.checkpoints.access import Access
from imgsynth.checkpoints.catalog import Checkpoint
from imgsynth.checkpoints.choose import choose_weights

if TYPE_CHECKING:
    from huggingface_hub import DryRunFileInfo
    from huggingface_hub.hf_api import RepoSibling

T = TypeVar("T")

TRY_LATER = (408, 429)  # of the answers below 500, those that say nothing about the question


@contextmanager
def explained(checkpoint: Checkpoint, own: Collection[Exception] = ()) -> Iterator[None]:
    """Whatever huggingface_hub raises, as one of our errors; errors in `own` pass as they are."""
    from imgsynth.checkpoints.hub_errors import FAILURES, explain

    try:
        yield
    except FAILURES as error:
        if error in own:
            raise
        raise explain(error, checkpoint) from error


def asked_twice(ask: Callable[[], T]) -> T:
    """The Hub's answer; a question whose connection broke is put a second time.

    Connections are kept open from one question to the next. That the other side has closed one in between
    shows only when a question is lost on it, and most of huggingface_hub's own are put once.
    """
    from huggingface_hub.errors import HfHubHTTPError

    from imgsynth.checkpoints.hub_errors import TransportError

    try:
        return ask()
    except HfHubHTTPError:  # a `TransportError` as well, but this one is an answer
        raise
    except TransportError:
        return ask()


def or_cached(ask: Callable[[], T], look: Callable[[], T | None]) -> T:
    """The Hub's answer, or where none can be had what `look` finds in the cache.

    huggingface_hub does the same for files by itself, but not where a connection broke midway.
    """
    from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError

    from imgsynth.checkpoints.hub_errors import TransportError

    try:
        return ask()
    except (EntryNotFoundError, RevisionNotFoundError):
        raise
    except (ConnectionError, TransportError, ValueError) as error:  # the last: a web page in place of JSON
        if is_refusal(error) or not (found := look()):
            raise
        return found


def is_refusal(error: Exception) -> bool:
    """Whether the Hub has said no: then what the cache has is not for this asker."""
    from huggingface_hub.errors import HfHubHTTPError

    if not isinstance(error, HfHubHTTPError):
        return False
    status = int(error.response.status_code)
    return status < 500 and status not in TRY_LATER


def look_up(checkpoint: Checkpoint, access: Access) -> DryRunFileInfo:
    """What the Hub says of a checkpoint's file, or the cache where the Hub does not answer."""
    ask = partial(_client_download, checkpoint, access, dry_run=True)
    return or_cached(lambda: asked_twice(ask), lambda: _cached(ask))


def bring(checkpoint: Checkpoint, access: Access, bar: type | None = None) -> Path:
    """A checkpoint's file on this disk; a download reports to `bar`, a class like tqdm's."""
    ask = partial(_client_download, checkpoint, access, tqdm_class=bar)
    return Path(or_cached(ask, lambda: _cached(ask)))


def _client_download(checkpoint: Checkpoint, access: Access, **options: Any) -> Any:
    import huggingface_hub

    return huggingface_hub.hf_hub_download(
        str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision, token=access.token, **options
    )


def _cached(ask: Callable[..., T]) -> T | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return ask(local_files_only=True)
    except LocalEntryNotFoundError:
        return None


def weights_of(checkpoint: Checkpoint, access: Access) -> list[str]:
    """The files of a repository that can hold weights, most likely first.

    Where the Hub does not answer, those of them that are in the cache.
    """
    return or_cached(
        lambda: choose_weights(listing(checkpoint, access)), lambda: choose_weights(_cached_names(checkpoint))
    )


def names_of(checkpoint: Checkpoint, access: Access) -> list[str]:
    """All files of a repository; where the Hub does not answer, those that are in the cache."""
    return or_cached(lambda: list(listing(checkpoint, access)), lambda: _cached_names(checkpoint))


def size_of(checkpoint: Checkpoint, access: Access) -> int:
    """Bytes of a checkpoint's file that would have to be downloaded; 0 where it is here already."""
    import huggingface_hub

    known = huggingface_hub.try_to_load_from_cache(
        str(checkpoint.repo), checkpoint.file, revision=checkpoint.revision
    )
    return 0 if isinstance(known, str) else look_up(checkpoint, access).file_size or 0


def listing(checkpoint: Checkpoint, access: Access, sums: bool = False) -> dict[str, RepoSibling]:
    """The files of a repository on the Hub by name, with their sizes and sums if asked for."""
    from huggingface_hub import HfApi, constants

    ask = partial(
        HfApi().model_info,
        str(checkpoint.repo),
        revision=checkpoint.revision,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,  # without one the client would wait for ever
        files_metadata=sums,
        token=access.token,
    )
    return {file.rfilename: file for file in asked_twice(ask).siblings or []}


def _cached_names(checkpoint: Checkpoint) -> list[str]:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # Patterns that match no file: the folder is wanted even if not every file is in it.
        found = huggingface_hub.snapshot_download(
            str(checkpoint.repo), revision=checkpoint.revision, local_files_only=True, allow_patterns=[]
        )
    except LocalEntryNotFoundError:
        return []
    return [path.relative_to(found).as_posix() for path in Path(found).rglob("*") if path.is_file()]
