"""What the names and properties of Sentinel items say, in the spellings of all archives."""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from pipeline_lib.model import OrbitDirection
from pipeline_lib.model.instant import instant_of

_PLATFORM = re.compile(r"^s(?:entinel)?[ _-]?([12])[ _-]?([a-d])$", re.IGNORECASE)
_S1_ID = re.compile(
    r"^S1(?P<unit>[A-D])_(?P<mode>IW|EW|S[1-6]|WV)_(?P<kind>GRD|SLC|OCN|RAW)[A-Z_0-9]*_[0-9]S(?P<pol>[SD][VH])_"
    r"(?P<start>\d{8}T\d{6})_(?P<end>\d{8}T\d{6})_(?P<orbit>\d{6})_(?P<datatake>[0-9A-F]{6})"
)
_S2_ID = re.compile(r"^S2(?P<unit>[A-D])_MSIL(?P<level>1C|2A)_(?P<start>\d{8}T\d{6})(?:_N\d{4})?_R(?P<orbit>\d{3})_")
_OPERA_ID = re.compile(
    r"^OPERA_L2_RTC-S1_T(?P<orbit>\d{3})-\d{6}-IW[1-3]_\d{8}T\d{6}Z_\d{8}T\d{6}Z_(?P<platform>S1[A-D])_"
)
"""A burst of OPERA's terrain-corrected product: relative orbit, burst, sensing, processing, platform."""
_REPEAT_S, _ORBITS = 12 * 86400.0, 175
"""The ground track repeats after 175 orbits in 12 days."""
_EPOCH = datetime(2014, 1, 1, tzinfo=timezone.utc)
_FIRST_NODE_S = {"S1A": 151_240.0, "S1B": 669_600.0, "S1C": 669_640.0, "S1D": 756_040.0}
"""When relative orbit 1 begins at the ascending node, seconds into a repeat counted from `_EPOCH`: S1A and S1B from the
ascending nodes that annotations of 2020 to 2022 state; S1C flies 6 and S1D 7 days after S1A, which agrees with the
absolute orbits in the names of 16 products of S1C (March to December 2025) and 6 of S1D (July to September 2026)."""
_NODE_MARGIN = 0.01
"""Nodes vary by seconds: so close to one, as a share of an orbit, nothing is said."""
_RELATIVE_ORBIT_OFFSET = {"S1A": 73, "S1B": 27, "S1C": 172, "S1D": 42}
"""Relative orbit = (absolute orbit - offset) mod 175 + 1, used only where an item does not say it. S1A and S1B agree
with the manifests and items in the test data; S1C and S1D are as published readers of the products have them."""
_S1C_MOVED = datetime(2026, 6, 9, tzinfo=timezone.utc)
"""From here S1C was moved along its orbit to make room for S1D, and the offset no longer holds: nothing is guessed."""


def platform_of(properties: Mapping[str, Any], item_id: str) -> str | None:
    """``S1A`` ... ``S2C``; None where neither property nor id tells."""
    burst = _OPERA_ID.match(item_id)
    if burst:
        return burst["platform"]
    for text in (properties.get("platform"), item_id.split("_", 1)[0]):
        found = _PLATFORM.match(str(text or ""))
        if found:
            return f"S{found[1]}{found[2].upper()}"
    return None


def sensing_of(properties: Mapping[str, Any], item_id: str) -> tuple[datetime, datetime] | None:
    """Start and end of sensing, UTC, from properties, else from a Sentinel-1 id; None where neither tells."""
    middle = instant_of(properties.get("datetime"))
    start = instant_of(properties.get("start_datetime")) or middle
    end = instant_of(properties.get("end_datetime")) or middle
    named = _S1_ID.match(item_id)
    if named and (start is None or end is None):
        start, end = (datetime.strptime(f"{named[key]}+0000", "%Y%m%dT%H%M%S%z") for key in ("start", "end"))
    return None if start is None or end is None or end < start else (start, end)


