"""What `train` does beside training: a page to watch it, and the Hub in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from imgsynth.cli.serve import parse_port
from imgsynth.cli.shared import say
from imgsynth.errors import BadRequest

ANY_PORT = "any"

Watch = Annotated[
    str | None, typer.Option(metavar="[PORT]", help="Serve a page with the loss curves and newest sheet.")
]
PushToHub = Annotated[
    str | None, typer.Option(metavar="OWNER/NAME", help="Publish the result on the Hub, for you alone.")
]
Public = Annotated[bool, typer.Option("--public", help="Let everybody see what is published.")]


class WatchCommand(TyperCommand):
    """A command whose `--watch` may do without its value, which typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [*with_port(args)])


def with_port(words: Sequence[str]) -> Iterator[str]:
    """The words of a command, where a `--watch` that no number follows is told any port."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        yield f"{word}={ANY_PORT}" if word == "--watch" and not following.isdigit() else word


def tell(text: str) -> None:
    """As `say`; of the processes of one run only the first one speaks."""
    from imgsynth.training.parallel import is_first

    if is_first():
        say(text)


@contextmanager
def watched(out: Path, port: str | None) -> Iterator[None]:
    """Serves the page of a run while the context lasts if that was asked for; the first process does."""
    from imgsynth.training.parallel import is_first

    if port is None or not is_first():
        yield
        return
    number = None if port == ANY_PORT else parse_port(port)
    from imgsynth.ui.training_page import watching

    with watching(out, number) as address:
        say(f"Watch it at {address}")
        yield


def check_publishing(repo: str | None, public: bool) -> None:
    """Refuses, before hours are spent, what could not be published.

    Raises:
        BadRequest: `--public` alone, or a name that is none.
        UploadFailed: the Hub does not know this account.
    """
    from imgsynth.training.parallel import is_first

    if public and not repo:
        raise BadRequest("Nothing is published without a name; add --push-to-hub OWNER/NAME.")
    if repo and is_first():
        from imgsynth.training.publish import check_account

        check_account(repo)


def published(checkpoints: Sequence[Path], repo: str | None, public: bool) -> None:
    """Publishes what a run made, if that was asked for, and says where.

    Raises:
        UploadFailed: the Hub did not take it; all files of the run are there and the run can be resumed.
    """
    if repo and checkpoints:
        from imgsynth.training.publish import publish

        say(f"Published at {publish(checkpoints, repo, public)}")
