"""What recipes' options need: what would do nothing is refused, and not named in a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from imgsynth.architectures.lama import assemble
from imgsynth.errors import TrainingFailed
from imgsynth.training.options import NEEDS
from recipe_parts import KINDS, make

# What would do nothing, and what it needs.
USELESS: list[tuple[str, dict[str, Any], str]] = [
    ("gan", {"mixing": 0.5}, "--mixing needs --generator stylegan2"),
    ("gan", {"mapping_rate": 5.0, "generator": "lightweight"}, "--mapping-rate needs --generator stylegan2"),
    ("gan", {"anchor_weight": 30.0}, "--anchor-weight needs --anchor"),
    ("gan", {"anchor_size": 16}, "--anchor-size needs --anchor"),
    ("gan", {"spectral_norm": True, "loss": "wasserstein"}, "--spectral-norm needs another --loss"),
    ("gan", {"discriminator": "plain"}, "--discriminator needs --generator stylegan2"),
    (
        "gan",
        {"generator": "stylegan2", "discriminator": "residual", "spectral_norm": True},
        "--spectral-norm needs --discriminator plain",
    ),
    ("gan", {"keep_coarse": True}, "--keep-coarse needs --generator stylegan2"),
    (
        "gan",
        {"generator": "stylegan2", "keep_coarse": True},
        "--keep-coarse needs smaller weights to grow from, by --init",
    ),
    ("vae", {"matching": 1.0}, "--matching needs --adversarial"),
    ("vae", {"head_start": 9, "adversarial": 0.0}, "--head-start needs --adversarial"),
    ("vae", {"discriminator_rate": 1e-3}, "--discriminator-rate needs --adversarial"),
    ("vae", {"augment": "cutout"}, "--augment needs --adversarial"),
    ("vae", {"augment_chance": 0.5}, "--augment-chance needs --adversarial"),
    ("vae", {"latents": 8, "anchor": "avatars-vae"}, "--latents needs a start without --anchor"),
    ("vae", {"keep_decoder": True}, "--keep-decoder needs a decoder that has learnt, from --init"),
    (
        "vae",
        {"keep_decoder": True, "anchor": "avatars-vae", "adversarial": 1.0, "matching": 0.0},
        "--adversarial needs a --matching above 0 beside --keep-decoder",
    ),
    ("cyclegan", {"levels": 3}, "--levels needs --generator unet"),
    ("cyclegan", {"generator": "unet", "upsampling": "nearest"}, "--upsampling needs --generator resnet"),
    ("cyclegan", {"generator": "unet", "norm": "none"}, "--norm needs --generator resnet, since a U-Net"),
    ("cyclegan", {"fold_norms": True}, "--fold-norms needs a ResNet without norms .* --norm none and --init"),
    ("cyclegan", {"norm": "none", "fold_norms": True}, "--fold-norms needs a ResNet without norms"),
    ("cyclegan", {"norm": "none", "droplets": 1.0}, "--droplets needs --norm instance"),
    ("inpaint", {"known_l1": 6.0}, "--known-l1 needs --start blank"),
    ("inpaint", {"known_l1": 6.0, "start": "harmonic"}, "--known-l1 needs --start blank"),
]


@pytest.mark.parametrize(("name", "options", "about"), USELESS)
def test_what_would_do_nothing_is_refused(
    name: str, options: dict[str, Any], about: str, images: Path
) -> None:
    with pytest.raises(TrainingFailed, match=f"^[^.]*{about}[^.]*; else leave it out.$"):
        make(name, images, **options)


def test_every_need_is_tried_here() -> None:
    needy = {(kind, option) for kind, needs in NEEDS.items() for need in needs for option in need.options}
    tried = {(KINDS[name], about.split(" ")[0][2:].replace("-", "_")) for name, _, about in USELESS}
    assert tried == needy
    assert all(option in kind.model_fields for kind, option in needy)


def test_nothing_is_refused_that_asks_for_nothing(images: Path) -> None:
    """Each says what is so anyway."""
    make("gan", images, mixing=0.0, anchor_weight=0.0, mapping_rate=None)
    make("vae", images, matching=0.0, head_start=0, augment="none", keep_decoder=False)
    make("cyclegan", images, norm="none", droplets=0.0, fold_norms=False)
    make("cyclegan", images, generator="unet", norm="instance", droplets=2.0, levels=3)
    assert "style mixing" not in make("gan", images, mixing=0.0).describe()


def test_a_card_names_no_droplets_where_none_can_hide(images: Path) -> None:
    for options, named in (({}, True), ({"norm": "none"}, False), ({"generator": "unet"}, True)):
        assert ("droplets" in make("cyclegan", images, **options).describe()["loss"]) == named


def test_no_verdict_is_heard_beside_a_kept_decoder(images: Path) -> None:
    """Only the distance of features reaches the encoder; half of it at half of its weight."""
    figures, seen = [], []
    for matching in (1.0, 0.5):
        weights = make("vae", images).vae.state_dict()
        recipe = make("vae", images, (weights,), keep_decoder=True, adversarial=2.0, matching=matching)
        recipe.judge.register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
        figures.append(recipe.step(0, 0.5)["G"])
        assert recipe.describe()["loss"].endswith(f", features of a discriminator {2 * matching:g}")
    assert figures[1] == pytest.approx(figures[0] / 2)
    assert len(seen) == 4  # reals and fakes in the discriminator's own step


def test_what_is_around_a_hole_is_weighed_where_a_network_changes_it(images: Path) -> None:
    smooth, blank = make("inpaint", images), make("inpaint", images, start="blank")
    for recipe, weighed in ((smooth, False), (blank, True)):
        assert ("known L1" in recipe.step(0, 0.0)) == weighed
        assert ("outside" in recipe.describe()["loss"]) == weighed
    assert "L1 10 in the hole and 6 outside, multi-scale" in blank.describe()["loss"]
    assert make("inpaint", images, start="blank", known_l1=2.0).known_l1 == 2
    assert make("inpaint", images, known_l1=0.0).known_l1 == 0
    image, mask = torch.rand(1, 3, 32, 32), smooth.masks(0, 1)
    with torch.no_grad():
        drawn = smooth.generator(assemble(image, mask))
    torch.testing.assert_close(drawn * (1 - mask), image * (1 - mask))
