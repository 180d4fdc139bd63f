"""The event: passes of a flood joined into one growing object.

A pass tells something about a pixel where it saw it and was not excluded there ("usable"). Of a pixel's usable
observations the rule makes the event's flood extent:

========  ===========================================================================================
latest    the newest usable observation
maximum   flood if any usable observation was flood: the footprint of the event (default)
count     flood if at least half of the usable observations were flood
========  ===========================================================================================

Without a usable observation the pixel is excluded (254) if it was seen at all, otherwise not observed (255). What was
seen flooded is no reference water in the event, so that the cumulative map cannot contradict a daily one; elsewhere
permanent goes before seasonal, none and unknown. ``water_extent`` is flood or reference water.

``likelihood`` and ``uncertainty`` are those of the look that the rule follows: the newest; the likeliest flooded (of
equals the surest); or the mean of all looks, where each look's doubt is read as the probability of its other class.

Times are whole hours since ``attrs["epoch"]`` (uint16, 65535 = never or unknown), durations whole hours.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import numpy as np
import xarray as xr

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.flood.area import column_areas
from pipeline_lib.flood.derive import ATTRIBUTES
from pipeline_lib.flood.series import QUANTITIES, area_series
from pipeline_lib.flood.track import (
    COUNT,
    LATEST,
    LOOK_LAYERS,
    MAXIMUM,
    Layers,
    Track,
    conclude,
    look_of,
    nothing_seen,
    see,
)
from pipeline_lib.flood.window import WINDOW_PX, map_windows
from pipeline_lib.model import check_flood_map
from pipeline_lib.model.instant import as_utc
from pipeline_lib.options.derive import MosaicRule

EVENT_OUTPUTS = {
    "flood_extent": "uint8",
    "water_extent": "uint8",
    "reference_water": "uint8",
    "likelihood": "uint8",
    "uncertainty": "uint8",
    "exclusion": "uint16",
    "flood_class": "uint8",
    "observations": "uint16",
    "flood_observations": "uint16",
    "first_seen": "uint16",
    "last_seen": "uint16",
    "peak_date": "uint16",
    "duration": "uint16",
    "duration_uncertainty": "uint16",
    "age": "uint16",
    "state": "uint8",
}
"""Layers of an event and their types."""

RULES: dict[MosaicRule, int] = {"latest": LATEST, "maximum": MAXIMUM, "count": COUNT}

EVENT_ATTRIBUTES: dict[str, dict[str, object]] = {
    "observations": {"long_name": "passes with a usable observation"},
    "flood_observations": {"long_name": "usable observations that were flood"},
    "first_seen": {"units": "h", "long_name": "hours from the epoch to the first flooded observation"},
    "last_seen": {"units": "h", "long_name": "hours from the epoch to the last flooded observation"},
    "peak_date": {
        "units": "h",
        "long_name": "hours from the epoch to the flooded observation of highest likelihood, the first of equals",
    },
    "duration": {
        "units": "h",
        "long_name": "hours under flood: from flood to flood whole, half of each gap in which it came or went",
    },
    "duration_uncertainty": {"units": "h", "long_name": "half of the gaps in which the flood came or went"},
    "age": {"units": "h", "long_name": "hours from the newest usable observation to the newest pass"},
    "state": {
        "flag_values": [0, 1, 2, 3, 254, 255],
        "flag_meanings": "never_flooded newly_flooded still_flooded receded excluded not_observed",
    },
}


def mosaic(
    passes: Sequence[tuple[datetime, xr.Dataset]],
    rule: MosaicRule = "maximum",
    inside: xr.DataArray | None = None,
    *,
    block_px: int = WINDOW_PX,
) -> xr.Dataset:
    """Join the FloodMaps of an event's passes, lazily and window by window.

    Args:
        passes: moment (UTC) and FloodMap of each pass, in any order, all on one grid; at least one.
        rule: how the flood extent is made, see this module.
        inside: uint8 (y, x), 1 where areas are counted (the area of interest); everywhere where None.
        block_px: side of the windows that are worked on one by one; the result does not depend on it.

    Returns:
        Dataset with the layers of `EVENT_OUTPUTS` (y, x) and ``area_m2`` (time, quantity), the time series of
        `pipeline_lib.flood.series`. ``attrs``: ``rule``, ``epoch`` (ISO 8601), ``pass_times``, ``pass_ids``.

    Raises:
        InputError: no pass.
        UnknownNameError: no such rule.
        ContractError: a FloodMap breaks its contract.
    """
    if not passes:
        raise InputError("A mosaic needs at least one pass.")
    if rule not in RULES:
        raise UnknownNameError("mosaic rule", rule, tuple(RULES))
    ordered = sorted(((as_utc(moment), flood) for moment, flood in passes), key=lambda entry: entry[0])
    moments, floods = [moment for moment, _ in ordered], [check_flood_map(flood) for _, flood in ordered]
    epoch = moments[0].replace(hour=0, minute=0, second=0, microsecond=0)
    hours = tuple(round((moment - epoch).total_seconds() / 3600) for moment in moments)
    inputs = [flood.get(name) for flood in floods for name in LOOK_LAYERS]
    event = map_windows(partial(_join, hours=hours, rule=rule), inputs, EVENT_OUTPUTS, size=block_px)
    for name in EVENT_OUTPUTS:
        event[name].attrs = {"units": "1", **ATTRIBUTES.get(name, {}), **EVENT_ATTRIBUTES.get(name, {})}
    event["area_m2"] = area_series(floods, column_areas(floods[0]["flood_extent"]), inside, block_px=2 * block_px)
    event["area_m2"].attrs = {"units": "m2", "quantities": list(QUANTITIES)}
    event.attrs = {
        "rule": rule,
        "epoch": epoch.isoformat(),
        "pass_times": [moment.isoformat() for moment in moments],
        "pass_ids": [str(flood.attrs.get("acquisition_id", "")) for flood in floods],
    }
    return event


def _join(*arrays: np.ndarray | None, hours: tuple[int, ...], rule: MosaicRule) -> tuple[np.ndarray, ...]:
    """One window: walk the passes in order of time, keeping only sums."""
    step = len(LOOK_LAYERS)
    layers = [dict(zip(LOOK_LAYERS, arrays[i : i + step], strict=True)) for i in range(0, len(arrays), step)]
    looks = [look_of(layer) for layer in layers]
    track = nothing_seen(looks[0].flood.shape)
    for hour, look in zip(hours, looks, strict=True):
        see(track, hour, look)
    return _layers(track, hours[-1], rule)


def _layers(track: Track, newest_hour: int, rule: MosaicRule) -> tuple[np.ndarray, ...]:
    """The event's layers, in the order of `EVENT_OUTPUTS`."""
    known = {
        "observations": track.looks,
        "flood_observations": track.flooded,
        "first_seen": track.first,
        "last_seen": track.last,
        "peak_date": track.peak,
    }
    empty = {name: np.empty(track.looks.shape, dtype) for name, dtype in EVENT_OUTPUTS.items() if name not in known}
    out = Layers(**known, **empty)
    conclude(track, newest_hour, RULES[rule], out)
    return out
