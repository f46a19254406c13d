"""Paths through latent space: positions on a walk, and the latents there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float64]


def positions(keyframes: int, frames: int, loop: bool) -> NDArray[np.float64]:
    """Where each frame lies, counted in keyframes.

    An open walk starts on the first keyframe and ends on the last. A loop leads back to the first,
    which is not drawn twice, so that the last frame and the first are neighbours like any other two.
    """
    steps = np.arange(frames, dtype=np.float64)
    return steps * keyframes / frames if loop else steps * (keyframes - 1) / (frames - 1)


def eased(places: NDArray[np.float64], easing: str) -> NDArray[np.float64]:
    """Positions at the speed of an easing: "none", or "smoothstep", which slows down at every keyframe.

    Smoothstep is 3t² − 2t³, the cubic Hermite step that starts and ends at rest.
    """
    if easing == "none":
        return places
    keyframe = np.floor(places)
    t = places - keyframe
    return np.asarray(keyframe + t * t * (3 - 2 * t))


def lerp(a: Latents, b: Latents, t: float) -> Latents:
    """Straight line."""
    return a + (b - a) * t


def slerp(a: Latents, b: Latents, t: float) -> Latents:
    """Great circle (Shoemake 1985; White 2016): the direction turns evenly, the length goes straight.

    Gaussian latents lie on a thin shell; a straight line would cut through its hollow inside.
    Parallel and opposite directions have no one great circle and fall back to the straight line.
    """
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    if length_a == 0 or length_b == 0:
        return lerp(a, b, t)
    unit_a, unit_b = a / length_a, b / length_b
    angle = np.arccos(np.clip(np.sum(unit_a * unit_b), -1.0, 1.0))
    if np.sin(angle) < 1e-6:
        return lerp(a, b, t)
    direction = (np.sin((1 - t) * angle) * unit_a + np.sin(t * angle) * unit_b) / np.sin(angle)
    return np.asarray(direction * (length_a + (length_b - length_a) * t))


def spline(points: Latents, position: float, loop: bool) -> Latents:
    """Catmull-Rom spline (1974) through all keyframes: no corner where one segment meets the next.

    The length is interpolated apart from the direction, for the same reason as in `slerp`.
    """
    count = len(points)
    index, t = split(position, count, loop)
    wrap = (lambda i: i % count) if loop else (lambda i: min(max(i, 0), count - 1))
    p0, p1, p2, p3 = (points[wrap(index + k)] for k in (-1, 0, 1, 2))
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    length = np.linalg.norm(p1) + (np.linalg.norm(p2) - np.linalg.norm(p1)) * t
    return np.asarray(curve * length / max(float(np.linalg.norm(curve)), 1e-12))


def split(position: float, count: int, loop: bool) -> tuple[int, float]:
    """Segment and place on it; the end of an open walk belongs to its last segment."""
    index = int(position) if loop else min(int(position), count - 2)
    return index, position - index


def latent_at(points: Latents, position: float, path: str, loop: bool) -> Latents:
    """The latent at a position of a walk; `points` are the keyframes' latents, one per row."""
    if path == "spline":
        return spline(points, position, loop)
    index, t = split(position, len(points), loop)
    between = slerp if path == "slerp" else lerp
    return between(points[index], points[(index + 1) % len(points)], t)
