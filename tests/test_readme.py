"""What the README claims is so: its tables are whole, and its worked example works."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from builders import drawn, model_of, randomised
from imgsynth.architectures import registry
from imgsynth.architectures.registry import architectures, open_state_dict
from imgsynth.checkpoints.catalog import load_catalog

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")


def table_row(name: str) -> str:
    rows = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    assert rows, f"no table has a row for {name}"
    return rows[0]


@pytest.mark.parametrize("name", [a.name for a in architectures()])
def test_every_architecture_has_its_row_with_every_known_checkpoint(name: str) -> None:
    row = table_row(name)
    assert [c.id for c in load_catalog().values() if c.architecture == name] == re.findall(
        r"`([a-z0-9-]+)`", row.rsplit("|", 2)[1]
    )


def test_the_header_names_every_repository_of_the_catalog() -> None:
    listed = re.findall(r"^  - (\S+/\S+)$", README, re.MULTILINE)
    assert listed == list(dict.fromkeys(c.repo for c in load_catalog().values() if c.repo))


def test_what_a_space_loads_beforehand_is_what_the_catalog_opens() -> None:
    listed = README.partition("preload_from_hub:\n")[2].partition("---")[0]
    known = {(c.repo, c.file, c.revision) for c in load_catalog().values()}
    loaded = [line.removeprefix("  - ").split() for line in listed.splitlines()]
    assert loaded
    for repo, file, *revision in loaded:
        assert (repo, file, revision[0] if revision else None) in known


def example_below(heading: str) -> dict[str, Any]:
    """What the names of the first Python example below a heading stand for, once it has run."""
    code = README.partition(heading)[2].partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"__name__": "worked_example"}
    exec(compile(code, "README.md", "exec"), names)
    return names


def worked_example() -> dict[str, Any]:
    return example_below("### Add your own architecture")


@pytest.mark.skipif(
    "IMGSYNTH_WEIGHTS" in os.environ, reason="IMGSYNTH_WEIGHTS names other weights than those that ship"
)
def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMGSYNTH_DEVICE", "cpu")
    with Image.open(EXAMPLES / "china.jpg") as photo:
        photo.resize((120, 80)).save("holiday.jpg")
        photo.crop((0, 0, 64, 64)).save("face.png")
    names = example_below("## Python\n")
    assert [picture.size for picture in names["pictures"]] == [(128, 128)] * 16
    assert len(list(names["frames"])) == len(list(names["walk"])) == 60
    with Image.open("painted.png") as painted, Image.open("wider.png") as wider:
        assert painted.size == (120, 80) and wider.size == (240, 80)
    with Image.open("blends.png") as blends:
        assert blends.width == blends.height > 7 * 128


@pytest.mark.parametrize(
    "sizes", [{"latent_dim": 7, "side": 3, "channels": 3}, {"latent_dim": 9, "side": 2, "channels": 1}]
)
def test_the_worked_example_opens_and_draws(sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    names = worked_example()
    everyone = (*architectures(), names["UPSAMPLE_GAN"])
    monkeypatch.setattr(registry, "architectures", lambda: everyone)
    network = randomised(names["UpsampleGenerator"](**sizes), seed=1)
    opened = open_state_dict(network.state_dict())
    assert (opened.architecture.name, opened.hyperparameters) == ("upsample_gan", sizes)
    z = torch.randn(2, sizes["latent_dim"])
    assert torch.equal(opened.network(z), network(z))
    assert drawn(model_of(network), [5])[0].shape == (4 * sizes["side"], 4 * sizes["side"], 3)
