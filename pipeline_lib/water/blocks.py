"""Blocks: how a whole scene is worked on piece by piece, so that memory is bounded and chunking cannot show.

Every detector first cuts its inputs into the same blocks, whatever chunks they came in. Neighbourhoods reach over the
cuts by a halo. A result is therefore a function of the pixels alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.halo import with_halo

BLOCK_PX = 1024
"""Side of a block: 4 MiB of float32; a multiple of `pipeline_lib.water.histogram.TILE_PX`."""


@dataclass(frozen=True)
class BlockGrid:
    """The cut of a (y, x) plane into blocks of `block_px`; the last of a row or column may be up to 1.5 x as long."""

    shape: tuple[int, int]
    block_px: int = BLOCK_PX

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Dask chunks of the plane."""
        return _cut(self.shape[0], self.block_px), _cut(self.shape[1], self.block_px)

    @property
    def counts(self) -> tuple[int, int]:
        """Blocks along y and x."""
        rows, columns = self.chunks
        return len(rows), len(columns)

    def blocked(self, array: xr.DataArray | npt.NDArray[Any] | da.Array) -> da.Array:
        """The array, last two dims (y, x), cut into the grid's blocks; dims before them in one piece."""
        data = array.data if isinstance(array, xr.DataArray) else array
        leading = tuple((size,) for size in data.shape[:-2])
        if isinstance(data, da.Array):
            return data.rechunk(leading + self.chunks)
        return da.from_array(np.asarray(data), chunks=leading + self.chunks)


def _cut(size: int, block_px: int) -> tuple[int, ...]:
    """Whole blocks, a short rest joined to the last of them."""
    full, rest = divmod(size, block_px)
    if full == 0:
        return (size,)
    if rest == 0:
        return (block_px,) * full
    if 2 * rest < block_px:
        return (block_px,) * (full - 1) + (block_px + rest,)
    return (block_px,) * full + (rest,)


def map_with_halo(
    function: Callable[..., npt.NDArray[Any]],
    inputs: Mapping[str, da.Array],
    *,
    halo_px: int,
    dtype: npt.DTypeLike,
    arguments: Mapping[str, Any],
) -> da.Array:
    """Apply ``function(**arrays, **arguments)`` to each block with a halo, and cut the halo off the answer.

    At the scene's edge there is no halo: the function sees the edge as it is. All inputs share one `BlockGrid`.

    Args:
        function: keyword arrays with last dims (y, x) in, one (y, x) array of the same extent out.
        inputs: arrays under the names the function knows.
        halo_px: pixels that an output pixel may look away from itself.
        dtype: of the answer.
        arguments: further keyword arguments, the same for every block.
    """
    names = tuple(inputs)
    grid = next(iter(inputs.values()))
    rows, columns = grid.chunks[-2:]
    widened = [with_halo(array, halo_px) for array in inputs.values()]
    subscripts: list[Any] = []
    for array in widened:
        leading = tuple(f"d{len(names)}{position}" for position in range(array.ndim - 2))
        subscripts += [array, (*leading, "y", "x")]
    answer = da.blockwise(
        _call,
        "yx",
        *subscripts,
        names=names,
        function=function,
        arguments=dict(arguments),
        dtype=dtype,
        align_arrays=False,
        concatenate=True,
        meta=np.empty((0, 0), dtype=dtype),
    )
    return _trimmed(answer, halo_px, (rows, columns))


def _call(
    *arrays: npt.NDArray[Any],
    names: tuple[str, ...],
    function: Callable[..., npt.NDArray[Any]],
    arguments: dict[str, Any],
) -> npt.NDArray[Any]:
    """Give each block to the function under its name."""
    return function(**dict(zip(names, arrays, strict=True)), **arguments)


def _trimmed(array: da.Array, halo_px: int, chunks: tuple[tuple[int, ...], tuple[int, ...]]) -> da.Array:
    """Undo `with_halo`."""
    if halo_px == 0:
        return array
    return array.map_blocks(
        _trim, halo_px=halo_px, chunks=chunks, dtype=array.dtype, meta=np.empty((0, 0), array.dtype)
    )


def _trim(block: npt.NDArray[Any], halo_px: int, block_info: Any = None) -> npt.NDArray[Any]:
    """Cut the halo off the sides that have a neighbour."""
    here, counts = block_info[0]["chunk-location"], block_info[0]["num-chunks"]
    rows = slice(halo_px if here[0] > 0 else 0, block.shape[0] - (halo_px if here[0] < counts[0] - 1 else 0))
    columns = slice(halo_px if here[1] > 0 else 0, block.shape[1] - (halo_px if here[1] < counts[1] - 1 else 0))
    return block[rows, columns]
