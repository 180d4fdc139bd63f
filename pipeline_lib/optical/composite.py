"""The best clear pixel of several overpasses before the event.

References:
    Griffiths, van der Linden, Kuemmerle & Hostert 2013, A pixel-based Landsat compositing algorithm for large area land
    cover mapping, IEEE JSTARS 6(5), 2088-2101.
"""

from collections.abc import Sequence
from datetime import datetime

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.distance import square_distance
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
    distance_px = np.sqrt(square_distance(~clear, CLOUD_REACH_PX))
    return (distance_px / CLOUD_REACH_PX).astype(np.float32)


def _picked(layers: Sequence[xr.DataArray], best: xr.DataArray, found: xr.DataArray) -> xr.DataArray:
    """The layer of the best overpass at every pixel, NaN where there is none."""
    chosen = layers[0]
    for number, layer in enumerate(layers[1:], start=1):
        chosen = layer.where(best == number, chosen)
    return chosen.where(found).astype("float32").assign_attrs(layers[0].attrs)
