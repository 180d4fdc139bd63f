"""One tile of the map from one GRD product: every stage on the window it needs, nothing larger ever held."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.load.safe_measurement import Measurement, Rectangle
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.sar.border import needs_border_mask
from pipeline_lib.sar.elevation import Relief, dem_window, guess_beside_voids, heights_on, margin_m
from pipeline_lib.sar.lattice import HEIGHTS_M, Lattice, MapFrame, build_lattice, positions
from pipeline_lib.sar.range_doppler import RadarGeometry
from pipeline_lib.sar.resample import sample_image
from pipeline_lib.sar.terrain_flattening import DARK, LIT, UNKNOWN, flatten, gamma_area
from pipeline_lib.sar.viewing import SHADOW, layover_shadow, viewing_of

RIM = 8
"""Pixels around every tile that slopes, facets and the guesses beside voids need."""
INCIDENCE = "local_incidence_angle"
MASK = "layover_shadow"


@dataclass(frozen=True)
class Elevation:
    """The elevation model: lazily held, with an index of its relief."""

    values: xr.DataArray
    """(row, column), metres, NaN = void; NumPy or Dask."""
    relief: Relief
    pixel_m: float

    def part(self, lattice: Lattice) -> tuple[NDArray[np.float32], tuple[int, int]] | None:
        """The part that a lattice covers and its origin; None where they do not meet.

        Heights in metres, dims (row, column) of the elevation model, NaN = unknown; the origin is the row and column of
        the first.
        """
        rows, columns = dem_window(lattice)
        height, width = self.values.shape
        top, bottom = max(int(rows[0]) - 2, 0), min(int(rows[1]) + 3, height)
        left, right = max(int(columns[0]) - 2, 0), min(int(columns[1]) + 3, width)
        if top >= bottom or left >= right:
            return None
        part = self.values[top:bottom, left:right]
        # Inside a Dask task already: computing on this very thread cannot wait for itself.
        values = part.compute(scheduler="synchronous").to_numpy() if part.chunks else part.to_numpy()
        return np.asarray(values, dtype=np.float32), (top, left)


@dataclass(frozen=True)
class GrdProduct:
    """One slice, ready to be mapped."""

    geometry: RadarGeometry
    measurements: Mapping[str, Measurement]
    """By polarisation, co-polarised first."""
    level_area: float
    """Gamma area of a level cell at mid-swath, 1 / tan(incidence)."""


@dataclass(frozen=True)
class Located:
    """Terrain of a window around a tile and where it falls in the image."""

    lattice: Lattice
    height: NDArray[np.float32]
    origin: tuple[int, int]
    """Grid row and column of the first height."""
    inner: tuple[slice, slice]
    """The tile inside the window."""
    line: NDArray[np.float64]
    pixel: NDArray[np.float64]


def layers_of(polarisations: tuple[str, ...]) -> tuple[str, ...]:
    """Names of a tile's layers, in order."""
    return (*polarisations, INCIDENCE, MASK)


def map_tile(
    product: GrdProduct, frame: MapFrame, elevation: Elevation, window: Rectangle, options: CalibrateOptions
) -> NDArray[np.float32]:
    """Bring one product onto one tile of the grid.

    Args:
        product: the slice.
        frame: the grid and the elevation's frame.
        elevation: the elevation model.
        window: row, column, rows, columns of the tile in the grid.
        options: what to do.

    Returns:
        (layer, row, column) float32 in the order of `layers_of`; NaN where the product does not see the tile. The mask
        holds bits of shadow and layover.
    """
    out = np.full((len(product.measurements) + 2, window[2], window[3]), np.nan, np.float32)
    tile = build_lattice(
        product.geometry, frame, rows=(window[0], window[0] + window[2]), columns=(window[1], window[1] + window[3])
    )
    if not in_view(product.geometry, tile):
        return out
    flattened = options.flatten and options.backscatter == "gamma0"
    reach_m = margin_m(elevation.relief, tile, dem_pixel_m=elevation.pixel_m, ends=flattened)
    located = locate_tile(product.geometry, frame, elevation, window, RIM + int(np.ceil(reach_m / frame.pixel_m)))
    if located is None:
        return out
    codes = layover_shadow(located.lattice, located.height, origin=located.origin)
    line, pixel = located.line[located.inner], located.pixel[located.inner]
    rectangle = image_window(product.geometry, line, pixel)
    if rectangle is None:
        return out
    area = None
    if flattened:
        area = area_on(located, codes, rectangle)
    _sample_layers(product, options, rectangle, area, (line, pixel), out)
    seen = np.isfinite(out[0])
    inner = _grown(located.inner)
    local, _ = viewing_of(located.lattice, np.ascontiguousarray(located.height[inner]), origin=_origin(located, inner))
    out[-2] = np.where(seen, local[1:-1, 1:-1], np.nan)
    inside = np.isfinite(line) & (line >= 0) & (line <= product.geometry.lines - 1)
    inside &= (pixel >= 0) & (pixel <= product.geometry.samples - 1)
    out[-1] = np.where(inside, _rimmed(codes[inner]), np.nan)
    return out


