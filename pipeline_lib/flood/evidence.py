"""Everything that is known of one window when a flood is derived in it."""

from dataclasses import dataclass

import numpy as np

from pipeline_lib.flood.archive import STATISTICS, smoothed_db

PASS = ("water", "likelihood", "excluded", "reference", "co_db", "cross_db", "incidence_deg", "layover_shadow", "doubt")
"""Of the pass, its detector and the reference water."""
TERRAIN = ("slope_deg", "hand_m")
ARCHIVE = tuple(STATISTICS)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Arrays (y, x) of one window; None = not given, NaN = unknown there."""

    water: np.ndarray
    """uint8 0 dry, 1 water, 255 not observed."""
    likelihood: np.ndarray
    """float32 probability of water, 0 to 1."""
    excluded: np.ndarray
    """uint16 bits of `pipeline_lib.model.Exclusion`, the detector's own reasons."""
    reference: np.ndarray
    """uint8 0 none, 1 permanent, 2 seasonal, 255 unknown."""
    co_db: np.ndarray | None = None
    """float32 smoothed power of the pass, co-polarised, dB."""
    cross_db: np.ndarray | None = None
    """float32 smoothed power of the pass, cross-polarised, dB."""
    incidence_deg: np.ndarray | None = None
    """float32 local incidence angle."""
    layover_shadow: np.ndarray | None = None
    """uint8 bits: 1 shadow, 2 layover, as those of `pipeline_lib.model.Exclusion`."""
    doubt: np.ndarray | None = None
    """uint8 percent, the detector's own ``uncertainty``; 255 not observed."""
    slope_deg: np.ndarray | None = None
    """float32 steepness of the ground."""
    hand_m: np.ndarray | None = None
    """float32 height above the nearest drainage."""
    passes: np.ndarray | None = None
    """Number of passes of the archive that saw the pixel."""
    dark_share: np.ndarray | None = None
    """float32 share of them in which it was dark, 0 to 1."""
    co_mean_db: np.ndarray | None = None
    """float32 mean of their smoothed co-polarised power, dB."""
    co_std_db: np.ndarray | None = None
    """float32 its standard deviation, dB."""
    cross_mean_db: np.ndarray | None = None
    """float32 mean of their smoothed cross-polarised power, dB."""


def evidence_of(arrays: tuple[np.ndarray | None, ...], smoothing_px: int) -> Evidence:
    """Name the arrays of one window, given in the order of `PASS`, `TERRAIN`, `ARCHIVE`; power becomes smoothed dB.

    Args:
        arrays: (y, x) each, None where there is no such layer; the pass's power is linear, what the archive knows is in
            dB.
        smoothing_px: side of the window over which power is averaged before it becomes dB.
    """
    named = dict(zip((*PASS, *TERRAIN, *ARCHIVE), arrays, strict=True))
    for name in ("co_db", "cross_db"):
        power = named[name]
        named[name] = None if power is None else smoothed_db(power, smoothing_px)
    for name in ARCHIVE[1:]:
        half = named[name]
        named[name] = None if half is None else half.astype(np.float32)
    return Evidence(**named)  # type: ignore[arg-type]
