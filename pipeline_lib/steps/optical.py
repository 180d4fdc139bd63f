"""Optical steps: the best clear pixels before the event with their water, and where radar lies against them."""

from datetime import timezone

import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.catalog.profiles import profile_of
from pipeline_lib.errors import AssetError
from pipeline_lib.load.sentinel2_l2a import WATER_BANDS, load_l2a
from pipeline_lib.model import Acquisition, MappingPlan, Stored
from pipeline_lib.optical.cloud import clear_by_scene_class
from pipeline_lib.optical.composite import best_pixel_composite
from pipeline_lib.optical.water import optical_water
from pipeline_lib.sar.registration import ShiftEstimate, moved, shift_to_optical
from pipeline_lib.steps import keys
from pipeline_lib.steps.read import access_of
from pipeline_lib.store import Store

MATCHED_BANDS = ("B03", "B08", "B11")
"""Bands of the composite that radar is compared with: edges of land cover, and water."""
MATCHED_BLOCKS = 16
"""Enough to tell a shift and how sure it is, at half the cost of the comparison between passes."""


def prepare_composite(plan: MappingPlan, store: Store) -> Stored | None:
    """Best clear pixels of the plan's optical passes before the event, and the water in them; None without any.

    The stored dataset is that of `pipeline_lib.optical.composite.best_pixel_composite` with ``water`` uint8 (y, x):
    0 dry, 1 water, 255 not observed (cloud, no data).

    Raises:
        AssetError: an asset is missing, damaged or without CRS.
        StoreError: the store cannot be written.
    """
    start = plan.event.start.astimezone(timezone.utc)
    stored = _composite_place(plan, store)
    if stored is not None and not store.has(stored):
        overpasses = [_overpass(plan, one) for one in _before(plan)]
        clear = [_clear(plan, one) for one in overpasses]
        composite = best_pixel_composite(overpasses, clear, before=start)
        water = optical_water(composite, composite["clear_count"] > 0)
        store.save(stored.kind, stored.key, composite.assign(water=water))
    return stored


def prepare_overpass(plan: MappingPlan, store: Store, overpass: Acquisition) -> Stored:
    """An overpass on the event's grid: bands, and ``water`` uint8 (0 dry, 1 water, 255 hidden by cloud or no data).

    Raises:
        AssetError: an asset is missing, damaged or without CRS.
    """
    stored = store.place("overpass", keys.overpass_key(plan, overpass))
    if not store.has(stored):
        reflectance = _overpass(plan, overpass)
        clear = _clear(plan, reflectance)
        bands = reflectance[list(WATER_BANDS)].where(clear)
        store.save(stored.kind, stored.key, bands.assign(water=optical_water(reflectance, clear)))
    return stored


def optical_base(plan: MappingPlan, store: Store) -> Stored | None:
    """The composite that passes are to be laid onto; None where the options do not ask for it, or none can be had.

    Trees and houses lean towards the radar by a pixel or two, so that a sure shift against optical is no proof of wrong
    geolocation: `PrepareOptions.correct_against_optical` is off unless somebody knows the archive to be at fault.
    """
    if not plan.options.prepare.correct_against_optical:
        return None
    try:
        return prepare_composite(plan, store)
    except AssetError:
        # A flood map does not wait for optical: the flow notes that it could not be used.
        return None


def laid_on_optical(plan: MappingPlan, scene: xr.Dataset, composite: xr.Dataset) -> xr.Dataset:
    """A pass moved onto the composite where its shift is large and sure; ``attrs["optical_shift"]`` says which.

    Args:
        plan: whose options say what is large.
        scene: Scene (y, x) on the plan's grid.
        composite: of `prepare_composite`.
    """
    estimate = _measured(plan, scene, composite)
    if estimate.is_sure(min_shift_px=plan.options.prepare.min_correction_px):
        scene, estimate = moved(scene, estimate), estimate.model_copy(update={"corrected": True})
    return scene.assign_attrs(optical_shift=estimate.model_dump_json())


