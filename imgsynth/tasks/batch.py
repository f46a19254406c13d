"""Many files through one task: each gives a result or the plain reason why not, and none stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from imgsynth.errors import ImgsynthError
from imgsynth.families import Model
from imgsynth.imaging._files import spoken_name
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.pictures import Picture
from imgsynth.tasks.requests import TranslateRequest
from imgsynth.tasks.translate import translate, translator

File = str | Path
AnyFile = TypeVar("AnyFile", bound=File)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of one file: a result, or an error.

    Attributes:
        file: the file, as it was given.
        name: for the result, without ending; no two of a batch have the same.
        result: what was made, or None.
        error: why there is none, or None; its message is a plain sentence that names the file.
        index, total: its place, from 1, and how many files there are.
    """

    file: File
    name: str
    result: Result | None
    error: ImgsynthError | None
    index: int
    total: int


def run_batch(work: Callable[[AnyFile, str], Result], files: Sequence[AnyFile]) -> Iterator[Outcome[Result]]:
    """Works on one file after the other and yields each outcome as soon as it is known.

    Args:
        work: makes something of a file, given the name that the result will have; the ImgsynthErrors that it
            raises are outcomes too.
    """
    for index, (file, name) in enumerate(zip(files, unique_names(files), strict=True), 1):
        result, error = None, None
        try:
            result = work(file, name)
        except ImgsynthError as caught:
            error = naming(caught, file)
        yield Outcome(file, name, result, error, index, len(files))


def translate_batch(
    model: Model,
    request: TranslateRequest,
    files: Sequence[AnyFile],
    read: Callable[[AnyFile], Photo] = read_photo,
) -> Iterator[Outcome[Picture]]:
    """Photos in the model's style.

    Args:
        read: opens a file.

    Raises:
        TaskNotOffered: the model does not translate; said once, before any file is opened.
    """
    translator(model)

    def work(file: AnyFile, name: str) -> Picture:
        return replace(translate(model, request, read(file)), name=name)

    return run_batch(work, files)


def naming(error: ImgsynthError, file: File) -> ImgsynthError:
    """The error with the file's name before its sentence, where that does not name the file by itself."""
    name = spoken_name(file)
    if name in str(error):
        return error
    named = type(error)(f"{name}: {error}")
    named.__cause__ = error
    return named


def unique_names(files: Sequence[File]) -> list[str]:
    """A name per file: its own stem, or with -2, -3 … where an earlier file has it already."""
    # Case is left out, for many disks cannot tell Photo.png from photo.png.
    stems = [PurePath(file).stem for file in files]
    taken = {stem.casefold() for stem in stems}
    seen: set[str] = set()
    names = []
    for stem in stems:
        name, number = stem, 1
        while name.casefold() in (taken if number > 1 else seen):
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        seen.add(name.casefold())
        names.append(name)
    return names
