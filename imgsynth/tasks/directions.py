"""Directions in latent space along which pictures change most, found without labels.

GANSpace (Härkönen et al. 2020, arXiv:2004.02546): principal components of w or, for networks without a
mapping, of what their first layer makes of z, carried back to z by linear regression.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families import LatentModel, Model, require_task
from imgsynth.families.latent import Space
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.latents import Latent

MOST_COMPONENTS = 32
# Latents behind the components. A first layer is almost linear, so that few of them tell all of it.
DRAWS_OF_W, DRAWS_OF_Z = 4096, 1024
# Variance, as a part of the first component's, below which a component is rounding and nothing else.
NEGLIGIBLE = 1e-5
LONGEST = 2048  # numbers; published latents have at most 1024, and the work grows with the cube


@dataclass(frozen=True, eq=False)
class Directions:
    """Named directions of a model.

    Attributes:
        space: where they lead: "w", or "z" for a model without.
        names: "component 1" and so on, the one with the most variance first.
        vectors: float64 K×numbers, rows of length 1.
        deviations: float64 K, how far one standard deviation is along each.
    """

    space: Space
    names: tuple[str, ...]
    vectors: Tensor
    deviations: Tensor

    def shift(self, amounts: Mapping[str, float]) -> Tensor:
        """Where amounts, in standard deviations by name, lead: float64, as many numbers as a latent has.

        Raises:
            BadRequest: there is no direction of such a name.
        """
        steps = self.deviations.new_zeros(len(self.names))
        for name, amount in amounts.items():
            if name not in self.names:
                known = f"{self.names[0]} to {self.names[-1]}" if self.names else "none"
                raise BadRequest(f"This model has no direction {name!r}; it has {known}.")
            steps[self.names.index(name)] = amount
        return (steps * self.deviations) @ self.vectors


# Beside the model, which knows nothing of tasks, and gone with it. Two threads that find nothing here both
# compute, and get the same.
KNOWN: WeakKeyDictionary[Model, Directions] = WeakKeyDictionary()


def directions_of(model: Model) -> Directions:
    """The directions of a model, computed when they are first asked for; the same for the same weights.

    Raises:
        TaskNotOffered: the model draws nothing from latents of a fixed shape, or they are too long.
    """
    require_task(model, "sample")
    assert isinstance(model, LatentModel)
    found = KNOWN.get(model)
    if found is None:
        found = KNOWN[model] = computed(model)
    return found


def computed(model: LatentModel) -> Directions:
    if np.prod(model.shape_in(model.space)) > LONGEST or np.prod(model.latent_shape) > LONGEST:
        raise TaskNotOffered(
            f"{model.identity.id} has latents of more than {LONGEST} numbers, too many to find directions in."
        )
    with memory_guard():
        return in_w(model) if model.space == "w" else in_z(model)


def moved(model: LatentModel, latent: Latent, shift: Tensor) -> Latent:
    """A latent moved in the space of the model's directions, before truncation.

    Truncation by psi scales the spread of latents and the shift alike, so that an amount stays what it is
    called: standard deviations of what is drawn.
    """
    start = latent.in_w(model) if model.space == "w" else latent
    values = start.values.double()
    return Latent(start.space, (values + shift.reshape(values.shape)).float())


@torch.no_grad()
def in_w(model: LatentModel) -> Directions:
    """Principal components of w."""
    z = torch.from_numpy(np.random.RandomState(0).randn(DRAWS_OF_W, *model.latent_shape)).float()
    with model.running_exactly():
        w = model.mapping_network.mapping(z.flatten(1).to(model.device)).cpu().double()
    centred = w - w.mean(0)
    variances, vectors = principal(centred.T @ centred / (len(w) - 1))
    return named("w", vectors.T * variances.sqrt()[:, None])


@torch.no_grad()
def in_z(model: LatentModel) -> Directions:
    """Principal components of the first layer's activations, each carried back to z.

    The regression of z on the standardised scores of a component gives the change of z that one standard
    deviation along it stands for.
    """
    length = int(np.prod(model.latent_shape))
    z = whitened(max(DRAWS_OF_Z, 2 * length), length)
    activations = first_activations(model, z.float().reshape(-1, *model.latent_shape))
    centred = activations - activations.mean(0)
    # Activations are longer than draws are many: components come from the products of draws.
    _, scores = principal((centred @ centred.T).double() / (len(z) - 1))
    return named("z", scores.T @ z / (len(z) - 1) ** 0.5)


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


def named(space: Space, steps: Tensor) -> Directions:
    """Directions from their steps of one standard deviation, K×numbers.

    An eigenvector's sign is a matter of chance: here the number of the largest size is positive.
    """
    largest = steps.gather(1, steps.abs().argmax(1, keepdim=True))
    deviations = steps.norm(dim=1)
    vectors = steps * largest.sign() / deviations[:, None]
    names = tuple(f"component {number}" for number in range(1, len(steps) + 1))
    return Directions(space, names, vectors, deviations)


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
