"""One satellite pass over the area, as a catalogue knows it, merged from its slices."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import JsonValue

from pipeline_lib.model.record import Record


class ProductType(StrEnum):
    """What the pixels of an acquisition are."""

    RTC = "RTC"
    """Sentinel-1 radiometrically terrain corrected gamma0, linear power, on a map grid."""
    GRD = "GRD"
    """Sentinel-1 ground range detected digital numbers, in radar geometry."""
    L2A = "L2A"
    """Sentinel-2 surface reflectance."""


class OrbitDirection(StrEnum):
    """Flight direction, as STAC's ``sat:orbit_state`` names it."""

    ASCENDING = "ascending"
    DESCENDING = "descending"


class CatalogReference(Record):
    """Which catalogue hrefs come from; signing and access settings follow from the profile."""

    profile: str
    """Name of the catalogue profile: ``planetary-computer``, ``earth-search``, ``cdse``, ``generic`` ..."""
    url: str
    """Root of the STAC API; ``file://`` and the path of a folder of scenes."""


class CatalogItem(Record):
    """The few facts of one STAC item that later steps need; hrefs are unsigned."""

    item_id: str
    collection: str
    start: datetime
    """Start of sensing, UTC."""
    end: datetime
    """End of sensing, UTC."""
    footprint: dict[str, Any]
    """GeoJSON geometry, EPSG:4326."""
    assets: dict[str, str]
    """Asset key (normalised: ``vv``, ``vh``, ``B03``, ``SCL``, ``data`` ...) to href."""
    facts: dict[str, JsonValue] = {}
    """Properties that later steps need, under their STAC names (``s2:processing_baseline``, ``updated`` ...), and
    ``file:checksum`` of the assets by their keys, where the item has it."""
    catalog: CatalogReference | None = None
    """Where it comes from, which says how its assets are opened; None: the plan's first catalogue."""


class Acquisition(Record):
    """One pass: slices of the same platform, absolute orbit pass and product that belong together."""

    acquisition_id: str
    """``S1A_20240511T053002_R066_D``: platform, start of sensing, relative orbit, direction."""
    platform: str
    """``S1A`` ... ``S1D``, ``S2A`` ... ``S2C``."""
    product: ProductType
    start: datetime
    """Start of sensing of the first slice, UTC."""
    end: datetime
    """End of sensing of the last slice, UTC."""
    polarisations: tuple[str, ...] = ()
    """Lower case, co-polarised first: ``("vv", "vh")``; empty for optical."""
    relative_orbit: int | None = None
    orbit_direction: OrbitDirection | None = None
    slices: tuple[CatalogItem, ...]
    """In order of sensing; two or more where the archive cut the pass."""
    coverage: float = 1.0
    """Share of the area of interest inside the union of the slices' footprints, 0 to 1."""

    @property
    def make(self) -> str:
        """What two passes must have in common to be compared without a gain between them.

        GRD of every archive is made into backscatter here; terrain-corrected products differ from maker to maker, and a
        maker's products are one collection.
        """
        if self.product is not ProductType.RTC:
            return self.product.value
        return f"{self.product.value} of {' and '.join(sorted({item.collection for item in self.slices}))}"