def _rimmed(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of all but the outermost pixels, each with those of its eight neighbours.

    A pixel's centre may lie outside a fold while a part of the cells it is sampled from lies within.
    """
    rows, columns = (size - 2 for size in codes.shape)
    out = np.zeros((rows, columns), np.uint8)
    for down in range(3):
        for right in range(3):
            out |= codes[down : down + rows, right : right + columns]
    return out


def in_view(geometry: RadarGeometry, lattice: Lattice) -> bool:
    """Whether any height over the lattice can fall into the image."""
    scaled = HEIGHTS_M[[0, -1]] / 5000.0
    bounds = []
    for first in (0, 4):
        values = np.stack([sum(lattice.position(first + k) * z**k for k in range(4)) for z in scaled])
        if not np.isfinite(values).any():
            return False
        bounds.append((np.nanmin(values), np.nanmax(values)))
    (low, high), (near, far) = bounds
    return bool(high >= 0 and low <= geometry.lines - 1 and far >= 0 and near <= geometry.samples - 1)


def locate_tile(
    geometry: RadarGeometry, frame: MapFrame, elevation: Elevation, window: Rectangle, pad: int
) -> Located | None:
    """Heights and image positions of a tile and ``pad`` pixels around it; None where there is no elevation."""
    row, column, rows, columns = window[0] - pad, window[1] - pad, window[2] + 2 * pad, window[3] + 2 * pad
    lattice = build_lattice(geometry, frame, rows=(row, row + rows), columns=(column, column + columns))
    part = elevation.part(lattice)
    if part is None:
        return None
    height = heights_on(lattice, part[0], origin=part[1], window=(row, column, rows, columns))
    if not np.isfinite(height).any():
        return None
    line, pixel = positions(lattice, height, row, column)
    inner = (slice(pad, pad + window[2]), slice(pad, pad + window[3]))
    return Located(lattice, height, (row, column), inner, line, pixel)


def image_window(geometry: RadarGeometry, line: NDArray[np.float64], pixel: NDArray[np.float64]) -> Rectangle | None:
    """The image cells that a tile's pixels touch, with those that sampling needs; None where they touch none.

    Args:
        geometry: of the image.
        line: (row, column) image line of each pixel of the tile, NaN = unknown.
        pixel: (row, column) image pixel, likewise.

    Returns:
        First line, first pixel, lines, pixels.
    """
    with np.errstate(invalid="ignore"):
        inside = (line >= 0) & (line <= geometry.lines - 1) & (pixel >= 0) & (pixel <= geometry.samples - 1)
    if not inside.any():
        return None
    top, left = max(int(line[inside].min()) - 2, 0), max(int(pixel[inside].min()) - 2, 0)
    bottom, right = int(line[inside].max()) + 4, int(pixel[inside].max()) + 4
    return top, left, min(bottom, geometry.lines) - top, min(right, geometry.samples) - left


def area_on(located: Located, codes: NDArray[np.uint8], rectangle: Rectangle) -> NDArray[np.float32]:
    """Gamma area of the image cells of a rectangle from the terrain around the tile.

    Args:
        located: the terrain.
        codes: (row, column) bits of shadow and layover on that terrain.
        rectangle: first line, first pixel, lines, pixels.

    Returns:
        (line, pixel) float32, as `pipeline_lib.sar.terrain_flattening.gamma_area` returns it.
    """
    lit = np.where(codes & SHADOW, DARK, LIT).astype(np.uint8)
    height, line, pixel = located.height, located.line, located.pixel
    unknown = ~np.isfinite(height)
    if unknown.any():
        lit[unknown] = UNKNOWN
        height = guess_beside_voids(height)
        line, pixel = positions(located.lattice, height, *located.origin)
    return gamma_area(located.lattice, height, line, pixel, lit, origin=located.origin, window=rectangle)


def _sample_layers(
    product: GrdProduct,
    options: CalibrateOptions,
    rectangle: Rectangle,
    area: NDArray[np.float32] | None,
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
    out: NDArray[np.float32],
) -> None:
    """Calibrate each polarisation's window, flatten it, and sample it at the tile's pixels."""
    first = next(iter(product.measurements.values()))
    masked = options.border == "always" or (
        options.border == "auto" and needs_border_mask(first.annotation.ipf_version)
    )
    border = first.border(rectangle) if masked else None
    for number, measurement in enumerate(product.measurements.values()):
        if area is None:
            image = measurement.intensity(rectangle, options.backscatter, border=border)
        else:
            beta0 = measurement.intensity(rectangle, "beta0", border=border)
            image = flatten(beta0, area, level_area=product.level_area)
        out[number] = sample_image(image, *place, origin=(rectangle[0], rectangle[1]))


def _grown(inner: tuple[slice, slice]) -> tuple[slice, slice]:
    """The tile and one pixel around it."""
    return (slice(inner[0].start - 1, inner[0].stop + 1), slice(inner[1].start - 1, inner[1].stop + 1))


def _origin(located: Located, part: tuple[slice, slice]) -> tuple[int, int]:
    """Grid position of the first pixel of a part of a located window."""
    return located.origin[0] + part[0].start, located.origin[1] + part[1].start
