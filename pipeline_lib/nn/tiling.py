"""Tiles of a block: exact by halo for local networks, blended by Hann windows for global ones.

Both lay tiles on a grid that is anchored at the scene's origin, and see "not observed" beyond the scene, so that a
pixel's value depends on the scene alone and never on how it was cut into blocks.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.nn.tiles import Backend, OutOfMemory, Tiles

LEAST_WEIGHT = 1e-3


@dataclass
class Runner:
    """Runs tiles through a backend in batches; halves the batch when the device runs out of memory, and stays there.

    Threads share it: each call goes through its tiles with a batch of its own, and the one that the next call starts
    with only ever shrinks. A single tile that finds no room is run again while no other call is on the device.
    """

    backend: Backend
    batch: int = 1
    on_halved: Callable[[int], None] | None = None
    _turn: threading.Condition = field(default_factory=threading.Condition, init=False, repr=False, compare=False)
    _running: int = field(default=0, init=False, repr=False, compare=False)
    """Calls that are on the device now; guarded by ``_turn``, as is ``batch``."""

    def odds(self, tiles: Tiles) -> Tiles:
        """Log-odds of all tiles.

        Raises:
            OutOfMemory: not even one tile fits on a device that no other call of this runner uses.
        """
        done: list[Tiles] = []
        start, batch = 0, self.batch
        while start < len(tiles):
            some = tiles[start : start + batch]
            try:
                with self._beside_others():
                    done.append(self.backend.odds(some))
            except OutOfMemory:
                if len(some) > 1:
                    batch = self._halved(len(some))
                    continue
                with self._alone():
                    done.append(self.backend.odds(some))
            start += len(some)
        return done[0] if len(done) == 1 else np.concatenate(done)

    def _halved(self, tried: int) -> int:
        """The batch to go on with where ``tried`` tiles found no room."""
        with self._turn:
            smaller = tried // 2
            if smaller < self.batch:
                self.batch = smaller
                if self.on_halved is not None:
                    self.on_halved(smaller)
            return self.batch

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        """Be on the device, maybe with others."""
        with self._turn:
            self._running += 1
        try:
            yield
        finally:
            with self._turn:
                self._running -= 1
                self._turn.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be on the device when all others have left it; those who come meanwhile wait."""
        with self._turn:
            self._turn.wait_for(lambda: self._running == 0)
            yield


def halo_odds(image: Tiles, runner: Runner, *, tile: tuple[int, int], halo: int) -> Tiles:
    """Log-odds of a block of whole tiles that carries its halo on all sides.

    Args:
        image: ``(band, y + 2 halo, x + 2 halo)`` network units without NaN; y and x multiples of the tile's.
        runner: runs the tiles.
        tile: height and width of a tile's centre, multiples of the network's coarsest stride.
        halo: margin, at least half the receptive field, a multiple of the stride too.

    Returns:
        ``(y, x)`` float32.
    """
    height, width = image.shape[1] - 2 * halo, image.shape[2] - 2 * halo
    out = np.empty((height, width), np.float32)
    places = [(y, x) for y in range(0, height, tile[0]) for x in range(0, width, tile[1])]
    around = tile[0] + 2 * halo, tile[1] + 2 * halo
    batch = runner.batch  # it may shrink meanwhile
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        cut = [image[None, :, y : y + around[0], x : x + around[1]] for y, x in some]
        odds = runner.odds(np.ascontiguousarray(cut[0] if len(cut) == 1 else np.concatenate(cut)))
        for (y, x), tile_odds in zip(some, odds, strict=True):
            inner = tile_odds[halo : halo + tile[0], halo : halo + tile[1]]
            out[y : y + tile[0], x : x + tile[1]] = inner
    return out


def hann(side: int) -> NDArray[np.float32]:
    """Separable window ``sin^2(pi (i + 1/2) / side)``; at half overlap the windows of neighbours sum to one.

    Dims (side, side), float32.
    """
    line = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    return np.maximum(np.outer(line, line), LEAST_WEIGHT).astype(np.float32)


def blended(image: Tiles, runner: Runner, to_probability: Callable[[Tiles], Tiles], *, tile: int) -> Tiles:
    """Calibrated probability of a block whose margin is half a tile, by windows at half overlap.

    Args:
        image: ``(band, y + tile, x + tile)``: the block with half a tile around it; y and x multiples of half a tile.
        runner: runs the windows.
        to_probability: from log-odds; probabilities are blended, not log-odds.
        tile: side of a window.

    Returns:
        ``(y, x)`` float32.
    """
    half = tile // 2
    height, width = image.shape[1], image.shape[2]
    total, weight = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    window = hann(tile)
    for y in range(0, height - tile + 1, half):
        for x in range(0, width - tile + 1, half):
            odds = runner.odds(np.ascontiguousarray(image[None, :, y : y + tile, x : x + tile]))[0]
            total[y : y + tile, x : x + tile] += window * to_probability(odds)
            weight[y : y + tile, x : x + tile] += window
    inner = slice(half, height - half), slice(half, width - half)
    return np.asarray(total[inner] / weight[inner], dtype=np.float32)
