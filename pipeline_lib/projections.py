"""Whether coordinates can be projected here: a database of another installation is found before it is needed."""

import os

import pyproj
import rasterio.crs
import rasterio.errors
from pyproj.exceptions import CRSError, DataDirError

from pipeline_lib.errors import InputError

EPSG = 32632
VARIABLES = ("PROJ_DATA", "PROJ_LIB")


def need_projections() -> None:
    """Make sure that GDAL and pyproj know a CRS by its code.

    Raises:
        InputError: one does not, as where ``PROJ_DATA`` or ``PROJ_LIB`` names the database of another PROJ (QGIS,
            conda and PostGIS set them).
    """
    try:
        rasterio.crs.CRS.from_epsg(EPSG).to_wkt()
        pyproj.CRS.from_epsg(EPSG)
    except (rasterio.errors.CRSError, CRSError, DataDirError) as error:
        named = [name for name in VARIABLES if os.environ.get(name)]
        held = ", ".join(f"{name} = {os.environ[name]}" for name in named)
        fix = f"unset {' and '.join(named)} ({held})" if named else "install rasterio and pyproj anew"
        reason = " ".join(str(error).split())
        raise InputError(f"The projection database does not know EPSG:{EPSG} ({reason}); {fix}.") from error
