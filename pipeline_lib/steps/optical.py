"""Optical steps: the best clear pixels before the event, water seen during it, and where radar lies against them."""

from datetime import timezone
from functools import partial

import xarray as xr

from pipeline_lib.catalog.profiles import profile_of
from pipeline_lib.catalog.signing import gdal_environment, signed
from pipeline_lib.load.sentinel2_l2a import load_l2a
from pipeline_lib.model import Acquisition, MappingPlan, Stored
from pipeline_lib.optical.cloud import clear_by_scene_class
from pipeline_lib.optical.composite import best_pixel_composite
from pipeline_lib.optical.water import optical_water
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.sar.registration import ShiftEstimate, shift_to_optical
from pipeline_lib.steps.prepare import key_of
from pipeline_lib.store import Store

MATCHED_BANDS = ("B03", "B04", "B08", "B11")
"""Bands of the composite that radar is compared with: edges of land cover, and water."""


def prepare_composite(plan: MappingPlan, store: Store) -> Stored | None:
    """Best clear pixels of the plan's optical passes before the event; None where the plan has none.

    The stored dataset is that of `pipeline_lib.optical.composite.best_pixel_composite`.

    Raises:
        AssetError: an asset is missing, damaged or without CRS.
        StoreError: the store cannot be written.
    """
    start = plan.event.start.astimezone(timezone.utc)
    before = tuple(one for one in plan.optical if one.start < start)
    if not before:
        return None
    stored = store.place("composite", key_of(plan, "composite", *before, plan.event))
    if not store.has(stored):
        overpasses = [_overpass(plan, one) for one in before]
        clear = [_clear(plan, one) for one in overpasses]
        store.save(stored.kind, stored.key, best_pixel_composite(overpasses, clear, before=start))
    return stored


def map_optical_water(plan: MappingPlan, store: Store, overpass: Acquisition) -> Stored:
    """Water that one optical pass saw: ``water`` uint8 (y, x), 0 dry, 1 water, 255 not observed (cloud, no data).

    Raises:
        AssetError: an asset is missing, damaged or without CRS.
        StoreError: the store cannot be written.
    """
    stored = store.place("optical_water", key_of(plan, "optical_water", overpass))
    if not store.has(stored):
        reflectance = _overpass(plan, overpass)
        water = optical_water(reflectance, _clear(plan, reflectance))
        store.save(stored.kind, stored.key, xr.Dataset({"water": water}, attrs=reflectance.attrs))
    return stored


def optical_shift(plan: MappingPlan, store: Store, scene: Stored, composite: Stored) -> ShiftEstimate:
    """Residual shift of a prepared pass against the composite, for the report; nothing is moved by it.

    Raises:
        StoreError: one of them is not in the store.
    """
    reflectance = store.open(composite)
    return shift_to_optical(
        store.open(scene),
        reflectance[[band for band in MATCHED_BANDS if band in reflectance]],
        name=f"optical composite before {plan.event.start:%Y-%m-%d}",
        max_shift_px=int(_options(plan).max_shift_px),
    )


def _overpass(plan: MappingPlan, acquisition: Acquisition) -> xr.Dataset:
    return load_l2a(
        acquisition,
        plan.grid,
        sign=partial(signed, catalog=plan.catalog),
        offset_rule=profile_of(plan.catalog).reflectance_offset,
        chunk=_options(plan).chunk,
        gdal=gdal_environment(plan.catalog),
    )


def _clear(plan: MappingPlan, overpass: xr.Dataset) -> xr.DataArray:
    margin = _options(plan).cloud_margin_px
    return clear_by_scene_class(overpass, cloud_margin_px=margin, shadow_margin_px=-(-margin // 3))


def _options(plan: MappingPlan) -> PrepareOptions:
    return PrepareOptions.model_validate(plan.options.get("prepare", {}))
