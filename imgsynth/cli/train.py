"""`train`: a new checkpoint from a folder or tar of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgsynth.cli.follow import Public, PushToHub, Watch, check_publishing, published, tell, watched
from imgsynth.cli.shared import Common, download_bar, put, say
from imgsynth.cli.train_options import with_recipe_options
from imgsynth.errors import BadRequest, TrainingFailed

if TYPE_CHECKING:
    from imgsynth.architectures.registry import Opened
    from imgsynth.cli.train_request import TrainRequest
    from imgsynth.training.recipe import Recipe, Settings
    from imgsynth.training.run import Budget

ENDING = ".safetensors"
DEFAULT_MINUTES = 60.0

Name = Annotated[str, typer.Argument(metavar="gan|vae|cyclegan|inpaint", help="What to train.")]
Data = Annotated[
    list[Path],
    typer.Option(
        metavar="PATH",
        help="Folder or tar of images, or hf:owner/name of a Hub dataset; repeatable (cyclegan: domain A).",
    ),
]
DataB = Annotated[list[Path] | None, typer.Option(metavar="PATH", help="Domain B, for cyclegan; repeatable.")]
Out = Annotated[Path, typer.Option(metavar="FILE.safetensors", help="The checkpoint (cyclegan: A to B).")]
OutBack = Annotated[
    Path | None, typer.Option(metavar="FILE.safetensors", help="The checkpoint B to A, for cyclegan.")
]
Minutes = Annotated[str | None, typer.Option(metavar="M", help="How long to train; 60 if unsaid.")]
Steps = Annotated[str | None, typer.Option(metavar="N", help="How many steps to train, instead.")]
Resume = Annotated[Path | None, typer.Option(metavar="STATE", help="State file of a run to go on with.")]
Init = Annotated[
    list[str] | None,
    typer.Option(metavar="WHAT", help="Weights to start from; cyclegan: A to B, then B to A."),
]
Seed = Annotated[str, typer.Option(metavar="N", help="Where all randomness starts.")]
Size = Annotated[str | None, typer.Option(metavar="PIXELS", help="Side of the training pictures.")]
Width = Annotated[str | None, typer.Option(metavar="N", help="Base width of the network.")]
Batch = Annotated[str | None, typer.Option(metavar="N", help="Images a step, in each process.")]
Holdout = Annotated[
    str, typer.Option(metavar="0..1", help="Part of the images, last by name, left untrained.")
]


@with_recipe_options
def train(
    common: Common,
    *,
    recipe: Name,
    data: Data,
    out: Out,
    data_b: DataB = None,
    out_back: OutBack = None,
    minutes: Minutes = None,
    steps: Steps = None,
    resume: Resume = None,
    init: Init = None,
    seed: Seed = "0",
    size: Size = None,
    width: Width = None,
    batch: Batch = None,
    holdout: Holdout = "0.1",
    watch: Watch = None,
    push_to_hub: PushToHub = None,
    public: Public = False,
    chosen: dict[str, str],
) -> None:
    """Train a checkpoint; Ctrl-C ends the run early."""
    from imgsynth.runtime.device import pick_device
    from imgsynth.training.parallel import joined
    from imgsynth.training.recipe import Settings

    numbers = {"minutes": minutes, "steps": steps, "size": size, "width": width, "batch": batch}
    request = read_numbers(common, **numbers, seed=seed, holdout=holdout)
    check_recipe(recipe, two_domains=bool(data_b or out_back), inits=len(init or []))
    check_files(out, out_back, resume)
    with joined(pick_device(common.device)) as device:
        check_publishing(push_to_hub, public)
        beginnings = [opened_init(what) for what in init or ()]
        settings = Settings(
            data=tuple(data),
            out=out,
            data_b=tuple(data_b or ()),
            out_back=out_back,
            init=tuple(dict(opened.network.state_dict()) for opened in beginnings),
            init_sizes=tuple(opened.hyperparameters for opened in beginnings),
            device=device,
            options=chosen,
            **request.model_dump(exclude={"minutes", "steps"}),
        )
        made, budget = build(recipe, settings), budget_of(request, recipe)
        with watched(out, watch):
            files = carry_out(made, budget, resume)
            published(files, push_to_hub, public)


def read_numbers(common: Common, **numbers: str | None) -> TrainRequest:
    """
    Raises:
        BadRequest: a number that cannot be used.
    """
    from imgsynth.cli.train_request import TrainRequest
    from imgsynth.tasks.requests import make_request

    if common.precision not in (None, "auto"):
        tell("Training chooses its own precision, so --precision is left aside.")
    return make_request(TrainRequest, **numbers)


def check_recipe(name: str, two_domains: bool, inits: int) -> None:
    """
    Raises:
        BadRequest: no such recipe, or options that it does not take.
    """
    from imgsynth.training.run import RECIPES

    if name not in RECIPES:
        raise BadRequest(f"There are recipes for {', '.join(RECIPES)}, not for {name[:40]}.")
    networks = 2 if name == "cyclegan" else 1
    if two_domains and networks == 1:
        raise BadRequest("Only cyclegan learns two domains; leave out --data-b and --out-back.")
    if inits > networks:
        raise BadRequest(f"This recipe makes no more than {networks} of the networks; give fewer --init.")


def check_files(out: Path, out_back: Path | None, resume: Path | None) -> None:
    """Refuses, before hours are spent, what could not be read or written."""
    check_writable(out)
    if out_back is not None:
        check_writable(out_back)
        if out_back.absolute() == out.absolute():
            raise BadRequest("Both directions would be written to one file; give --out-back another name.")
    if resume is not None and not resume.is_file():
        raise TrainingFailed(f"There is no state file {resume.name} to resume from.")


def check_writable(out: Path) -> None:
    if out.suffix != ENDING or out.is_dir():
        raise BadRequest(f"A checkpoint is a file whose name ends in {ENDING}; {out.name} is not.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The folder for {out.name} cannot be made; choose another place.") from error
    if not os.access(out.parent, os.W_OK):
        raise BadRequest(f"{out.name} may not be written there; choose another folder.")


def opened_init(what: str) -> Opened:
    """The checkpoint to start from, read into our own network."""
    from imgsynth.checkpoints.naming import resolve
    from imgsynth.runtime.opening import open_file

    with download_bar() as report:
        inspected = open_file(resolve(what), report)
    for note in inspected.notes:  # such as which of several files was chosen
        say(note)
    return inspected.opened


def build(name: str, settings: Settings) -> Recipe:
    """
    Raises:
        TrainingFailed: no images, or weights to start from that are another network's.
    """
    from imgsynth.training.run import make_recipe

    try:
        return make_recipe(name, settings)
    except RuntimeError as error:
        if not settings.init or "loading state_dict" not in str(error):
            raise
        raise TrainingFailed(
            "The weights of --init are of another network or size than this run's; "
            "give the --size and --width that they were trained with."
        ) from error


def carry_out(recipe: Recipe, budget: Budget, resume: Path | None) -> list[Path]:
    """Trains, and says what it wrote."""
    from imgsynth.training.run import train as run

    files = run(recipe, budget, resume, tell)
    for path in files:
        put(path)
    return files


def budget_of(request: TrainRequest, name: str) -> Budget:
    """How long the run lasts, which is said."""
    from imgsynth.training.run import Budget

    if request.steps:
        tell(f"Training {name} for {request.steps:,} steps.")
        return Budget(request.steps, None)
    unasked = "" if request.minutes else "; choose otherwise with --minutes or --steps"
    minutes = request.minutes or DEFAULT_MINUTES
    tell(f"Training {name} for {minutes:g} minutes{unasked}.")
    return Budget(None, minutes)
