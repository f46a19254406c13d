"""Tiny networks with random weights, files of them, and photos: what several tests start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from imgsynth.architectures.conv_vae import ConvVAE
from imgsynth.architectures.cyclegan_resnet import ResnetGenerator
from imgsynth.architectures.dcgan import DCGANGenerator
from imgsynth.architectures.lama import LaMaGenerator
from imgsynth.architectures.registry import open_state_dict
from imgsynth.families import Identity, Model, wrap
from imgsynth.imaging.read import Photo, read_photo
from imgsynth.tasks.requests import SampleRequest
from imgsynth.tasks.sample import sample

DCGAN: dict[str, Any] = {"latent_dim": 6, "widths": [8, 6, 4], "channels": 3}
VAE: dict[str, Any] = {
    "latent_dim": 5,
    "encoder_widths": [32, 32, 32],
    "decoder_widths": [32, 32, 32],
    "decoder_input": 32,
}
CYCLEGAN: dict[str, Any] = {"width": 4, "blocks": 2}
LAMA: dict[str, Any] = {"width": 4, "blocks": 1, "global_channels": 24}


def tiny_dcgan(seed: int = 0, **changes: Any) -> nn.Module:
    """32×32 pixels from 6 numbers."""
    return randomised(DCGANGenerator(**{**DCGAN, **changes}), seed)


def tiny_vae(seed: int = 0, **changes: Any) -> nn.Module:
    """32×32 pixels to 5 numbers and back."""
    return randomised(ConvVAE(**{**VAE, **changes}), seed)


def tiny_cyclegan(seed: int = 0, **changes: Any) -> nn.Module:
    """Two residual blocks of 16 channels."""
    return randomised(ResnetGenerator(**{**CYCLEGAN, **changes}), seed)


def tiny_lama(seed: int = 0, **changes: Any) -> nn.Module:
    """One Fourier block of 32 channels."""
    return randomised(LaMaGenerator(**{**LAMA, **changes}), seed)


BUILDERS = {
    "dcgan": tiny_dcgan,
    "conv_vae": tiny_vae,
    "cyclegan_resnet": tiny_cyclegan,
    "lama": tiny_lama,
}


@torch.no_grad()
def randomised(network: nn.Module, seed: int) -> nn.Module:
    """In eval mode with every number drawn anew, buffers included, so that none can be lost unnoticed."""
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=rng)
        elif tensor.is_floating_point():
            tensor.normal_(0.0, 0.3, generator=rng)
    return network.eval()


def model_of(network: nn.Module, hints: Mapping[str, Any] | None = None, name: str = "tiny") -> Model:
    """The family of a network, on the CPU in float32, as if it had been opened from a file."""
    identity = Identity(name, "file", f"{name}.safetensors", None, "0" * 64)
    return wrap(open_state_dict(network.state_dict(), hints), identity, torch.device("cpu"), "fp32")


def drawn(model: Model, seeds: Sequence[int], psi: float = 1.0) -> list[np.ndarray]:
    """The pictures of seeds, uint8 H×W×3."""
    request = SampleRequest(seeds=list(seeds), psi=psi)
    return [np.asarray(picture.image) for picture in sample(model, request)]


def all_equal(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two lists hold the same pictures, pixel by pixel."""
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def save(loaded: Mapping[str, Any], path: Path) -> Path:
    """Writes tensors as the path's ending asks for: safetensors, or torch's own format."""
    if path.suffix == ".safetensors":
        save_file({k: v.contiguous().clone() for k, v in loaded.items()}, path)
    else:
        torch.save(dict(loaded), path)
    return path


def inputs_of(network: nn.Module, seed: int = 0, size: int = 32) -> Tensor:
    """Something that the network takes, in its native range and shape."""
    rng = torch.Generator().manual_seed(seed)
    if isinstance(network, DCGANGenerator):
        return torch.randn(2, network.main[0].in_channels, generator=rng)
    if isinstance(network, ConvVAE):
        size, channels = network.base * 2 ** (len(network.encoder) - 2), network.encoder[0].in_channels
        return torch.rand(2, channels, size, size, generator=rng)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    return torch.rand(1, first.in_channels, size, size, generator=rng)


def pixels(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint8 H×W×channels, smooth in one direction and random in the other."""
    rng = np.random.RandomState(seed)
    rows = np.linspace(0, 255, height)[:, None, None]
    return ((rows + rng.randint(0, 256, (1, width, channels))) / 2).astype(np.uint8)


def photo(height: int, width: int, channels: int = 3, seed: int = 0, icc: bytes | None = None) -> Photo:
    """A photo as it comes from a file; 4 channels give it alpha."""
    return read_photo(png(pixels(height, width, channels, seed), icc), name="photo.png")


def png(values: np.ndarray, icc: bytes | None = None) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "PNG", icc_profile=icc)
    return buffer.getvalue()
