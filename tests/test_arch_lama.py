"""LaMa of every size and with every option is opened as it was built, out of whatever it lies in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from builders import model_of, randomised, save, tiny_lama
from imgsynth.architectures.ffc import SpectralTransform, quarters
from imgsynth.architectures.lama import LaMaGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.checkpoints.naming import from_path
from imgsynth.errors import UnknownArchitecture
from imgsynth.families import Inpainter
from imgsynth.runtime.opening import open_file

State = dict[str, Tensor]


def sizes(downsamplings: int = 2, blocks: int = 1, global_channels: int = 8, **others: Any) -> dict[str, Any]:
    return {
        "input_channels": 4,
        "output_channels": 3,
        "width": 4,
        "downsamplings": downsamplings,
        "blocks": blocks,
        "global_channels": global_channels,
        **others,
    }


SIZES = [
    sizes(),
    sizes(downsamplings=1, blocks=4, global_channels=2),
    sizes(downsamplings=5, global_channels=96),
    sizes(downsamplings=3, global_channels=12, most_channels=16),
    sizes(global_channels=0),
    sizes(blocks=0),
    sizes(local_fourier=True),
    sizes(early_global_channels=[2, 4], global_channels=12),
    sizes(early_global_channels=[8, 8], global_channels=16, width=16, early_local_fourier=True),
    sizes(early_global_channels=[4, 4], global_channels=8, width=8, local_fourier=True),
    sizes(early_global_channels=[4 - 1, 8 - 1], global_channels=0),
    {**sizes(downsamplings=3, global_channels=24), "input_channels": 2, "output_channels": 1},
]


@pytest.mark.parametrize("built", SIZES, ids=str)
def test_read_as_it_was_built(built: dict[str, Any]) -> None:
    network = randomised(LaMaGenerator(**built), 0)
    opened = open_state_dict(network.state_dict())
    assert opened.architecture.name == "lama"
    assert opened.hyperparameters == built
    multiple = opened.architecture.multiple(built)
    x = torch.rand(1, built["input_channels"], 2 * multiple, 3 * multiple)
    with torch.inference_mode():
        assert torch.equal(opened.network(x), network(x))


@pytest.mark.parametrize(
    ("hint", "lowest", "highest"),
    [("sigmoid", 0, 1), ("tanh", -1, 1), (True, -1, 1), (False, -99, 99), (None, -99, 99)],
    ids=str,
)
def test_the_last_activation_is_heard_from_a_hint(hint: Any, lowest: float, highest: float) -> None:
    state = tiny_lama().state_dict()
    last = next(k for k in reversed(state) if k.endswith(".bias"))
    state[last] = torch.tensor([-99.0, 0.0, 99.0])
    network = open_state_dict(state, {"add_out_act": hint}).network
    low, high = network(torch.zeros(1, 4, 16, 16)).mean((0, 2, 3))[[0, 2]].tolist()
    assert low == pytest.approx(lowest, rel=0.2) and high == pytest.approx(highest, rel=0.2)


@pytest.mark.parametrize("hint", ["relu", 3, [1], {}], ids=str)
def test_an_activation_that_is_none_is_refused(hint: Any) -> None:
    with pytest.raises(UnknownArchitecture, match="nearly a lama"):
        open_state_dict(tiny_lama().state_dict(), {"add_out_act": hint})


def training(state: State) -> State:
    """All keys of a training, as Lightning saves them; other parts hold networks of the same names."""
    return {
        **{f"generator.{k}": v for k, v in state.items()},
        **{f"generator_average.{k}": torch.zeros_like(v) for k, v in state.items()},
        "discriminator.model0.0.weight": torch.ones(4, 3, 4, 4),
        "loss_pl.vgg.0.weight": torch.ones(4, 3, 3, 3),
        "loss_resnet_pl.impl.conv1.weight": torch.ones(4, 3, 7, 7),
        "val_evaluator.scores.ssim.window": torch.ones(1, 1, 11, 11),
        "test_evaluator.scores.lpips.model.net.0.weight": torch.ones(3),
        "extra_evaluators.thick.scores.ssim.window": torch.ones(1, 1, 11, 11),
        "fake_fakes_gen.grad_estimator.weight": torch.ones(1),
    }


WRAPPINGS: dict[str, Any] = {
    "best.ckpt": lambda state: {"state_dict": training(state), "epoch": 39, "global_step": 1_000_000},
    "generator.pth": lambda state: {f"generator.{k}": v for k, v in state.items()},
    "generator.safetensors": lambda state: {f"generator.{k}": v for k, v in state.items()},
    "model.safetensors": lambda state: {f"model.{k}": v for k, v in state.items()},
    "scripted.safetensors": lambda state: {f"model.generator.{k}": v for k, v in state.items()},
    "large_512px.ckpt": lambda state: {"gen_state_dict": state, "dis_state_dict": {"x": torch.ones(1)}},
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_generator_is_found_in_whatever_it_lies(name: str, tmp_path: Path) -> None:
    state = tiny_lama().state_dict()
    opened = open_file(from_path(save(WRAPPINGS[name](state), tmp_path / name))).opened
    assert opened.architecture.name == "lama"
    found = opened.network.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], v) for k, v in state.items())


def test_what_the_generator_has_and_we_have_not_is_refused() -> None:
    state = {f"generator.{k}": v for k, v in tiny_lama().state_dict().items()}
    state["generator.model.5.conv1.ffc.gate.weight"] = torch.ones(2, 32, 1, 1)
    with pytest.raises(UnknownArchitecture, match=r"gate\.weight"):
        open_state_dict(state)


def test_quarters_of_the_image_lie_on_top_of_each_other() -> None:
    x = torch.arange(2 * 8 * 4 * 6).reshape(2, 8, 4, 6)
    found = quarters(x)
    corners = [(0, 0), (2, 0), (0, 3), (2, 3)]  # top left, bottom left, top right, bottom right
    for n in range(2):
        for i, (top, left) in enumerate(corners):
            for channel in range(2):
                expected = x[n, channel, top : top + 2, left : left + 3]
                assert torch.equal(found[n, 2 * i + channel], expected)
    assert found.shape == (2, 8, 2, 3)


def test_a_local_fourier_unit_adds_the_same_to_each_quarter() -> None:
    transform = randomised(SpectralTransform(8, 8, stride=1, local=True), 0)
    assert isinstance(transform, SpectralTransform) and transform.lfu is not None
    x = torch.rand(1, 8, 6, 4)
    inner = transform.conv1(x)
    added = torch.zeros_like(inner)
    for top in (0, 3):
        for left in (0, 2):
            added[..., top : top + 3, left : left + 2] = transform.lfu(quarters(inner))
    torch.testing.assert_close(transform(x), transform.conv2(inner + transform.fu(inner) + added))


def test_a_stride_halves_the_image_before_its_spectrum() -> None:
    transform = randomised(SpectralTransform(4, 6, stride=2, local=False), 0)
    halved = randomised(SpectralTransform(4, 6, stride=1, local=False), 0)
    x = torch.rand(1, 4, 6, 4)
    means = x.reshape(1, 4, 3, 2, 2, 2).mean((3, 5))
    torch.testing.assert_close(transform(x), halved(means))


@pytest.mark.parametrize("size", [(5, 31), (40, 24)], ids=str)
def test_photos_of_any_size_with_local_fourier_units(size: tuple[int, int]) -> None:
    model = model_of(randomised(LaMaGenerator(**sizes(local_fourier=True)), 0))
    assert isinstance(model, Inpainter)
    mask = torch.zeros(1, 1, *size)
    mask[..., 0] = 1
    assert model.inpaint(torch.rand(1, 3, *size), mask).shape == (1, 3, *size)
