"""Latent → picture, and picture → latent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from imgsynth.architectures.mapping import MappingGenerator
from imgsynth.errors import BadRequest, TaskNotOffered
from imgsynth.families.model import Model
from imgsynth.seeds import LARGEST_SEED, NoiseKind

Noise = Sequence[Tensor]
# Where a latent lies: z, as it is drawn, or w, behind a mapping network.
Space = Literal["z", "w"]


def random_state(seed: int) -> np.random.RandomState:
    """The random numbers of a seed: first its latent, then its noise maps.

    Raises:
        BadRequest: the seed lies outside 0 … 2³²−1.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise BadRequest(f"Seeds are whole numbers from 0 to {LARGEST_SEED}, not {seed}.")
    return np.random.RandomState(seed)


def standard_normal(state: np.random.RandomState, shape: Sequence[int]) -> Tensor:
    return torch.from_numpy(state.randn(*shape)).float()


class LatentModel(Model):
    """A model that draws pictures from latents with a standard normal prior."""

    offers = ("sample", "interpolate")

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent.

        Raises:
            TaskNotOffered: the model has no latents of a fixed shape to draw from.
        """
        shape = self.architecture.latent_shape(self.opened.hyperparameters)
        if shape is None:
            raise TaskNotOffered(
                f"{self.identity.id} draws nothing from seeds: it rebuilds photos, so give photos."
            )
        return shape

    @property
    def space(self) -> Space:
        """Where pictures are best edited: w, which training disentangles, where there is one; else z."""
        return "w" if isinstance(self.network, MappingGenerator) else "z"

    def shape_in(self, space: Space) -> tuple[int, ...]:
        """Shape of one latent in either space.

        Raises:
            TaskNotOffered: the model has no latents of a fixed shape.
            BadRequest: the model has no w.
        """
        return self.latent_shape if space == "z" else tuple(self.mapping_network.w_mean.shape)

    def centre(self, space: Space) -> Tensor:
        """What truncation leads to, on the CPU: the mean of w, or 0 for all of z."""
        return torch.zeros(()) if space == "z" else self.mapping_network.w_mean.cpu()

    @property
    def mapping_network(self) -> MappingGenerator:
        """The network, as one that maps z to w.

        Raises:
            BadRequest: it is none.
        """
        if not isinstance(self.network, MappingGenerator):
            raise BadRequest(f"{self.identity.id} has no latents of the kind w; give one of the kind z.")
        return self.network

    @property
    def classes(self) -> int:
        """How many classes it can be asked for; 0 where it knows none."""
        return self.architecture.classes(self.opened.hyperparameters)

    @property
    def layers(self) -> int:
        """How many styles a picture takes, each of which may come from another w; 0 without a w."""
        return self.network.layers if isinstance(self.network, MappingGenerator) else 0

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        """H×W of each noise map that a picture takes besides its latent; none where it takes none."""
        h = self.opened.hyperparameters
        return self.architecture.noise_shapes(h) or self.architecture.stored_noise_shapes(h)

    @property
    def usual_noise(self) -> NoiseKind:
        """What a picture has where nobody says: the maps that lie with the weights, else its seed's own."""
        return "random" if self.architecture.noise_shapes(self.opened.hyperparameters) else "constant"

    @property
    def batch(self) -> int:
        """The one batch size this model runs at: one shape gives a seed the same bits in any company."""
        size = self.image_size or 256
        base = 8 if size <= 128 else 4 if size <= 256 else 1
        return base * 4 if self.device.type == "cuda" else base

    def latents(self, seeds: Sequence[int]) -> Tensor:
        """Latents as the field's tools draw them: `numpy.random.RandomState(seed).randn(1, z_dim)`.

        Returns:
            float32 N×latent_shape on the CPU, one row per seed, whatever the batch, device or order.

        Raises:
            BadRequest: a seed lies outside 0 … 2³²−1.
        """
        shape = self.latent_shape
        return torch.stack([standard_normal(random_state(s), shape) for s in seeds])

    def noise(self, seeds: Sequence[int], kind: NoiseKind | None = None) -> list[Tensor]:
        """The noise maps for pictures of seeds.

        Args:
            kind: "random": drawn after each seed's latent; "constant": those that lie with the weights, else
                seed 0's; "none": zeros; None: as `usual_noise`.

        Returns:
            float32 N×1×H×W for each input; nothing where the network has none, or keeps to its own.

        Raises:
            BadRequest: a kind was asked for, and there are no such inputs.
        """
        if not self.noise_shapes:
            if kind is not None:
                raise BadRequest(f"{self.identity.id} takes no noise; leave the noise out.")
            return []
        kind = kind or self.usual_noise
        if kind == "none":
            return [torch.zeros(len(seeds), 1, *shape) for shape in self.noise_shapes]
        if kind == "constant":
            return self.still_noise(len(seeds))
        return [torch.stack(maps) for maps in zip(*(self._noise_of(s) for s in seeds), strict=True)]

    def _noise_of(self, seed: int) -> list[Tensor]:
        state = random_state(seed)
        standard_normal(state, self.latent_shape)
        return [standard_normal(state, (1, *shape)) for shape in self.noise_shapes]

    @torch.inference_mode()
    def styles(self, z: Tensor) -> Tensor:
        """z, float32 N×latent_shape → w, float32 N×w_dim on the CPU, before truncation.

        Raises:
            BadRequest: the model has no w.
        """
        mapping = self.mapping_network.mapping
        parts = []
        for rows in z.flatten(1).split(self.batch):
            with self.running():
                w = mapping(padded(rows, self.batch - len(rows)).to(self.device))
            parts.append(w[: len(rows)].float().cpu())
        return torch.cat(parts)

    @contextmanager
    def running_exactly(self) -> Iterator[None]:
        """As `running`, in float32 whatever the precision: for what is measured or optimised."""
        with self.running(), torch.autocast(self.device.type, enabled=False):
            yield

    def decode(self, z: Tensor, **conditions: Any) -> Tensor:
        """Latents on the device → native pictures."""
        return self.network(z, **conditions)

    def conditions(self, labels: Sequence[int], noise: Noise = ()) -> dict[str, Any]:
        """What the network takes besides latents: classes and noise maps, on the device."""
        given: dict[str, Any] = {}
        if self.classes:
            given["labels"] = torch.tensor(list(labels)).to(self.device)
        if noise:
            given["noise"] = [m.to(self.device) for m in noise]
        return given

    def native(
        self, latents: Tensor, conditions: dict[str, Any], psi: float = 1.0, space: Space = "z"
    ) -> Tensor:
        """Latents of either space on the device → native pictures; gradients reach the latents.

        Args:
            conditions: from `conditions`, for as many pictures.
        """
        if space == "w":
            return self.mapping_network.from_w(latents, psi, **conditions)
        if self.architecture.truncation == "network":
            return self.decode(latents, psi=psi, **conditions)
        return self.decode(latents * psi, **conditions)

    @torch.inference_mode()
    def render(
        self,
        z: Tensor,
        psi: float = 1.0,
        labels: Sequence[int] | None = None,
        noise: Noise | None = None,
        space: Space = "z",
    ) -> Tensor:
        """Latents → float32 N×3×H×W in [0, 1].

        Args:
            z: float32 N×latent_shape; or, where `space` says so, N×w_dim, or N×layers×w_dim for styles of
                their own in each layer.
            psi: truncation: latents move towards their mean (Marchesi 2017; Karras et al. 2019;
                Brock et al. 2019).
            labels: a class for each latent, where the model knows classes; the first one if unsaid.
            noise: from `noise`, where the model uses any; the maps of seed 0 if unsaid, so that a walk
                does not flicker.
            space: "w" for latents that have passed the mapping network already (see `styles`).

        Raises:
            BadRequest: there is no such class, or no w.
        """
        labels = self.checked_labels(labels, len(z))
        maps = self.still_noise(len(z)) if noise is None else noise
        parts = []
        for start in range(0, len(z), self.batch):
            rows = slice(start, start + self.batch)
            parts.append(self._render_padded(z[rows], psi, labels[rows], [m[rows] for m in maps], space))
        return torch.cat(parts)

    def still_noise(self, count: int) -> list[Tensor]:
        """The noise maps of seed 0 for every picture; none where unused or stored with the weights."""
        if self.usual_noise == "constant":
            return []
        return [m.expand(count, -1, -1, -1) for m in self.noise([0], "random")]

    def checked_labels(self, labels: Sequence[int] | None, count: int) -> list[int]:
        """One class for each latent.

        Raises:
            BadRequest: the model knows no classes, or not this one.
        """
        if labels is None:
            return [0] * count
        if not self.classes:
            raise BadRequest(f"{self.identity.id} knows no classes; leave the label out.")
        for label in labels:
            if not 0 <= label < self.classes:
                raise BadRequest(f"{self.identity.id} knows classes 0 to {self.classes - 1}, not {label}.")
        return list(labels)

    def _render_padded(
        self, z: Tensor, psi: float, labels: Sequence[int], noise: Noise, space: Space
    ) -> Tensor:
        missing = self.batch - len(z)
        conditions = self.conditions([*labels, *([0] * missing)], [padded(m, missing) for m in noise])
        with self.running():
            native = self.native(padded(z, missing).to(self.device), conditions, psi, space)
        return self.to_unit(native)[: len(z)]


