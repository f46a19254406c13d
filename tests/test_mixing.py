"""Style mixing: which layers come from whom, the paper's table, and both again from their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import imgsynth
from builders import model_of, randomised, save, tiny_dcgan
from cli_runs import Run, assert_refused, pixels
from imgsynth.architectures.stylegan1 import StyleGAN1Generator
from imgsynth.architectures.stylegan2 import StyleGAN2Generator
from imgsynth.errors import BadRequest, NoRecord, TaskNotOffered
from imgsynth.families import LatentModel
from imgsynth.imaging.record import read_record
from imgsynth.tasks import mixing
from imgsynth.tasks.mixing import layers_of, mix, mixed, parts_of, run_mix
from imgsynth.tasks.redo import redo
from imgsynth.tasks.requests import MixRequest, SampleRequest, make_request
from imgsynth.tasks.sample import sample
from latent_models import STYLEGAN1, shown, styled


def styled2(side: int = 16, **options: Any) -> LatentModel:
    """A StyleGAN2 from w of 6 numbers; its pictures are random patterns."""
    widths = [4] * (side.bit_length() - 2)
    network = randomised(StyleGAN2Generator(side, 6, 2, widths, lr_mlp=1.0, **options), 5)
    model = model_of(network, {"lr_mlp": 1.0}, name="styled2")
    assert isinstance(model, LatentModel)
    return model


def request(sources: list[int], destinations: list[int], layers: str = "coarse", **more: Any) -> MixRequest:
    return make_request(MixRequest, sources=sources, destinations=destinations, layers=layers, **more)


def only(model: LatentModel, *args: Any, **options: Any) -> np.ndarray:
    return shown(mix(model, request(*args, **options)))[0]


def assert_again(model: LatentModel, picture: Any) -> None:
    remade: Any = redo(model, picture.record)
    assert remade.record == picture.record
    np.testing.assert_array_equal(np.asarray(remade.image), np.asarray(picture.image))


# Layers


@pytest.mark.parametrize(
    ("side", "parts"),
    [
        (8, {"coarse": range(4)}),
        (16, {"coarse": range(4), "middle": range(4, 6)}),
        (128, {"coarse": range(4), "middle": range(4, 8), "fine": range(8, 12)}),
        (1024, {"coarse": range(4), "middle": range(4, 8), "fine": range(8, 18)}),
    ],
)
def test_layers_are_told_by_the_size_of_their_feature_maps(side: int, parts: dict[str, range]) -> None:
    widths = [1] * (side.bit_length() - 2)
    first = model_of(StyleGAN1Generator(**{**STYLEGAN1, "widths": widths}))
    second = model_of(StyleGAN2Generator(side, 2, 1, widths))
    for model in (first, second):
        assert isinstance(model, LatentModel)
        assert parts_of(model) == parts


def test_layers_go_by_number_too() -> None:
    model = styled()
    assert layers_of(model, "2-4") == range(2, 5)
    assert layers_of(model, "5") == range(5, 6)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ("fine", r"^styled draws 16 pixels a side and has no fine layers; it has coarse and middle ones\.$"),
        ("6", r"^styled has layers 0 to 5, not 6\.$"),
        ("4-9", r"layers 0 to 5"),
        ("4-2", r"layers 0 to 5"),
        ("rough", r"^layers should be coarse, middle, fine, or layers such as 4-7, not 'rough'\.$"),
        ("-1", r"^layers should be"),
    ],
)
def test_layers_that_are_not_there_are_told(layers: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        next(mix(styled(), request([1], [2], layers)))


# Pictures


def test_named_layers_have_the_style_of_the_source_and_no_others() -> None:
    model = styled()
    w = mixed(model, [1], [2], range(2, 4))[0]
    source, destination = model.styles(model.latents([1, 2]))
    assert torch.equal(w[2:4], source.expand(2, -1))
    assert torch.equal(w[[0, 1, 4, 5]], destination.expand(4, -1))


def test_the_network_gets_a_style_for_each_layer() -> None:
    model = styled2(stored_noise=False)
    network: Any = model.network
    w = model.styles(model.latents([1, 2]))
    expected = network.from_w(network.mix(w[:1], w[1:], 4), 0.7, noise=model.noise([2]))
    image = only(model, [1], [2], "0-3", psi=0.7)
    unit = model.to_unit(expected)[0].permute(1, 2, 0).numpy()
    assert np.abs(image / 255 - unit).max() <= 0.51 / 255


@pytest.mark.parametrize("build", [styled, styled2])
def test_all_layers_are_the_source_and_none_the_destination(build: Any) -> None:
    model = build()
    plain = shown(sample(model, SampleRequest(seeds=[1, 2], noise="none")))
    every = only(model, [1], [2], "0-5", noise="none")
    same = only(model, [2], [2], "1", noise="none")
    assert np.abs(every.astype(int) - plain[0]).max() <= 1
    assert np.abs(same.astype(int) - plain[1]).max() <= 1
    coarse = only(model, [1], [2], "coarse", noise="none")
    assert not np.array_equal(coarse, plain[0]) and not np.array_equal(coarse, plain[1])


def test_noise_is_the_destinations() -> None:
    model = styled()
    own, still = only(model, [1], [2]), only(model, [1], [2], noise="constant")
    assert np.array_equal(own, only(model, [1], [2], noise="random"))
    assert not np.array_equal(own, still)
    as_source = model.render(mixed(model, [1], [2], range(4)), noise=model.noise([1]), space="w")
    assert np.abs(own / 255 - as_source[0].permute(1, 2, 0).numpy()).max() > 0.01


def test_pictures_are_the_same_in_any_company() -> None:
    model = styled()
    together = shown(mix(model, request([1, 2, 3], [4, 5, 6, 7], psi=0.8)))
    alone = [only(model, [s], [d], psi=0.8) for s in (1, 2, 3) for d in (4, 5, 6, 7)]
    np.testing.assert_array_equal(np.stack(together), np.stack(alone))


# The table, records


def test_the_table_has_sources_on_the_left_and_destinations_above() -> None:
    model = styled()
    mixture = run_mix(model, request([1, 2], [4, 5, 6], psi=0.8))
    table = np.asarray(mixture.table.image)
    assert table.shape == (3 * 18 - 2, 4 * 18 - 2, 3)
    cells = [[table[18 * r : 18 * r + 16, 18 * c : 18 * c + 16] for c in range(4)] for r in range(3)]
    assert (cells[0][0] == 255).all()
    above = shown(sample(model, SampleRequest(seeds=[4, 5, 6], psi=0.8)))
    left = shown(sample(model, SampleRequest(seeds=[1, 2], psi=0.8)))
    np.testing.assert_array_equal(np.stack(cells[0][1:]), np.stack(above))
    np.testing.assert_array_equal(np.stack([cells[1][0], cells[2][0]]), np.stack(left))
    inner = [*cells[1][1:], *cells[2][1:]]
    np.testing.assert_array_equal(np.stack(inner), np.stack(shown(mixture.pictures)))
    assert mixture.pictures[4].name == "source00000002-destination00000005"


@pytest.mark.parametrize("build", [styled, styled2])
def test_table_and_pictures_are_made_again_from_their_records(build: Any) -> None:
    model = build()
    mixture = run_mix(model, request([3, 1], [2], "2-4", psi=0.6, noise="none"))
    assert mixture.table.record["task"] == "mix"
    asked = {"layers": "2-4", "psi": 0.6, "noise": "none"}
    assert mixture.table.record["request"] == {"sources": [3, 1], "destinations": [2], **asked}
    assert mixture.pictures[1].record["request"] == {"source": 1, "destination": 2, **asked}
    for picture in (mixture.table, *mixture.pictures):
        assert_again(model, picture)


def test_a_record_names_noise_only_where_it_was_asked_for() -> None:
    picture = next(mix(styled(), request([1], [2])))
    assert "noise" not in picture.record["request"]
    assert_again(styled(), picture)


def test_a_record_of_half_a_pair_is_refused() -> None:
    record = next(mix(styled(), request([1], [2]))).record
    del record["request"]["source"]
    with pytest.raises((BadRequest, NoRecord)):
        redo(styled(), record)


@pytest.mark.parametrize(
    "asked", [{"destinations": [1]}, {"source": 1, "destinations": [2]}, {"sources": [1]}]
)
def test_a_record_of_half_a_table_is_refused(asked: dict[str, Any]) -> None:
    record = {**next(mix(styled(), request([1], [2]))).record, "request": asked}
    with pytest.raises(BadRequest, match=r"^(sources|destinations): Field required\.$"):
        redo(styled(), record)


# What cannot be done


def test_models_without_styles_are_refused(models: dict[str, Any]) -> None:
    with pytest.raises(TaskNotOffered, match=r"has no styles to mix; choose a StyleGAN"):
        next(mix(models["dcgan"], request([1], [2])))
    with pytest.raises(TaskNotOffered):
        next(mix(models["lama"], request([1], [2])))


def test_a_table_too_large_for_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing, "LARGEST_TABLE", 9 * 16**2)
    assert len(list(mix(styled(), request([1, 2], [3, 4])))) == 4
    with pytest.raises(BadRequest, match="fewer seeds"):
        next(mix(styled(), request([1, 2], [3, 4, 5])))


@pytest.mark.parametrize("sources", [[], list(range(17)), [-1], ["a"]])
def test_wrong_seeds_are_refused_in_a_sentence(sources: Any) -> None:
    with pytest.raises(BadRequest, match=r"^sources.*\.$"):
        make_request(MixRequest, sources=sources, destinations=[1])


# Python and the command line


def test_python_mixes() -> None:
    mixture = imgsynth.mix(styled(), [1, 2], [3], layers="middle", psi=0.9)
    expected = run_mix(styled(), request([1, 2], [3], "middle", psi=0.9))
    np.testing.assert_array_equal(np.asarray(mixture.table.image), np.asarray(expected.table.image))
    assert len(mixture.pictures) == 2


def test_the_command_line_mixes_and_makes_again(run: Run, tmp_path: Path) -> None:
    weights = save(styled().network.state_dict(), tmp_path / "styled.safetensors")
    words = ["--checkpoint", weights, "--sources", "1,2", "--destinations", "3-5", "--layers", "middle"]
    ran = run("mix", *words, "--out", tmp_path / "table.png", "--pictures", tmp_path / "single")
    assert ran.code == 0, ran.err
    listed = [
        str(tmp_path / "single" / f"source0000000{s}-destination0000000{d}.png")
        for s, d in [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]
    ]
    assert ran.out.splitlines() == [*listed, str(tmp_path / "table.png")]
    for name in ("table.png", "single/source00000002-destination00000004.png"):
        again = tmp_path / f"again-{Path(name).name}"
        assert run("redo", tmp_path / name, "--out", again, "--checkpoint", weights).code == 0
        np.testing.assert_array_equal(pixels(tmp_path / name), pixels(again))
        assert read_record(again) == read_record(tmp_path / name)


def test_the_command_line_refuses_in_a_sentence(run: Run, tmp_path: Path) -> None:
    weights = save(tiny_dcgan().state_dict(), tmp_path / "gan.safetensors")
    words = ["mix", "--checkpoint", weights, "--sources", "1", "--destinations", "2"]
    assert_refused(run(*words, "--out", tmp_path / "table.png"), "no styles to mix")
    assert_refused(run(*words, "--out", tmp_path / "table.txt"), "table.txt")
    assert_refused(run(*words, "--out", tmp_path / "t.png", "--layers", "rough"), "layers should be")
