"""What runs a network sees tiles and gives odds."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Tiles = NDArray[np.float32]


class OutOfMemory(Exception):  # noqa: N818 - a condition that is handled, not an error that is shown
    """The device has no room for this batch; the caller halves it."""


class Backend(Protocol):
    """Runs batches of tiles."""

    name: str

    def odds(self, tiles: Tiles) -> Tiles:
        """Log-odds ``(tile, y, x)`` of ``(tile, band, y, x)`` in network units without NaN.

        Raises:
            OutOfMemory: the batch is too large for the device.
        """
        ...
