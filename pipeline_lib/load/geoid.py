"""Height of the geoid above the WGS 84 ellipsoid: elevation models count from the one, radar from the other.

Shipped is EGM96 (NASA GSFC and NIMA, public domain) every half degree, to a decimetre, read bilinearly: against the
full 15-minute grid 0.14 m RMS, 0.54 m for 99 % of the Earth, 3.9 m at worst (over the steepest trenches). Copernicus
DEM counts from EGM2008, which differs from EGM96 by some decimetres on most land and by up to a few metres in ill
surveyed mountains. One metre of height moves a pixel by 1 / tan(incidence), about 1.4 m or 0.14 pixel; where that
matters give a grid file of the geoid (``geoid_file``: any raster GDAL reads, such as ``us_nga_egm08_25.tif``).

References:
    Lemoine et al. (1998), The Development of the Joint NASA GSFC and NIMA Geopotential Model EGM96,
    NASA/TP-1998-206861. Pavlis et al. (2012), EGM2008, doi:10.1029/2011JB008916.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from pipeline_lib.errors import RasterError

Floats = NDArray[np.float64]


class GeoidGrid:
    """A geoid on a regular grid in degrees, read bilinearly, around the globe where the grid goes around."""

    def __init__(self, values: Floats, *, north: float, west: float, step: tuple[float, float], name: str) -> None:
        """Take (row, column) undulations in metres; ``north``, ``west`` are the first post, ``step`` rows, columns."""
        self.values, self.north, self.west, self.step, self.name = values, north, west, step, name
        self.wraps = values.shape[1] * step[1] > 359.0

    def __call__(self, longitude_deg: Floats, latitude_deg: Floats) -> Floats:
        """Undulation in metres, same shape; NaN beyond a grid that does not cover the place."""
        rows, columns = self.values.shape
        v = np.asarray((self.north - latitude_deg) / self.step[0])
        u = np.asarray(np.mod(longitude_deg - self.west, 360.0) / self.step[1])
        outside = (v < -0.5) | (v > rows - 0.5) | (~np.isfinite(u)) | (~np.isfinite(v))
        if not self.wraps:
            outside |= u > columns - 0.5
        u, v = np.where(outside, 0.0, u), np.clip(np.where(outside, 0.0, v), 0, rows - 1)
        row, column = np.minimum(v.astype(int), rows - 2), u.astype(int)
        right = (column + 1) % columns if self.wraps else np.minimum(column + 1, columns - 1)
        column = column % columns if self.wraps else np.minimum(column, columns - 1)
        fv, fu = v - row, u - np.floor(u)
        upper = self.values[row, column] * (1 - fu) + self.values[row, right] * fu
        lower = self.values[row + 1, column] * (1 - fu) + self.values[row + 1, right] * fu
        return np.where(outside, np.nan, upper * (1 - fv) + lower * fv)


def no_geoid(longitude_deg: Floats, latitude_deg: Floats) -> Floats:  # noqa: ARG001 - the signature of a geoid
    """Zero everywhere: for elevation that counts from the ellipsoid already."""
    return np.zeros(np.shape(latitude_deg))


@lru_cache(maxsize=4)
def geoid_of(vertical_datum: str, geoid_file: str | None = None) -> Callable[[Floats, Floats], Floats]:
    """The geoid that an elevation model counts from.

    Args:
        vertical_datum: ``geoid`` or ``ellipsoid``.
        geoid_file: grid of undulations in degrees, metres; the shipped EGM96 where None.

    Raises:
        RasterError: the file cannot be read or is not in degrees.
    """
    if vertical_datum == "ellipsoid":
        return no_geoid
    if geoid_file is not None:
        return _from_file(Path(geoid_file))
    with files("pipeline_lib.load").joinpath("egm96_half_degree.npz").open("rb") as stream, np.load(stream) as content:
        differences = content["undulation_dm_differences"]
    values = np.cumsum(differences, axis=1, dtype=np.int64) / 10.0
    return GeoidGrid(values, north=90.0, west=0.0, step=(0.5, 0.5), name="EGM96")


def _from_file(path: Path) -> GeoidGrid:
    try:
        with rasterio.open(path) as dataset:
            if dataset.crs is not None and not dataset.crs.is_geographic:
                raise RasterError(f"The geoid {path} is in {dataset.crs}; expected a grid in degrees.")
            values = dataset.read(1, masked=True).astype(np.float64).filled(np.nan)
            transform = dataset.transform
    except (RasterioError, OSError) as error:
        raise RasterError(
            f"The geoid {path} cannot be read ({error}); give a GeoTIFF or GTX grid of undulations."
        ) from error
    return GeoidGrid(
        values,
        north=transform.f + transform.e / 2,
        west=transform.c + transform.a / 2,
        step=(-transform.e, transform.a),
        name=path.name,
    )
