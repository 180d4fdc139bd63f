"""Cloud-optimised GeoTIFFs of the simulated archive, and the geographic grids of its ancillary layers."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.transform import Affine
from scipy.ndimage import map_coordinates

COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True)
class Written:
    """A raster on disk and what a STAC asset says of it."""

    href: str
    """Relative to the world's folder."""
    geobox: GeoBox
    size_bytes: int
    checksum: str
    """Multihash: ``1220`` and the SHA-256."""

    def projection(self) -> dict[str, Any]:
        """``proj:`` fields of the projection extension, the code in both its old and its new spelling."""
        return projection_of(self.geobox)


def projection_of(geobox: GeoBox) -> dict[str, Any]:
    """``proj:`` fields of a grid; transforms have nine numbers, as archives write them."""
    box = geobox.boundingbox
    epsg = geobox.crs.epsg if geobox.crs is not None else None
    return {
        "proj:code": f"EPSG:{epsg}",
        "proj:epsg": epsg,
        "proj:shape": [int(part) for part in geobox.shape],
        "proj:bbox": [float(part) for part in (box.left, box.bottom, box.right, box.top)],
        "proj:transform": [float(part) for part in tuple(geobox.affine)[:9]],
    }


def write_cog(
    root: Path,
    href: str,
    pixels: NDArray[Any],
    geobox: GeoBox,
    *,
    nodata: float | None = None,
    resampling: str = "AVERAGE",
) -> Written:
    """Write (y, x) or (band, y, x) pixels as a COG with overviews, lossless; no float predictor: too slow."""
    path = root / href
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[None] if pixels.ndim == 2 else pixels
    profile = {
        "driver": "COG",
        "dtype": bands.dtype.name,
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "crs": str(geobox.crs),
        "transform": geobox.affine,
        "nodata": nodata,
        "blocksize": 512,
        "compress": "ZSTD",
        "level": 1,
        "predictor": "NO" if bands.dtype.kind == "f" else "YES",
        "overview_resampling": resampling,
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
    content = path.read_bytes()
    return Written(href, geobox, len(content), "1220" + hashlib.sha256(content).hexdigest())


def with_short_mantissa(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round float32 to 11 bits of mantissa (0.002 dB), half the size once compressed; NaN stays NaN.

    Any shape.
    """
    bits = pixels.view(np.uint32)
    rounded = ((bits + np.uint32(1 << 11)) & np.uint32(0xFFFFF000)).view(np.float32)
    return np.where(np.isfinite(pixels), rounded, pixels)


def geographic_geobox(geobox: GeoBox, pixel_deg: float, *, offset: float = 0.0) -> GeoBox:
    """Smallest longitude/latitude grid over a projected one, edges on multiples of the pixel plus an offset."""
    box = geobox.geographic_extent.boundingbox
    left = math.floor(box.left / pixel_deg - offset) + offset
    top = math.ceil(box.top / pixel_deg - offset) + offset
    columns, rows = math.ceil(box.right / pixel_deg - left), math.ceil(top - box.bottom / pixel_deg)
    return GeoBox((rows, columns), Affine(pixel_deg, 0, left * pixel_deg, 0, -pixel_deg, top * pixel_deg), "EPSG:4326")


def resample(pixels: NDArray[np.float32], source: GeoBox, target: GeoBox) -> NDArray[np.float32]:
    """Bilinear resampling between CRSs; beyond the source its edge goes on, so that no hole appears.

    From (y, x) of ``source`` to (y, x) of ``target``, float32.
    """
    rows, columns = (int(part) for part in target.shape)
    column, row = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    x, y = target.affine * (column, row)
    transformer = Transformer.from_crs(str(target.crs), str(source.crs), always_xy=True)
    east, north = transformer.transform(x, y)
    at_column, at_row = ~source.affine * (np.asarray(east), np.asarray(north))
    return np.asarray(
        map_coordinates(pixels, [at_row - 0.5, at_column - 0.5], order=1, mode="nearest"), dtype=np.float32
    )
