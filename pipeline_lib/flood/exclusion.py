"""Where the radar cannot tell, and why: bits of `pipeline_lib.model.Exclusion`."""

from collections.abc import Callable

import numpy as np

from pipeline_lib.flood.evidence import Evidence
from pipeline_lib.model import NOT_OBSERVED, WATER, Exclusion
from pipeline_lib.options.derive import DeriveOptions

Mark = Callable[[np.ndarray, Exclusion], None]
"""Sets a reason's bit where an array is true."""


def exclusion_flags(evidence: Evidence, options: DeriveOptions) -> np.ndarray:
    """Reasons why a pixel's class is not to be believed, uint16 bits; 0 = none. Brightening is not yet considered.

    Terrain reasons do not hold on reference water: a digital elevation model is noisy there, and a lake on a plateau is
    a lake.

    Dims (y, x), as every array of ``evidence``.
    """
    flags = evidence.excluded.astype(np.uint16)
    land = ~np.isin(evidence.reference, (1, 2))

    def mark(where: np.ndarray, reason: Exclusion) -> None:
        """See `Mark`."""
        flags[where] |= np.uint16(reason.value)

    if evidence.layover_shadow is not None:
        for reason in (Exclusion.SHADOW, Exclusion.LAYOVER):
            mark((evidence.layover_shadow & reason.value) > 0, reason)
    if evidence.slope_deg is not None:
        mark(land & (evidence.slope_deg > options.max_slope_deg), Exclusion.STEEP_SLOPE)
    if evidence.hand_m is not None:
        mark(land & (evidence.hand_m > options.max_hand_m), Exclusion.HIGH_ABOVE_DRAINAGE)
    if evidence.incidence_deg is not None:
        outside = evidence.incidence_deg < options.min_incidence_deg
        mark(outside | (evidence.incidence_deg > options.max_incidence_deg), Exclusion.NO_SENSITIVITY)
    _archive_reasons(evidence, options, land, mark)
    if options.unknown_reference == "exclude":
        mark((evidence.water == WATER) & (evidence.reference == 255), Exclusion.NO_REFERENCE)
    flags[evidence.water == NOT_OBSERVED] = 0
    return flags


def _archive_reasons(evidence: Evidence, options: DeriveOptions, land: np.ndarray, mark: Mark) -> None:
    """Canopy, buildings and dark land, known from many passes only."""
    if evidence.passes is None:
        return
    told = evidence.passes >= options.reference.min_passes
    if options.forest_vh_db is not None and evidence.cross_mean_db is not None:
        mark(told & land & (evidence.cross_mean_db >= options.forest_vh_db), Exclusion.DENSE_VEGETATION)
    if options.urban_vv_db is not None and evidence.co_mean_db is not None:
        mark(told & land & (evidence.co_mean_db >= options.urban_vv_db), Exclusion.URBAN)
    if evidence.dark_share is not None:
        dark = told & (evidence.reference == 0) & (evidence.dark_share >= options.reference.seasonal_share)
        mark(dark, Exclusion.LOW_BACKSCATTER)
