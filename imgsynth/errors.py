"""Every error that a person can cause or meet, each carrying one plain sentence.

The sentence says what was wrong and what to do next. It is shown as it is in the
page, over HTTP and as the last line of stderr, so it holds no path of the host
and no class name. Details for developers go into the exception chain
(`raise … from error`), which `--debug` prints.
"""

from __future__ import annotations

from collections.abc import Sequence


class ImgsynthError(Exception):
    """Base of all errors whose message is meant to be read by a person."""


class BadRequest(ImgsynthError):
    """A value of a request cannot be used: seeds, a number, a choice."""


class BadImage(ImgsynthError):
    """A file is not a picture we can open, or a picture is unfit for the task."""


class BadMask(ImgsynthError):
    """A mask is empty, covers everything, or has the wrong shape."""


class NoRecord(ImgsynthError):
    """A picture carries no record of ours, or one that cannot be read."""


class CheckpointNotFound(ImgsynthError):
    """No bundled checkpoint, file or Hub repository goes by the name given."""


class CheckpointUnreadable(ImgsynthError):
    """A file holds no tensors that can be read safely."""


class DownloadFailed(ImgsynthError):
    """The Hub could not be reached, refused, or broke off."""


class UploadFailed(ImgsynthError):
    """The Hub could not be reached, or did not take what was to be published."""


class ChecksumMismatch(ImgsynthError):
    """A file's sha256 differs from the one that was promised."""


class UnknownArchitecture(ImgsynthError):
    """A state dict belongs to no network that we know.

    Attributes:
        nearest: name of the architecture whose keys are most alike, or None.
        missing: first keys that the nearest architecture has and the file lacks.
        unexpected: first keys that the file has and the nearest architecture lacks.
    """

    def __init__(
        self,
        message: str,
        nearest: str | None = None,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.nearest = nearest
        self.missing = list(missing)
        self.unexpected = list(unexpected)


class TaskNotOffered(ImgsynthError):
    """The checkpoint is fine, but cannot do the task that was asked of it."""


class DeviceUnavailable(ImgsynthError):
    """The device that was asked for is not on this machine."""


class OutOfMemory(ImgsynthError):
    """The request needs more memory than the device has."""


class TrainingFailed(ImgsynthError):
    """A training run cannot start or go on: no images, bad state file, diverged."""
