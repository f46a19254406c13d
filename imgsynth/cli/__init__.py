"""The command line. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported here, so that `--help` is quick: each verb imports what it needs.
"""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from imgsynth.cli.follow import WatchCommand
from imgsynth.cli.make import inpaint, outpaint, sample, translate
from imgsynth.cli.mix import mix
from imgsynth.cli.redo import redo
from imgsynth.cli.score import score
from imgsynth.cli.serve import serve
from imgsynth.cli.shared import Common, Debug, Device, Precision, say, verb
from imgsynth.cli.show import inspect, models, record
from imgsynth.cli.train import train
from imgsynth.cli.walk import blend, interpolate
from imgsynth.errors import ImgsynthError, UnknownArchitecture
from imgsynth.version import VERSION

__all__ = ["main"]

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
# By its place above BadParameter: some versions of typer bring their own click, others use the real one.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
VERBS = (
    *(serve, models, inspect, sample, mix, interpolate, blend, translate, inpaint, outpaint),
    *(record, redo, train, score),
)
for function in VERBS:
    app.command(cls=WatchCommand if function is train else None)(verb(function))


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"imgsynth {VERSION}")
        raise typer.Exit()


Version = Annotated[
    bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and leave.")
]


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    device: Device = None,
    precision: Precision = None,
    debug: Debug = False,
    version: Version = False,
) -> None:
    """See and use GANs, VAEs, CycleGANs and inpainting networks."""
    ctx.obj.add(device, precision, debug)
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), file=sys.stderr)
        raise typer.Exit(MISUSED)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the program's name; None takes those of this process.

    Returns:
        The exit code: 0 done, 1 could not be done, 2 misused, 130 interrupted.
    """
    common = Common()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name need not be valid text
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        code = get_command(app).main(words, prog_name="imgsynth", standalone_mode=False, obj=common)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = leave_quietly()
    except SystemExit as stop:  # typer leaves this way when nobody reads the output any more
        code = stop.code if isinstance(stop.code, int) else FAILED
    except Exception as error:
        code = misused(error) if isinstance(error, UsageError) else failed(error, common)
    if code == INTERRUPTED:
        say("Stopped before it was done.")
    return code if isinstance(code, int) else DONE


def misused(error: Any) -> int:
    """Says what was wrong with the command itself; `error` is a UsageError."""
    command = error.ctx.command_path if error.ctx else "imgsynth"
    say(f"{error.format_message().strip().rstrip('.')}; see {command} --help.")
    return MISUSED


def failed(error: Exception, common: Common) -> int:
    """Says why it could not be done, as the last line on stderr."""
    sentence = str(error) if isinstance(error, ImgsynthError) else unforeseen(error)
    if common.json:
        print(json.dumps(error_document(error, sentence), indent=2))
    if common.debug:
        traceback.print_exception(error)
    say(sentence)
    return FAILED


def unforeseen(error: Exception) -> str:
    kind = type(error).__name__
    return f"Something went wrong inside imgsynth ({kind}); run again with --debug to see where."


def error_document(error: Exception, sentence: str) -> dict[str, Any]:
    if not isinstance(error, UnknownArchitecture):
        return {"error": sentence}
    return {
        "error": sentence,
        "nearest": error.nearest,
        "missing": error.missing,
        "unexpected": error.unexpected,
    }


def leave_quietly() -> int:
    """Nobody reads stdout any more; what is still in its buffer must not raise again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
