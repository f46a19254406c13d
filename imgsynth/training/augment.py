"""Differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738): the discriminator sees reals and fakes
through the same random changes, so that it cannot learn a small data set by heart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def color(x: Tensor) -> Tensor:
    """Random brightness, saturation and contrast, per image."""
    n = x.shape[0]
    x = x + torch.rand(n, 1, 1, 1, device=x.device) - 0.5
    mean = x.mean(1, keepdim=True)
    x = mean + (x - mean) * (torch.rand(n, 1, 1, 1, device=x.device) * 2)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (torch.rand(n, 1, 1, 1, device=x.device) + 0.5)


def translation(x: Tensor, ratio: float = 0.125) -> Tensor:
    """Random shift by up to `ratio` of the side; what comes in is zero, as in the paper, which is grey."""
    n, _, h, w = x.shape
    reach = int(h * ratio + 0.5), int(w * ratio + 0.5)
    padded = F.pad(x, (reach[1], reach[1], reach[0], reach[0]))
    tops = torch.randint(0, 2 * reach[0] + 1, (n,)).tolist()
    lefts = torch.randint(0, 2 * reach[1] + 1, (n,)).tolist()
    return torch.stack([p[:, t : t + h, s : s + w] for p, t, s in zip(padded, tops, lefts, strict=True)])


def cutout(x: Tensor, ratio: float = 0.5) -> Tensor:
    """One random box of `ratio` of the side is blanked, per image."""
    n, _, h, w = x.shape
    side = int(h * ratio + 0.5)
    tops = torch.randint(1 - side // 2, h - side // 2, (n, 1, 1), device=x.device)
    lefts = torch.randint(1 - side // 2, w - side // 2, (n, 1, 1), device=x.device)
    rows = torch.arange(h, device=x.device)[None, :, None]
    columns = torch.arange(w, device=x.device)[None, None, :]
    hidden = (rows >= tops) & (rows < tops + side) & (columns >= lefts) & (columns < lefts + side)
    return x * (~hidden)[:, None].to(x.dtype)


POLICIES = {"color": color, "translation": translation, "cutout": cutout}


def augment(x: Tensor, policy: str = "color,translation", chance: float = 1.0) -> Tensor:
    """N×3×H×W in [-1, 1] through the named changes, in order; an empty policy changes nothing.

    Args:
        chance: how many of the pictures each change comes to. Where all are changed, a generator may take to
            drawing changed ones; pictures seen as they are show what is the usual (Karras et al. 2020,
            arXiv:2006.06676, who find changes not to leak below 0.8).
    """
    for name in filter(None, policy.split(",")):
        changed = POLICIES[name](x)
        if chance < 1:
            chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < chance
            changed = torch.where(chosen, changed, x)
        x = changed
    return x


def described(policy: str, chance: float = 1.0) -> str:
    """These changes for a card, after the flips that every recipe makes."""
    share = "" if chance == 1 else f", each for {chance:.0%} of the pictures"
    return f"horizontal flips; differentiable {policy}{share}" if policy else "horizontal flips"
