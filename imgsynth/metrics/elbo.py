"""The evidence lower bound of a VAE (Kingma & Welling 2014, arXiv:1312.6114), in bits per dimension.

A network gives a mean picture, not a probability, so the likelihood is ours and the same for all of them:
every 8-bit value follows a Laplace distribution around the mean picture, integrated over the value's own
interval of width 1/255 (the outermost two reach to infinity). That is a probability of the bytes
themselves, so nothing needs dequantising. The one scale of all distributions is fitted on the measured
pictures. The bound's other part is the KL divergence of the encoder's Gaussian from N(0, 1). What is given
is the negative bound, the most bits that the model's best lossless code needs for each value of a picture.
Figures compare only between models of one picture size, on one set of pictures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEP = 1 / 255
LEAST_PROBABILITY = 1e-12


def laplace_bits(values: Tensor, mean: Tensor, scale: float) -> Tensor:
    """−log2 of the probability of 8-bit values.

    Args:
        values: in [0, 1], multiples of 1/255.
        mean: in [0, 1], of the same shape.
        scale: of the Laplace distribution.
    """
    distance = (values - mean).abs()
    # Between the two ends of an interval on one side of the mean, or on both; written for either, so that
    # no difference of two numbers near 1 is ever taken.
    near, far = distance - STEP / 2, distance + STEP / 2
    outermost = (values < STEP / 2) | (values > 1 - STEP / 2)
    tail = torch.where(outermost, 0.0, (-far / scale).exp())
    one_side = ((-near.clamp(min=0) / scale).exp() - tail) / 2
    both_sides = 1 - ((near.clamp(max=0) / scale).exp() + tail) / 2
    return -torch.where(near >= 0, one_side, both_sides).clamp(min=LEAST_PROBABILITY).log2()


def fitted_scale(values: Tensor, mean: Tensor) -> float:
    """The most likely scale of Laplace distributions that were not integrated, which is nearly the best."""
    return max((values - mean).abs().mean().item(), STEP / 20)


def kl_bits(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, 1) in bits, of each row."""
    nats = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return nats.flatten(1).sum(1) / math.log(2)
