"""Directions in latent space: attributes shipped with a checkpoint, principal components, single numbers.

One unit along any of them is one standard deviation of the latents that are drawn, so that amounts mean the
same for all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor

from imgsynth.errors import BadRequest, ChecksumMismatch, TaskNotOffered
from imgsynth.families import LatentModel, Model, require_task
from imgsynth.families.latent import Space
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.components import Components, in_w, in_z
from imgsynth.tasks.latents import Latent

LONGEST = 2048  # numbers; published latents have at most 1024, and the work grows with the cube
MOST_TOLD = 8
NUMBER = re.compile(r"latent ([1-9][0-9]{0,4})")
FOUND = re.compile(r"(component|latent) [0-9]+", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Attribute:
    """A direction that was shipped with a checkpoint.

    Attributes:
        step: float64, one standard deviation along it, as many numbers as a latent has.
        sha256: of its values as shipped, as little-endian float64.
    """

    step: Tensor
    sha256: str


@dataclass(frozen=True, eq=False)
class Directions:
    """Named directions of a model.

    Attributes:
        space: where they lead: "w", or "z" for a model without.
        components: "component 1" and so on, the one with the most variance first.
        vectors: float64 K×numbers, those of the components, rows of length 1.
        deviations: float64 K, how far one standard deviation is along each.
        attributes: what was shipped with the checkpoint, by name, such as "Smiling".
        latents: "latent 7" and so on: the single numbers of z, most used first; none in w.
    """

    space: Space
    components: tuple[str, ...]
    vectors: Tensor
    deviations: Tensor
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    latents: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Attributes, then components."""
        return (*self.attributes, *self.components)

    def shift(self, amounts: Mapping[str, float]) -> Tensor:
        """Where amounts, in standard deviations by name, lead: float64, as many numbers as a latent has.

        Raises:
            BadRequest: there is no direction of such a name.
        """
        steps = self.deviations.new_zeros(len(self.components))
        others = self.vectors.new_zeros(self.vectors.shape[1])
        for name, amount in sorted(amounts.items()):  # a sum depends on its order, by a bit
            if name in self.components:
                steps[self.components.index(name)] = amount
            else:
                others += amount * self.step(name)
        return (steps * self.deviations) @ self.vectors + others

    def step(self, name: str) -> Tensor:
        """One standard deviation along an attribute or a single number."""
        if attribute := self.attribute(name):
            return attribute.step
        number = NUMBER.fullmatch(name)
        if number is None or self.space == "w" or int(number[1]) > len(self.latents):
            raise BadRequest(f"This model has no direction {name!r}; it has {self.told()}.")
        step = self.vectors.new_zeros(self.vectors.shape[1])
        step[int(number[1]) - 1] = 1
        return step

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of a name; "blond_hair" is "Blond hair"."""
        return next((a for known, a in self.attributes.items() if folded(known) == folded(name)), None)

    def told(self) -> str:
        """What there is, for a sentence."""
        components = self.components
        listed = [*self.attributes][:MOST_TOLD]
        listed += [f"{components[0]} to {components[-1]}"] if components else []
        return ", ".join(listed) or "none"

    def sums(self, names: Iterable[str]) -> dict[str, str]:
        """The sha256 of those of some directions that were shipped, by name."""
        found = {name: self.attribute(name) for name in names if name not in self.components}
        return {name: attribute.sha256 for name, attribute in found.items() if attribute}

    def check(self, sums: Mapping[str, str]) -> None:
        """Holds the shipped directions to sums that an earlier picture's record gives.

        Raises:
            ChecksumMismatch: one is not there, or is another one.
        """
        for name, sha256 in sums.items():
            attribute = self.attribute(name)
            if attribute is None:
                raise ChecksumMismatch(
                    f"This picture went along {name}, which is no longer beside the checkpoint: "
                    "put its folder 'directions' back."
                )
            if attribute.sha256 != sha256:
                raise ChecksumMismatch(
                    f"{name} is not the direction that this picture went along: "
                    "its sha256 differs from the record's."
                )


def folded(name: str) -> str:
    return name.replace("_", " ").casefold()


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
        found = in_w(model) if model.space == "w" else in_z(model)
    return named(model.space, found, shipped(model, found))


def shipped(model: LatentModel, components: Components) -> dict[str, Attribute]:
    """The directions that came with the checkpoint, as far as they have the length of its latents.

    Those of a network with a mapping are taken for directions in w, where the field's tools find them. None
    takes the name of a direction that is found here: a record of one stays true, whatever is shipped later.
    """
    length = int(np.prod(model.shape_in(model.space)))
    return {
        name: attribute_of(values, components)
        for name, values in model.opened.directions.items()
        if values.numel() == length and not FOUND.fullmatch(name)
    }


def attribute_of(values: Tensor, components: Components) -> Attribute:
    """A direction of any length but 0."""
    unit = values / values.norm()
    sha256 = hashlib.sha256(values.numpy().astype("<f8").tobytes()).hexdigest()
    return Attribute(unit * components.deviation(unit), sha256)


def moved(model: LatentModel, latent: Latent, shift: Tensor) -> Latent:
    """A latent moved in the space of the model's directions, before truncation.

    Truncation by psi scales the spread of latents and the shift alike, so that an amount stays what it is
    called: standard deviations of what is drawn.
    """
    start = latent.in_w(model) if model.space == "w" else latent
    values = start.values.double()
    return Latent(start.space, (values + shift.reshape(values.shape)).float())


def named(space: Space, found: Components, attributes: Mapping[str, Attribute]) -> Directions:
    """Directions by name.

    An eigenvector's sign is a matter of chance: here the number of the largest size is positive.
    """
    steps = found.steps
    largest = steps.gather(1, steps.abs().argmax(1, keepdim=True))
    deviations = steps.norm(dim=1)
    vectors = steps * largest.sign() / deviations[:, None]
    components = tuple(f"component {number}" for number in range(1, len(steps) + 1))
    by_use = [] if found.use is None else found.use.argsort(descending=True, stable=True).tolist()
    latents = tuple(f"latent {number + 1}" for number in by_use)
    return Directions(space, components, vectors, deviations, attributes, latents)
