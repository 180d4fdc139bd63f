"""Versions of whatever can change a pixel."""

import platform
from importlib.metadata import PackageNotFoundError, version

import rasterio

PARTS = (
    "overbank",
    "numpy",
    "scipy",
    "numba",
    "xarray",
    "dask",
    "odc-geo",
    "rasterio",
    "shapely",
    "torch",
    "onnxruntime",
    "openvino",
)


def environment() -> dict[str, str]:
    """Name to version of the interpreter, GDAL and the libraries that are installed."""
    found = {"python": platform.python_version(), "gdal": rasterio.__gdal_version__}
    for part in PARTS:
        try:
            found[part] = version(part)
        except PackageNotFoundError:
            continue
    return found
