"""Options of publishing an event."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options

VectorFormat = Literal["parquet", "geojson", "fgb", "gpkg", "pmtiles"]


class SignificanceOptions(Options):
    """When an event is worth a reader's attention. The verdict is recorded; nothing is hidden by it."""

    min_area_km2: float = Field(default=0.5, ge=0)
    """Least flooded area of the event, square kilometres."""
    min_anomaly: float = Field(default=3.0, ge=0)
    """Least flooded share of the land seen, in multiples of the share that the archive's own dark passes show; used
    where the archive is long enough to tell."""


class PublishOptions(Options):
    """Options of `pipeline_lib.steps.publish.publish_event`."""

    compression: Literal["deflate", "zstd"] = "deflate"
    """Compression of COGs: DEFLATE opens everywhere; many web viewers show ZSTD blank."""
    license: str = "CC-BY-4.0"
    """SPDX identifier of the licence under which the products are given out."""
    vectors: tuple[VectorFormat, ...] = ("parquet", "geojson", "fgb", "gpkg")
    """Files of flood polygons; ``pmtiles`` (vector tiles for a web map, not among the defaults) is one more."""
    min_polygon_m2: float = Field(default=2000.0, ge=0)
    """Smaller polygons are not written, square metres; the rasters keep them."""
    max_polygons: int = Field(default=200_000, ge=1)
    """The largest so many polygons are written; what was left out is recorded in the item."""
    smoothing_px: float = Field(default=1.5, ge=0, le=20)
    """How far an edge may move when polygons lose their pixel stairs, pixels; 0 keeps them."""
    significance: SignificanceOptions = SignificanceOptions()
    """Publish-if rules."""
    zones: tuple[str, ...] = ()
    """Vector files of units (districts, river basins ...) whose flooded area is wanted."""
    exposure: dict[str, str] = {}
    """Name to raster or vector file of what may be affected: people, land cover, roads, buildings."""
    depth: bool = True
    """Estimate water depth where the plan has an elevation model."""
    lock_wait_s: float = Field(default=60.0, ge=0)
    """How long to wait for another writer of the same event, seconds."""
    page_max_mib: float = Field(default=13.0, gt=1, le=100)
    """Largest weight of the page, MiB; its pictures are made coarser until it fits."""
    preview_px: int = Field(default=1600, ge=64, le=8192)
    """Longest side of the page's pictures, pixels."""
