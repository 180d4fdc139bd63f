"""Histograms of backscatter per tile of the scene: all that thresholding ever needs to see of it.

Tiles of 64 x 64 pixels are anchored at the scene's upper left corner; larger tiles are sums of them. One visit to the
pixels therefore serves every tile size and every way of choosing tiles, and costs 0.1 byte a pixel of memory.
"""

from dataclasses import dataclass

import dask
import dask.array as da
import numba
import numpy as np
import numpy.typing as npt

from pipeline_lib.water.filtering import TABLE_SIZE, boxcar, table_of

Counts = npt.NDArray[np.uint32]

TILE_PX = 64
LOWEST_DB = -42.0
STEP_DB = 0.25
BINS = 192
"""From -42 dB to +6 dB; what lies beyond counts in the outermost bins."""
CENTRES_DB: npt.NDArray[np.float64] = LOWEST_DB + STEP_DB * (np.arange(BINS, dtype=np.float64) + 0.5)
_SHIFT = 15


def _bin_of(decibel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Bin number of a value in dB."""
    return np.clip(np.floor((decibel - LOWEST_DB) / STEP_DB), 0, BINS - 1)


_BIN_TABLE = np.nan_to_num(table_of(_bin_of), nan=255.0).astype(np.uint8)
assert _BIN_TABLE.size == TABLE_SIZE  # noqa: S101 - the kernel below indexes it unchecked


@dataclass(frozen=True)
class TileHistograms:
    """Counts of filtered backscatter, uint32 (tile_y, tile_x, bin), of one polarisation."""

    counts: Counts
    tile_px: int = TILE_PX

    @property
    def scene(self) -> npt.NDArray[np.float64]:
        """The whole scene's histogram.

        Dims (bin), pixels.
        """
        total: npt.NDArray[np.float64] = self.counts.sum(axis=(0, 1), dtype=np.float64)
        return total

    def coarsened(self, factor: int) -> "TileHistograms":
        """Tiles ``factor`` times as large; those at the far edges hold fewer pixels."""
        rows, columns, bins = self.counts.shape
        padded = np.zeros((-(-rows // factor) * factor, -(-columns // factor) * factor, bins), dtype=np.uint32)
        padded[:rows, :columns] = self.counts
        grouped = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor, bins)
        return TileHistograms(grouped.sum(axis=(1, 3), dtype=np.uint32), self.tile_px * factor)

    def moments(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Number of pixels, mean and standard deviation in dB of each tile; NaN where a tile is empty.

        Dims (tile row, tile column).
        """
        number = self.counts.sum(axis=2, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (self.counts @ CENTRES_DB) / number
            variance = (self.counts @ CENTRES_DB**2) / number - mean**2
        return number, mean, np.sqrt(np.maximum(variance, 0.0))


@numba.njit(nogil=True, cache=True)
def _count(power: npt.NDArray[np.float32], bins: npt.NDArray[np.uint8], tile_px: int) -> Counts:
    """Histogram of each tile of a block."""
    rows, columns = power.shape
    counts = np.zeros((-(-rows // tile_px), -(-columns // tile_px), BINS), dtype=np.uint32)
    bits = power.reshape(-1).view(np.uint32)
    for y in range(rows):
        for x in range(columns):
            found = bins[(bits[y * columns + x] & 0x7FFFFFFF) >> _SHIFT]
            if found < BINS:
                counts[y // tile_px, x // tile_px, found] += np.uint32(1)
    return counts


def _block_histograms(power: npt.NDArray[np.float32], radius: int, margin: tuple[int, int, int, int]) -> Counts:
    """Filter a block that carries a margin (top, bottom, left, right), cut the margin off, count."""
    filtered = boxcar(np.ascontiguousarray(power, dtype=np.float32), radius)
    top, bottom, left, right = margin
    inner = filtered[top : filtered.shape[0] - bottom, left : filtered.shape[1] - right]
    return _count(np.ascontiguousarray(inner), _BIN_TABLE, TILE_PX)


def tile_histograms(powers: dict[str, da.Array], *, radius: int) -> dict[str, TileHistograms]:
    """Histograms of several polarisations in one visit to the scene.

    Args:
        powers: name to float32 (y, x), linear power, cut by a `BlockGrid` (block sides are multiples of the tile).
        radius: of the boxcar that is applied first, as the detector applies it later.

    Raises:
        ValueError: a block cuts a tile.
    """
    cut = [size for power in powers.values() for sizes in power.chunks for size in sizes[:-1]]
    if any(size % TILE_PX for size in cut):
        raise ValueError(f"Blocks of {cut} pixels: each but the last must hold whole tiles of {TILE_PX}.")
    tasks, places = [], []
    for name, power in powers.items():
        for place in np.ndindex(*power.numblocks):
            window, margin = _window(power, place, radius)
            tasks.append(dask.delayed(_block_histograms)(window, radius, margin))
            places.append((name, place))
    blocks = dict(zip(places, dask.compute(*tasks), strict=True))
    found = {}
    for name, power in powers.items():
        rows, columns = power.numblocks
        counts = [[blocks[name, (row, column)] for column in range(columns)] for row in range(rows)]
        found[name] = TileHistograms(np.concatenate([np.concatenate(row, axis=1) for row in counts], axis=0))
    return found


def _window(power: da.Array, place: tuple[int, ...], radius: int) -> tuple[da.Array, tuple[int, int, int, int]]:
    """One block with as much margin as there is."""
    cuts, margins = [], []
    for axis, position in enumerate(place):
        start = sum(power.chunks[axis][:position])
        stop = start + power.chunks[axis][position]
        low, high = max(0, start - radius), min(power.shape[axis], stop + radius)
        cuts.append(slice(low, high))
        margins += [start - low, high - stop]
    return power[cuts[0], cuts[1]], (margins[0], margins[1], margins[2], margins[3])
