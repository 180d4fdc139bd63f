"""Out of distribution: does a scene look like what the model learned from?"""

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.nn.chips import ChipSet
from pipeline_lib.nn.model_card import BandRange, ModelCard

LEAST_PIXELS = 100
MARGIN = 0.25
"""Share of the training range by which a scene may leave it before it is warned about."""


def band_ranges(chips: ChipSet, index: NDArray[np.intp], train: NDArray[np.intp]) -> tuple[BandRange, ...]:
    """1st to 99th percentile of the training chips' means and standard deviations, per band, in network units.

    Args:
        chips: all chips, (chip, band, y, x).
        index: bands of the model.
        train: numbers of the training chips.
    """
    means, spreads = [], []
    for chip in train:
        image = np.asarray(chips.images[int(chip)], dtype=np.float32)[index]
        with np.errstate(all="ignore"):
            seen = np.isfinite(image).sum(axis=(1, 2)) >= LEAST_PIXELS
            means.append([np.nanmean(band) if ok else np.nan for band, ok in zip(image, seen, strict=True)])
            spreads.append([np.nanstd(band) if ok else np.nan for band, ok in zip(image, seen, strict=True)])
    return tuple(
        BandRange(name=chips.bands[band], mean=_limits(np.array(means)[:, k]), spread=_limits(np.array(spreads)[:, k]))
        for k, band in enumerate(index)
    )


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return (-10.0, 10.0)
    low, high = np.percentile(known, (1, 99))
    return float(low), float(high)


def out_of_range(image: NDArray[np.float32], card: ModelCard) -> tuple[str, ...]:
    """One sentence for each statistic of ``(band, y, x)`` network units that leaves the card's ranges."""
    warnings = []
    for band, limits in zip(image, card.ranges, strict=False):
        seen = band[np.isfinite(band)]
        if seen.size < LEAST_PIXELS:
            continue
        for what, value, (low, high) in (
            ("mean", float(seen.mean()), limits.mean),
            ("spread", float(seen.std()), limits.spread),
        ):
            room = MARGIN * max(high - low, 0.2)
            if not low - room <= value <= high + room:
                warnings.append(
                    f"{limits.name} has a {what} of {value:.2f} in network units; {card.name} was trained on "
                    f"{low:.2f} to {high:.2f}: its map is less sure here."
                )
    return tuple(warnings)
