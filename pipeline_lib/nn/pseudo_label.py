"""Pseudo labels: from an ensemble's probability to labels, with gates."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.train import SelfTrainOptions

Labels = NDArray[np.uint8]
Kind = TypeVar("Kind", bound=np.generic)
Probability = NDArray[np.float32]


def confident_labels(probability: Probability, options: SelfTrainOptions) -> tuple[Labels, NDArray[np.bool_]]:
    """Softmax-confidence pseudo labels and which chips pass the gate.

    Args:
        probability: of water ``(chip, y, x)``, NaN not observed.
        options: ``confidence`` of a pixel, ``tile_share`` of confident pixels of a chip.

    Returns:
        labels ``(chip, y, x)``, 255 where not confident; ``(chip,)`` True where the chip is to be used.

    References: Paul & Ganju 2021, section 3 (there confidence 0.95, share 0.9, and the whole chip's argmax).
    """
    seen = np.isfinite(probability)
    p = np.where(seen, probability, 0.5)
    sure = np.maximum(p, 1 - p) > options.confidence
    labels = np.where(sure, (p > 0.5).astype(np.uint8), np.uint8(IGNORE)).astype(np.uint8)
    share = sure.sum(axis=(1, 2)) / np.maximum(seen.sum(axis=(1, 2)), 1)
    return labels, share > options.tile_share


def weak_labels(probability: Probability, tag: NDArray[np.bool_], options: SelfTrainOptions) -> Labels:
    """Pixel labels from a round's probability and image tags.

    A chip tagged dry is dry everywhere. In a chip tagged water, pixels above ``high`` are water, below ``low`` dry,
    in between ignored, and the most water-like ``forced_water_share`` of its pixels is water in any case, so that
    no round can talk itself out of the tag.

    Where chips tagged dry exist they say what water is not: the first round's network knows tags alone, so that its
    probability on land is the share of wet chips, whatever that is, and no fixed threshold fits. Both thresholds rise
    to the quantiles of ``dry_share``.

    Args:
        probability: of water ``(chip, y, x)``, NaN not observed.
        tag: ``(chip,)`` True where the image holds water.
        options: the thresholds.

    Returns:
        ``(chip, y, x)`` uint8, 255 ignored.
    """
    labels = np.full(probability.shape, IGNORE, np.uint8)
    low, high = _thresholds(probability[~tag], options)
    for k, (p, wet) in enumerate(zip(probability, tag, strict=True)):
        seen = np.isfinite(p)
        if not wet:
            labels[k][seen] = 0
            continue
        labels[k][seen & (p < low)] = 0
        labels[k][seen & (p > high)] = 1
        if seen.any():
            forced = np.nanquantile(p, 1 - options.forced_water_share)
            labels[k][seen & (p >= max(forced, 1e-6))] = 1
    return labels


def _thresholds(dry: Probability, options: SelfTrainOptions) -> tuple[float, float]:
    """Below the first dry, above the second water, from the probability in chips tagged dry."""
    seen = dry[np.isfinite(dry)]
    if not options.dry_share or seen.size == 0:
        return options.low, options.high
    land, most = np.quantile(seen, (max(1 - 10 * (1 - options.dry_share), 0.5), options.dry_share))
    return max(options.low, float(land)), max(options.high, float(most))


def first_weak_labels(shape: tuple[int, int, int], tag: NDArray[np.bool_]) -> Labels:
    """Round 0: each pixel has its image's tag."""
    return np.broadcast_to(tag[:, None, None].astype(np.uint8), shape).copy()


def changed_share(before: Labels, after: Labels) -> float:
    """Share of pixels whose pseudo label changed between two rounds; the loop stops when it is small."""
    return float(np.mean(before != after))


def to_tiles(array: NDArray[Kind], tile: int) -> NDArray[Kind]:
    """``(chip, y, x)`` to ``(chip * tiles, tile, tile)``."""
    chips, height, width = array.shape
    rows, columns = height // tile, width // tile
    cut = array[:, : rows * tile, : columns * tile].reshape(chips, rows, tile, columns, tile)
    return cut.swapaxes(2, 3).reshape(-1, tile, tile)


def from_tiles(tiles: Labels, shape: tuple[int, ...], tile: int) -> Labels:
    """Inverse of `to_tiles`; the rest of a chip that no tile covers is ignored."""
    chips, height, width = shape
    rows, columns = height // tile, width // tile
    out = np.full(shape, IGNORE, np.uint8)
    whole = tiles.reshape(chips, rows, columns, tile, tile).swapaxes(2, 3).reshape(chips, rows * tile, columns * tile)
    out[:, : rows * tile, : columns * tile] = whole
    return out
