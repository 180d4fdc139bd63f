"""Segment: cut any raster into regions or clusters, to a GeoTIFF of labels."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import rasterio
from numpy.typing import NDArray
from pydantic import ValidationError
from rasterio.errors import RasterioError

from pipeline_lib.errors import InputError, RasterError, UnknownNameError, shown
from pipeline_lib.load.raster import load_raster
from pipeline_lib.model import polarisations_of
from pipeline_lib.options import Options
from pipeline_lib.options.segmentation import ClusteringOptions, GrowingOptions, SplitMergeOptions
from pipeline_lib.segmentation import fit, grow, hysteresis, predict_blocks, seeds_below, split_and_merge
from pipeline_lib.whole_raster import whole_raster

METHODS: dict[str, tuple[type[Options], dict[str, Any]]] = {
    "region-growing": (GrowingOptions, {"predicate": "running_mean"}),
    "hysteresis": (GrowingOptions, {"predicate": "hysteresis", "tolerance": -16.0}),
    "kmeans": (ClusteringOptions, {"method": "kmeans"}),
    "gmm": (ClusteringOptions, {"method": "gmm"}),
    "split-merge": (SplitMergeOptions, {}),
}
"""Name to options and the values that the name stands for."""
MAX_PIXELS = 100_000_000
"""Region growing and split and merge hold the whole image: a larger one is refused, clustering takes any."""


def segment_raster(
    path: Path,
    out: Path,
    *,
    method: str = "split-merge",
    parameters: dict[str, Any] | None = None,
    optical: bool = False,
) -> int:
    """Segment a raster and write its labels: int32, 0 = no data, on the raster's grid.

    Args:
        path: backscatter (dB or linear power), or with ``optical`` any bands.
        out: GeoTIFF to write.
        method: name in `METHODS`.
        parameters: the method's own options.
        optical: bands are reflectance or grey values.

    Returns:
        Number of segments.

    Raises:
        UnknownNameError: no such method.
        InputError: an option that the method does not have, or an image too large for it.
        RasterError: the raster cannot be read.
        StoreError: the labels cannot be written.
    """
    if method not in METHODS:
        raise UnknownNameError("segmentation method", method, tuple(METHODS))
    kind, defaults = METHODS[method]
    if optical and kind is SplitMergeOptions:
        defaults = {"homogeneity": "spread"}
    try:
        options = kind.model_validate(defaults | (parameters or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{method}: option {'.'.join(map(str, first['loc']))!r}: {first['msg']}.") from error
    bands, profile = _read(path, optical=optical)
    labels = _labels(bands, options, optical=optical)
    _write(labels, out, profile)
    return len(np.unique(labels[labels > 0]))


def _read(path: Path, *, optical: bool) -> tuple[dict[str, da.Array], dict[str, Any]]:
    try:
        with rasterio.open(path) as raster:
            profile = {"crs": raster.crs, "transform": raster.transform, "width": raster.width, "height": raster.height}
            if optical:
                planes = raster.read(masked=True).astype(np.float32).filled(np.nan)
                return {f"band {index}": da.from_array(plane) for index, plane in enumerate(planes, 1)}, profile
    except RasterioError as error:
        raise RasterError(f"Cannot read {path}: {shown(error)}.") from error
    scene = load_raster(path)
    return {name: da.asarray(scene[name].data) for name in polarisations_of(scene)}, profile


def _labels(bands: dict[str, da.Array], options: Options, *, optical: bool) -> NDArray[np.int32]:
    if isinstance(options, ClusteringOptions):
        clusters = fit(bands, options, is_radar=not optical)
        return np.asarray(predict_blocks(clusters, bands)[0].compute(), np.int32)
    first = next(iter(bands.values()))
    if first.size > MAX_PIXELS:
        raise InputError(f"The image has {first.size:,} pixels; this method takes {MAX_PIXELS:,}. Cut it, or use gmm.")
    planes = np.stack([plane.compute() for plane in bands.values()])
    if isinstance(options, SplitMergeOptions):
        return split_and_merge(planes, options).labels
    if not isinstance(options, GrowingOptions):
        raise InputError(f"No segmentation takes options of type {type(options).__name__}.")
    guide = planes[0] if optical else 10 * np.log10(np.maximum(planes[0], 1e-6))
    return _grown(guide, options)


def _grown(guide: NDArray[np.floating], options: GrowingOptions) -> NDArray[np.int32]:
    if options.predicate == "hysteresis":
        inside = hysteresis(guide, seed=options.seed, tolerance=options.tolerance, connectivity=options.connectivity)
        return seeds_below(np.where(inside, 0.0, np.inf), 0.0, connectivity=options.connectivity)
    seeds = seeds_below(guide, options.seed, connectivity=options.connectivity)
    return grow(guide, seeds, tolerance=options.tolerance, connectivity=options.connectivity)


def _write(labels: NDArray[np.int32], out: Path, profile: dict[str, Any]) -> None:
    facts = {"driver": "GTiff", "count": 1, "dtype": "int32", "nodata": 0, "compress": "deflate", "tiled": True}
    with whole_raster(out) as partial, rasterio.open(partial, "w", **facts, **profile) as raster:
        raster.write(labels, 1)
