"""Items of a catalogue as archives write them, and as they break them: each is read, or skipped with its reason."""

import copy
import math
from dataclasses import dataclass
from typing import Any

from shapely.geometry import box, mapping

from pipeline_lib.catalog.items import UnusableItemError, parse_item
from pipeline_lib.catalog.profiles import profile_of, resolve_catalog
from pipeline_lib.catalog.safety import UnsafeHrefError, policy_of

CATALOG = resolve_catalog("planetary-computer")
STORE = "https://sentinel1euwestrtc.blob.core.windows.net/a"
START = "properties.start_datetime"
ITEM: dict[str, Any] = {
    "type": "Feature",
    "id": "S1A_IW_GRDH_1SDV_20251105T053001_20251105T053026_061000_079AAA_rtc",
    "collection": "sentinel-1-rtc",
    "geometry": mapping(box(9, 45, 10, 46)),
    "bbox": [9, 45, 10, 46],
    "properties": {
        "datetime": "2025-11-05T05:30:13Z", "start_datetime": "2025-11-05T05:30:01Z",
        "end_datetime": "2025-11-05T05:30:26Z", "platform": "SENTINEL-1A", "sat:relative_orbit": 66,
        "sat:orbit_state": "descending", "sar:instrument_mode": "IW", "sar:product_type": "RTC", "proj:epsg": 32632,
    },
    "assets": {"vv": {"href": f"{STORE}/vv.tif"}, "vh": {"href": f"{STORE}/vh.tif"}},
}  # fmt: skip
"""A whole item, as the Planetary Computer has them."""


@dataclass(frozen=True)
class ItemCase:
    """A change of the item, by its path, and what is right: True it is read, else a part of the reason to skip it."""

    name: str
    path: str
    value: Any
    right: bool | str = True


def outcome(case: ItemCase) -> tuple[str, bool]:
    """What happens to the item, in words, and whether that is right."""
    item = copy.deepcopy(ITEM)
    *above, last = case.path.split(".")
    place = item
    for name in above:
        place = place[name]
    if case.value is REMOVED:
        del place[last]
    else:
        place[last] = case.value
    try:
        found, notes = parse_item(item, "rtc", profile_of(CATALOG), policy_of(CATALOG), f"{CATALOG.url}/")
    except (UnusableItemError, UnsafeHrefError) as error:
        return f"skipped: {error}", isinstance(case.right, str) and case.right in str(error)
    words = f"read: {found.start:%H:%M:%S.%f} to {found.end:%H:%M:%S.%f}"
    return "; ".join([words, *notes]), case.right is True


REMOVED = object()
METRES = mapping(box(600_000, 5_000_000, 700_000, 5_100_000))
NAN_RING = {"type": "Polygon", "coordinates": [[[math.nan, 45], [10, 45], [10, 46], [math.nan, 45]]]}

ITEM_CASES = (
    ItemCase("whole", "type", "Feature"),
    ItemCase("small letters in a time", START, "2025-11-05t05:30:01z"),
    ItemCase("a space for the T", START, "2025-11-05 05:30:01Z"),
    ItemCase("nanoseconds", START, "2025-11-05T05:30:01.123456789Z"),
    ItemCase("another zone", START, "2025-11-05T11:00:01+05:30"),
    ItemCase("no zone", START, "2025-11-05T05:30:01"),
    ItemCase("basic form", START, "20251105T053001Z"),
    ItemCase("a leap second", START, "2025-11-05T05:29:60Z"),
    ItemCase("no start of sensing", START, REMOVED),
    ItemCase("start of sensing null", START, None),
    ItemCase("start that is a number", START, 1762320601),
    ItemCase("start that is no time", START, "soon"),
    ItemCase("start after the end", START, "2025-11-05T06:30:01Z", "no usable time of sensing"),
    ItemCase("no properties", "properties", REMOVED, "no properties"),
    ItemCase("properties that are a list", "properties", [], "no properties"),
    ItemCase("footprint with heights", "geometry", {
        "type": "Polygon", "coordinates": [[[9, 45, 1], [10, 45, 1], [10, 46, 1], [9, 46, 1], [9, 45, 1]]]}),
    ItemCase("no footprint", "geometry", None),
    ItemCase("footprint with NaN", "geometry", NAN_RING),
    ItemCase("bbox of NaN beside a footprint", "bbox", [9, 45, 10, math.nan]),
    ItemCase("footprint in metres, its CRS known", "geometry", METRES),
    ItemCase("footprint without area", "geometry", mapping(box(9, 45, 9, 45)), "no area"),
    ItemCase("footprint of a point", "geometry", {"type": "Point", "coordinates": [9, 45]}),
    ItemCase("footprint whose type is a list", "geometry", {"type": ["Polygon"], "coordinates": []}),
    ItemCase("footprint over 180, the long way round", "geometry", mapping(box(-179.5, -17, 179.5, -16))),
    ItemCase("footprint beyond 180", "geometry", mapping(box(179.5, -17, 180.5, -16))),
    ItemCase("footprint that crosses itself", "geometry", {
        "type": "Polygon", "coordinates": [[[9, 45], [10, 46], [10, 45], [9, 46], [9, 45]]]}),
    ItemCase("bbox that is text", "bbox", "9,45,10,46"),
    ItemCase("no assets", "assets", REMOVED, "none of the assets"),
    ItemCase("assets that are a list", "assets", [], "none of the assets"),
    ItemCase("VH missing", "assets.vh", REMOVED),
    ItemCase("assets in capitals", "assets", {"VV": {"href": f"{STORE}/vv.tif"}}),
    ItemCase("an asset without an address", "assets.vv", {}),
    ItemCase("an address in a file", "assets.vv", {"href": "file:///etc/passwd"}, "file"),
    ItemCase("an address of this machine's cloud", "assets.vv", {"href": "http://169.254.169.254/vv.tif"}, "169.254"),
    ItemCase("no id", "id", REMOVED, "without a usable id"),
    ItemCase("an id that leaves its folder", "id", "../../vv", "id"),
    ItemCase("no platform, but a name that tells", "properties.platform", REMOVED),
    ItemCase("another platform's name", "properties.platform", "Sentinel-1 A"),
    ItemCase("relative orbit as text", "properties.sat:relative_orbit", "66"),
    ItemCase("orbit of an unknown direction", "properties.sat:orbit_state", "geostationary"),
    ItemCase("wave mode", "properties.sar:instrument_mode", "WV", "too coarse"),
    ItemCase("SLC in the collection", "properties.sar:product_type", "SLC", "is a SLC product"),
    ItemCase("projection as text", "properties.proj:epsg", "EPSG:32632"),
)  # fmt: skip
"""Every case, in the order of the table."""
