"""What GANs with spectral norm (Miyato et al. 2018, arXiv:1802.05957) and self-attention share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def spectral(layer: Layer, normalised: bool) -> Layer:
    """The layer, its weight held as `weight_orig`, `weight_u` and `weight_v` where it is normalised.

    `torch.nn.utils.spectral_norm` has the same keys, but draws u and v anew for every layer, which takes a
    large network seconds on the meta device, and divides on every pass, where `fold` does so once.
    """
    if normalised:
        weight = layer.weight
        del layer.weight
        layer.register_parameter("weight_orig", nn.Parameter(weight))
        layer.register_buffer("weight_u", torch.ones(weight.shape[0]))
        layer.register_buffer("weight_v", torch.ones(weight.shape[1:].numel()))
        layer.register_forward_pre_hook(set_weight)
    return layer


def set_weight(layer: nn.Module, _: object) -> None:
    """Before each pass of a layer that is not folded."""
    if hasattr(layer, "weight_orig"):
        layer.weight = normalised_weight(layer)


def normalised_weight(layer: nn.Module) -> Tensor:
    """W / (uᵀWv), with u and v as the file has them: evaluation never changes or normalises them."""
    weight, u, v = (getattr(layer, f"weight_{part}") for part in ("orig", "u", "v"))
    return weight / torch.dot(u, torch.mv(weight.flatten(1), v))


def fold(network: nn.Module, _: Mapping[str, Tensor]) -> list[str]:
    """Replaces what spectral norm holds of each weight by the weight, so that inference divides only once."""
    for layer in network.modules():
        if hasattr(layer, "weight_orig"):
            weight = normalised_weight(layer)
            del layer.weight_orig, layer.weight_u, layer.weight_v
            vars(layer).pop("weight", None)
            layer.register_parameter("weight", nn.Parameter(weight, requires_grad=False))
    return []


def attend(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """Self-attention of SAGAN (Zhang et al. 2019, arXiv:1805.08318), with keys and values pooled 2×2.

    Args:
        theta, phi: queries and keys, N×D×H×W.
        g: values, N×C×H×W.

    Returns:
        N×C×H×W: for every pixel the values, weighted by the softmax of unscaled dot products.
    """
    n, c, h, w = g.shape
    phi, g = F.max_pool2d(phi, 2), F.max_pool2d(g, 2)
    queries, keys, values = (t.flatten(2).transpose(1, 2) for t in (theta, phi, g))
    attended = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    return attended.transpose(1, 2).reshape(n, c, h, w)


def upsample(x: Tensor) -> Tensor:
    """Nearest neighbours, twice the size."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
