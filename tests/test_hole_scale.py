"""Wide holes are filled from further away, by networks that tell how far they reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import model_of, tiny_lama
from imgsynth.families import Inpainter, widest_square


def by_hand(hole: np.ndarray) -> int:
    """The textbook recurrence: a square grows by one where its three neighbours' squares allow it."""
    best = np.zeros((hole.shape[0] + 1, hole.shape[1] + 1), int)
    for y, x in np.argwhere(hole):
        best[y + 1, x + 1] = 1 + min(best[y, x], best[y, x + 1], best[y + 1, x])
    return int(best.max())


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_widest_square_is_found(seed: int, height: int, width: int, share: float) -> None:
    hole = np.random.RandomState(seed).rand(height, width) < share
    assert widest_square(hole) == by_hand(hole)


def square_hole(side: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, 64, 80)
    mask[..., 8 : 8 + side, 10 : 10 + side] = 1
    return mask


@pytest.mark.parametrize(
    ("hint", "side", "scale"), [(10, 40, 0.25), (10, 10, 1), (10, 4, 1), (None, 40, 1), ("far", 40, 1)]
)
def test_the_scale_brings_the_hole_within_reach(hint: object, side: int, scale: float) -> None:
    model = model_of(tiny_lama(), {} if hint is None else {"hole_reach": hint})
    assert isinstance(model, Inpainter)
    assert model.scale_for(square_hole(side)) == scale


def test_a_prediction_from_further_away_has_the_photo_s_size_and_ignores_the_hole_s_content() -> None:
    model = model_of(tiny_lama(), {"hole_reach": 10})
    assert isinstance(model, Inpainter)
    mask = square_hole(40)
    photo = torch.rand(1, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    predicted = model.inpaint(photo, mask)
    assert predicted.shape == photo.shape
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    changed = torch.where(mask == 1, torch.zeros(()), photo)
    inner = slice(20, 36)  # what the antialiased edge of the small copy does not touch
    assert not torch.equal(predicted, photo)
    torch.testing.assert_close(
        model.inpaint(changed, mask)[..., inner, inner], predicted[..., inner, inner], atol=0.02, rtol=0
    )
