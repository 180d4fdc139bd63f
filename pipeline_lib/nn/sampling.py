"""Class-balanced random patches (Volpi & Tuia 2017), drawn so that step k is always the same patches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import InputError
from pipeline_lib.nn.labels import IGNORE


@dataclass(frozen=True)
class Window:
    """A patch: which chip, and its upper left corner."""

    chip: int
    y: int
    x: int


def rng_of(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """A generator that depends on seed, step and stream alone: a resumed run draws what it would have drawn."""
    return np.random.default_rng([seed, step, stream])


class BalancedSampler:
    """Draws patches in space and with respect to class frequency.

    A class is drawn first (water with ``water_share``), then a chip in proportion to its pixels of that class, then
    a pixel of that class in it; the patch is laid around it with a jitter of a quarter of its side, and moved inside
    the chip. Chips without labels (`uniform` alone) can be drawn uniformly.

    References: Volpi & Tuia 2017, section III-B.
    """

    def __init__(
        self,
        labels: NDArray[np.uint8],
        chips: NDArray[np.intp],
        *,
        patch_px: int,
        water_share: float = 0.5,
        evenness: float = 1.0,
    ) -> None:
        """Count the classes of the chips that may be drawn; a chip's chance is its pixels to the power of ``evenness``.

        Raises:
            InputError: no chip, no labelled pixel, or a patch larger than the chips.
        """
        if len(chips) == 0:
            raise InputError("There is no chip to draw patches from.")
        if patch_px > min(labels.shape[1:]):
            raise InputError(f"patch_px {patch_px} is larger than the chips, {labels.shape[1]} x {labels.shape[2]}.")
        self.labels, self.chips, self.patch_px = labels, chips, patch_px
        counts = np.array([[(labels[k] == c).sum() for k in chips] for c in (0, 1)], dtype=np.float64)
        if not counts.any():
            raise InputError("None of the chips has a labelled pixel: nothing can be learned from them.")
        self.weights = counts**evenness * (counts > 0)
        # One class alone is drawn all the time: balancing it against nothing would divide by zero.
        self.water_share = 1.0 if not counts[0].any() else 0.0 if not counts[1].any() else water_share

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """``count`` patches."""
        return [self._one(rng) for _ in range(count)]

    def _one(self, rng: np.random.Generator) -> Window:
        wanted = int(rng.random() < self.water_share)
        weights = self.weights[wanted]
        chip = int(self.chips[rng.choice(len(self.chips), p=weights / weights.sum())])
        label = np.asarray(self.labels[chip])
        pixels = np.flatnonzero(label == wanted)
        row, column = divmod(int(pixels[rng.integers(len(pixels))]), label.shape[1])
        jitter = rng.integers(-(self.patch_px // 4), self.patch_px // 4 + 1, size=2)
        return Window(
            chip,
            _inside(row + int(jitter[0]), self.patch_px, label.shape[0]),
            _inside(column + int(jitter[1]), self.patch_px, label.shape[1]),
        )


class EventSampler:
    """Draws an event first, each equally often, then a balanced patch of its chips: a small event is worth a large one.

    Within an event a chip's chance grows with the root of its pixels, so that one lake does not outweigh every river.
    Events without a labelled pixel are left out.
    """

    def __init__(
        self,
        labels: NDArray[np.uint8],
        chips: NDArray[np.intp],
        events: Sequence[str],
        *,
        patch_px: int,
        water_share: float = 0.5,
    ) -> None:
        """One `BalancedSampler` an event; ``events`` names the event of every chip of ``labels`` (chip, y, x).

        Raises:
            InputError: no chip has a labelled pixel, or a patch is larger than the chips.
        """
        of_event: dict[str, list[int]] = {}
        for chip in chips:
            if (labels[chip] != IGNORE).any():
                of_event.setdefault(events[int(chip)], []).append(int(chip))
        if not of_event:
            raise InputError(
                "None of the further datasets' chips has a labelled pixel: nothing can be learned from them."
            )
        self.patch_px = patch_px
        self.samplers = [
            BalancedSampler(
                labels, np.array(members, np.intp), patch_px=patch_px, water_share=water_share, evenness=0.5
            )
            for _, members in sorted(of_event.items())
        ]

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """``count`` patches."""
        return [self.samplers[int(rng.integers(len(self.samplers)))].draw(1, rng)[0] for _ in range(count)]


class UniformSampler:
    """Draws chips and positions uniformly: for chips whose labels may not be seen."""

    def __init__(self, size_px: tuple[int, int], chips: NDArray[np.intp], *, patch_px: int) -> None:
        """Any chip, any position."""
        if len(chips) == 0:
            raise InputError("There is no unlabelled chip to draw patches from.")
        self.size_px, self.chips, self.patch_px = size_px, chips, patch_px

    def draw(self, count: int, rng: np.random.Generator) -> list[Window]:
        """``count`` patches."""
        return [
            Window(
                int(rng.choice(self.chips)),
                int(rng.integers(0, self.size_px[0] - self.patch_px + 1)),
                int(rng.integers(0, self.size_px[1] - self.patch_px + 1)),
            )
            for _ in range(count)
        ]


def _inside(centre: int, patch: int, size: int) -> int:
    return min(max(centre - patch // 2, 0), size - patch)
