"""From water to flood: what is water now and is not reference water, where the radar can tell.

The rules, in order, for each pixel:

1. not observed by the detector: 255 in every class layer;
2. a reason to exclude it (`pipeline_lib.flood.exclusion`): 254, unless radar brightened there as it does over flooded
   stands and streets (`pipeline_lib.flood.brightening`);
3. water that is not reference water, in an object of at least the minimum mapping unit: flood;
4. ``water_extent`` is flood or reference water, as the Global Flood Monitoring service defines observed water.

So on observed pixels without exclusion ``water_extent == flood_extent | (reference_water in {1, 2})`` and flood never
lies on reference water.

References:
    Copernicus GFM Product Definition Document: observed flood extent, observed water extent, reference water mask,
    exclusion mask, advisory flags, likelihood.
"""

import math
from functools import partial

import numpy as np
import xarray as xr

from pipeline_lib.flood.advisory import advisory_flags
from pipeline_lib.flood.archive import archive_statistics, co_and_cross
from pipeline_lib.flood.brightening import brightened, window_px
from pipeline_lib.flood.evidence import ARCHIVE, TERRAIN, Evidence, evidence_of
from pipeline_lib.flood.exclusion import exclusion_flags
from pipeline_lib.flood.objects import drop_small
from pipeline_lib.flood.usual_rise import usual_rise_db
from pipeline_lib.flood.window import WINDOW_PX, Window, map_windows
from pipeline_lib.model import (
    DRY,
    EXCLUDED,
    NOT_OBSERVED,
    WATER,
    Advisory,
    Exclusion,
    check_flood_map,
    check_water_extent,
)
from pipeline_lib.options.derive import DeriveOptions
from pipeline_lib.pixel import pixel_size_m

OUTPUTS = {
    "flood_extent": "uint8",
    "water_extent": "uint8",
    "reference_water": "uint8",
    "likelihood": "uint8",
    "exclusion": "uint16",
    "uncertainty": "uint8",
    "advisory": "uint8",
    "flood_class": "uint8",
}
"""Layers of a FloodMap and their types."""

ATTRIBUTES: dict[str, dict[str, object]] = {
    "flood_extent": {"flag_values": [0, 1, 254, 255], "flag_meanings": "no_flood flood excluded not_observed"},
    "water_extent": {"flag_values": [0, 1, 254, 255], "flag_meanings": "dry water excluded not_observed"},
    "reference_water": {"flag_values": [0, 1, 2, 255], "flag_meanings": "none permanent seasonal unknown"},
    "likelihood": {"long_name": "probability of water in percent; 255 not observed"},
    "exclusion": {
        "flag_masks": [reason.value for reason in Exclusion],
        "flag_meanings": " ".join(str(reason.name).lower() for reason in Exclusion),
    },
    "uncertainty": {"long_name": "probability of the less likely class in percent, 0 to 50; 255 not observed"},
    "advisory": {
        "flag_masks": [warning.value for warning in Advisory],
        "flag_meanings": " ".join(str(warning.name).lower() for warning in Advisory),
    },
    "flood_class": {
        "flag_values": [0, 1, 2, 3, 4, 254, 255],
        "flag_meanings": "dry reference_water open_flood flooded_vegetation flooded_town excluded not_observed",
    },
}


