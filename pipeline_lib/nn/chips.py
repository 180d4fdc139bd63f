"""The chip store: labelled images as a Zarr group, read patch by patch while training.

Layout of the group: ``images`` float16 ``(chip, band, y, x)`` in network units (steps of 0.004 at most), NaN = not
observed; ``labels`` uint8
``(chip, y, x)``, 0 dry, 1 water, 255 ignored; ``tags`` uint8 ``(chip,)`` image-level label (1 holds water, 0 none, 255
unknown); ``lag_days`` float32 ``(chip,)``; attributes ``bands``, ``chip_ids``, ``groups``, ``events``, ``sources``,
``provenance``.
One Zarr chunk is one chip, so that a patch costs one chip.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline_lib.atomic import whole_folder
from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.nn.labels import IGNORE


@dataclass(frozen=True, kw_only=True)
class LabelledChip:
    """One chip on its way into the store."""

    chip_id: str
    group: str
    """Chips of one group (event, look-alike cluster, seed) are never parted by a split."""
    event: str
    image: NDArray[np.float32]
    """``(band, y, x)`` in network units, NaN = not observed."""
    label: NDArray[np.uint8]
    """``(y, x)``: 0 dry, 1 water, 255 ignored."""
    tag: int = IGNORE
    """Image-level label."""
    lag_days: float = 0.0
    """Days between the radar and the optical image."""
    source: str = ""
    """Data set it comes from."""


@dataclass(frozen=True, kw_only=True)
class ChipSet:
    """Chips in memory or on disk; ``images`` and ``labels`` may be NumPy or Zarr arrays."""

    images: Any
    labels: Any
    tags: NDArray[np.uint8]
    lag_days: NDArray[np.float32]
    bands: tuple[str, ...]
    chip_ids: tuple[str, ...]
    groups: tuple[str, ...]
    events: tuple[str, ...]
    sources: tuple[str, ...] = ()
    """Data set of every chip; empty in stores written before it was kept."""
    provenance: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of chips."""
        return len(self.chip_ids)

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of every chip."""
        return int(self.labels.shape[1]), int(self.labels.shape[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that a network can learn from, wherever the chips lie."""
        named = (self.bands, self.chip_ids, self.groups, self.events, self.sources)
        facts = [*named, self.provenance, list(self.images.shape)]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for array in (self.tags, self.lag_days):
            digest.update(np.ascontiguousarray(array).tobytes())
        for chip in range(len(self)):
            digest.update(np.asarray(self.images[chip], np.float32).tobytes())
            digest.update(np.asarray(self.labels[chip], np.uint8).tobytes())
        return digest.hexdigest()

    def band_index(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Positions of bands by name.

        One index for each name, in their order.

        Raises:
            InputError: a band is not in the set.
        """
        missing = [name for name in names if name not in self.bands]
        if missing:
            raise InputError(f"The chips have no band {', '.join(missing)}; they have {', '.join(self.bands)}.")
        return np.array([self.bands.index(name) for name in names], dtype=np.intp)

    def folds(self, count: int, among: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
        """Fold of each chip: whole groups, balanced by number of chips, independent of chip order.

        Groups are dealt largest first to the fold that holds fewest chips (ties: lowest fold, then group name).

        Args:
            count: number of folds.
            among: (chip) which chips are dealt; None: all.

        Returns (chip) numbers 0 to ``count`` - 1, and ``count`` for chips that are not dealt.
        """
        sizes: dict[str, int] = {}
        dealt = self.groups if among is None else [self.groups[k] for k in np.flatnonzero(among)]
        for group in dealt:
            sizes[group] = sizes.get(group, 0) + 1
        load = [0] * count
        fold_of: dict[str, int] = {}
        for group in sorted(sizes, key=lambda name: (-sizes[name], name)):
            fold = load.index(min(load))
            fold_of[group] = fold
            load[fold] += sizes[group]
        return np.array([fold_of.get(group, count) for group in self.groups], dtype=np.intp)


def write_chips(
    folder: Path, chips: Iterable[LabelledChip], bands: Sequence[str], provenance: dict[str, Any] | None = None
) -> ChipSet:
    """Stream chips into a new store and open it; the folder appears only when complete.

    Raises:
        InputError: no chips, or chips of different shapes.
        StoreError: the folder cannot be written.
    """
    with whole_folder(folder) as partial:
        _write_group(zarr.open_group(str(partial), mode="w", zarr_format=2), chips, bands, provenance or {})
    return open_chips(folder)


def _observed(chip: LabelledChip, bands: Sequence[str]) -> bool:
    """Whether any pixel of a chip was observed.

    Raises:
        InputError: it holds infinite values, which training would meet as a loss that is not finite.
    """
    infinite = [name for name, band in zip(bands, chip.image, strict=True) if np.isinf(band).any()]
    if infinite:
        raise InputError(
            f"Chip {chip.chip_id} holds infinite values in {', '.join(infinite)}; write no-data as NaN, or as the "
            "raster's own no-data value."
        )
    return bool(np.isfinite(chip.image).any())


def _write_group(group: Any, chips: Iterable[LabelledChip], bands: Sequence[str], provenance: dict[str, Any]) -> None:
    images: Any = None
    labels: Any = None
    seen = False
    facts: dict[str, list[Any]] = {key: [] for key in ("tags", "lag_days", "chip_ids", "groups", "events", "sources")}
    for count, chip in enumerate(chips):
        if images is None:
            shape = chip.image.shape
            images = group.create_array("images", shape=(0, *shape), chunks=(1, *shape), dtype="float16")
            labels = group.create_array("labels", shape=(0, *shape[1:]), chunks=(1, *shape[1:]), dtype="uint8")
        if chip.image.shape != images.shape[1:] or chip.label.shape != chip.image.shape[1:]:
            raise InputError(
                f"Chip {chip.chip_id} has shape {chip.image.shape} and label {chip.label.shape}; "
                f"expected {tuple(images.shape[1:])}: a store holds chips of one size."
            )
        seen |= _observed(chip, bands)
        images.resize((count + 1, *images.shape[1:]))
        labels.resize((count + 1, *labels.shape[1:]))
        images[count], labels[count] = chip.image, chip.label
        row = (chip.tag, chip.lag_days, chip.chip_id, chip.group, chip.event, chip.source)
        for key, value in zip(facts, row, strict=True):
            facts[key].append(value)
    if images is None:
        raise InputError("There is no chip to learn from: check the dataset, its folder and the event's dates.")
    if not seen:
        raise InputError("No chip has a pixel that was observed: every value is no-data, so there is nothing to learn.")
    group.attrs.update({"bands": list(bands), "provenance": provenance, **facts})


def open_chips(folder: Path, *, in_memory: bool = False) -> ChipSet:
    """Open a chip store; patches are read from disk unless ``in_memory``.

    Raises:
        StoreError: the folder is not a chip store.
    """
    try:
        group = zarr.open_group(str(folder), mode="r")
        facts: dict[str, Any] = dict(group.attrs)
        images: Any = group["images"]
        labels: Any = group["labels"]
    except (OSError, KeyError, ValueError) as error:
        raise StoreError(f"{folder} is not a chip store ({error}); make one with `overbank train`.") from error
    return ChipSet(
        images=np.asarray(images[:]) if in_memory else images,
        labels=np.asarray(labels[:]) if in_memory else labels,
        tags=np.asarray(facts["tags"], dtype=np.uint8),
        lag_days=np.asarray(facts["lag_days"], dtype=np.float32),
        bands=tuple(facts["bands"]),
        chip_ids=tuple(facts["chip_ids"]),
        groups=tuple(facts["groups"]),
        events=tuple(facts["events"]),
        sources=tuple(facts.get("sources", ())),
        provenance=dict(facts["provenance"]),
    )
