"""Every network computes what its original implementation does.

Each golden file holds a state dict that the original code made, an input, and the outputs it gave.
Set IMGSYNTH_GOLDEN_DIR to the folder where they lie.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import imgsynth
from builders import save
from imgsynth.checkpoints.naming import from_path
from imgsynth.errors import UnknownArchitecture
from imgsynth.families import Model
from imgsynth.runtime.opening import load

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "golden"
FOLDER = Path(os.environ.get("IMGSYNTH_GOLDEN_DIR") or BESIDE)
TOLERANCE = 1e-4  # of an output's range

# Networks that are still to come, by the first part of their files' names.
TO_COME = (
    *("animegan2", "aotgan", "autoencoder_kl", "autoencoder_tiny", "biggan_deep", "deepfillv2"),
    *("fast_neural_style", "informative_drawings", "johko_cyclegan", "lightweight_gan"),
    *("lightweight_gan_huggan", "migan", "mlp_vae_csinva", "pix2pix_unet", "pythae", "r3gan"),
    *("studiogan_resnet", "stylegan1_hajar", "stylegan2_rosinality", "taesd"),
)

Tensors = Mapping[str, Tensor]
Outputs = dict[str, Tensor]


def run_dcgan(model: Model, given: Tensors) -> Outputs:
    return {"image": model.network(given["z"])}


def run_conv_vae(model: Model, given: Tensors) -> Outputs:
    network: Any = model.network
    mu, logvar = network.encode(given["x"])
    logits = network.decode(given["z"])
    rebuilt = network(given["x"]).sigmoid()
    return {
        "mu": mu,
        "logvar": logvar,
        "logits": logits,
        "decoded": logits.sigmoid(),
        "reconstruction": rebuilt,
    }


def run_cyclegan_resnet(model: Model, given: Tensors) -> Outputs:
    return {"image": model.network(given["x"])}


def run_lama(model: Model, given: Tensors) -> Outputs:
    image, mask = given["image"], given["mask"]
    assert model.architecture.assemble is not None
    predicted = model.network(model.architecture.assemble(image, mask))
    return {"predicted": predicted, "composite": predicted * mask + image * (1 - mask)}


RUN: dict[str, Callable[[Model, Tensors], Outputs]] = {
    "dcgan": run_dcgan,
    "conv_vae": run_conv_vae,
    "cyclegan_resnet": run_cyclegan_resnet,
    "lama": run_lama,
}


@dataclass(frozen=True)
class Golden:
    """What one file holds; `hints` are the facts that a config.json would give."""

    state: Tensors
    given: Tensors
    expected: Tensors
    hints: Mapping[str, Any]


def read(path: Path) -> Golden:
    with safe_open(path, framework="pt") as file:
        meta = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a mapping
    stored = below("state/", tensors)
    state = {**(filled(meta) if "fill" in meta else {}), **stored}
    assert len(state) == int(meta["n_state_keys"])
    return Golden(
        {k: v.float() if v.is_floating_point() else v for k, v in state.items()},
        below("input/", tensors),
        below("output/", tensors),
        json.loads(meta["hints"]),
    )


def below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def filled(meta: Mapping[str, str]) -> dict[str, Tensor]:
    """The state of a network that is too large to be stored, by the rule that it was made with."""
    state = {
        key: fill(f"{meta['fill_seed']}/{key}", tuple(shape), dtype, low, high)
        for key, (shape, dtype, low, high) in json.loads(meta["fill"]).items()
    }
    for key, first in json.loads(meta["fill_check"]).items():
        assert state[key].flatten()[:4].tolist() == first, key
    return state


def fill(name: str, shape: tuple[int, ...], dtype: str, low: float, high: float) -> Tensor:
    if not dtype.startswith("float"):
        return torch.full(shape, int(low), dtype=getattr(torch, dtype))
    x = np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + zlib.crc32(name.encode())
    x &= 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x ^= x >> np.uint64(shift)
        x = (x * factor) & 0xFFFFFFFF
    values = low + (high - low) * (x.astype(np.float64) / 2**32)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def opened(path: Path, hints: Mapping[str, Any]) -> Model:
    """The file as a person opens it; hints go where those of a repository's config.json go."""
    if not hints:
        return imgsynth.open_checkpoint(str(path), device="cpu", precision="fp32")
    return load(replace(from_path(path), hints=hints), torch.device("cpu"), "fp32")


def as_stored(outputs: Outputs, name: str) -> Tensor:
    """An output in the form in which the file keeps it: whole, every K-th pixel, or the mean of each row."""
    if name in outputs:
        return outputs[name]
    if match := re.fullmatch(r"(.+)_stride(\d+)", name):
        step = int(match[2])
        return outputs[match[1]][..., ::step, ::step]
    return outputs[name.removesuffix("_row_mean")].mean(-1)


def cases() -> list[Any]:
    if not FOLDER.is_dir():
        reason = "there is no folder of golden files; name it in IMGSYNTH_GOLDEN_DIR"
        return [pytest.param(FOLDER, marks=pytest.mark.skip(reason=reason), id="no golden files")]
    return [case(path) for path in sorted(FOLDER.glob("*.safetensors"))]


def case(path: Path) -> Any:
    to_come = path.name.split("__")[0] in TO_COME
    marks = [pytest.mark.xfail(raises=UnknownArchitecture, strict=True)] if to_come else []
    return pytest.param(path, marks=marks, id=path.stem)


@pytest.mark.parametrize("path", cases())
def test_network_computes_what_the_original_does(path: Path, tmp_path: Path) -> None:
    golden = read(path)
    model = opened(save(golden.state, tmp_path / "flat.safetensors"), golden.hints)
    with torch.inference_mode():
        outputs = RUN[model.architecture.name](model, golden.given)
    assert golden.expected
    for name, expected in golden.expected.items():
        found = as_stored(outputs, name)
        assert found.shape == expected.shape, name
        worst = (found - expected).abs().max().item()
        assert worst <= TOLERANCE * (expected.max() - expected.min()).item(), name

    again = opened(save(golden.state, tmp_path / "flat.pth"), golden.hints)
    assert again.opened.hyperparameters == model.opened.hyperparameters
    theirs = again.network.state_dict()
    assert all(torch.equal(theirs[key], value) for key, value in model.network.state_dict().items())


def test_the_fill_rule_gives_the_values_it_was_published_with() -> None:
    found = fill("beta_vae_celeba__z32_full/encoder.0.weight", (2, 2), "float32", -0.35, 0.35)
    expected = [
        [0.08456198126077652, 0.18441075086593628],
        [-0.12101686000823975, -0.0202951543033123],
    ]
    assert found.tolist() == expected
