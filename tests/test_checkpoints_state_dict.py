"""Reading state dicts: every container, every wrapping and every number type."""

from __future__ import annotations

import argparse
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.serialization import get_safe_globals

from builders import save, tiny_dcgan
from imgsynth.architectures.registry import open_state_dict
from imgsynth.checkpoints import state_dict as reader
from imgsynth.checkpoints.state_dict import read_state_dict
from imgsynth.checkpoints.unwrap import DEEPEST
from imgsynth.errors import CheckpointUnreadable

State = dict[str, Tensor]

# torch warns of the odd files that are made and read here on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def state(seed: int = 0, dtype: torch.dtype = torch.float32) -> State:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"model.1.weight": (4, 3, 3, 3), "model.1.bias": (4,), "encoder.0.weight": (2, 4)}
    return {key: torch.randn(shape, generator=generator).to(dtype) for key, shape in shapes.items()}


def prefixed(prefix: str, tensors: State) -> State:
    return {prefix + key: value for key, value in tensors.items()}


def assert_same(found: State, wanted: State) -> None:
    assert list(found) == list(wanted)
    for key, tensor in wanted.items():
        assert found[key].dtype == tensor.dtype, key
        assert torch.equal(found[key], tensor), key


def saved(folder: Path, what: Any, name: str = "file.pth", **options: Any) -> Path:
    path = folder / name
    torch.save(what, path, **options)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_safetensors_keep_their_dtype_and_metadata(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file(state(dtype=dtype), tmp_path / "a.safetensors", metadata={"architecture": "dcgan"})
    loaded = read_state_dict(tmp_path / "a.safetensors")
    assert loaded.metadata == {"architecture": "dcgan"}
    assert loaded.unwrapped == ()
    assert_same(dict(sorted(loaded.tensors.items())), dict(sorted(state(dtype=dtype).items())))


@pytest.mark.parametrize("name", ["a.pth", "a.bin", "a.ckpt", "a", "a.safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_content_decides_and_not_the_name(tmp_path: Path, name: str, zipped: bool) -> None:
    path = saved(tmp_path, state(), name, _use_new_zipfile_serialization=zipped)
    assert_same(read_state_dict(path).tensors, state())


def test_safetensors_under_another_name(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "a.pth")
    assert read_state_dict(tmp_path / "a.pth").tensors.keys() == state().keys()


WRAPPINGS: list[tuple[Any, tuple[str, ...]]] = [
    (state(), ()),
    *(
        ({name: state()}, (name,))
        for name in (
            *(
                "state_dict",
                "model_state_dict",
                "g_ema",
                "params_ema",
                "params",
                "gen_state_dict",
                "generator",
            ),
            *("G_ema", "netG", "GAN", "ema", "model", "weights", "genA2B", "my_own_name"),
        )
    ),
    *(
        (prefixed(prefix, state()), (prefix,))
        for prefix in ("module.", "_orig_mod.", "netG.", "generator.", "G.", "model.module.", "g_ema.")
    ),
    ({"state_dict": prefixed("module.", state())}, ("state_dict", "module.")),
    ({"model": {"state_dict": state(), "epoch": 3}}, ("model", "state_dict")),
    (prefixed("module._orig_mod.", state()), ("_orig_mod.", "module.")),
    ({"params": state(1), "params_ema": state()}, ("params_ema",)),
    ({"g": state(1), "g_ema": state(), "d": state(2)}, ("g_ema",)),
    ({"model": state(1), "ema": state(), "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}, ("ema",)),
    ({"generator": state(), "discriminator": state(2), "args": {"lr": 0.1}}, ("generator",)),
    ({"mine": state(), "discriminator": state(2)}, ("mine",)),
    (
        {"GAN": {**prefixed("G.", state(1)), **prefixed("GE.", state()), **prefixed("D_aug.D.", state(2))}},
        ("GAN", "GE."),
    ),
    ({**prefixed("G.", state()), **prefixed("D.", state(1))}, ("G.",)),
    (
        {
            "state_dict": {
                **prefixed("generator.", state()),
                **prefixed("discriminator.", state(1)),
                **prefixed("loss_resnet_pl.impl.", state(2)),
                "val_evaluator.x": torch.ones(1),
            },
            "callbacks": {},
        },
        ("state_dict", "generator."),
    ),
    ({"epoch": 7, "name": "x", "loss": [1.0], None: 1, **state()}, ()),
]


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("wrapped", "taken_off"), WRAPPINGS, ids=lambda x: "+".join(x) if type(x) is tuple else ""
)
def test_every_wrapping_comes_off(
    tmp_path: Path, wrapped: Any, taken_off: tuple[str, ...], zipped: bool
) -> None:
    loaded = read_state_dict(saved(tmp_path, wrapped, _use_new_zipfile_serialization=zipped))
    assert_same(loaded.tensors, state())
    assert loaded.unwrapped == taken_off


@pytest.mark.parametrize(
    "genuine",
    [
        prefixed("model.", {"0.weight": torch.ones(2)}),
        prefixed("encoder.", {"0.weight": torch.ones(2)}),
        prefixed("decoder.", {"0.weight": torch.ones(2)}),
        {"embeddings.weight": torch.ones(2), "generator.gen_z.weight": torch.ones(2)},
        {"encoder.w": torch.ones(1), "decoder.w": torch.ones(1), "discriminator.w": torch.ones(1)},
        {"generators.0.weight": torch.ones(1)},
        {"G.weight": torch.ones(1), "mapping.weight": torch.ones(1)},
    ],
    ids=lambda keys: "+".join(keys),
)
def test_a_networks_own_parts_stay(tmp_path: Path, genuine: State) -> None:
    loaded = read_state_dict(saved(tmp_path, genuine))
    assert_same(loaded.tensors, genuine)
    assert loaded.unwrapped == ()


def test_compiled_parts_inside_a_network(tmp_path: Path) -> None:
    path = saved(tmp_path, {"encoder._orig_mod.0.weight": torch.ones(2), "fc.weight": torch.ones(1)})
    assert list(read_state_dict(path).tensors) == ["encoder.0.weight", "fc.weight"]


def test_tensors_beside_a_container_are_kept_apart(tmp_path: Path) -> None:
    loaded = read_state_dict(saved(tmp_path, {"g_ema": state(), "latent_avg": torch.arange(4.0)}))
    assert_same(loaded.tensors, state())
    assert_same(loaded.beside, {"latent_avg": torch.arange(4.0)})


def test_parameters_become_plain_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": nn.Parameter(torch.ones(3)), "view": torch.arange(6.0).reshape(2, 3).T})
    loaded = read_state_dict(path).tensors
    assert type(loaded["w"]) is Tensor
    assert not loaded["w"].requires_grad
    assert torch.equal(loaded["w"], torch.ones(3))
    assert torch.equal(loaded["view"], torch.arange(6.0).reshape(2, 3).T)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_network_keeps_its_values_when_the_file_is_overwritten(tmp_path: Path, ending: str) -> None:
    path = save(tiny_dcgan().state_dict(), tmp_path / f"net{ending}")
    network = open_state_dict(read_state_dict(path).tensors).network
    path.write_bytes(b"\0" * path.stat().st_size)
    assert_same(network.state_dict(), tiny_dcgan().state_dict())


def test_what_trainings_save_beside_the_weights_is_no_hindrance(tmp_path: Path) -> None:
    options = argparse.Namespace(size=256, lr=0.002, path="data", channel_multiplier=2)
    beside = {"args": options, "ada_aug_p": np.float64(0.5), "iter": np.int64(9), "fid": np.float32(7.5)}
    loaded = read_state_dict(saved(tmp_path, {"g": state(1), "g_ema": state(), **beside}))
    assert_same(loaded.tensors, state())


def test_numpy_numbers_of_older_releases_are_no_hindrance(tmp_path: Path) -> None:
    path = saved(tmp_path, {"g_ema": state(), "fid": np.float64(7.5)})
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "old.pth", "w") as new:
        for record in old.infolist():
            # NumPy 1 said it so; the length of a name stands in front of it only in other opcodes.
            content = old.read(record).replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
            assert not record.filename.endswith("data.pkl") or b"cnumpy.core.multiarray" in content
            new.writestr(record.filename, content)
    assert_same(read_state_dict(tmp_path / "old.pth").tensors, state())


def test_a_thread_that_is_done_takes_nothing_from_one_that_still_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one allows torch to read is allowed in the whole process, and until the last is done."""
    path = saved(tmp_path, {"model": state(), "args": argparse.Namespace(lr=0.1)})
    read, both, alone, before = reader._load_weights, Barrier(2), Event(), get_safe_globals()

    def slow(file: Path, mappable: bool) -> Any:
        both.wait(30)
        assert file == path or alone.wait(30)
        return read(file, mappable)

    monkeypatch.setattr(reader, "_load_weights", slow)
    with ThreadPoolExecutor(2) as threads:
        last = threads.submit(read_state_dict, saved(tmp_path, torch.load(path, weights_only=False), "b.pth"))
        assert_same(threads.submit(read_state_dict, path).result(60).tensors, state())
        alone.set()
        assert_same(last.result(60).tensors, state())
    assert set(get_safe_globals()) == set(before)


def test_nothing_stays_allowed_after_a_failure(tmp_path: Path) -> None:
    before = set(get_safe_globals())
    path = saved(tmp_path, {"model": state(), "code": Path("x")})
    with pytest.raises(CheckpointUnreadable, match="hold code"):
        read_state_dict(path)
    assert set(get_safe_globals()) == before


def test_weights_that_share_their_numbers_open(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    shared = {
        "w": whole.view(3, 4),
        "tied": whole.view(3, 4),
        "part": whole[4:8],
        "turned": whole.view(3, 4).T,
    }
    assert_same(read_state_dict(saved(tmp_path, shared)).tensors, shared)


@pytest.mark.parametrize("depth", [1, DEEPEST])
def test_containers_within_containers(tmp_path: Path, depth: int) -> None:
    wrapped: dict[str, Any] = state()
    for _ in range(depth):
        wrapped = {"model": wrapped, "epoch": 3}
    loaded = read_state_dict(saved(tmp_path, wrapped))
    assert_same(loaded.tensors, state())
    assert loaded.unwrapped == ("model",) * depth


def test_a_dict_that_contains_itself_ends(tmp_path: Path) -> None:
    loop: dict[str, Any] = dict(state())
    loop["state_dict"] = loop
    assert_same(read_state_dict(saved(tmp_path, loop)).tensors, state())


def test_records_without_checksums_open(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path, state())
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_state_dict(path).tensors, state())


def test_compressed_records_open(tmp_path: Path) -> None:
    path = saved(tmp_path, state())
    squeezed = tmp_path / "squeezed.pth"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record.filename))
    assert_same(read_state_dict(squeezed).tensors, state())
