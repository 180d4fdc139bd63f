"""One STAC item of any archive to the record that later steps rely on."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from pydantic import JsonValue

from pipeline_lib.catalog import sentinel
from pipeline_lib.catalog.footprint import BrokenFootprintError, footprint_of
from pipeline_lib.catalog.profiles import CatalogProfile
from pipeline_lib.catalog.safety import AccessPolicy, check_href, check_item_id
from pipeline_lib.errors import CatalogError
from pipeline_lib.model import CatalogItem, ProductType

POLARISATIONS = ("vv", "hh", "vh", "hv")
"""Co-polarised first."""

FACTS = (
    "platform",
    "gsd",
    "created",
    "updated",
    "published",
    "eo:cloud_cover",
    "grid:code",
    "s2:mgrs_tile",
    "s2:processing_baseline",
    "s2:datatake_id",
    "s2:generation_time",
    "s2:product_uri",
    "earthsearch:boa_offset_applied",
    "sar:instrument_mode",
    "sar:product_type",
    "s1:datatake_id",
    "s1:slice_number",
    "s1:total_slices",
    "s1:processing_datetime",
    "s1:product_identifier",
    "sat:absolute_orbit",
    "proj:epsg",
    "proj:code",
)
"""Properties that are kept: they decide how pixels are read, or which of two items is the newer."""

_METADATA_KEY = re.compile(r"^(safe-manifest|(schema-)?(product|calibration|noise)-[\w-]+|product-metadata|incidence)$")
_MAX_FACT = 300
EOPF_REFUSED = (
    "it is in the EOPF Zarr layout, the successor of SAFE, which is not read; take the SAFE product of the same scene "
    "(cdse, planetary-computer, earth-search)"
)
"""Said of every product in that layout."""


class UnusableItemError(CatalogError):
    """An item that lacks what later steps need; it is skipped, and the plan says so."""


def parse_item(
    raw: Mapping[str, Any], role: str, profile: CatalogProfile, policy: AccessPolicy, base_url: str = ""
) -> tuple[CatalogItem, tuple[str, ...]]:
    """A STAC item as a record, and what had to be repaired.

    Args:
        raw: the item as the catalogue sent it.
        role: what it was searched as: ``rtc``, ``grd``, ``optical``, ``dem`` or ``water_occurrence``.
        profile: the catalogue's asset keys.
        policy: which hrefs may be read.
        base_url: what relative hrefs are relative to.

    Raises:
        UnusableItemError: id, time, footprint, platform or the assets of its role are missing or unusable.
        UnsafeHrefError: its id or an href is not allowed.
    """
    item_id = check_item_id(raw.get("id"))
    properties = raw.get("properties")
    if not isinstance(properties, Mapping):
        raise UnusableItemError("it has no properties")
    _check_kind(properties, item_id, role)
    sensing = sentinel.sensing_of(properties, item_id)
    if sensing is None:
        raise UnusableItemError("it has no usable time of sensing")
    try:
        epsg = properties.get("proj:epsg") or properties.get("proj:code")
        footprint, notes = footprint_of(raw.get("geometry"), raw.get("bbox"), epsg)
    except BrokenFootprintError as error:
        raise UnusableItemError(str(error)) from error
    assets = _assets(raw.get("assets"), role, profile, policy, base_url)
    return CatalogItem(
        item_id=item_id,
        collection=str(raw.get("collection") or ""),
        start=sensing[0],
        end=sensing[1],
        footprint=footprint,
        assets=assets,
        facts=_facts(properties, item_id, role) | _checksums(raw.get("assets"), assets, base_url),
    ), notes


def product_of(role: str) -> ProductType:
    """The product that a role holds."""
    return {"rtc": ProductType.RTC, "grd": ProductType.GRD, "optical": ProductType.L2A}[role]


def _check_kind(properties: Mapping[str, Any], item_id: str, role: str) -> None:
    """Refuse what a mixed collection may hold beside the product searched for."""
    kind = sentinel.kind_of(properties, item_id)
    if role in {"rtc", "grd", "optical"} and sentinel.platform_of(properties, item_id) is None:
        raise UnusableItemError("its platform is not known")
    if role in {"rtc", "grd"}:
        if any(other in kind for other in ("SLC", "OCN", "RAW")):
            raise UnusableItemError(f"it is a {kind} product")
        mode = sentinel.mode_of(properties, item_id)
        if mode not in {None, "IW", "SM"} and not str(mode).startswith("S"):
            raise UnusableItemError(f"instrument mode {mode} is too coarse for floods")
    if role == "optical" and kind.endswith("1C"):
        raise UnusableItemError("it is a Level-1C product")


def _assets(raw: object, role: str, profile: CatalogProfile, policy: AccessPolicy, base_url: str) -> dict[str, str]:
    """Wanted assets under our keys, each href checked; other assets (thumbnails, previews) are left out."""
    given = raw if isinstance(raw, Mapping) else {}
    found: dict[str, str] = {}
    for ours in _keys_of_role(role):
        theirs = next((key for key in profile.asset_keys.get(ours, (ours,)) if _href(given.get(key))), None)
        if theirs is not None:
            found[ours] = check_href(urljoin(base_url, str(_href(given[theirs]))), policy)
    needed = {"optical": {"B03"}, "dem": {"data"}, "water_occurrence": {"occurrence"}}.get(role)
    missing = not found if needed is None else needed - set(found)
    if role == "grd" and _is_eopf(given):
        raise UnusableItemError(EOPF_REFUSED)
    if missing:
        raise UnusableItemError(f"it has none of the assets {', '.join(sorted(needed or POLARISATIONS))}")
    if role == "grd":
        for key, asset in given.items():
            if _METADATA_KEY.match(str(key)) and _href(asset):
                found[str(key)] = check_href(urljoin(base_url, str(_href(asset))), policy)
    return found


def _is_eopf(assets: Mapping[str, Any]) -> bool:
    """Whether an item's product is in the EOPF Zarr layout, the successor of SAFE."""
    return any(".zarr/" in f"{_href(asset) or ''}/".lower() for asset in assets.values())


