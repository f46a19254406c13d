"""Uploads to a Hugging Face Space what it needs, and nothing else.

make space SPACE=owner/name [ARGS=--dry-run]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from huggingface_hub import HfApi
from huggingface_hub.utils import HfHubHTTPError, filter_repo_objects

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "README.md",
    "LICENSE",
    "app.py",
    "requirements.txt",
    "imgsynth/**",
    "weights/*",
    "examples/*.jpg",
    "examples/README.md",
)
LEFT_OUT = ("*__pycache__*", "*.pyi", "*.partial", "*.state.pt", "*.progress.png", "*.log.jsonl")


def files(root: Path = ROOT) -> list[str]:
    """What is uploaded, as paths in the Space, sorted."""
    every = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return list(filter_repo_objects(every, allow_patterns=list(NEEDED), ignore_patterns=list(LEFT_OUT)))


def upload(space: str, root: Path = ROOT, api: HfApi | None = None) -> str:
    """Makes the Space if there is none, and brings its files in line with these; returns its address.

    Raises:
        HfHubHTTPError: the Hub refuses, for want of a token that may write there, say.
    """
    hub = api or HfApi()
    made = hub.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
    hub.upload_folder(
        repo_id=made.repo_id,
        repo_type="space",
        folder_path=root,
        allow_patterns=files(root),
        delete_patterns="*",  # of an earlier version
        commit_message="imgsynth",
    )
    return str(made)


def main(
    space: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The Space.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
) -> None:
    """Upload what a Hugging Face Space needs to run imgsynth."""
    listed = files()
    size = sum((ROOT / name).stat().st_size for name in listed)
    if dry_run:
        print("\n".join(listed))
        typer.echo(f"{len(listed)} files, {size / 1e6:.1f} MB, would go to {space}.", err=True)
        return
    try:
        address = upload(space)
    except HfHubHTTPError as error:
        typer.echo(f"The Hub did not take it: {error.server_message or error}", err=True)
        raise typer.Exit(1) from error
    print(address)


if __name__ == "__main__":
    typer.run(main)
