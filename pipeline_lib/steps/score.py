"""Score: our event product, or any class raster, against an outside map (GFM, DSWx, EMS), in one pass over blocks.

Both maps are brought onto one grid and compared on the pixels that are valid in both; what is left out is counted.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import rasterio.errors
import rasterio.warp
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.features import geometry_mask
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from pipeline_lib.errors import InputError, RasterError, shown
from pipeline_lib.evaluate import (
    Boundary,
    ChipRow,
    Evaluation,
    Subject,
    bootstrap,
    boundary_counts,
    confusion,
    score,
    summarise,
)
from pipeline_lib.evaluate.document import Reference
from pipeline_lib.evaluate.summary import ChipConfusion, compared
from pipeline_lib.model import DRY, NOT_OBSERVED, WATER
from pipeline_lib.options.evaluate import ScoreOptions
from pipeline_lib.pixel import ground_size_m
from pipeline_lib.steps.evaluate import boundary_scores

BLOCK = 2048
VECTORS = {".geojson", ".json", ".gpkg", ".shp", ".fgb", ".parquet", ".geoparquet", ".kml"}
FORMATS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "gfm": ((1,), (0,)),
    "dswx-s1": ((1, 3), (0,)),
    "dswx-hls": ((1, 2), (0,)),
}
"""Codes of water and of dry: GFM layers 0/1, 255 no data; DSWx-S1 1 open water, 3 inundated vegetation, 250 up masked;
DSWx-HLS 1 open water, 2 partial surface water, 252 up masked."""


@dataclass(frozen=True)
class _Codes:
    positive: tuple[int, ...]
    negative: tuple[int, ...]

    def read(self, stored: NDArray[np.generic]) -> NDArray[np.uint8]:
        """0 dry, 1 water, 255 no answer."""
        codes = np.full(stored.shape, NOT_OBSERVED, np.uint8)
        codes[np.isin(stored, self.negative)] = DRY
        codes[np.isin(stored, self.positive)] = WATER
        return codes


def score_maps(predicted: Path, reference: Path, options: ScoreOptions | None = None) -> Evaluation:
    """Compare two maps on common valid pixels.

    Args:
        predicted: folder of a published event, or a class raster.
        reference: class raster, or polygons of water in any vector format.
        options: layer, codes, grid.

    Raises:
        InputError: the folder holds no such layer, or a file is not what its name says.
        RasterError: a raster cannot be read or has no CRS.
        ContractError: the maps have no valid pixel in common.
    """
    options = options or ScoreOptions()
    start = time.perf_counter()
    ours = layer_file(predicted, options.layer)
    is_vector = options.reference_format == "polygons" or reference.suffix.lower() in VECTORS
    parts = list(_polygon_blocks(ours, reference, options) if is_vector else _raster_blocks(ours, reference, options))
    return _document(parts, ours, reference, options, time.perf_counter() - start)


def layer_file(place: Path, layer: str) -> Path:
    """The raster itself, or a layer of a published event: the current version's mosaic, or a pass's own folder.

    Raises:
        InputError: nothing there, no such layer, or several.
    """
    if place.is_file():
        return place
    if not place.is_dir():
        raise InputError(f"{place} is neither a raster nor the folder of an event.")
    for folder in (place / "current" / "event", place / "event", place):
        if (folder / f"{layer}.tif").is_file():
            return folder / f"{layer}.tif"
    found = sorted(place.rglob(f"{layer}.tif"))
    if len(found) == 1:
        return found[0]
    held = ", ".join(sorted({path.stem for path in place.rglob("*.tif")})) or "no raster"
    what = (
        f"{len(found)} rasters named {layer}.tif; name one of them" if found else f"no layer {layer!r}; it holds {held}"
    )
    raise InputError(f"{place} has {what}.")


@dataclass(frozen=True)
class _Part:
    """One block compared."""

    name: str
    counts: ChipConfusion
    boundary: Boundary


def _raster_blocks(ours: Path, reference: Path, options: ScoreOptions) -> Iterator[_Part]:
    mine, theirs = _Codes(options.positive, options.negative), _reference_codes(options)
    with ExitStack() as stack:
        left, right = (stack.enter_context(_opened(path)) for path in (ours, reference))
        base, moved = (left, right) if options.grid == "predicted" else (right, left)
        warped = stack.enter_context(_onto(moved, base))
        first, second = (base, warped) if options.grid == "predicted" else (warped, base)
        untold = None
        if options.exclusion is not None:
            untold = stack.enter_context(_onto(stack.enter_context(_opened(options.exclusion)), base))
        area = _area_of(options, base)
        for window in _windows(base):
            map_codes = mine.read(first.read(1, window=window))
            truth = theirs.read(second.read(1, window=window))
            if untold is not None:
                truth[np.ma.filled(untold.read(1, window=window, masked=True), 0) > 0] = NOT_OBSERVED
            yield _compared(map_codes, _within(truth, area, base, window), base, window)


def _polygon_blocks(ours: Path, reference: Path, options: ScoreOptions) -> Iterator[_Part]:
    mine = _Codes(options.positive, options.negative)
    with _opened(ours) as base:
        water, area = _polygons(reference, base.crs), _area_of(options, base)
        for window in _windows(base):
            truth = _burned(water, base, window).astype(np.uint8)
            yield _compared(mine.read(base.read(1, window=window)), _within(truth, area, base, window), base, window)


def _reference_codes(options: ScoreOptions) -> _Codes:
    if options.reference_format in FORMATS:
        return _Codes(*FORMATS[options.reference_format])
    return _Codes(options.reference_positive, options.reference_negative)


def _opened(path: Path) -> Any:
    try:
        raster = rasterio.open(path)
    except rasterio.errors.RasterioError as error:
        raise RasterError(f"Cannot read {path}: {shown(error)}.") from error
    if raster.crs is None:
        raise RasterError(f"{path} has no coordinate reference system; it cannot be laid over another map.")
    return raster


def _onto(moved: Any, base: Any) -> WarpedVRT:
    """A class raster on another's grid: nearest neighbour onto a finer grid, the most frequent class onto a coarser."""
    box = rasterio.warp.transform_bounds(moved.crs, base.crs, *moved.bounds)
    size = abs((box[2] - box[0]) * (box[3] - box[1])) / (moved.width * moved.height)
    is_coarser = abs(base.transform.a * base.transform.e) > 2 * size
    nodata = moved.nodata if moved.nodata is not None else _unused(moved)
    return WarpedVRT(
        moved,
        crs=base.crs,
        transform=base.transform,
        width=base.width,
        height=base.height,
        nodata=nodata,
        src_nodata=moved.nodata,
        resampling=Resampling.mode if is_coarser else Resampling.nearest,
    )


