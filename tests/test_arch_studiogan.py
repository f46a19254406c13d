"""StudioGAN's ResNet: every size is read back, and what no golden file has: spectral norm and attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from builders import model_of
from imgsynth.architectures.registry import open_state_dict
from imgsynth.architectures.spectral import attend, fold, spectral
from imgsynth.architectures.studiogan_resnet import EPS, GeneratorBlock, StudioGANResNet
from imgsynth.errors import UnknownArchitecture
from spectral_state import settled

TINY: dict[str, Any] = {
    "latent_dim": 6,
    "widths": [16, 8],
    "classes": 3,
    "attention_after": [],
    "channels": 3,
    "spectral_norm": False,
    "activation": "ReLU",
}
Z = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 0])


def tiny(**changes: Any) -> nn.Module:
    return settled(StudioGANResNet(**{**TINY, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classes": 0, "channels": 1},
        {"widths": [32, 16, 8, 8], "attention_after": [2]},
        {"widths": [16, 8, 8], "attention_after": [1, 2], "spectral_norm": True},
        {"widths": [8, 4, 4, 2], "classes": 0, "spectral_norm": True},
        {"classes": 1, "widths": [5, 5, 5, 5, 5]},
    ],
)
@torch.no_grad()
def test_every_size_is_read_as_it_was_built(changes: dict[str, Any]) -> None:
    network = tiny(**changes)
    model = model_of(network)
    assert model.architecture.name == "studiogan_resnet"
    sizes = model.opened.hyperparameters
    assert sizes == {**TINY, **changes}
    picture = model.network(Z, LABELS)
    torch.testing.assert_close(picture, network(Z, LABELS))
    assert picture.shape == (2, sizes["channels"], model.image_size, model.image_size)
    assert model.image_size == 4 * 2 ** (len(sizes["widths"]) - 1)


@torch.no_grad()
def test_a_class_changes_the_picture() -> None:
    model = model_of(tiny())
    drawn = [model.render(Z[:1], labels=[label]) for label in (0, 0, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_conditional_network_asks_for_labels() -> None:
    with pytest.raises(ValueError, match="labels"):
        tiny()(Z)


def test_the_activation_is_told_by_the_configuration() -> None:
    state = tiny().state_dict()
    pictures = {
        name: open_state_dict(state, {"g_act_fn": name}).network(Z, LABELS)
        for name in ("ReLU", "Leaky_ReLU", "ELU", "GELU")
    }
    assert torch.equal(pictures["ReLU"], open_state_dict(state).network(Z, LABELS))
    assert len({picture.sum().item() for picture in pictures.values()}) == 4
    with pytest.raises(UnknownArchitecture, match="studiogan_resnet"):
        open_state_dict(state, {"g_act_fn": ["ReLU"]})


def test_a_biggan_of_the_same_blocks_is_another_network() -> None:
    state = {**tiny().state_dict(), "shared.weight": torch.zeros(3, 8)}
    with pytest.raises(UnknownArchitecture):
        open_state_dict(state)


@torch.no_grad()
def test_a_conditional_block_does_what_the_papers_say() -> None:
    block = GeneratorBlock(4, 6, 3, False, F.elu)
    settled(block)
    x, condition = torch.randn(2, 4, 5, 5), torch.eye(3)[[2, 0]]

    def normalised(norm: Any, h: torch.Tensor) -> torch.Tensor:
        h = (h - norm.bn.running_mean[:, None, None]) / (norm.bn.running_var + EPS)[:, None, None].sqrt()
        gain, bias = norm.gain.weight.T[[2, 0]], norm.bias.weight.T[[2, 0]]
        return h * (1 + gain[..., None, None]) + bias[..., None, None]

    def twice(h: torch.Tensor) -> torch.Tensor:
        return h.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = block.conv2d1(twice(F.elu(normalised(block.bn1, x))))
    h = block.conv2d2(F.elu(normalised(block.bn2, h)))
    torch.testing.assert_close(block(x, condition), h + block.conv2d0(twice(x)))


def test_attention_weighs_pooled_values_by_unscaled_products() -> None:
    theta, phi, g = torch.randn(2, 3, 4, 6), torch.randn(2, 3, 4, 6), torch.randn(2, 5, 4, 6)
    keys, values = (F.max_pool2d(t, 2).flatten(2) for t in (phi, g))
    weights = torch.einsum("ndq,ndk->nqk", theta.flatten(2), keys).softmax(2)
    expected = torch.einsum("nqk,nck->ncq", weights, values).reshape(g.shape)
    torch.testing.assert_close(attend(theta, phi, g), expected)


@pytest.mark.parametrize(("kind", "sizes"), [(nn.Linear, (5, 4)), (nn.Conv2d, (5, 4, 3))])
@pytest.mark.parametrize("folded", [False, True])
@torch.no_grad()
def test_spectral_norm_is_that_of_torch(kind: Any, sizes: tuple[int, ...], folded: bool) -> None:
    theirs, ours = nn.utils.spectral_norm(kind(*sizes)).eval(), spectral(kind(*sizes), True)
    # As in files, u and v are not of length 1, and stay as they are.
    state = {k: 0.3 * v if k.endswith(("_u", "_v")) else v for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    if folded:
        fold(ours, {})
        assert set(ours.state_dict()) == {"weight", "bias"}
    x = torch.randn(2, 5, *[7] * (len(sizes) - 1)) if kind is nn.Conv2d else torch.randn(2, 5)
    torch.testing.assert_close(ours(x), theirs(x))
