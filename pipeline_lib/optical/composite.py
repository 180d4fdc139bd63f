"""The best clear pixel of several overpasses before the event.

References:
    Griffiths, van der Linden, Kuemmerle & Hostert 2013, A pixel-based Landsat compositing algorithm for large area land
    cover mapping, IEEE JSTARS 6(5), 2088-2101.
"""

from collections.abc import Sequence
from datetime import datetime

import dask.array as da
import numba
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.errors import InputError

CLOUD_REACH_PX = 50
"""Beyond this distance a cloud no longer lowers the score of a pixel."""
HALF_LIFE_DAYS = 20.0
"""An overpass this much older scores half as much for its date."""


def best_pixel_composite(
    overpasses: Sequence[xr.Dataset], clear: Sequence[xr.DataArray], *, before: datetime
) -> xr.Dataset:
    """For every pixel the clear overpass that is close to the event and far from cloud.

    The score of an overpass at a pixel is the mean of its recency, ``2^(-days / HALF_LIFE_DAYS)``, and of the distance
    to the nearest pixel that is not clear, up to `CLOUD_REACH_PX`. All bands of a pixel come from one overpass.

    Args:
        overpasses: reflectance (y, x) on one grid, of `pipeline_lib.load.sentinel2_l2a`; ``attrs["datetime"]`` set.
        clear: (y, x) bool for each of them, of `pipeline_lib.optical.cloud`.
        before: start of the event, UTC; overpasses at or after it are refused.

    Returns:
        The shared float bands, NaN where no overpass was clear; ``days_before`` float32 of the overpass taken;
        ``clear_count`` uint8 of the clear overpasses.

    Raises:
        InputError: no overpass, or one that is not before the event.
    """
    days = [_days_before(overpass, before) for overpass in overpasses]
    if not overpasses or len(overpasses) != len(clear):
        raise InputError(
            f"A composite needs overpasses, each with its clear mask; got {len(overpasses)}, {len(clear)}."
        )
    shared = [
        str(name) for name in overpasses[0] if all(name in one and one[name].dtype.kind == "f" for one in overpasses)
    ]
    seen = [_observed(one, mask, shared) for one, mask in zip(overpasses, clear, strict=True)]
    scores = [
        (0.5 * 2.0 ** (-age / HALF_LIFE_DAYS) + 0.5 * _distance_to_cloud(mask)).where(observed, -1.0)
        for age, mask, observed in zip(days, clear, seen, strict=True)
    ]
    stacked = xr.concat(scores, "overpass", join="exact")
    best, found = stacked.argmax("overpass"), stacked.max("overpass") >= 0
    layers = {name: _picked([one[name] for one in overpasses], best, found) for name in shared}
    ages = [xr.full_like(scores[0], age, dtype="float32") for age in days]
    layers["days_before"] = _picked(ages, best, found).assign_attrs(units="day", long_name="age of the pixel")
    layers["clear_count"] = (
        xr.concat(seen, "overpass", join="exact").sum("overpass").astype("uint8").assign_attrs(units="1")
    )
    return xr.Dataset(layers, attrs={"datetime": before.isoformat(), "overpasses": len(overpasses)})


def _observed(overpass: xr.Dataset, clear: xr.DataArray, bands: Sequence[str]) -> xr.DataArray:
    """Clear, and every band has a value."""
    observed = clear
    for name in bands:
        observed = observed & overpass[name].notnull()
    return observed


def _days_before(overpass: xr.Dataset, before: datetime) -> float:
    sensed = datetime.fromisoformat(str(overpass.attrs["datetime"]))
    days = (before - sensed).total_seconds() / 86_400
    if days <= 0:
        raise InputError(
            f"The overpass of {sensed:%Y-%m-%d %H:%M} is not before the event ({before:%Y-%m-%d %H:%M}); a composite "
            "of the time before must not see the flood."
        )
    return days


def _distance_to_cloud(clear: xr.DataArray) -> xr.DataArray:
    """Distance to the nearest pixel that is not clear, as a share of `CLOUD_REACH_PX`, at most 1."""
    data = clear.data
    if isinstance(data, da.Array):
        data = data.map_overlap(
            _capped_distance,
            depth=CLOUD_REACH_PX + 1,
            boundary="none",
            dtype="float32",
            meta=np.empty((0, 0), "f4"),
        ).rechunk(data.chunks)
    else:
        data = _capped_distance(data)
    return clear.copy(data=data)


def _capped_distance(clear: NDArray[np.bool_]) -> NDArray[np.float32]:
    if clear.all():
        return np.ones(clear.shape, np.float32)
    reached = np.minimum(np.sqrt(np.arange((CLOUD_REACH_PX + 1) ** 2 + 1)) / CLOUD_REACH_PX, 1.0).astype(np.float32)
    return nearest_within(np.ascontiguousarray(clear), CLOUD_REACH_PX + 1, reached)


@numba.njit(cache=True, nogil=True)
def nearest_within(clear: NDArray[np.bool_], reach_px: int, value_of: NDArray[np.float32]) -> NDArray[np.float32]:
    """``value_of`` the squared distance of each pixel to the nearest one that is not clear; beyond reach the last.

    Along columns by counting, along rows by the lower envelope of parabolas: exact, and a few operations a pixel.

    Args:
        clear: dims (y, x).
        reach_px: distances from here on are one.
        value_of: by squared distance, 0 to ``reach_px ** 2``.

    References:
        Felzenszwalb and Huttenlocher 2012, Theory of Computing 8, 415-428.
    """
    rows, columns = clear.shape
    along = np.empty((rows, columns), np.int16)
    for y in range(rows):
        for x in range(columns):
            above = along[y - 1, x] if y > 0 else reach_px
            along[y, x] = min(above + 1, reach_px) if clear[y, x] else 0
    for y in range(rows - 2, -1, -1):
        for x in range(columns):
            along[y, x] = min(along[y, x], along[y + 1, x] + 1)
    out = np.full((rows, columns), value_of[reach_px * reach_px], np.float32)
    lowest, begins = np.empty(columns, np.int64), np.empty(columns + 1)
    for y in range(rows):
        number = _envelope(along[y], reach_px, lowest, begins)
        part = 0
        for x in range(columns if number else 0):
            while part + 1 < number and begins[part + 1] < x:
                part += 1
            square = (x - lowest[part]) ** 2 + int(along[y, lowest[part]]) ** 2
            if square < reach_px * reach_px:
                out[y, x] = value_of[square]
    return out


@numba.njit(cache=True, nogil=True)
def _envelope(along: NDArray[np.int16], reach_px: int, lowest: NDArray[np.int64], begins: NDArray[np.float64]) -> int:
    """Columns whose parabola is the lowest somewhere, where each begins to be, and how many there are."""
    number = 0
    for x in range(along.size):
        if along[x] >= reach_px:
            continue
        start = -np.inf
        while number:
            other = lowest[number - 1]
            height = int(along[x]) ** 2 + x * x - int(along[other]) ** 2 - other * other
            start = height / (2.0 * (x - other))
            if start > begins[number - 1]:
                break
            number -= 1
            start = -np.inf
        lowest[number], begins[number] = x, start
        number += 1
    return number


def _picked(layers: Sequence[xr.DataArray], best: xr.DataArray, found: xr.DataArray) -> xr.DataArray:
    """The layer of the best overpass at every pixel, NaN where there is none."""
    chosen = layers[0]
    for number, layer in enumerate(layers[1:], start=1):
        chosen = layer.where(best == number, chosen)
    return chosen.where(found).astype("float32").assign_attrs(layers[0].attrs)