def _unused(raster: Any) -> int:
    """A code for "outside" where the raster names none: the largest its type has, which no format uses for a class."""
    kind = np.dtype(raster.dtypes[0])
    return int(np.iinfo(kind).max) if kind.kind in "iu" else -9999


def _windows(base: Any) -> Iterator[Window]:
    for row in range(0, base.height, BLOCK):
        for column in range(0, base.width, BLOCK):
            yield Window(column, row, min(BLOCK, base.width - column), min(BLOCK, base.height - row))


def _polygons(path: Path, crs: Any) -> Sequence[Any]:
    try:
        frame = geopandas.read_parquet(path) if path.suffix.lower().endswith("parquet") else geopandas.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"Cannot read polygons from {path}: {shown(error)}.") from error
    if frame.crs is None:
        raise InputError(f"{path} has no coordinate reference system; expected one, such as EPSG:4326.")
    shapes = frame.to_crs(crs).geometry
    return [shape for shape in shapes if shape is not None and not shape.is_empty]


def _burned(shapes: Sequence[Any], base: Any, window: Window) -> NDArray[np.bool_]:
    """True where a pixel's centre lies in a polygon."""
    size = (int(window.height), int(window.width))
    if not shapes:
        return np.zeros(size, bool)
    inside: NDArray[np.bool_] = geometry_mask(shapes, size, base.window_transform(window), invert=True)
    return inside


def _area_of(options: ScoreOptions, base: Any) -> Sequence[Any] | None:
    return None if options.area is None else _polygons(options.area, base.crs)


def _within(
    truth: NDArray[np.uint8],
    area: Sequence[Any] | None,
    base: Any,
    window: Window,
) -> NDArray[np.uint8]:
    """No answer outside the area that the reference mapped."""
    if area is None:
        return truth
    return np.where(_burned(area, base, window), truth, np.uint8(NOT_OBSERVED))


def _compared(predicted: NDArray[np.uint8], truth: NDArray[np.uint8], base: Any, window: Window) -> _Part:
    name = f"r{int(window.row_off)}c{int(window.col_off)}"
    counts = ChipConfusion(
        chip=name, event="all", confusion=confusion(predicted, truth), pixel_area_km2=_pixel_km2(base, window)
    )
    return _Part(name, counts, boundary_counts(predicted, truth))


def _pixel_km2(base: Any, window: Window) -> float:
    """Area of the block's middle pixel."""
    y = base.transform.f + base.transform.e * (window.row_off + window.height / 2)
    return math.prod(ground_size_m(base.transform.e, base.transform.a, base.crs, y)) / 1e6


def _document(parts: list[_Part], ours: Path, reference: Path, options: ScoreOptions, seconds: float) -> Evaluation:
    counted = [part.counts for part in parts]
    pixels = sum(compared(part.confusion) for part in counted)
    boundary = sum((part.boundary for part in parts[1:]), start=parts[0].boundary)
    rows = [
        ChipRow(
            chip=part.name,
            event=part.counts.event,
            scores=score(part.counts.confusion),
            ece=None,
            excluded_pixels=0,
            unmapped_pixels=0,
            seconds=seconds / len(parts),
        )
        for part in parts
    ]
    return Evaluation(
        software=f"overbank {version('overbank')}",
        created=datetime.now(timezone.utc),
        subject=Subject(kind="map", name=ours.name),
        reference=Reference(
            dataset=reference.name,
            split=None,
            label_meaning=f"codes {options.reference_format}",
            chips=len(parts),
            chips_without_valid_pixels=sum(compared(part.confusion) == 0 for part in counted),
        ),
        scores=summarise(counted),
        intervals=bootstrap(counted, resamples=options.resamples),
        calibration=None,
        boundary=boundary_scores(boundary),
        ignored_pixels=sum(part.confusion.ignored for part in counted),
        seconds=seconds,
        megapixels_per_second=pixels / seconds / 1e6 if seconds else None,
        peak_memory_bytes=None,
        notes=(
            f"Compared on the grid of the {options.grid} map, in blocks of {BLOCK} pixels (a 'chip' is a block).",
            "One pair of maps: the intervals speak of its blocks, not of other events.",
        ),
        chips=tuple(rows),
    )