def derive_flood(
    water: xr.Dataset,
    reference_water: xr.DataArray,
    terrain: xr.Dataset | None,
    scene: xr.Dataset,
    options: DeriveOptions | None = None,
    history: xr.Dataset | None = None,
    *,
    block_px: int = WINDOW_PX,
) -> xr.Dataset:
    """Derive the FloodMap of one pass, lazily but for the usual rise of its dry land, which is computed now.

    Args:
        water: WaterExtent of the pass; the ``uncertainty`` of a detector that decides by another limit than one half is
            taken over, since its likelihood was brought to the side of its class.
        reference_water: uint8 (y, x), see `pipeline_lib.flood.reference`.
        terrain: ``slope_deg`` and/or ``hand_m`` float32 (y, x), NaN = unknown; None where there is no terrain.
        scene: Scene of the pass; its power shows brightening, its geometry what cannot be told.
        options: limits; defaults where None.
        history: passes before the event on the same orbit, dims (time, y, x), or their `archive_statistics`; without
            them nothing is known of canopies, buildings, dark land and brightening.
        block_px: side of the windows that are worked on one by one, rounded to whole advisory cells (at least one);
            the result does not depend on it.

    Returns:
        FloodMap (`pipeline_lib.model.check_flood_map`) with ``uncertainty``, ``advisory`` and ``flood_class``.

    Raises:
        ContractError: ``water`` breaks its contract, or has no coordinates that tell the size of its pixels.
    """
    options = options or DeriveOptions()
    check_water_extent(water)
    co, cross = co_and_cross(scene)
    inputs: list[xr.DataArray | None] = [water["water"], water["likelihood"], water["excluded"], reference_water]
    inputs += [co, cross, scene.get("local_incidence_angle"), scene.get("layover_shadow"), water.get("uncertainty")]
    inputs += [None if terrain is None else terrain.get(name) for name in TERRAIN]
    statistics = None
    if history is not None and history.sizes.get("time", 1) > 0:
        statistics = archive_statistics(history, options.reference, block_px=block_px)
    inputs += [None if statistics is None else statistics[name] for name in ARCHIVE]
    pixel_m = math.sqrt(math.prod(pixel_size_m(water["water"])))
    min_pixels = math.ceil(options.min_mapping_unit_m2 / pixel_m**2)
    reach_px = math.ceil(options.brightening.reach_m / pixel_m) if statistics is not None else 0
    halo = min_pixels + reach_px + window_px(options.brightening, pixel_m) + options.reference.smoothing_px // 2 + 1
    cell_px = max(round(options.advisory_cell_m / pixel_m), 1)
    size = cell_px * max(block_px // cell_px, 1)  # windows hold whole advisory cells
    usual_db = 0.0
    if options.brightening.enabled and statistics is not None and co is not None:
        usual_db = usual_rise_db(
            water["water"],
            reference_water,
            co,
            statistics["co_mean_db"],
            smoothing_px=options.reference.smoothing_px,
            reach_px=reach_px,
        )
    block = partial(
        _derive, options=options, pixel_m=pixel_m, min_pixels=min_pixels, cell_px=cell_px, usual_db=usual_db
    )
    flood = map_windows(block, inputs, OUTPUTS, halo=halo, size=size, placed=True)
    for name, attrs in ATTRIBUTES.items():
        flood[name].attrs = {"units": "1", **attrs}
    flood.attrs = {key: value for key, value in scene.attrs.items() if key != "backscatter"}
    return check_flood_map(flood)


def _derive(
    window: Window,
    *arrays: np.ndarray | None,
    options: DeriveOptions,
    pixel_m: float,
    min_pixels: int,
    cell_px: int,
    usual_db: float,
) -> tuple[np.ndarray, ...]:
    """One window, halo included: every layer."""
    evidence = evidence_of(arrays, options.reference.smoothing_px)
    exclusion = exclusion_flags(evidence, options)
    observed = evidence.water != NOT_OBSERVED
    is_reference = np.isin(evidence.reference, (1, 2))
    open_flood = (evidence.water == WATER) & ~is_reference & (exclusion == 0)
    bright, confidence = brightened(evidence, open_flood, options, pixel_m, usual_db)
    bright[(exclusion & ~np.uint16(Exclusion.DENSE_VEGETATION | Exclusion.URBAN)) > 0] = 0
    flood = drop_small(open_flood | (bright > 0), min_pixels)
    bright[~flood] = 0
    exclusion[bright > 0] = 0
    classes = np.where(bright > 0, bright, np.where(flood, 2, is_reference)).astype(np.uint8)
    classes[exclusion > 0] = EXCLUDED
    classes[~observed] = NOT_OBSERVED
    percent = np.rint(np.nan_to_num(evidence.likelihood) * 100).astype(np.uint8)
    doubted = (bright == 0) & (exclusion == 0) & (evidence.water == DRY) & (confidence > percent)
    raised = (bright > 0) | doubted
    percent = np.where(raised, confidence, percent)
    doubt = np.minimum(percent, 100 - percent)
    if evidence.doubt is not None:
        doubt = np.where(raised, doubt, evidence.doubt)
    likelihood, uncertainty = (np.where(observed, layer, NOT_OBSERVED) for layer in (percent, doubt))
    advisory = advisory_flags(evidence, cell_px, window.core)
    return *_extents(classes, evidence, exclusion), likelihood, exclusion, uncertainty, advisory, classes


def _extents(classes: np.ndarray, evidence: Evidence, exclusion: np.ndarray) -> tuple[np.ndarray, ...]:
    """Flood, water and reference water of the classes (0 dry, 1 reference, 2 to 4 flood, 254, 255)."""
    untold = classes >= EXCLUDED
    flood = np.where(untold, classes, (classes >= 2).astype(np.uint8))
    water = np.where(untold, classes, np.where(classes > 0, WATER, DRY))
    # Where only the reference is unknown, that it is water now is known all the same.
    water = np.where(exclusion == Exclusion.NO_REFERENCE.value, WATER, water)
    return flood, water, evidence.reference
