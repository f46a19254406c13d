"""A domain classifier's opinion: which of two domains a picture belongs to.

A small convolutional network learns the two domains from pictures that are not measured; then it says for
how many translated pictures it takes them for the target's. Beside that stands how often it is right on
real pictures that it never saw, for its opinion is worth no more than that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS, BATCH = 300, 32
RATE = 2e-3
WIDTHS = (16, 32, 64)
SHIFT = 4
# Of each domain; more teach it little and take long to decode.
MOST_PICTURES = 1000
SIDE = 64


def make_classifier(seed: int) -> nn.Sequential:
    """uint8 N×3×64×64 as floats in [-1, 1] → N scores; above 0 stands for the second domain."""
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for inner, outer in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(inner, outer, 4, 2, 1), nn.GroupNorm(8, outer), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 1))


def train_classifier(first: Tensor, second: Tensor, seed: int = 0) -> nn.Sequential:
    """Learns two domains, of which it sees equally many pictures, mirrored and shifted at random.

    Args:
        first, second: uint8 N×3×64×64 and M×3×64×64.
        seed: the same one gives the same network on the same machine.
    """
    network = make_classifier(seed)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    rng = torch.Generator().manual_seed(seed)
    target = torch.arange(BATCH).ge(BATCH // 2).float()
    with torch.enable_grad():
        for _ in range(STEPS):
            batch = torch.cat([varied(domain, BATCH // 2, rng) for domain in (first, second)])
            loss = F.binary_cross_entropy_with_logits(network(batch).flatten(), target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def varied(pictures: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Random pictures, half of them mirrored, shifted by up to four pixels: float in [-1, 1]."""
    picks = torch.randint(len(pictures), (count,), generator=rng)
    x = native(pictures[picks])
    x = torch.where(torch.rand(count, 1, 1, 1, generator=rng) < 0.5, x.flip(-1), x)
    top, left = torch.randint(2 * SHIFT + 1, (2,), generator=rng).tolist()
    height, width = x.shape[-2:]
    return F.pad(x, (SHIFT,) * 4, "reflect")[..., top : top + height, left : left + width]


@torch.inference_mode()
def takes_for_second(network: nn.Module, pictures: Tensor) -> int:
    """How many of uint8 N×3×64×64 it takes for the second domain."""
    return sum(int((network(native(batch)) > 0).sum()) for batch in pictures.split(256))


def native(pictures: Tensor) -> Tensor:
    return pictures.float() / 127.5 - 1
