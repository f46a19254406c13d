"""Your photo in the model: the latent whose picture is nearest to a photo.

An autoencoder encodes it. For a generator it is searched by gradient descent, through w where there is a
mapping network (Abdal et al. 2019, arXiv:1904.03189; Karras et al. 2020, arXiv:1912.04958, appendix D), else
through z, with losses that need no other network (Bojanowski et al. 2018, arXiv:1707.05776).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from imgsynth.families import Autoencoder, LatentModel, Model
from imgsynth.families.latent import Space, middle_square, random_state, standard_normal
from imgsynth.imaging.read import Photo
from imgsynth.metrics.bands import laplacian_bands
from imgsynth.metrics.fidelity import luma, psnr
from imgsynth.runtime.device import memory_guard
from imgsynth.tasks.latents import Latent
from imgsynth.tasks.pictures import Picture, to_batch, to_images
from imgsynth.tasks.requests import InvertRequest, SampleRequest, make_request
from imgsynth.tasks.sample import latent_model, sample

CANDIDATES = 32  # batches of random latents, of which the search begins with the best
STARTS = 4  # searched from at once: a descent may end in a place that no small step leads out of
RATE = 0.1  # largest step, in units of the spread of latents
RISING, FALLING = 0.05, 0.25  # parts of the search in which the rate rises at first and falls at last
PULL = 1e-3  # weight of what keeps latents plausible
SMALLEST_BAND = 8  # pixels a side
PREVIEW_EVERY = 10  # steps


@dataclass(frozen=True, eq=False)
class Progress:
    """A search so far.

    Attributes:
        step, steps: how many are done, of how many.
        loss: of the best latent so far.
        psnr: in dB, of its picture.
        latent: itself; whoever stops the search here can go on with it.
        preview: its picture, at the first step, now and then, and at the last.
    """

    step: int
    steps: int
    loss: float
    psnr: float
    latent: Latent
    preview: Image.Image | None


@dataclass(frozen=True, eq=False)
class Found:
    """What a search ended with.

    Attributes:
        latent: for `SampleRequest.latent` and keyframes, as `latent.text`.
        psnr: of the picture against the middle square of the photo, in dB.
        picture: what the model draws there, with a record that names the photo's sha256.
    """

    latent: Latent
    psnr: float
    picture: Picture


def invert(model: Model, request: InvertRequest, photo: Photo) -> Generator[Progress, None, Found]:
    """Yields a search's progress and returns what it found; closing the generator stops it.

    The same photo, request and device find the same latent; its record holds the latent itself, so that
    pictures are made again without a search.

    Args:
        photo: its middle square is looked for, at the model's size; in grey if the model draws grey.

    Raises:
        TaskNotOffered: the model draws nothing from latents of a fixed shape.
        BadRequest: the model has no such class.
    """
    drawer = latent_model(model, "sample")
    target = target_of(drawer, photo)
    if isinstance(drawer, Autoencoder):
        latent = Latent("z", drawer.encode(to_batch(photo))[0])
    else:
        latent = yield from search(drawer, request, target)
    wanted = make_request(SampleRequest, latent=latent.text, label=request.label)
    picture = next(sample(drawer, wanted, [photo]))
    drawn = torch.from_numpy(np.asarray(picture.image).copy()).permute(2, 0, 1)[None] / 255
    return Found(latent, psnr(drawn, target).item(), picture)


def run_inversion(model: Model, request: InvertRequest, photo: Photo) -> Found:
    """As `invert`, to its end."""
    steps = invert(model, request, photo)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Found = end.value
            return found


def target_of(model: LatentModel, photo: Photo) -> Tensor:
    """What the model should draw: float32 1×3×S×S in [0, 1]."""
    batch = to_batch(photo)
    square = middle_square(batch, model.image_size or min(batch.shape[-2:]))
    if model.channels[1] == 1:
        return luma(square).expand(-1, 3, -1, -1)
    return square


def search(model: LatentModel, request: InvertRequest, target: Tensor) -> Generator[Progress, None, Latent]:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) from the best of many random latents."""
    descent = Descent(model, prior_of(model, request.seed), target, request.label)
    offsets = descent.best_starts().requires_grad_()
    optimiser = torch.optim.Adam([offsets], lr=RATE)
    best: Nearest | None = None
    for step in range(1, request.steps + 1):
        optimiser.param_groups[0]["lr"] = RATE * ramp(step, request.steps)
        nearest = descent.gradient(offsets)
        best = nearest if best is None or nearest.loss < best.loss else best
        optimiser.step()
        shown = step % PREVIEW_EVERY == 1 or step == request.steps
        preview = to_images(best.picture)[0] if shown else None
        quality = psnr(best.picture, target).item()
        yield Progress(step, request.steps, best.loss, quality, best.latent, preview)
    assert best is not None, "a request asks for a step or more"
    return best.latent


