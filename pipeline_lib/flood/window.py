"""Run a NumPy function over windows of a grid: lazily, with a halo, whatever the chunks of the inputs.

The windows are fixed by the grid alone, so a result cannot depend on how its inputs were chunked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dask
import dask.array as da
import numpy as np
import xarray as xr

WINDOW_PX = 1024
"""Side of a window: with its halo and a stack of passes it stays within some hundred megabytes."""


@dataclass(frozen=True)
class Window:
    """One window: what a function gets (with halo) and where its own pixels lie."""

    rows: slice
    """Own rows in the grid."""
    columns: slice
    """Own columns in the grid."""
    halo_rows: slice
    """Rows read, halo included, cut at the edge of the grid."""
    halo_columns: slice
    """Columns read, halo included, cut at the edge of the grid."""

    @property
    def core(self) -> tuple[slice, slice]:
        """The own pixels inside what was read."""
        top, left = self.rows.start - self.halo_rows.start, self.columns.start - self.halo_columns.start
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        return slice(top, top + height), slice(left, left + width)


def windows_of(shape: tuple[int, int], *, halo: int = 0, size: int = WINDOW_PX) -> list[list[Window]]:
    """Cut a grid of ``shape`` (rows, columns) into rows of windows of ``size`` pixels."""
    rows, columns = shape

    def spans(length: int) -> list[tuple[slice, slice]]:
        """Own span and span with halo, along one side."""
        starts = range(0, length, size)
        own = [slice(start, min(start + size, length)) for start in starts]
        return [(part, slice(max(part.start - halo, 0), min(part.stop + halo, length))) for part in own]

    return [[Window(r, c, hr, hc) for c, hc in spans(columns)] for r, hr in spans(rows)]


Block = Callable[..., tuple[np.ndarray, ...]]


def map_windows(
    block: Block,
    inputs: Sequence[xr.DataArray | None],
    outputs: Mapping[str, str],
    *,
    halo: int = 0,
    size: int = WINDOW_PX,
    placed: bool = False,
) -> xr.Dataset:
    """Apply ``block(*arrays)`` to each window and join what it returns.

    Args:
        block: takes one NumPy array (or None) for each input, halo included, and returns one array (y, x) of the
            same height and width for each output; the halo is cut off here. Must be a module-level function or a
            partial of one, so that it can be named and sent to a worker.
        inputs: arrays with dims (..., y, x) on one grid; None is handed on as None. At least one must be given.
        outputs: name to dtype of each output, in the order of ``block``.
        halo: pixels around each window that ``block`` needs.
        size: side of a window, pixels.
        placed: give ``block`` the `Window` before the arrays.

    Returns:
        Dataset of Dask arrays (y, x) with the coordinates of the first input.
    """
    template = next(array for array in inputs if array is not None)
    shape = (template.sizes["y"], template.sizes["x"])
    run = dask.delayed(_trimmed, pure=True, nout=len(outputs))
    layers: dict[str, list[list[da.Array]]] = {name: [] for name in outputs}
    for line in windows_of(shape, halo=halo, size=size):
        for blocks in layers.values():
            blocks.append([])
        for window in line:
            cut = [None if array is None else _cut(array, window) for array in inputs]
            results = run(block, window, tuple(outputs.values()), placed, *cut)
            own = (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
            for result, (name, dtype) in zip(results, outputs.items(), strict=True):
                layers[name][-1].append(da.from_delayed(result, shape=own, dtype=dtype))
    coords = {name: value for name, value in template.coords.items() if set(value.dims) <= {"y", "x"}}
    return xr.Dataset({name: (("y", "x"), da.block(blocks)) for name, blocks in layers.items()}, coords=coords)


def _cut(array: xr.DataArray, window: Window) -> np.ndarray | da.Array:
    """What one window reads of an input."""
    return array.data[..., window.halo_rows, window.halo_columns]


def _trimmed(
    block: Block, window: Window, dtypes: tuple[str, ...], placed: bool, *arrays: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Run ``block`` and cut its halo off."""
    results = block(window, *arrays) if placed else block(*arrays)
    return tuple(
        np.ascontiguousarray(result[window.core], dtype=dtype) for result, dtype in zip(results, dtypes, strict=True)
    )
