"""Other spellings of AutoencoderKL's keys: diffusers before 0.18, and CompVis' latent-diffusion."""

from __future__ import annotations

import re

from torch import Tensor

from imgsynth.architectures.registry import StateDict

# Training's, and the statistics by which FLUX.2 scales latents outside the network.
UNUSED = ("loss.", "model_ema.", "bn.")

COMPVIS = (
    (re.compile(r"^encoder\.down\.([0-9]+)\.block\."), r"encoder.down_blocks.\1.resnets."),
    (re.compile(r"^encoder\.down\.([0-9]+)\.attn\."), r"encoder.down_blocks.\1.attentions."),
    (re.compile(r"^encoder\.down\.([0-9]+)\.downsample\."), r"encoder.down_blocks.\1.downsamplers.0."),
    (re.compile(r"^decoder\.up\.([0-9]+)\.block\."), r"decoder.up_blocks.\1.resnets."),
    (re.compile(r"^decoder\.up\.([0-9]+)\.attn\."), r"decoder.up_blocks.\1.attentions."),
    (re.compile(r"^decoder\.up\.([0-9]+)\.upsample\."), r"decoder.up_blocks.\1.upsamplers.0."),
    (re.compile(r"^(encoder|decoder)\.mid\.block_1\."), r"\1.mid_block.resnets.0."),
    (re.compile(r"^(encoder|decoder)\.mid\.block_2\."), r"\1.mid_block.resnets.1."),
    (re.compile(r"^(encoder|decoder)\.mid\.attn_1\."), r"\1.mid_block.attentions.0."),
    (re.compile(r"^(encoder|decoder)\.norm_out\."), r"\1.conv_norm_out."),
    (re.compile(r"\.nin_shortcut\."), ".conv_shortcut."),
)

ATTENTION = {
    **{"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"},
    **{"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0", "norm": "group_norm"},
}
ATTENTION_KEY = re.compile(rf"(.+\.attentions\.[0-9]+)\.({'|'.join(ATTENTION)})\.(weight|bias)$")
PROJECTION = re.compile(r".+\.attentions\.[0-9]+\.to_(q|k|v|out\.0)\.weight")


def canonical(state: StateDict) -> StateDict:
    """Brings the older spellings to diffusers' current one; what inference never reads is left out."""
    if "encoder.conv_in.weight" not in state:
        return state
    kept = {k: v for k, v in state.items() if not k.startswith(UNUSED)}
    if "encoder.down.0.block.0.conv1.weight" in kept:
        kept = from_compvis(kept)
    renamed = {ATTENTION_KEY.sub(current_attention, k): v for k, v in kept.items()}
    return {k: as_linear(v) if PROJECTION.fullmatch(k) else v for k, v in renamed.items()}


def from_compvis(state: StateDict) -> StateDict:
    """CompVis counts the decoder's levels from the finest, diffusers in the order in which they run."""
    levels = len({m[0] for k in state if (m := re.match(r"decoder\.up\.[0-9]+\.", k))})

    def renamed(key: str) -> str:
        for old, new in COMPVIS:
            key = old.sub(new, key)
        return re.sub(r"^(decoder\.up_blocks)\.([0-9]{1,3})\.", reversed_level, key)

    def reversed_level(match: re.Match[str]) -> str:
        return f"{match[1]}.{levels - 1 - int(match[2])}."

    return {renamed(key): value for key, value in state.items()}


def current_attention(match: re.Match[str]) -> str:
    return f"{match[1]}.{ATTENTION[match[2]]}.{match[3]}"


def as_linear(weight: Tensor) -> Tensor:
    """A projection stored as a 1×1 convolution, as the linear layer that it is."""
    return weight.flatten(1) if weight.shape[2:] == (1, 1) else weight