def _keys_of_role(role: str) -> tuple[str, ...]:
    if role == "optical":
        return ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12", "SCL")
    fixed = {"dem": ("data",), "water_occurrence": ("occurrence", "seasonality", "extent")}
    return fixed.get(role, POLARISATIONS)


def _href(asset: object) -> str | None:
    href = asset.get("href") if isinstance(asset, Mapping) else None
    return href if isinstance(href, str) and href else None


def _facts(properties: Mapping[str, Any], item_id: str, role: str) -> dict[str, JsonValue]:
    """The kept properties, and under STAC names what was worked out from names and orbits."""
    facts: dict[str, JsonValue] = {name: properties[name] for name in FACTS if _kept(properties.get(name))}
    platform = sentinel.platform_of(properties, item_id)
    if role in {"rtc", "grd", "optical"} and platform is not None:
        facts["platform"] = platform
        direction = sentinel.direction_of(properties, item_id)
        worked_out = {
            "sat:relative_orbit": sentinel.relative_orbit_of(properties, item_id, platform),
            "sat:absolute_orbit": sentinel.absolute_orbit_of(properties, item_id),
            "sat:orbit_state": direction.value if direction else None,
            "overbank:datatake": sentinel.datatake_of(properties, item_id),
        }
        facts |= {name: value for name, value in worked_out.items() if value is not None}
    return facts


def _checksums(raw: object, assets: Mapping[str, str], base_url: str) -> dict[str, JsonValue]:
    """What the item says of the content of the assets that are kept, under our keys; nothing where it says nothing."""
    given = raw.values() if isinstance(raw, Mapping) else ()
    said = {urljoin(base_url, href): asset.get("file:checksum") for asset in given if (href := _href(asset))}
    found: dict[str, JsonValue] = {
        key: value for key, href in assets.items() if isinstance(value := said.get(href), str) and _kept(value)
    }
    return {"file:checksum": found} if found else {}


def _kept(value: object) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _MAX_FACT)
