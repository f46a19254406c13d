"""Checkpoints of a finished run as a repository on the Hugging Face Hub: weights, config.json, card."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open

from imgsynth import api
from imgsynth.errors import BadRequest, UploadFailed
from imgsynth.families import LatentModel, Model
from imgsynth.imaging.grid import make_grid
from imgsynth.version import VERSION

WEIGHTS, CONFIG, README = "model.safetensors", "config.json", "README.md"
SHEET_SEEDS, SHEET_QUALITY = range(64), 90
SHEET = re.compile(r"!\[sample sheet\]\([^)]*\)\n+")
COMMANDS = {
    "sample": "imgsynth sample --checkpoint {} --seeds 0-15 --out samples",
    "translate": "imgsynth translate --checkpoint {} photo.jpg --out translated",
    "inpaint": "imgsynth inpaint --checkpoint {} --mask mask.png photo.jpg --out filled.png",
}
KINDS = {
    "sample": "unconditional-image-generation",
    "translate": "image-to-image",
    "inpaint": "image-to-image",
}


def check_account(repo: str) -> None:
    """Refuses, before hours are spent, what the Hub would refuse in the end.

    Raises:
        BadRequest: the name is not owner/name.
        UploadFailed: there is no token, it is not accepted, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if repo.count("/") != 1:
        raise BadRequest("A checkpoint is published as owner/name; give --push-to-hub such a name.")
    with explained(repo):
        HfApi().whoami()


def publish(checkpoints: Sequence[Path], repo: str, public: bool = False) -> str:
    """Uploads checkpoints with their cards in one commit, and returns the address of the repository.

    No picture of a run is uploaded, since it may show training data: what draws from latents gets a sheet
    of seeds 0 to 63, drawn here.

    Args:
        checkpoints: files that `train` wrote, their cards beside them.
        repo: owner/name; made where it is not there yet.
        public: of a new repository, whether everybody sees it. One that is there stays as it is.

    Raises:
        UploadFailed: the Hub refused or could not be reached.
    """
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), checkpoints, repo)
        with explained(repo):
            hub = HfApi()
            address = hub.create_repo(repo, private=not public, exist_ok=True)
            hub.upload_folder(
                repo_id=repo, folder_path=folder, commit_message=f"Checkpoint trained with imgsynth {VERSION}"
            )
    return str(address)


def fill(folder: Path, checkpoints: Sequence[Path], repo: str) -> None:
    """Writes what the repository shall hold."""
    single = len(checkpoints) == 1
    (folder / CONFIG).write_text(config_of(checkpoints[0]), "utf-8")
    cards = []
    for checkpoint in checkpoints:
        weights = folder / (WEIGHTS if single else checkpoint.name)
        shutil.copyfile(checkpoint, weights)
        model = api.open_checkpoint(str(weights), device="cpu")
        what = repo if single else f"{repo}:{weights.name}"
        cards.append(card_of(checkpoint, model, what, draw_sheet(model, weights.with_suffix(".jpg"))))
    (folder / README).write_text(front_matter(model) + "\n".join(cards), "utf-8")


def config_of(checkpoint: Path) -> str:
    """The architecture's name and what no shape tells, as `save_checkpoint` wrote it into the file."""
    with safe_open(checkpoint, "pt") as file:
        return json.dumps(json.loads(file.metadata()["config"]), indent=2) + "\n"


def draw_sheet(model: Model, path: Path) -> Path | None:
    """Seeds 0 to 63 in eight rows, of what draws from latents."""
    if not isinstance(model, LatentModel) or "sample" not in model.tasks:
        return None
    make_grid(api.sample(model, SHEET_SEEDS), columns=8).save(path, quality=SHEET_QUALITY)
    return path


def card_of(checkpoint: Path, model: Model, what: str, sheet: Path | None) -> str:
    """A checkpoint's card, with the sheet of the repository and a word on how to use it."""
    text = checkpoint.with_suffix(".md").read_text("utf-8")
    text = SHEET.sub(f"![sample sheet]({sheet.name})\n\n" if sheet else "", text, count=1)
    commands = "\n".join(COMMANDS[task].format(what) for task in model.tasks if task in COMMANDS)
    return f"{text.rstrip()}\n\n## Use\n\n```\n{commands}\n```\n"


def front_matter(model: Model) -> str:
    """What the Hub files a model under. The licence is its maker's to name."""
    kind, network = KINDS[model.tasks[0]], model.architecture.name
    return f"---\nlibrary_name: imgsynth\npipeline_tag: {kind}\ntags: [imgsynth, {network}]\n---\n\n"


@contextmanager
def explained(repo: str) -> Iterator[None]:
    """Whatever huggingface_hub raises, as one sentence that says what to do."""
    from huggingface_hub import errors as hub

    from imgsynth.checkpoints.hub_errors import FAILURES

    try:
        yield
    except hub.LocalTokenNotFoundError as error:
        raise UploadFailed(
            "To publish a checkpoint the Hub must know you; set HF_TOKEN or run 'hf auth login'."
        ) from error
    except hub.HfHubHTTPError as error:
        raise UploadFailed(refusal(error.response.status_code, repo)) from error
    except FAILURES as error:
        raise UploadFailed(
            f"The Hub could not be reached for {repo}; "
            "check the connection and HF_HUB_OFFLINE, and try again."
        ) from error


def refusal(status: int, repo: str) -> str:
    if status == 401:
        return "The Hub did not accept the token; renew it with 'hf auth login', or set another HF_TOKEN."
    if status in (403, 404):
        return f"This token may not write to {repo}; give --push-to-hub a name of your own account."
    return f"The Hub did not take {repo} ({status}); try again later."
