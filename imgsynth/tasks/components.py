"""What a model's pictures differ in most, found without labels.

GANSpace (Härkönen et al. 2020, arXiv:2004.02546): principal components of w or, for networks without a
mapping, of what their first layer makes of z, carried back to z by linear regression.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from imgsynth.families import LatentModel

MOST_COMPONENTS = 32
# Latents behind the components. A first layer is almost linear, so that few of them tell all of it.
DRAWS_OF_W, DRAWS_OF_Z = 4096, 1024
# Variance, as a part of the first component's, below which a component is rounding and nothing else.
NEGLIGIBLE = 1e-5


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of a model's latents.

    Attributes:
        steps: float64 K×numbers, one standard deviation along each, the one with the most variance first.
        covariance: of the latents, float64 numbers×numbers; None stands for the identity.
        use: float64, how much the first layer makes of each number of z; None in w.
    """

    steps: Tensor
    covariance: Tensor | None = None
    use: Tensor | None = None

    def deviation(self, vector: Tensor) -> float:
        """The standard deviation of latents along a vector of length 1."""
        if self.covariance is None:
            return 1.0
        variance = vector @ self.covariance @ vector  # where there is none, rounding may leave less than 0
        return variance.clamp_min(0).sqrt().item()


@torch.no_grad()
def in_w(model: LatentModel) -> Components:
    """Principal components of w."""
    z = torch.from_numpy(np.random.RandomState(0).randn(DRAWS_OF_W, *model.latent_shape)).float()
    with model.running_exactly():
        w = model.mapping_network.mapping(z.flatten(1).to(model.device)).cpu().double()
    centred = w - w.mean(0)
    covariance = centred.T @ centred / (len(w) - 1)
    variances, vectors = principal(covariance)
    return Components(vectors.T * variances.sqrt()[:, None], covariance)


@torch.no_grad()
def in_z(model: LatentModel) -> Components:
    """Principal components of the first layer's activations, each carried back to z.

    The regression of z on the standardised scores of a component gives the change of z that one standard
    deviation along it stands for.
    """
    length = int(np.prod(model.latent_shape))
    z = whitened(max(DRAWS_OF_Z, 2 * length), length)
    activations = first_activations(model, z.float().reshape(-1, *model.latent_shape))
    centred = activations - activations.mean(0)
    # Activations are longer than draws are many: components come from the products of draws.
    products = (centred @ centred.T).double()
    _, scores = principal(products / (len(z) - 1))
    # The squared length of what a regression on one number gives, up to a factor.
    use = (z * (products @ z)).sum(0)
    return Components(scores.T @ z / (len(z) - 1) ** 0.5, use=use)


def whitened(count: int, length: int) -> Tensor:
    """Seeded latents, float64 count×length, whose own mean is 0 and covariance 1.

    As good as standard normal ones for seeing what a network does, without the noise of their covariance,
    which would blur components of similar variance.
    """
    z = np.random.RandomState(0).randn(count, length)
    orthonormal, _ = np.linalg.qr(z - z.mean(0))
    return torch.from_numpy(orthonormal * (count - 1) ** 0.5)


def principal(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of a symmetric matrix, in falling order, and their eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:MOST_COMPONENTS], vectors.flip(1)[:, :MOST_COMPONENTS]
    kept = values > values[0] * NEGLIGIBLE
    return values[kept], vectors[:, kept]


class Reached(Exception):
    """No error: carries the activations at which a forward pass was left, for they are all that counts."""

    def __init__(self, activations: Tensor) -> None:
        super().__init__()
        self.activations = activations


def leave_where_latents_differ(_: nn.Module, __: object, output: object) -> None:
    """Layers that see the class alone give every latent the same."""
    if isinstance(output, Tensor) and len(output) > 1 and not torch.equal(output[0], output[1]):
        raise Reached(output)


def first_activations(model: LatentModel, z: Tensor) -> Tensor:
    """What the first layer with weights makes of latents: float32 N×numbers, on the CPU; class 0."""
    layers = [m for m in model.network.modules() if next(m.parameters(recurse=False), None) is not None]
    with model.running_exactly(), ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_hook(leave_where_latents_differ))
        try:
            model.native(z.to(model.device), model.conditions([0] * len(z)))
        except Reached as reached:
            return reached.activations.flatten(1).float().cpu()
    return z.flatten(1)