def measure_optical_shift(plan: MappingPlan, store: Store, scene: Stored, composite: Stored) -> Stored:
    """Residual shift of a prepared pass against the composite, for the report; `optical_shift` reads it.

    A pass that was laid onto the composite (`laid_on_optical`) carries its shift; others are measured and not moved.

    Raises:
        StoreError: one of them is not in the store.
    """
    stored = _shift_place(plan, store, scene, composite)
    if not store.has(stored):
        opened = store.open(scene)
        estimate = opened.attrs.get("optical_shift")
        if estimate is None:
            estimate = _measured(plan, opened, store.open(composite)).model_dump_json()
        store.save(stored.kind, stored.key, xr.Dataset(attrs={"estimate": estimate}))
    return stored


def optical_shift(store: Store, stored: Stored) -> ShiftEstimate:
    """What `measure_optical_shift` found."""
    return ShiftEstimate.model_validate_json(store.open(stored).attrs["estimate"])


def true_colour(composite: xr.Dataset) -> xr.DataArray:
    """Red, green and blue for the eye: uint8 (band, y, x), reflectance 0 to 0.3 as 1 to 255, 0 = no data; lazily."""
    # One task a block: of a chain of tasks with a reduction in it, Dask makes other tasks under the same name each time
    # a part of it is asked for, and a cluster that still knows the name may then wait for ever.
    colours: xr.DataArray = xr.apply_ufunc(
        _colours,
        *(composite[name] for name in ("B04", "B03", "B02")),
        output_core_dims=[["band"]],
        dask="parallelized",
        output_dtypes=["uint8"],
        dask_gufunc_kwargs={"output_sizes": {"band": 3}},
    )
    return colours.transpose("band", "y", "x")


def _colours(*bands: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Levels for the eye ``(y, x, band)``; 0 where any band is NaN."""
    reflectance = np.stack(bands, axis=-1)
    level = (reflectance / 0.3).clip(0, 1) ** (1 / 1.4) * 254 + 1
    seen = np.isfinite(reflectance).all(axis=-1, keepdims=True)
    return np.where(seen, level, 0).round().astype("uint8")


def _before(plan: MappingPlan) -> tuple[Acquisition, ...]:
    """The plan's optical passes that end before the event."""
    return tuple(one for one in plan.optical if one.end < plan.event.start)


def _composite_place(plan: MappingPlan, store: Store) -> Stored | None:
    """Where the composite of a plan lives; None where the plan has no optical pass."""
    before = _before(plan)
    return store.place("composite", keys.composite_key(plan, before)) if before else None


def _shift_place(plan: MappingPlan, store: Store, scene: Stored, composite: Stored) -> Stored:
    """Where the shift of a pass against the composite lives."""
    return store.place("optical_shift", keys.optical_shift_key(plan, scene, composite))


def _measured(plan: MappingPlan, scene: xr.Dataset, reflectance: xr.Dataset) -> ShiftEstimate:
    """Compare a pass with the bands of the composite."""
    return shift_to_optical(
        scene,
        reflectance[[band for band in MATCHED_BANDS if band in reflectance]],
        name=f"optical composite before {plan.event.start:%Y-%m-%d}",
        max_shift_px=int(plan.options.prepare.max_shift_px),
        max_blocks=MATCHED_BLOCKS,
    )


def _overpass(plan: MappingPlan, acquisition: Acquisition) -> xr.Dataset:
    return load_l2a(
        acquisition,
        plan.grid,
        offset_rule=profile_of(plan.catalog).reflectance_offset,
        chunk=plan.options.prepare.chunk,
        **access_of(plan),
    )


def _clear(plan: MappingPlan, overpass: xr.Dataset) -> xr.DataArray:
    margin = plan.options.prepare.cloud_margin_px
    return clear_by_scene_class(overpass, cloud_margin_px=margin, shadow_margin_px=-(-margin // 3))
