"""The event in numbers."""

from datetime import datetime

import numpy as np
import xarray as xr

from pipeline_lib.flood.area import column_areas
from pipeline_lib.flood.series import QUANTITIES, area_range, area_series, state_of
from pipeline_lib.model import EXCLUDED, EventFigures, Exclusion, PassFigures, Significance
from pipeline_lib.options.publish import SignificanceOptions

KM2 = 1e6


def event_figures(event: xr.Dataset, inside: xr.DataArray) -> EventFigures:
    """Figures of the event's mosaic within the area of interest.

    Args:
        event: what `pipeline_lib.flood.mosaic` returns.
        inside: uint8 (y, x), 1 in the area of interest.
    """
    looked = event.drop_vars("observations") if event.attrs["rule"] == "latest" else event
    row = _quantities(area_series([looked], column_areas(event["flood_extent"]), inside).values[0])
    series = pass_series(event)
    now = [entry.flood_now_km2 for entry in series]
    peak = int(np.argmax(now)) if any(now) else None
    low, high = area_range(row["flood"], row["doubt"], row["usable"])
    total = max(row["total"], 1e-9)
    return EventFigures(
        flood_area_km2=_km2(row["flood"]),
        flood_area_low_km2=_km2(low),
        flood_area_high_km2=_km2(high),
        open_flood_km2=_km2(row["open_flood"]),
        flooded_vegetation_km2=_km2(row["flooded_vegetation"]),
        flooded_town_km2=_km2(row["flooded_town"]),
        water_area_km2=_km2(row["water"]),
        reference_water_km2=_km2(row["reference"]),
        area_of_interest_km2=_km2(row["total"]),
        observed_share=round(row["observed"] / total, 4),
        usable_share=round(row["usable"] / total, 4),
        excluded_share=round(row["excluded"] / total, 4),
        high_ground_share=round(_high_ground(event, inside) / total, 4),
        passes=len(series),
        first_pass=series[0].time,
        last_pass=series[-1].time,
        state=state_of(now),
        peak_area_km2=None if peak is None else series[peak].flood_now_km2,
        peak_time=None if peak is None else series[peak].time,
    )


def _high_ground(event: xr.Dataset, inside: xr.DataArray) -> float:
    """Excluded area that is steep or high above drainage, square metres: no flood is looked for there."""
    flags = Exclusion.STEEP_SLOPE.value | Exclusion.HIGH_ABOVE_DRAINAGE.value
    high = (event["flood_extent"] == EXCLUDED) & ((event["exclusion"] & flags) > 0) & (inside == 1)
    return float(high.sum("y").values @ column_areas(event["flood_extent"]))


def pass_series(event: xr.Dataset) -> tuple[PassFigures, ...]:
    """One entry a pass, oldest first: what it saw and what the event had become by then, square kilometres.

    ``event`` is what `pipeline_lib.flood.mosaic` returns: of it only ``area_m2`` (time, quantity) is read.
    """
    rows = [_quantities(values) for values in event["area_m2"].values]
    ranges = [area_range(row["flood"], row["doubt"], row["usable"]) for row in rows]
    return tuple(
        PassFigures(
            time=time,
            acquisition_id=identity,
            flood_km2=_km2(row["flood"]),
            flood_low_km2=_km2(low),
            flood_high_km2=_km2(high),
            open_flood_km2=_km2(row["open_flood"]),
            flooded_vegetation_km2=_km2(row["flooded_vegetation"]),
            flooded_town_km2=_km2(row["flooded_town"]),
            flood_so_far_km2=_km2(row["flood_so_far"]),
            flood_now_km2=_km2(row["flood_now"]),
            observed_share=round(row["observed"] / max(row["total"], 1e-9), 4),
            usable_share=round(row["usable"] / max(row["total"], 1e-9), 4),
        )
        for time, identity, row, (low, high) in zip(
            event.attrs["pass_times"], event.attrs["pass_ids"], rows, ranges, strict=True
        )
    )


def significance(
    flood_km2: float, land_km2: float, dark_shares: list[float], options: SignificanceOptions
) -> Significance:
    """Whether an event passes the publish-if rules, and why; the rules are recorded with the verdict.

    Args:
        flood_km2: flooded area, square kilometres.
        land_km2: land on which the radar could tell, without reference water, square kilometres.
        dark_shares: of each pass, the share of land that its archive shows dark without a flood; NaN = unknown.
        options: the rules.
    """
    known = [share for share in dark_shares if np.isfinite(share)]
    usual = float(np.mean(known)) if known else None
    anomaly = None if usual is None or land_km2 <= 0 else round(flood_km2 / land_km2 / max(usual, 1e-4), 2)
    large = flood_km2 >= options.min_area_km2
    unusual = anomaly is None or anomaly >= options.min_anomaly
    return Significance(
        significant=large and unusual,
        anomaly=anomaly,
        usual_dark_share=usual,
        reasons=(
            f"flooded area {flood_km2:,.2f} km2, rule: at least {options.min_area_km2:g} km2",
            "the archive is too short to tell what is usual"
            if anomaly is None
            else f"{anomaly:g} times the land usually dark, rule: at least {options.min_anomaly:g} times",
        ),
    )


def hours_since(epoch: str, moment: str) -> float:
    """Hours from one ISO 8601 moment to another."""
    return (datetime.fromisoformat(moment) - datetime.fromisoformat(epoch)).total_seconds() / 3600


def _quantities(values: np.ndarray) -> dict[str, float]:
    """A row of the series by name."""
    return dict(zip(QUANTITIES, (float(value) for value in values), strict=True))


def _km2(square_metres: float) -> float:
    """Square metres as square kilometres, to the square metre."""
    return round(square_metres / KM2, 6)
