"""Assets onto the grid, lazily: neighbours on one pixel grid are joined before they are resampled.

Joined first, two tiles of a DEM or two slices of a pass have no seam: a pixel between them is interpolated from both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.xr import xr_coords

from pipeline_lib.load.asset import Asset
from pipeline_lib.load.resample import Kernel, Locator, kernel_named, resample
from pipeline_lib.model import Grid

MAX_SOURCE_PIXELS = 48_000_000
"""Source pixels held at a time per chunk: coarser grids than the source are filled in strips."""


@dataclass(frozen=True)
class AlignedAssets:
    """Assets whose pixels lie on one lattice: one CRS, one pixel size, whole-pixel offsets."""

    crs: str
    transform: tuple[float, ...]
    members: tuple[tuple[int, int, Asset], ...]
    """Row and column of each member's first pixel on the common lattice; earlier members win where they overlap."""

    def read(self, rows: range, columns: range) -> NDArray[np.float32] | None:
        """Read and join a window of the lattice; None where no member has data.

        Dims (y, x) as the two ranges, float32, NaN where no member has data.

        Raises:
            AssetError: a member cannot be read.
        """
        joined: NDArray[np.float32] | None = None
        for row, column, asset in self.members:
            top, bottom = max(rows.start, row), min(rows.stop, row + asset.shape[0])
            left, right = max(columns.start, column), min(columns.stop, column + asset.shape[1])
            if top >= bottom or left >= right:
                continue
            values = asset.read(slice(top - row, bottom - row), slice(left - column, right - column))
            if joined is None:
                joined = np.full((len(rows), len(columns)), np.nan, np.float32)
            part = joined[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
            np.copyto(part, values, where=np.isnan(part))
        return joined


def load_band(assets: Sequence[Asset], grid: Grid, *, chunk: int = 2048, resampling: str = "bilinear") -> xr.DataArray:
    """Bring one band of several assets onto the grid.

    Where assets overlap the first valid pixel in the order given wins; where two on lattices of their own (slices in
    two UTM zones) end at one line, the pixels between are interpolated from both. Pixels do not depend on ``chunk``.

    Args:
        assets: of `pipeline_lib.load.asset.assets_of`; may be empty.
        grid: of the event.
        chunk: pixels along each side of a Dask chunk.
        resampling: ``nearest``, ``bilinear`` or ``cubic``.

    Returns:
        (y, x) float32, Dask-chunked, NaN = no data; coordinates y, x, spatial_ref.

    Raises:
        UnknownNameError: no such resampling.
        AssetError: when computed, if an asset cannot be read any more.
    """
    kernel = kernel_named(resampling)
    height, width = grid.shape
    chunks = (_cuts(height, chunk), _cuts(width, chunk))
    groups = aligned(assets)
    if groups:
        data = da.map_blocks(
            _block, groups=groups, grid=grid, kernel=kernel, chunks=chunks, dtype="float32", meta=np.empty((0, 0), "f4")
        )
    else:
        data = da.full(grid.shape, np.nan, chunks=chunks, dtype="float32")
    coords = {name: value for name, value in xr_coords(grid.geobox).items() if name != "time"}
    return xr.DataArray(data, dims=("y", "x"), coords=coords, attrs={"grid_mapping": "spatial_ref"})


def aligned(assets: Sequence[Asset]) -> tuple[AlignedAssets, ...]:
    """Group assets that share a pixel lattice; groups and members keep the order of the assets."""
    groups: list[tuple[Asset, list[tuple[int, int, Asset]]]] = []
    for asset in assets:
        for first, members in groups:
            offset = _offset(first, asset)
            if offset is not None:
                members.append((*offset, asset))
                break
        else:
            groups.append((asset, [(0, 0, asset)]))
    return tuple(AlignedAssets(first.crs, first.transform, tuple(members)) for first, members in groups)


def _offset(first: Asset, other: Asset) -> tuple[int, int] | None:
    """Rows and columns from one asset's first pixel to another's; None where they share no lattice."""
    a, b, c, d, e, f = first.transform
    if first.crs != other.crs or not np.allclose(other.transform[:2] + other.transform[3:5], (a, b, d, e), rtol=1e-9):
        return None
    x, y = other.transform[2] - c, other.transform[5] - f
    if a < 0.1 and abs(x) > 180:  # degrees: the neighbour across the antimeridian is 1 away and not 359
        x -= np.sign(x) * 360.0
    determinant = a * e - b * d
    column, row = (e * x - b * y) / determinant, (a * y - d * x) / determinant
    if abs(column - round(column)) > 0.01 or abs(row - round(row)) > 0.01:
        return None
    return round(row), round(column)


def _cuts(size: int, chunk: int) -> tuple[int, ...]:
    return tuple(min(chunk, size - start) for start in range(0, size, chunk))


def _block(
    groups: tuple[AlignedAssets, ...], grid: Grid, kernel: Kernel, block_info: Any = None
) -> NDArray[np.float32]:
    """One chunk: every group resampled onto it, the first valid value kept."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    out = np.full((bottom - top, right - left), np.nan, np.float32)
    for group in groups:
        np.copyto(out, _placed(group, grid, kernel, range(top, bottom), range(left, right)), where=np.isnan(out))
        if not np.isnan(out).any():
            return out
    if len(groups) > 1 and kernel != Kernel.NEAREST:
        _close_seams(out, groups, grid, kernel, range(top, bottom), range(left, right))
    return out


def _close_seams(
    out: NDArray[np.float32],
    groups: tuple[AlignedAssets, ...],
    grid: Grid,
    kernel: Kernel,
    rows: range,
    columns: range,
) -> None:
    """Fill pixels that fall between two assets which end at one line, each on a lattice of its own.

    Only where two groups have data within a pixel and a half: the outer edge of what was observed does not move.
    """
    near = np.zeros(out.shape, np.uint8)
    total = np.zeros(out.shape, np.float32)
    for group in groups:
        values = _placed(group, grid, kernel, rows, columns, reach=True)
        near += np.isfinite(values)
        total += np.nan_to_num(values)
    between = np.isnan(out) & (near > 1)
    out[between] = total[between] / near[between]


def _placed(
    group: AlignedAssets, grid: Grid, kernel: Kernel, rows: range, columns: range, *, reach: bool = False
) -> NDArray[np.float32]:
    """One group resampled onto a block of the grid, in strips."""
    out = np.full((len(rows), len(columns)), np.nan, np.float32)
    locator = Locator(grid.geobox, group.crs, group.transform)
    ratio = locator.pixel_ratio(grid.shape)
    height = max(1, min(len(rows), int(MAX_SOURCE_PIXELS / (max(1.0, ratio) ** 2 * len(columns)))))
    for start in range(rows.start, rows.stop, height):
        strip = range(start, min(start + height, rows.stop))
        values = _strip(group, locator, kernel, ratio, strip, columns, reach=reach)
        if values is not None:
            out[start - rows.start : strip.stop - rows.start] = values
    return out


def _strip(
    group: AlignedAssets,
    locator: Locator,
    kernel: Kernel,
    ratio: float,
    rows: range,
    columns: range,
    *,
    reach: bool = False,
) -> NDArray[np.float32] | None:
    nodes, (node_row, node_column) = locator.nodes(rows, columns)
    if np.isnan(nodes).all():
        return None
    margin = 3
    low = np.floor(np.nanmin(nodes, axis=(1, 2))).astype(int) - margin
    high = np.ceil(np.nanmax(nodes, axis=(1, 2))).astype(int) + margin + 1
    source = group.read(range(low[0], high[0]), range(low[1], high[1]))
    if source is None:
        return None
    offset = (rows.start - node_row, columns.start - node_column)
    return resample(source, nodes - low[:, None, None], offset, (len(rows), len(columns)), kernel, ratio, reach=reach)