def ramp(step: int, steps: int) -> float:
    """Factor of the rate: rises linearly, stays, falls as a cosine (Karras et al. 2020, appendix D)."""
    rising = min(1.0, step / (RISING * steps))
    left = min(1.0, (steps - step + 1) / (FALLING * steps))
    return rising * (0.5 - 0.5 * math.cos(math.pi * left))


@dataclass(frozen=True, eq=False)
class Prior:
    """Where the latents of a model lie, so that a search can count its way in their spread.

    Attributes:
        space: "w" or "z".
        centre: their mean, on the model's device.
        spread: their root mean square distance from it, per number.
        candidates: random ones, as offsets from the centre in units of the spread.
    """

    space: Space
    centre: Tensor
    spread: Tensor
    candidates: Tensor

    def latents(self, offsets: Tensor) -> Tensor:
        return self.centre + self.spread * offsets

    def unlikeliness(self, offsets: Tensor) -> Tensor:
        """One number for each row: in w, how far from the mean; in z, how far from the Gaussian's shell."""
        squares = offsets.square().flatten(1).mean(1)
        return squares if self.space == "w" else (squares - 1).square()


def prior_of(model: LatentModel, seed: int) -> Prior:
    z = standard_normal(random_state(seed), (CANDIDATES * model.batch, *model.latent_shape))
    if model.space == "z":
        z = z.to(model.device)
        return Prior("z", z.new_zeros(()), z.new_ones(()), z)
    # What inference mode made cannot be part of a gradient; its copy can.
    w, centre = model.styles(z).clone().to(model.device), model.mapping_network.w_mean
    spread = (w - centre).square().mean().sqrt()
    return Prior("w", centre, spread, (w - centre) / spread)


@dataclass(frozen=True, eq=False)
class Nearest:
    """A latent of a search, its loss, and its picture, float32 1×3×S×S in [0, 1]."""

    loss: float
    latent: Latent
    picture: Tensor


@dataclass(frozen=True, eq=False)
class Descent:
    """The loss of latents, and which way it falls."""

    model: LatentModel
    prior: Prior
    target: Tensor
    label: int | None

    def pictures(self, offsets: Tensor) -> Tensor:
        """float32 N×3×S×S in [0, 1]; the noise maps are those that a latent is drawn with."""
        model, count = self.model, len(offsets)
        labels = model.checked_labels(None if self.label is None else [self.label] * count, count)
        conditions = model.conditions(labels, model.still_noise(count))
        return model.to_unit(model.native(self.prior.latents(offsets), conditions, space=self.prior.space))

    def losses(self, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each row, and its picture."""
        pictures = self.pictures(offsets)
        pull = PULL * self.prior.unlikeliness(offsets).cpu()
        return distance(pictures, self.target) + pull, pictures

    def gradient(self, offsets: Tensor) -> Nearest:
        """The best of the rows; the gradient of the loss of each is left in `offsets.grad`."""
        with memory_guard(), self.model.running_exactly(), torch.enable_grad():
            losses, pictures = self.losses(offsets)
            (offsets.grad,) = torch.autograd.grad(losses.sum(), offsets)
        row = int(losses.argmin())
        latent = Latent(self.prior.space, self.prior.latents(offsets[row].detach()).cpu())
        return Nearest(losses[row].item(), latent, pictures[row : row + 1].detach())

    @torch.no_grad()
    def best_starts(self) -> Tensor:
        """The candidates whose pictures are nearest, as many as fit into one batch, `STARTS` at most."""
        candidates, losses = self.prior.candidates, []
        for offsets in candidates.split(self.model.batch):
            with memory_guard(), self.model.running_exactly():
                losses.append(self.losses(offsets)[0])
        nearest = torch.cat(losses).argsort()[: min(STARTS, self.model.batch)]
        return candidates[nearest.to(candidates.device)].clone()


def distance(pictures: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, and mean absolute difference of each level of a Laplacian pyramid; float N."""
    difference = pictures - target
    return difference.square().mean((1, 2, 3)) + laplacian_norm(difference)


def laplacian_norm(difference: Tensor) -> Tensor:
    """Of each band as much as of any other: edges count as colours do; float N."""
    bands = laplacian_bands(difference, SMALLEST_BAND)
    return torch.stack([band.abs().mean((1, 2, 3)) for band in bands]).sum(0)
