"""The event's one grid as a record: it becomes an `odc.geo.GeoBox` wherever pixels are touched."""

from odc.geo.geobox import GeoBox
from rasterio.transform import Affine

from pipeline_lib.model.record import Record


class Grid(Record):
    """A north-up pixel grid: every dataset of an event lives on exactly this one."""

    crs: str
    """Coordinate reference system, as ``EPSG:<code>``."""
    transform: tuple[float, float, float, float, float, float]
    """Affine coefficients a, b, c, d, e, f: x = a*col + b*row + c, y = d*col + e*row + f (pixel corners)."""
    shape: tuple[int, int]
    """Rows, columns."""

    @property
    def geobox(self) -> GeoBox:
        """The same grid as a GeoBox."""
        return GeoBox(self.shape, Affine(*self.transform), self.crs)

    @property
    def pixel_m(self) -> float:
        """Pixel size in units of the CRS (metres for the projected CRSs that overbank plans)."""
        return abs(self.transform[0])

    @classmethod
    def of_geobox(cls, geobox: GeoBox) -> "Grid":
        """Record a GeoBox; its CRS must have an EPSG code."""
        a, b, c, d, e, f, *_ = geobox.affine
        return cls(
            crs=f"EPSG:{geobox.crs.epsg}" if geobox.crs is not None else "",
            transform=(a, b, c, d, e, f),
            shape=(int(geobox.shape[0]), int(geobox.shape[1])),
        )
