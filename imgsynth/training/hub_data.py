"""Training images from a dataset on the Hugging Face Hub, through the optional package `datasets`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgsynth.errors import TrainingFailed

if TYPE_CHECKING:
    from imgsynth.training.data import Entry

PREFIX = "hf:"
SPLIT = "train"


def on_hub(source: Path) -> bool:
    """Whether `--data` names a Hub dataset, `hf:owner/name[:split]`; `./hf:…` is a folder."""
    return str(source).startswith(PREFIX)


def hub_entries(source: Path) -> list[Entry]:
    """The images of a Hub dataset's first column of images, in its order; their names are numbers.

    Raises:
        TrainingFailed: `datasets` is not installed, or the dataset cannot be had or holds no images.
    """
    from imgsynth.training.data import Entry

    title, _, split = source.as_posix().removeprefix(PREFIX).partition(":")
    rows, column = image_column(title, split or SPLIT)
    return [Entry(f"{i:09}", partial(image_bytes, rows, i, column)) for i in range(len(rows))]


def image_column(title: str, split: str) -> tuple[Any, str]:
    """A dataset's rows, with still encoded images only, and the name of their column."""
    try:
        import datasets
    except ImportError as error:
        raise TrainingFailed(
            "Hub datasets are read by the package datasets, which is not here; "
            "install it with 'pip install datasets', or give --data a folder or tar."
        ) from error
    rows = loaded(title, split)
    columns = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    if not columns:
        raise TrainingFailed(f"The Hub dataset {title} has no column of images; choose another one.")
    return rows.select_columns(columns[:1]).cast_column(columns[0], datasets.Image(decode=False)), columns[0]


def loaded(title: str, split: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(title, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TrainingFailed(
            f"The Hub dataset {title} could not be loaded; "
            "check its name and split on its page, the connection, and for private ones the token."
        ) from error


def image_bytes(rows: Any, index: int, column: str) -> bytes:
    """An image's file; a dataset holds it, or says where it lies on this disk."""
    image = rows[index][column]
    return image["bytes"] or Path(image["path"]).read_bytes()