def direction_of(properties: Mapping[str, Any], item_id: str = "") -> OrbitDirection | None:
    """Flight direction from ``sat:orbit_state``; of OPERA's bursts, which do not say it, from their time."""
    value = str(properties.get("sat:orbit_state", "")).lower()
    if value in {"ascending", "descending"}:
        return OrbitDirection(value)
    burst, sensing = _OPERA_ID.match(item_id), sensing_of(properties, item_id)
    flown = orbit_at(burst["platform"], sensing[0]) if burst and sensing else None
    return flown[1] if flown and burst and flown[0] == int(burst["orbit"]) else None


def orbit_at(platform: str, moment: datetime) -> tuple[int, OrbitDirection] | None:
    """Relative orbit and direction that a Sentinel-1 satellite flies at a moment, for products that do not say them.

    None where the satellite is not known or was moved, and close to the equator, where orbits begin.
    """
    first = _FIRST_NODE_S.get(platform)
    if first is None or (platform == "S1C" and moment >= _S1C_MOVED):
        return None
    orbits = (((moment - _EPOCH).total_seconds() - first) % _REPEAT_S) / _REPEAT_S * _ORBITS
    number, since_node = int(orbits), orbits % 1
    if min(since_node, 1 - since_node) < _NODE_MARGIN:
        return None
    ascending = since_node < 0.25 or since_node > 0.75
    return number + 1, OrbitDirection.ASCENDING if ascending else OrbitDirection.DESCENDING


def relative_orbit_of(properties: Mapping[str, Any], item_id: str, platform: str) -> int | None:
    """Relative orbit from the property, the product name (Sentinel-2) or the absolute orbit (Sentinel-1)."""
    given = _whole(properties.get("sat:relative_orbit"))
    if given is not None and given > 0:
        return given
    burst = _OPERA_ID.match(item_id)
    if burst:
        return int(burst["orbit"])
    for name in (item_id, str(properties.get("s2:product_uri", ""))):
        named = _S2_ID.match(name)
        if named:
            return int(named["orbit"])
    absolute = absolute_orbit_of(properties, item_id)
    offset = _RELATIVE_ORBIT_OFFSET.get(platform)
    sensing = sensing_of(properties, item_id)
    if platform == "S1C" and (sensing is None or sensing[1] >= _S1C_MOVED):
        return None
    return None if absolute is None or offset is None else (absolute - offset) % 175 + 1


def absolute_orbit_of(properties: Mapping[str, Any], item_id: str) -> int | None:
    """Absolute orbit from the property or a Sentinel-1 id."""
    given = _whole(properties.get("sat:absolute_orbit"))
    named = _S1_ID.match(item_id)
    return given if given is not None and given > 0 else int(named["orbit"]) if named else None


def datatake_of(properties: Mapping[str, Any], item_id: str) -> str | None:
    """What slices (or tiles) of one pass have in common; the processing baseline is no part of it."""
    optical = properties.get("s2:datatake_id")
    if isinstance(optical, str) and optical:
        return re.sub(r"_N\d\d\.\d\d$", "", optical)
    named = _S1_ID.match(item_id)
    if named:
        return named["datatake"]
    radar = properties.get("s1:datatake_id") or properties.get("eopf:datatake_id")
    return str(radar) if radar else None


def mode_of(properties: Mapping[str, Any], item_id: str) -> str | None:
    """Sentinel-1 instrument mode (``IW``, ``EW`` ...)."""
    given = properties.get("sar:instrument_mode")
    named = _S1_ID.match(item_id)
    return str(given) if given else named["mode"] if named else None


def kind_of(properties: Mapping[str, Any], item_id: str) -> str:
    """Product kind as the item itself says: ``GRD``, ``SLC``, ``RTC``, ``S2MSI2A``, ``S2MSI1C`` ...; maybe empty."""
    given = properties.get("sar:product_type") or properties.get("s2:product_type") or properties.get("product:type")
    if given:
        return str(given).upper()
    radar, optical = _S1_ID.match(item_id), _S2_ID.match(item_id)
    return radar["kind"] if radar else f"S2MSI{optical['level']}" if optical else ""


def _whole(value: object) -> int | None:
    """An integer, also where an archive writes it as text."""
    try:
        return int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        return None
