"""Sentinel-2 L2A surface reflectance on the grid.

Since processing baseline 04.00 (25 January 2022) a reflectance of 0 is stored as 1000. Catalogues declare this wrongly
often enough (element84/earth-search #9, #66, #71) that the rule of the catalogue is only a first guess: the pixels of
every item are sampled, and where they contradict it, the pixels win.

References:
    ESA, Sentinel-2 Products Specification Document 14.9, section 4.3 (BOA_ADD_OFFSET, quantification value 10000).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.catalog.profiles import ReflectanceOffset, profile_of
from pipeline_lib.errors import AssetError
from pipeline_lib.load.asset import Asset, Sign, assets_of
from pipeline_lib.load.mosaic import load_band
from pipeline_lib.model import Acquisition, CatalogItem, Grid

QUANTIFICATION = 10_000.0
ADDED = 1_000.0
"""Added to the stored numbers since baseline 04.00."""
OFFSET_SINCE = datetime(2022, 1, 25, tzinfo=timezone.utc)
WATER_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
SCENE_CLASS = "SCL"
NO_DATA = (0.0,)

MAX_NEGATIVE_SHARE = 0.05
"""Corrected reflectance is negative in shadow and noise only; more of it means that nothing had been added."""
MIN_DARK_NUMBER = 1_000.0
"""Where even the darkest band keeps 99 % of its pixels above this, 1000 had been added."""


def load_l2a(
    acquisition: Acquisition,
    grid: Grid,
    *,
    sign: Sign,
    offset_rule: ReflectanceOffset = ReflectanceOffset.BASELINE,
    bands: Sequence[str] = WATER_BANDS,
    chunk: int = 2048,
    gdal: Mapping[str, str | int] | None = None,
) -> xr.Dataset:
    """One overpass on the grid: its tiles joined, numbers turned into reflectance by a checked offset.

    Args:
        acquisition: L2A; its slices are the granules.
        grid: of the event.
        sign: makes an href readable.
        offset_rule: of tiles that name no catalogue.
        bands: as Sentinel-2 names them.
        chunk: pixels along each side of a Dask chunk; the result does not depend on it.
        gdal: access settings of the catalogue.

    Returns:
        The bands (y, x) float32, reflectance (1), NaN = no data, bilinear; ``SCL`` uint8, Sen2Cor's scene class,
        nearest, 0 = no data. ``attrs["reflectance_offset"]`` says what was subtracted, item by item.

    Raises:
        AssetError: an asset is missing, damaged or without CRS.
    """
    items = acquisition.slices
    if not items:
        raise AssetError(f"Acquisition {acquisition.acquisition_id} has no items.")
    access = {"sign": sign, "invalid": NO_DATA, "may_be_empty": True, "gdal": gdal}
    assets = {band: assets_of(items, band, **access) for band in bands}  # type: ignore[arg-type]
    added = [
        added_to(item, [assets[band][number].sample() for band in bands], _rule_of(item, offset_rule))
        for number, item in enumerate(items)
    ]
    layers = {
        band: load_band(
            [_to_reflectance(asset, number) for asset, number in zip(assets[band], added, strict=True)],
            grid,
            chunk=chunk,
        ).assign_attrs(units="1", long_name=f"surface reflectance {band}")
        for band in bands
    }
    classes = load_band(assets_of(items, SCENE_CLASS, **access), grid, chunk=chunk, resampling="nearest")  # type: ignore[arg-type]
    layers[SCENE_CLASS] = classes.fillna(0).astype("uint8").assign_attrs(units="1", long_name="scene class of Sen2Cor")
    return xr.Dataset(layers, attrs=_attributes(acquisition, added))


def _rule_of(item: CatalogItem, default: ReflectanceOffset) -> ReflectanceOffset:
    """The rule of the catalogue that a tile comes from."""
    return default if item.catalog is None else profile_of(item.catalog).reflectance_offset


def declared_offset(item: CatalogItem, rule: ReflectanceOffset) -> float:
    """What a catalogue's rule says was added to the numbers of an item: 0 or 1000.

    Raises:
        AssetError: the item's processing baseline is not a number.
    """
    applied = item.facts.get("earthsearch:boa_offset_applied")
    if rule is ReflectanceOffset.UNLESS_APPLIED and applied in {True, "true", "True"}:
        return 0.0
    return ADDED if _may_be_offset(item) else 0.0


def _may_be_offset(item: CatalogItem) -> bool:
    """Whether an item is of baseline 04.00 or later; by its date where it names none."""
    given = str(item.facts.get("s2:processing_baseline") or "")
    if not given:
        return item.start >= OFFSET_SINCE
    try:
        return float(given) >= 4.0
    except ValueError as error:
        raise AssetError(
            f"Item {item.item_id} has the processing baseline {given!r}; expected a number such as 05.11."
        ) from error


def added_to(item: CatalogItem, samples: Sequence[NDArray[np.float32]], rule: ReflectanceOffset) -> float:
    """What was really added to an item's numbers, 0 or 1000: the rule, unless the pixels contradict it.

    Args:
        item: with the facts the rule needs.
        samples: stored numbers of several bands, of any shape, NaN = no data.
        rule: of the catalogue.
    """
    declared = declared_offset(item, rule)
    valid = [sample[np.isfinite(sample)] for sample in samples]
    valid = [sample for sample in valid if sample.size >= 100]
    if not valid:
        return declared
    negative = max(float((sample < ADDED).mean()) for sample in valid)
    if declared and negative > MAX_NEGATIVE_SHARE:
        return 0.0
    darkest = min(float(np.quantile(sample, 0.01)) for sample in valid)
    if not declared and _may_be_offset(item) and darkest >= MIN_DARK_NUMBER and not _overcast(valid):
        return ADDED
    return declared


def _overcast(samples: Sequence[NDArray[np.float32]]) -> bool:
    """Whether the scene is so bright throughout (cloud, snow) that nothing dark can tell about an offset."""
    return min(float(np.median(sample)) for sample in samples) > 3_000


def _to_reflectance(asset: Asset, added: float) -> Asset:
    return replace(asset, scale=1 / QUANTIFICATION, offset=-added / QUANTIFICATION)


def _attributes(acquisition: Acquisition, added: Sequence[float]) -> dict[str, str]:
    notes = "; ".join(
        f"{item.item_id}: {number:g} subtracted" for item, number in zip(acquisition.slices, added, strict=True)
    )
    return {
        "acquisition_id": acquisition.acquisition_id,
        "datetime": acquisition.start.isoformat(),
        "platform": acquisition.platform,
        "reflectance_offset": notes,
    }
