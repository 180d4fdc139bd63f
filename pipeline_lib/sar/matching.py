"""Matching two images of one grid, block by block: from features to a shift and how sure it is.

Blocks over the image are matched by masked normalised cross-correlation; their correlation surfaces are averaged before
the peak is sought, and drawing the blocks anew tells how sure it is.

References:
    Padfield 2012, Masked object registration in the Fourier domain, IEEE TIP 21(5), 2706-2718.
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import dask
import numpy as np
import xarray as xr
from scipy import ndimage

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.sar.correlation import Image, Mask, best_shift, masked_correlation
from pipeline_lib.sar.shift import MIN_BLOCKS, ShiftEstimate

MAX_BLOCKS = 64
BLOCK_PX = 256
MARGIN_PX = 36
EDGE_PX = 6
REPLICATES = 200
GROWTH_PX = 5

Layers = Mapping[str, Image]
Window = tuple[slice, slice]


class Matched(NamedTuple):
    """What is matched: pairs of features to correlate, and what tells that a pixel has changed."""

    pairs: tuple[tuple[Image, Image], ...]
    contrast: tuple[Image | Mask, ...]


Features = Callable[[Layers, Layers], Matched]
"""Layers of the pass, layers of the other -> their features, each of which looks at most `MARGIN_PX` around."""
Changed = Callable[[Image | Mask], Mask]
"""A contrast within a window -> where something came or went, which is left out with its surroundings."""


class Search(NamedTuple):
    """How a shift is looked for."""

    name: str
    """Identifier of the reference, for the record."""
    reach_px: int
    """Largest shift looked for."""
    max_blocks: int = MAX_BLOCKS
    """Fewer blocks cost less and tell less about how sure the shift is."""


def estimate_shift(
    scene: xr.Dataset,
    other: xr.Dataset,
    features: Features,
    changed: Changed,
    search: Search,
) -> ShiftEstimate:
    """Shift of ``scene`` against ``other``, by what ``features`` makes of both.

    Args:
        scene: layers (y, x) of the pass.
        other: layers (y, x) of the reference, on the same grid.
        features: see `Features`.
        changed: see `Changed`.
        search: how far and in how many blocks.

    Raises:
        GridMismatchError: the two do not share one shape.
    """
    shape = scene.sizes["y"], scene.sizes["x"]
    if shape != (other.sizes["y"], other.sizes["x"]):
        raise GridMismatchError(f"The pass has {shape} pixels, what it is compared with {tuple(other.sizes.values())}.")
    windows = _windows(shape, search.reach_px, search.max_blocks)
    matched = _matched(scene, other, features, windows)
    return _summary(_surfaces(matched, changed, search.reach_px), search.name)


def _matched(
    scene: xr.Dataset,
    other: xr.Dataset,
    features: Features,
    windows: Sequence[tuple[Window, Window]],
) -> Iterator[tuple[Window, Matched, Mask]]:
    """For each window where its block lies in it, the features within it, and where all layers are observed.

    Where the windows overlap so much that together they are larger than the image, features are made of the image
    once; they reach no further than a window's margin, so that a block sees the same ones.
    """
    shape = scene.sizes["y"], scene.sizes["x"]
    whole = (slice(0, shape[0]), slice(0, shape[1]))
    shared = sum(_area(window) for _, window in windows) >= _area(whole)
    areas = [whole] if shared else [window for _, window in windows]
    layers = [
        (
            {str(band): scene[band][area].data for band in scene},
            {str(band): other[band][area].data for band in other},
        )
        for area in areas
    ]
    # One call for all areas: whatever makes a chunk of the pass (a file read, a geocoding) runs once for all of them.
    read: list[tuple[Layers, Layers]] = dask.compute(layers)[0]
    if shared:
        of_image, observed = _made(*read[0], features)
        for core, window in windows:
            yield core, _cut(of_image, window), observed[window]
        return
    for (core, _), (one, another) in zip(windows, read, strict=True):
        yield core, *_made(one, another, features)


def _made(one: Layers, other: Layers, features: Features) -> tuple[Matched, Mask]:
    """Features of an area, and where all layers are observed."""
    observed: Mask = np.all([np.isfinite(value) for value in (*one.values(), *other.values())], axis=0)
    return features(one, other), observed


def _cut(matched: Matched, window: Window) -> Matched:
    """A window of features."""
    pairs = tuple((fixed[window], moving[window]) for fixed, moving in matched.pairs)
    return Matched(pairs, tuple(contrast[window] for contrast in matched.contrast))


def _area(window: Window) -> int:
    """Pixels of a window."""
    rows, columns = window
    return int(rows.stop - rows.start) * int(columns.stop - columns.start)


def _surfaces(matched: Iterable[tuple[Window, Matched, Mask]], changed: Changed, reach: int) -> list[Image]:
    """The correlation of every block that has one, the mean over its pairs of features."""
    found: list[Image] = []
    for core, (pairs, contrast), observed in matched:
        same = ~_grown(np.any([changed(one) for one in contrast], axis=0), reach)
        allowed = (observed & same)[core]
        surface = _mean(masked_correlation(fixed[core], moving[core], allowed, reach) for fixed, moving in pairs)
        if np.isfinite(surface).all():
            found.append(surface)
    return found


def _summary(surfaces: Sequence[Image], name: str) -> ShiftEstimate:
    """Peak of the mean surface, and how far it moves when the blocks are drawn anew."""
    nothing = ShiftEstimate(reference=name, dy_px=0, dx_px=0, confidence=0, spread_px=0, correlation=0, blocks=0)
    if not surfaces:
        return nothing
    stack = np.stack(surfaces)
    dy, dx, height, inside = best_shift(stack.mean(axis=0))
    generator = np.random.default_rng(len(stack))
    draws = generator.integers(0, len(stack), (REPLICATES, len(stack)))
    weights = np.stack([np.bincount(draw, minlength=len(stack)) for draw in draws]) / len(stack)
    peaks = np.array([best_shift(surface)[:2] for surface in np.tensordot(weights, stack, axes=1)])
    distance = np.hypot(peaks[:, 0] - dy, peaks[:, 1] - dx)
    return ShiftEstimate(
        reference=name,
        dy_px=round(dy, 3),
        dx_px=round(dx, 3),
        confidence=float((distance <= 0.5).mean()) if inside and len(stack) >= MIN_BLOCKS else 0.0,
        spread_px=round(float(np.median(distance)), 3),
        correlation=round(height, 4),
        blocks=len(stack),
    )


def _windows(shape: tuple[int, int], reach: int, max_blocks: int) -> list[tuple[Window, Window]]:
    """Evenly spread blocks over the image: at most ``max_blocks``, of at most `BLOCK_PX` pixels a side.

    Returns:
        For each block where it lies in its window, and the window: the block and `MARGIN_PX` around it, from which its
        features are made, so that the block's own edge, at the same place in both images, pulls no peak to zero.
    """
    spans = []
    for length in shape:
        low, high = (EDGE_PX, length - EDGE_PX) if length > 4 * EDGE_PX else (0, length)
        side = max(min(high - low, 6 * reach), min(BLOCK_PX, (high - low) // 3))
        count = min(int(np.sqrt(max_blocks)), max(1, round(1.5 * (high - low) / side)))
        starts = np.unique(np.linspace(low, high - side, count).round().astype(int)).tolist()
        spans.append([_span(start, side, length) for start in starts])
    return [((rows[0], columns[0]), (rows[1], columns[1])) for rows in spans[0] for columns in spans[1]]


def _span(start: int, side: int, length: int) -> tuple[slice, slice]:
    """A block within its window, and the window within the image, along one axis."""
    first, last = max(0, start - MARGIN_PX), min(length, start + side + MARGIN_PX)
    return slice(start - first, start - first + side), slice(first, last)


def _mean(surfaces: Iterable[Image]) -> Image:
    """Mean of the surfaces that could be made; all NaN where none could."""
    stack = np.stack(list(surfaces))
    usable = np.isfinite(stack).all(axis=(1, 2))
    mean: Image = stack[usable].mean(axis=0) if usable.any() else stack[0]
    return mean


def _grown(marked: Mask, max_shift_px: int) -> Mask:
    """Marked areas wider than the largest shift, grown; thin strips along edges are what a shift itself makes."""
    wide = ndimage.maximum_filter(ndimage.minimum_filter(marked, max_shift_px + 1), max_shift_px + 1)
    grown: Mask = ndimage.maximum_filter(wide, 2 * GROWTH_PX + 1)
    return grown
