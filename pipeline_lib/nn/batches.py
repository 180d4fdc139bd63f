"""Batches for training: patches of chips, augmented, as tensors; batch k is the same whenever it is asked for."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline_lib.nn.augment import BandScale, augment
from pipeline_lib.nn.sampling import Window, rng_of
from pipeline_lib.options.train import AugmentOptions

Batch = dict[str, Tensor]


class Sampler(Protocol):
    """Draws windows."""

    patch_px: int

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """``count`` patches."""
        ...


class BatchSource(Protocol):
    """Gives batch number ``step``."""

    def batch(self, step: int) -> Batch:
        """Tensors by name."""
        ...


@dataclass(frozen=True, kw_only=True)
class PatchSource:
    """Patches from chips.

    A batch holds ``image`` ``(chip, band, y, x)`` float32 without NaN (0 = not observed, which is the mean), one
    tensor per entry of ``maps`` and per entry of ``views``.
    """

    images: Any
    """``(chip, band, y, x)`` float32, NumPy or Zarr."""
    bands: NDArray[np.intp]
    """Bands of ``image``."""
    maps: dict[str, Any]
    """``label`` and other maps ``(chip, y, x)``: uint8 become int64, floats stay (NaN kept)."""
    parts: Sequence[tuple[Sampler, int]]
    """Samplers and how many patches each contributes to a batch."""
    scale: BandScale
    """Of all bands of ``images``."""
    options: AugmentOptions
    seed: int
    views: dict[str, NDArray[np.intp]] = field(default_factory=dict)
    """More images of the same patch from other bands (``teacher``)."""
    per_chip: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    """One value per chip, handed on."""
    clean: bool = False
    """Leave the augmentation out."""

    def batch(self, step: int) -> Batch:
        """Batch of that step."""
        rng = rng_of(self.seed, step)
        windows = [window for sampler, count in self.parts for window in sampler.draw(count, rng)]
        side = self.parts[0][0].patch_px
        rows = [self._patch(window, side, rng) for window in windows]
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        for name, values in self.per_chip.items():
            batch[name] = torch.from_numpy(values[[window.chip for window in windows]])
        batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
        return batch

    def _patch(self, window: Window, side: int, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
        ys, xs = slice(window.y, window.y + side), slice(window.x, window.x + side)
        image = np.asarray(self.images[window.chip, :, ys, xs], dtype=np.float32)
        maps = [np.asarray(array[window.chip, ys, xs]) for array in self.maps.values()]
        if not self.clean:
            label = list(self.maps).index("label") if "label" in self.maps else None
            image, maps = augment(image, maps, self.scale, self.options, rng, label)
        row: dict[str, NDArray[np.generic]] = {"image": fill(image[self.bands])}
        for name, bands in self.views.items():
            row[name] = fill(image[bands])
        for name, array in zip(self.maps, maps, strict=True):
            kind = np.int64 if array.dtype == np.uint8 else np.float32
            row[name] = np.ascontiguousarray(array, dtype=kind)
        return row


class Ahead:
    """A source whose next batch is made while the device works on this one, and travels from pinned memory."""

    def __init__(self, source: BatchSource, device: str, steps: int) -> None:
        """``device`` is torch's name; no batch is made ahead for step ``steps`` or later."""
        self._source, self._device, self._steps = source, device, steps
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """Batch of that step, on the device."""
        made = self._coming.pop(step, None) or self._maker.submit(self._pinned, step)
        following = range(step + 1, min(step + 2, self._steps))
        self._coming = {number: self._maker.submit(self._pinned, number) for number in following}
        return {name: value.to(self._device, non_blocking=True) for name, value in made.result().items()}

    def close(self) -> None:
        """Wait for the batch that nobody asks for where training stopped early."""
        self._maker.shutdown(cancel_futures=True)

    def _pinned(self, step: int) -> Batch:
        batch = self._source.batch(step)
        return {name: value.pin_memory() for name, value in batch.items()} if self._device == "cuda" else batch


def fill(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """0, the mean in network units, where not observed.

    Any shape, network units, NaN = not observed.
    """
    return np.ascontiguousarray(np.nan_to_num(image, nan=0.0), dtype=np.float32)
