"""DeepFill v2 in both layouts and of every width; its attention beside one written patch by patch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import model_of, randomised
from imgsynth.architectures import contextual_attention, deepfillv2
from imgsynth.architectures.contextual_attention import ContextualAttention, require_comparable
from imgsynth.architectures.deepfillv2 import DeepFillGenerator, GatedConv, assemble
from imgsynth.architectures.registry import open_state_dict
from imgsynth.errors import BadRequest, UnknownArchitecture
from imgsynth.families import Inpainter

LAYOUTS = ("pt", "tf")


def checked(state: dict[str, Tensor], network: torch.nn.Module, channels: int = 3) -> dict[str, Any]:
    """What a state dict is taken for; it must compute what the network does."""
    opened = open_state_dict(state)
    assert opened.architecture.name == "deepfillv2"
    x = torch.rand(1, channels + 2, 32, 40).round()
    with torch.inference_mode():
        assert torch.equal(opened.network(x), network(x))
    return opened.hyperparameters


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("cnum", "channels"), [(8, 3), (16, 1), (9, 3), (12, 3), (7, 3), (4, 3)])
def test_read_as_it_was_built(layout: str, cnum: int, channels: int) -> None:
    built = {"cnum": cnum, "channels": channels, "layout": layout}
    network = randomised(DeepFillGenerator(**built), 0)
    assert checked(dict(network.state_dict()), network, channels) == built


def test_layers_of_three_channels_have_no_gate() -> None:
    network = DeepFillGenerator(cnum=12)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["stage1.up_block2.conv2.conv.weight"] == (3, 6, 3, 3)
    assert shapes["stage1.up_block2.conv1_upsample.conv.conv.weight"] == (12, 12, 3, 3)
    conv = GatedConv(2, 3, same=False)
    x = torch.rand(1, 2, 4, 4)
    assert torch.equal(conv(x), conv.conv(x))


def test_early_files_spell_the_branches_otherwise_and_lack_the_fuse_weight() -> None:
    network = randomised(DeepFillGenerator(cnum=8), 0)
    network.stage2.contextual_attention.fuse_weight.copy_(torch.eye(3))
    state = {
        key.replace("stage2.conv_conv", "stage2.b1_conv")
        .replace("stage2.conv_down", "stage2.b1_down")
        .replace("stage2.ca_", "stage2.b2_"): value
        for key, value in network.state_dict().items()
        if not key.endswith("fuse_weight")
    }
    assert "stage2.b1_conv_bn5.conv.weight" in state and "stage2.conv_bn6.conv.weight" in state
    assert checked(state, network) == {"cnum": 8, "channels": 3, "layout": "pt"}


@pytest.mark.parametrize(
    ("tf", "pt"),
    [
        ("conv1.conv.bias", "stage1.conv1.conv.bias"),
        ("conv12.conv.bias", "stage1.conv_bn7.conv.bias"),
        ("xconv4_downsample.conv.bias", "stage2.conv_down_block2.conv1_downsample.conv.bias"),
        ("pmconv9.conv.bias", "stage2.ca_conv_bn4.conv.bias"),
        ("allconv15_upsample.conv.conv.bias", "stage2.up_block2.conv1_upsample.conv.conv.bias"),
        ("allconv17.conv.bias", "stage2.conv_to_rgb.conv.bias"),
        ("conv18.conv.bias", "conv18.conv.bias"),
        ("conv0.conv.bias", "conv0.conv.bias"),
    ],
)
def test_names_of_the_tf_layout(tf: str, pt: str) -> None:
    assert deepfillv2.from_tf(tf) == pt


def test_a_network_without_a_sketch_channel_is_refused() -> None:
    state = DeepFillGenerator(cnum=8).state_dict()
    state["stage1.conv1.conv.weight"] = torch.ones(8, 4, 5, 5)
    with pytest.raises(UnknownArchitecture, match=r"stage1\.conv1\.conv\.weight \[8, 4, 5, 5\]"):
        open_state_dict(state)


def test_strides_pad_right_and_below_in_tensorflow_only() -> None:
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 1
    for same, taps in ((True, (0, 0)), (False, (1, 1))):
        conv = GatedConv(1, 4, stride=2, gated=False, same=same)
        out = conv(x) - conv.conv.bias[:, None, None]
        torch.testing.assert_close(out[0, :, 0, 0], conv.conv.weight[:, 0, taps[0], taps[1]])


def test_a_gate_is_a_sigmoid_of_the_second_half() -> None:
    conv = randomised(GatedConv(2, 4, same=False), 0)
    assert isinstance(conv, GatedConv)
    x = torch.randn(1, 2, 5, 5)
    content, gate = conv.conv(x)[:, :4], conv.conv(x)[:, 4:]
    elu = torch.where(content > 0, content, content.exp() - 1)
    torch.testing.assert_close(conv(x), elu / (1 + (-gate).exp()))


# Attention, patch by patch


def picked(side: int, factor: int, aligned: bool) -> list[int]:
    """Which pixels stand for the places of a smaller map."""
    count = side // factor
    if not aligned:
        return [factor * i for i in range(count)]
    return [math.floor(i * (side - 1) / (count - 1) + 0.5) for i in range(count)]


def pixel(image: np.ndarray, y: int, x: int) -> np.ndarray:
    inside = 0 <= y < image.shape[1] and 0 <= x < image.shape[2]
    return image[:, y, x] if inside else np.zeros(image.shape[0])


def neighbour(scores: np.ndarray, b: int, f: int) -> float:
    return scores[b, f] if 0 <= b < len(scores) and 0 <= f < len(scores) else 0.0


def fused(scores: np.ndarray, height: int, width: int, weight: np.ndarray) -> np.ndarray:
    """Neighbours in the list of all places are added, in a list of rows and then in one of columns."""
    taps = [(i, j) for i in range(3) for j in range(3)]
    total = height * width
    first = np.zeros_like(scores)
    for b in range(total):
        for f in range(total):
            first[b, f] = sum(weight[i, j] * neighbour(scores, b + i - 1, f + j - 1) for i, j in taps)
    by_column = [x + y * width for x in range(width) for y in range(height)]
    turned = np.array([[first[b, f] for f in by_column] for b in by_column])
    second = np.zeros_like(scores)
    for b in range(total):
        for f in range(total):
            here = sum(weight[i, j] * neighbour(turned, b + i - 1, f + j - 1) for i, j in taps)
            second[by_column[b], by_column[f]] = here
    return second


def reference(features: Tensor, hole: Tensor, aligned: bool, weight: Tensor | None) -> np.ndarray:
    """C×H×W and 4H×4W → C×H×W in float64."""
    image, mask = features.double().numpy(), hole.double().numpy()
    rows, columns = (picked(side, 2, aligned) for side in image.shape[1:])
    height, width = len(rows), len(columns)
    small = image[:, rows][:, :, columns]
    mask = mask[picked(len(mask), 8, aligned)][:, picked(mask.shape[1], 8, aligned)][None]
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    places = [(y, x) for y in range(height) for x in range(width)]
    patches = [np.concatenate([pixel(small, y + dy, x + dx) for dy, dx in around]) for y, x in places]
    usable = [all(pixel(mask, y + dy, x + dx)[0] == 0 for dy, dx in around) for y, x in places]
    scores = np.array([[b @ f / max(np.linalg.norm(b), 1e-4) for f in patches] for b in patches])
    if weight is not None:
        scores = fused(scores, height, width, weight.double().numpy())
    out = np.zeros_like(image)
    for f, (y, x) in enumerate(places):
        exponents = np.array([10 * scores[b, f] * usable[b] for b in range(len(places))])
        weights = np.exp(exponents - exponents.max())
        weights /= weights.sum()
        for b, (by, bx) in enumerate(places):
            for i in range(4):
                for j in range(4):
                    to, source = (2 * y - 1 + i, 2 * x - 1 + j), (2 * by - 1 + i, 2 * bx - 1 + j)
                    if usable[b] and 0 <= to[0] < image.shape[1] and 0 <= to[1] < image.shape[2]:
                        out[:, to[0], to[1]] += weights[b] * pixel(image, *source) / 4
    return out


def attended(seed: int, height: int, width: int, holes: int = 2) -> tuple[Tensor, Tensor]:
    """Features of a few places, and a mask with a box somewhere, one sample for each hole."""
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(holes, 2, 2 * height, 2 * width, generator=rng) / 4
    mask = torch.zeros(holes, 1, 8 * height, 8 * width)
    for i in range(holes):
        mask[i, :, 8 * i : 8 * i + 9, 8 * i : 8 * i + 9] = 1
    return features, mask


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("fuse", ["not", "diagonal", "any"])
@pytest.mark.parametrize(("height", "width"), [(4, 5), (3, 4)])
@pytest.mark.parametrize("at_once", [1, 2**24])
def test_attention_is_what_patch_by_patch_gives_with_the_first_sample_s_hole(
    aligned: bool, fuse: str, height: int, width: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contextual_attention, "SCORES_AT_ONCE", at_once)
    attention = ContextualAttention(fuse != "not", aligned)
    if fuse == "any":
        attention.fuse_weight.copy_(torch.linspace(-0.5, 1, 9).view(1, 1, 3, 3))
    weight = attention.fuse_weight[0, 0] if attention.fuse else None
    features, mask = attended(height, height, width)
    found = attention(features, mask)
    assert found.shape == features.shape
    for i in range(len(features)):
        expected = reference(features[i], mask[0, 0], aligned, weight)
        assert np.abs(found[i].numpy() - expected).max() < 1e-5


def test_attention_keeps_to_float32_in_reduced_precision() -> None:
    attention = ContextualAttention(fuse=True, aligned=False)
    features, mask = attended(1, 4, 5)
    expected = attention(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attention(features, mask), expected)
        assert attention(features.bfloat16(), mask).dtype == torch.bfloat16


def test_a_picture_too_large_to_compare_is_refused_before_any_work() -> None:
    with torch.device("meta"):
        network, x = DeepFillGenerator(), torch.zeros(1, 5, 2056, 2048)
    with pytest.raises(BadRequest, match="above 4 megapixels; scale the picture down"):
        network(x)
    require_comparable(2048, 2048)


def test_the_rough_picture_is_taken_in_the_hole_only(monkeypatch: pytest.MonkeyPatch) -> None:
    network = DeepFillGenerator(cnum=8)
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 4:9] = 1
    taken = []
    monkeypatch.setattr(network.stage2, "forward", lambda x, mask: taken.append(x) or x)
    coarse, _ = network.stages(assemble(image, mask))
    assert torch.equal(taken[0], torch.where(mask == 1, coarse, image))


def test_the_input_has_an_empty_sketch_between_image_and_mask() -> None:
    image, mask = torch.full((1, 3, 1, 2), -0.5), torch.tensor([[[[0.0, 1.0]]]])
    assert assemble(image, mask).flatten().tolist() == [-0.5, 0, -0.5, 0, -0.5, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_photos_are_filled_each_from_around_its_own_hole(layout: str) -> None:
    model = model_of(randomised(DeepFillGenerator(cnum=8, layout=layout), 0))
    assert isinstance(model, Inpainter)
    photos, masks = torch.rand(2, 3, 40, 48), torch.zeros(2, 1, 40, 48)
    masks[0, :, :9, :9] = masks[1, :, 24:, 8:32] = 1
    together = model.inpaint(photos, masks)
    for i in range(2):
        assert torch.equal(together[i : i + 1], model.inpaint(photos[i : i + 1], masks[i : i + 1]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (37, 50)], ids=str)
def test_photos_of_any_size(layout: str, size: tuple[int, int]) -> None:
    model = model_of(randomised(DeepFillGenerator(cnum=8, layout=layout), 0))
    assert isinstance(model, Inpainter)
    mask = torch.zeros(1, 1, *size)
    mask[..., 0] = 1
    filled = model.inpaint(torch.rand(1, 3, *size), mask)
    assert filled.shape == (1, 3, *size) and filled.isfinite().all()
