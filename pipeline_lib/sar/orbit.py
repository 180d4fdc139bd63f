"""The orbit as one polynomial per axis over the few minutes around a scene."""

from dataclasses import dataclass

import numpy as np

from pipeline_lib.errors import AssetError
from pipeline_lib.sar.annotation import Floats, Orbit

MARGIN_S = 75.0
"""State vectors this far before the first and after the last line take part in the fit."""


@dataclass(frozen=True, kw_only=True)
class OrbitPolynomial:
    """Position over scaled time ``u = (t - middle_s) / half_s``, Earth-fixed, metres."""

    coefficients: Floats
    """(3, degree + 1), lowest power first."""
    middle_s: float
    half_s: float
    first_s: float
    """First and last time the fit is good for."""
    last_s: float
    residual_m: float
    """Largest distance between the fit and a state vector it was made from."""


def fit_orbit(orbit: Orbit, *, start_s: float, stop_s: float) -> OrbitPolynomial:
    """Fit the state vectors around ``start_s`` to ``stop_s`` with one polynomial per axis.

    Degree 7 (as many as the vectors carry): over 175 s a near-circular orbit of period 5924 s leaves less than a
    millimetre to higher powers, so the residual shows damage of the vectors, not of the fit.

    Raises:
        AssetError: the vectors do not enclose the scene, or do not lie on an orbit (residual beyond 10 m).
    """
    if not (orbit.time_s[0] <= start_s and orbit.time_s[-1] >= stop_s):
        raise AssetError(
            f"The orbit ({orbit.source}) covers {orbit.time_s[0]:.0f} s to {orbit.time_s[-1]:.0f} s after the first "
            f"image line; the image lasts from {start_s:.0f} s to {stop_s:.0f} s. Give the orbit file of this pass."
        )
    near = (orbit.time_s >= start_s - MARGIN_S) & (orbit.time_s <= stop_s + MARGIN_S)
    time, position = orbit.time_s[near], orbit.position_m[near]
    if time.size < 4:
        raise AssetError(f"The orbit ({orbit.source}) has {time.size} state vectors around the scene; 4 are needed.")
    middle, half = (time[0] + time[-1]) / 2, (time[-1] - time[0]) / 2
    degree = min(7, time.size - 2)
    powers = np.vander((time - middle) / half, degree + 1, increasing=True)
    solution, *_ = np.linalg.lstsq(powers, position, rcond=None)
    residual = float(np.linalg.norm(powers @ solution - position, axis=1).max())
    if residual > 10.0:
        raise AssetError(
            f"The state vectors of the orbit ({orbit.source}) lie up to {residual:.0f} m off a smooth path; expected "
            "less than 10 m. The file is damaged or not of this satellite."
        )
    return OrbitPolynomial(
        coefficients=np.ascontiguousarray(solution.T),
        middle_s=float(middle),
        half_s=float(half),
        first_s=float(time[0]),
        last_s=float(time[-1]),
        residual_m=residual,
    )
