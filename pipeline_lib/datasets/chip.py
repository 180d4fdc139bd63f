"""One labelled chip of any dataset: files, how their numbers are meant, and arrays read only when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from scipy import ndimage

from pipeline_lib.errors import RasterError, shown
from pipeline_lib.model import DRY, NOT_OBSERVED, WATER

FULL = 255
"""The largest number of 8 bit."""


class Meaning(StrEnum):
    """What a label calls water; scores of different meanings must never be compared."""

    ALL_WATER = "all water"
    """Permanent water included."""
    FLOOD = "flood only"
    """Permanent water is labelled dry."""


class Unit(StrEnum):
    """What stored numbers are."""

    LINEAR = "linear power"
    DECIBEL = "dB"
    BYTE = "8 bit"
    """A contrast stretch without a published way back to dB."""
    REFLECTANCE = "reflectance x 10000"
    INDEX = "normalised difference"


@dataclass(frozen=True, kw_only=True)
class Band:
    """One band of one file, or of several that together cover the chip."""

    path: Path
    index: int = 1
    """1-based band number."""
    also: tuple[Path, ...] = ()
    """Further pieces (slices, tiles) that fill what the first leaves empty; only with ``onto``."""
    onto: Path | None = None
    """Raster whose grid the band is warped to (bilinear, float32, NaN = no data); None = as stored."""
    absent: tuple[float, ...] = ()
    """Stored numbers that mean "not known"; read as NaN (float32)."""

    def read(self) -> NDArray[np.generic]:
        """Stored numbers, dims (y, x).

        Raises:
            RasterError: the file is missing or damaged, or has no such band.
        """
        try:
            if self.onto is not None:
                return self._warped(self.onto)
            if self.path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
                return _picture_band(self.path, self.index)
            with rasterio.open(self.path) as raster:
                band: NDArray[np.generic] = raster.read(self.index)
            return np.where(np.isin(band, self.absent), np.nan, band).astype(np.float32) if self.absent else band
        except (OSError, IndexError, rasterio.errors.RasterioError) as error:
            raise RasterError(f"Cannot read band {self.index} of {self.path}: {shown(error)}.") from error

    def _warped(self, onto: Path) -> NDArray[np.float32]:
        with rasterio.open(onto) as grid:
            place = {"crs": grid.crs, "transform": grid.transform, "width": grid.width, "height": grid.height}
        whole = np.full((place["height"], place["width"]), np.nan, np.float32)
        for path in (self.path, *self.also):
            with (
                rasterio.open(path) as raster,
                WarpedVRT(raster, **place, resampling=Resampling.bilinear, dtype="float32", nodata=np.nan) as warped,
            ):
                piece = warped.read(self.index)
            whole = np.where(np.isnan(whole), piece, whole)
        return whole


def _picture_band(path: Path, index: int) -> NDArray[np.generic]:
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    return pixels if pixels.ndim == 2 and index == 1 else pixels[:, :, index - 1]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The nominal way from 8 bit to backscatter: linear in dB from 0 to 255."""

    db_at_0: float
    db_at_255: float


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Bands of one sensor at one date on the chip's grid."""

    bands: Mapping[str, Band]
    """Name (``vv``, ``vh``, ``B03`` ...) to file band."""
    unit: Unit
    stretch: Mapping[str, Stretch] = field(default_factory=dict)
    """For 8 bit bands: the nominal stretch, by band name."""
    blank: tuple[int, ...] = ()
    """Stored values that mean "no data" where every band holds the same one of them..."""
    blank_area_px: int = 1
    """...in a connected area of at least this many pixels; smaller ones are saturated pixels, not holes."""
    shift: tuple[int, int] = (0, 0)
    """Rows and columns by which the stored image must be moved to lie on the chip's grid."""
    crop: tuple[slice, slice] | None = None
    """Window of the stored image; None = all of it."""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """``acquisition_id``, ``datetime``, ``relative_orbit``, ``orbit_direction``, ``platform``, where known."""

    def read(self) -> dict[str, NDArray[np.generic]]:
        """Stored numbers by band name, dims (y, x), moved onto the chip's grid."""
        return {name: self._placed(band.read()) for name, band in self.bands.items()}

    def _placed(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        moved = np.roll(stored, self.shift, axis=(0, 1)) if any(self.shift) else stored
        return moved if self.crop is None else moved[self.crop]

    def observed(self, stored: Mapping[str, NDArray[np.generic]] | None = None) -> NDArray[np.bool_]:
        """True where any band holds data; rolled-in edges of a shifted image are not data.

        Args:
            stored: the bands as `read` gives them, (y, x) each; read now where None.

        Returns:
            (y, x) bool.
        """
        arrays = list((stored or self.read()).values())
        seen = np.zeros(arrays[0].shape, bool)
        for array in arrays:
            seen |= np.isfinite(array)
        for value in self.blank:
            seen &= ~_large_areas(np.logical_and.reduce([array == value for array in arrays]), self.blank_area_px)
        return seen & self._not_rolled_in(seen.shape)

    def _not_rolled_in(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        inside = np.ones(shape, bool)
        for axis, step in enumerate(self.shift):
            edge = slice(None, step) if step > 0 else slice(shape[axis] + step, None)
            if step:
                inside[(edge, slice(None)) if axis == 0 else (slice(None), edge)] = False
        return inside

    def backscatter(self) -> dict[str, NDArray[np.float32]]:
        """Linear power by polarisation, float32, NaN = not observed.

        8 bit bands go through their nominal stretch: thresholds in dB mean little there.

        Each array has dims (y, x).

        Raises:
            RasterError: a file is missing or damaged, or greys of an 8 bit set are not of 8 bit.
        """
        stored = self.read()
        seen = self.observed(stored)
        return {name: np.where(seen, self._linear(name, values), np.nan) for name, values in stored.items()}

    def _linear(self, name: str, values: NDArray[np.generic]) -> NDArray[np.float32]:
        numbers = values.astype(np.float32)
        if self.unit is Unit.LINEAR:
            return numbers
        if self.unit is Unit.BYTE:
            _refuse_other_than_bytes(values, self.bands[name].path)
            ends = self.stretch[name]
            numbers = np.float32(ends.db_at_0) + numbers * np.float32((ends.db_at_255 - ends.db_at_0) / 255)
        linear: NDArray[np.float32] = np.power(np.float32(10), numbers / np.float32(10), dtype=np.float32)
        return linear

    def scene(self) -> xr.Dataset:
        """The layer as a Scene (see `pipeline_lib.model.check_scene`), without a map grid.

        Variables have dims (y, x): linear power, NaN = not observed.

        Raises:
            RasterError: as `backscatter`.
        """
        bands = {name: (("y", "x"), values, {"units": "1"}) for name, values in self.backscatter().items()}
        nominal = "nominal 8 bit stretch" if self.unit is Unit.BYTE else "as stored"
        return xr.Dataset(bands, attrs={"backscatter": "gamma0", "scaling": nominal, **self.facts})


def _refuse_other_than_bytes(values: NDArray[np.generic], path: Path) -> None:
    """Greys of 16 bit, or from 0 to 1, are no greys of 8 bit: every threshold and scale would be wrong."""
    if values.dtype == np.uint8 or not np.isfinite(values).any():
        return
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low < 0 or high > FULL or 0 < high <= 1:
        raise RasterError(f"{path} holds {values.dtype} from {low:g} to {high:g}; expected 8 bit greys, 0 to 255.")


def _large_areas(mask: NDArray[np.bool_], smallest: int) -> NDArray[np.bool_]:
    if smallest <= 1 or not mask.any():
        return mask
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large: NDArray[np.bool_] = (sizes >= smallest)[labels]
    return large


@dataclass(frozen=True, kw_only=True)
class Label:
    """A class raster and what its codes mean; every other code is "no answer".

    Where 255 alone is water, a raster of 0 and 1 is the same mask in other numbers: there 1 is water.
    """

    band: Band
    water: tuple[int, ...] = ()
    dry: tuple[int, ...] = ()
    water_up_to: float | None = None
    """For an elevation raster: numbers up to this one are water (the sea), all others are no answer."""
    crop: tuple[slice, slice] | None = None

    def read(self) -> NDArray[np.uint8]:
        """0 dry, 1 water, 255 no answer; dims (y, x).

        Raises:
            RasterError: the file is missing or damaged, or a mask of 255 holds neither 255 nor 1 but other numbers.
        """
        stored = self.band.read()
        if self.water_up_to is not None:
            sea = np.where(np.asarray(stored, np.float32) <= self.water_up_to, np.uint8(WATER), np.uint8(NOT_OBSERVED))
            return sea if self.crop is None else sea[self.crop]
        water = self._water_in(stored)
        stored = stored if self.crop is None else stored[self.crop]
        codes = np.full(stored.shape, NOT_OBSERVED, np.uint8)
        codes[np.isin(stored, self.dry)] = DRY
        codes[np.isin(stored, water)] = WATER
        return codes

    def _water_in(self, stored: NDArray[np.generic]) -> tuple[int, ...]:
        if self.water != (FULL,):
            return self.water
        held = np.unique(stored)
        if held.size and FULL not in held and held[-1] not in {0, 1}:
            shown = ", ".join(f"{value:g}" for value in held[:6])
            raise RasterError(f"The mask {self.band.path} holds {shown}; expected 0 (dry) and 255 or 1 (water).")
        return (1,) if held.size and held[-1] == 1 else self.water


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A piece of a scene with its label. Nothing is read before a layer's or label's method is called."""

    dataset: str
    chip_id: str
    """Unique within the dataset."""
    event: str
    """Flood event, or place and date; scores are pooled per event."""
    group: str
    """Chips of one group show the same ground or scene: they must never be parted by a split."""
    split: str
    """``train``, ``valid``, ``test``, ``bolivia``, or ``all`` where the dataset defines none."""
    meaning: Meaning
    sar: Layer
    """Sentinel-1 during the event."""
    label: Label | None = None
    """None where only an image-level label exists."""
    sar_before: Layer | None = None
    """Sentinel-1 without the flood (the same place and geometry)."""
    history: tuple[Layer, ...] = ()
    """Every pass before the event on the same relative orbit, oldest first, where there are several."""
    optical: Layer | None = None
    """Sentinel-2 during the event."""
    optical_before: Layer | None = None
    reference_water: Label | None = None
    """Permanent water, where the set gives it."""
    elevation: Band | None = None
    """Elevation on the chip's grid, metres."""
    water_occurrence: Band | None = None
    """Long-term water occurrence on the chip's grid, percent."""
    image_label: bool | None = None
    """Weak label: whether the chip holds any water."""
    pixel_m: float | None = None
    """Ground sampling distance, metres."""

    def truth(self) -> NDArray[np.uint8]:
        """Label with 255 also where the radar saw nothing; dims (y, x).

        Raises:
            RasterError: the chip has no pixel label, or it is not on the radar's grid.
        """
        if self.label is None:
            raise RasterError(f"Chip {self.chip_id} of {self.dataset} has no pixel label, only an image-level one.")
        truth = self.label.read()
        seen = self.sar.observed()
        if truth.shape != seen.shape:
            raise RasterError(
                f"Chip {self.chip_id}: label has {truth.shape} pixels, radar {seen.shape}; expected equal."
            )
        return np.where(seen, truth, np.uint8(NOT_OBSERVED))
