"""What the README claims is so: its tables are whole, and its worked example works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from builders import drawn, model_of, randomised
from imgsynth.architectures import registry
from imgsynth.architectures.registry import architectures, open_state_dict
from imgsynth.checkpoints.catalog import load_catalog

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


def worked_example() -> dict[str, Any]:
    section = README.partition("### Add your own architecture")[2]
    code = section.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {"__name__": "worked_example"}
    exec(compile(code, "README.md", "exec"), names)
    return names


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