def padded(rows: Tensor, missing: int) -> Tensor:
    """Zeros after the last row, until the batch is full."""
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])


class Generator(LatentModel):
    """Noise → picture."""


class Autoencoder(LatentModel):
    """Picture ↔ latent, with a prior to sample from."""

    def decode(self, z: Tensor, **conditions: Any) -> Tensor:
        network: Any = self.network
        return network.decode(z)

    @torch.inference_mode()
    def encode(self, photos: Tensor) -> Tensor:
        """Photos → the mean of their latents.

        Args:
            photos: float32 N×3×H×W in [0, 1]; any size. A model of one size sees the middle square, scaled.
        """
        size = self.image_size
        fitted = self.padded(photos) if size is None else middle_square(photos, size)
        network: Any = self.network
        with self.running():
            # One at a time: a photo's latent does not depend on its company.
            means = [network.encode(self.from_unit(p[None]))[0] for p in fitted]
        return torch.cat(means).float().cpu()


class Codec(Autoencoder):
    """Picture ↔ latent, without a prior: it rebuilds photos, and blends two, at any size."""

    offers = ("interpolate", "translate")

    @property
    def batch(self) -> int:
        """Pictures of any size: one at a time."""
        return 1

    @torch.inference_mode()
    def translate(self, photos: Tensor) -> Tensor:
        """What is left of photos after encoding and decoding: float32 N×3×H×W in [0, 1], the same shape."""
        height, width = photos.shape[-2:]
        return self.render(self.encode(photos))[..., :height, :width]


def middle_square(photos: Tensor, size: int) -> Tensor:
    """The largest middle square of N×C×H×W, scaled to size×size with antialiasing."""
    height, width = photos.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photos[..., top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(square, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)
