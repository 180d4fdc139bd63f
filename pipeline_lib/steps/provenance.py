"""Which software made a product."""

import platform
from importlib.metadata import PackageNotFoundError, version

PARTS = ("prefect", "dask", "xarray", "rasterio", "odc-stac", "numpy", "torch", "openvino", "onnxruntime")


def software() -> str:
    """``overbank 0.1.0``."""
    return f"overbank {version('overbank')}"


def version_text() -> str:
    """Version, interpreter, and versions of the parts that can change a pixel."""
    lines = [software(), f"python {platform.python_version()} on {platform.system()} {platform.machine()}"]
    for part in PARTS:
        try:
            lines.append(f"{part} {version(part)}")
        except PackageNotFoundError:
            lines.append(f"{part} not installed")
    return "\n".join(lines)
