"""Takes the wrapping off a loaded checkpoint until a plain dict of tensors is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

DEEPEST = 8  # levels of containers; also what stops a dict that contains itself

# Averaged weights first: they are what one samples from.
CONTAINERS = (
    *("g_ema", "G_ema", "params_ema", "netG_ema", "generator_ema", "ema_state_dict", "state_dict_ema"),
    *("model_ema", "ema_model", "ema"),
    *("gen_state_dict", "generator_state_dict", "G_state_dict", "netG_state_dict"),
    *("state_dict", "model_state_dict", "generator", "netG", "gen", "G", "g", "GAN"),
    *("params", "model", "net", "network", "module", "weights"),
    *("genA2B", "G_A2B", "netG_A2B", "G_AB", "gen_AB", "netG_A", "G_A"),
)

# No network's own: a safetensors file, which is flat, has them among the weights.
BESIDE = ("latent_avg",)

# Put in by torch.compile, FSDP and activation checkpointing around any part of a network.
WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")

# Taken off where every key has them. "model.", "encoder." and "decoder." alone are not among them: networks
# have such parts of their own.
PREFIXES = (
    *("module.", "model.module.", "model.generator.", "netG.", "generator.", "GE.", "G.", "g_ema.", "G_ema."),
    *("params_ema.", "ema_model.", "first_stage_model.", "state_dict."),
)

# Of a whole training's keys, the generator's, averaged ones first …
GENERATORS = ("GE.", "g_ema.", "G_ema.", "ema_model.", "G.", "netG.", "generator.")
# … if all the others begin with one of these, so that no part of a network is ever cut off.
_LEFTOVER = re.compile(
    r"GE?|g|g_ema|G_ema|ema_model|online_model|netG|generator|D|d|D_aug|netD\w*|disc\w*|critic\w*|"
    r"loss\w*|criterion\w*|perceptual\w*|vgg\w*|lpips\w*|val_\w+|test_\w+|metrics?|evaluators?|initted|step"
)


class SeveralNetworksError(ValueError):
    """A file holds several dicts of tensors and nothing says which is meant; `args` are their names."""


@dataclass
class Unwrapped:
    """What is left, what was taken off (in order), and the tensors that lay beside the containers."""

    tensors: dict[str, Tensor]
    taken_off: list[str] = field(default_factory=list)
    beside: dict[str, Tensor] = field(default_factory=dict)


def unwrap(loaded: Mapping[Any, Any]) -> Unwrapped:
    """Containers first, then prefixes.

    Raises:
        SeveralNetworksError: see there.
    """
    result = Unwrapped({})
    loaded = _flat_optimizer(loaded)
    for _ in range(DEEPEST):
        name = _container_of(loaded)
        if name is None:
            break
        result.taken_off.append(name)
        result.beside.update(_tensors_of(loaded))
        loaded = loaded[name]
    result.tensors = _tensors_of(loaded)
    result.beside.update({name: result.tensors.pop(name) for name in BESIDE if name in result.tensors})
    while step := _next_step(result.tensors):
        label, result.tensors = step
        result.taken_off.append(label)
    return result


def _flat_optimizer(loaded: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """An optimizer's state with keys such as `state.0.exp_avg`, so that it can be told what it is."""
    groups, states = loaded.get("param_groups"), loaded.get("state")
    if not isinstance(groups, list) or not isinstance(states, Mapping):
        return loaded
    return {
        f"state.{index}.{name}": value
        for index, state in states.items()
        if isinstance(state, Mapping)
        for name, value in state.items()
    }


def _container_of(level: Mapping[Any, Any]) -> str | None:
    """The key under which the weights lie, or None where this level is the state dict."""
    for name in CONTAINERS:
        if _holds_weights(level.get(name)):
            return name
    if _tensors_of(level):
        return None
    dicts = {k: v for k, v in level.items() if isinstance(k, str) and isinstance(v, Mapping)}
    networks = [k for k, v in dicts.items() if _tensors_of(v) and not _LEFTOVER.fullmatch(k)]
    if len(networks) > 1:
        raise SeveralNetworksError(*networks)
    return networks[0] if networks else None


def _holds_weights(value: object) -> bool:
    """Whether tensors lie in a dict or in containers within it, down to `DEEPEST` levels."""
    level: list[object] = [value]
    seen: set[int] = set()  # a dict may contain itself under many names
    for _ in range(DEEPEST):
        dicts = {id(d): d for d in level if isinstance(d, Mapping) and id(d) not in seen}
        if any(_tensors_of(d) for d in dicts.values()):
            return True
        seen |= dicts.keys()
        level = [d.get(name) for d in dicts.values() for name in CONTAINERS]
    return False


def _tensors_of(level: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {k: v for k, v in level.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _next_step(tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]] | None:
    """One thing to take off the keys: its label, and the tensors under their shorter keys."""
    for wrapper in WRAPPERS:
        if any(_has_part(key, wrapper) for key in tensors):
            return wrapper, {_without_part(key, wrapper): v for key, v in tensors.items()}
    for prefix in PREFIXES:
        if tensors and all(key.startswith(prefix) and key != prefix for key in tensors):
            return prefix, _below(prefix, tensors)
    for prefix in GENERATORS:
        others = [key for key in tensors if not key.startswith(prefix)]
        if len(others) < len(tensors) and all(_LEFTOVER.fullmatch(key.split(".")[0]) for key in others):
            return prefix, _below(prefix, tensors)
    return None


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): v for key, v in tensors.items() if key.startswith(prefix)}


def _has_part(key: str, part: str) -> bool:
    return key.startswith(part) or f".{part}" in key


def _without_part(key: str, part: str) -> str:
    return key.removeprefix(part).replace(f".{part}", ".")
