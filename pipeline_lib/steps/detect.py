"""Detect: water in a stored Scene or in any raster of backscatter."""

import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import rasterio
import rasterio.enums
import rasterio.shutil
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from PIL import Image
from pydantic import JsonValue

from pipeline_lib.atomic import whole_file
from pipeline_lib.errors import GridMismatchError, RasterError
from pipeline_lib.load.raster import Scale, load_raster
from pipeline_lib.model import NOT_OBSERVED, WATER, Stored, polarisations_of
from pipeline_lib.pixel import ground_size_m
from pipeline_lib.steps.annotate import annotated, annotations_kept
from pipeline_lib.store import Store
from pipeline_lib.water import Need, Observation, detector, detectors
from pipeline_lib.water.making import MADE_BY, detected, made_by
from pipeline_lib.whole_raster import whole_raster

QUICKLOOK_PX = 1600


def detect_water(  # noqa: PLR0913 - each input of a detector by its name
    store: Store,
    *,
    scene: Stored,
    history: Stored | None = None,
    terrain: Stored | None = None,
    occurrence: Stored | None = None,
    name: str = "default",
    parameters: dict[str, JsonValue] | None = None,
    key: str,
    resources: dict[str, float] | None = None,
) -> Stored:
    """Water in one pass: a WaterExtent in the store.

    Args:
        store: where the inputs are and the answer goes.
        scene: a Scene.
        history: reference passes of the same orbit, dims (time, y, x); None where there are none.
        terrain: elevation, slope, height above drainage.
        occurrence: long-term water occurrence, variable ``water_occurrence`` in percent.
        name: of the detector.
        parameters: the detector's own options.
        key: digest of everything that the answer depends on.
        resources: what a worker of a cluster must have to run the detector (``GPU``); any worker where None.

    Raises:
        UnknownNameError: no such detector.
        InputError: an option that the detector does not have.
        ContractError: the detector needs something that was not given.
    """
    found = detector(name, parameters)
    stored = store.place("water", key)
    if store.has(stored):
        return stored
    observation = Observation(
        scene=store.open(scene),
        history=store.open(history) if history is not None else None,
        terrain=store.open(terrain) if terrain is not None else None,
        water_occurrence=store.open(occurrence)["water_occurrence"] if occurrence is not None else None,
    )
    with annotated(**({"resources": resources} if resources else {})):
        extent = detected(found, observation)
    if resources:
        extent.attrs[MADE_BY] = made_by(extent).run_by("torch-cuda").model_dump_json()
    with annotations_kept(bool(resources)):
        return store.save(stored.kind, stored.key, extent)


@dataclass(frozen=True, kw_only=True)
class DetectorCard:
    """A detector as ``overbank detectors`` shows it."""

    name: str
    summary: str
    needs: tuple[str, ...]


def detector_cards() -> tuple[DetectorCard, ...]:
    """Every detector with what it needs beyond the scene, the default one first."""
    return tuple(
        DetectorCard(name=found.name, summary=found.summary, needs=tuple(sorted(str(need) for need in found.needs)))
        for found in (detector(known.name) for known in detectors())
    )


@dataclass(frozen=True, kw_only=True)
class RasterResult:
    """What ``overbank detect`` wrote, and the answer in figures."""

    water: Path
    likelihood: Path
    picture: Path
    observed_px: int
    water_px: int
    water_km2: float
    """Area of water; NaN where the raster's CRS has no metres and is not geographic."""
    notes: tuple[str, ...]


def detect_raster(
    path: Path,
    out: Path,
    *,
    reference: Path | None = None,
    name: str = "default",
    parameters: dict[str, JsonValue] | None = None,
    scale: Scale | None = None,
    polarisations: tuple[str, ...] | None = None,
    nodata: float | None = None,
) -> RasterResult:
    """Find water in any raster of backscatter; write ``water.tif``, ``likelihood.tif`` and ``water.png``.

    ``water.tif`` is uint8 (0 dry, 1 water, 255 no data), ``likelihood.tif`` float32 (probability, NaN no data), both
    cloud-optimised and on the raster's own grid.

    Raises:
        RasterError: the raster cannot be read or is not calibrated backscatter, or nothing can be said of any pixel.
        GridMismatchError: the reference is not on the raster's grid.
        StoreError: the folder cannot be written.
    """
    found = detector(name, parameters)
    scene = load_raster(path, scale=scale, polarisations=polarisations, nodata=nodata)
    history = None
    if reference is not None:
        before = load_raster(reference, scale=scale, polarisations=polarisations, nodata=nodata)
        history = _as_history(before, scene, reference)
    extent = found.detect(Observation(scene=scene, history=history)).rio.write_crs(scene.rio.crs)
    paths = {kind: out / f"{kind}.tif" for kind in ("water", "likelihood")}
    observed, water = _write_rasters(extent, paths)
    _picture(scene, paths["water"], out / "water.png")
    return RasterResult(
        water=paths["water"],
        likelihood=paths["likelihood"],
        picture=out / "water.png",
        observed_px=observed,
        water_px=water,
        water_km2=water * _pixel_km2(scene),
        notes=tuple(extent.attrs["notes"]),
    )


def _as_history(before: xr.Dataset, scene: xr.Dataset, path: Path) -> xr.Dataset:
    """One reference raster as a history of one pass."""
    if before.rio.shape != scene.rio.shape or not np.allclose(before.rio.transform(), scene.rio.transform(), rtol=1e-9):
        raise GridMismatchError(
            f"The reference {path} has {before.rio.shape} pixels on another grid than the scene, which has "
            f"{scene.rio.shape}; warp it to the scene's grid first (gdalwarp -te ... -ts ...)."
        )
    shared = [name for name in polarisations_of(scene) if name in before]
    if not shared:
        raise RasterError(f"The reference {path} and the scene have no polarisation in common.")
    return before[shared].expand_dims("time")


def _write_rasters(extent: xr.Dataset, paths: dict[str, Path]) -> tuple[int, int]:
    """Both rasters in one visit to the scene, block by block, each beside its place and then renamed.

    Returns:
        Numbers of observed and of water pixels.
    """
    with ExitStack() as stack:
        cogs = {kind: stack.enter_context(whole_raster(path)) for kind, path in paths.items()}
        tiled = {kind: stack.enter_context(_aside(path.with_suffix(".tiled.tif"))) for kind, path in cogs.items()}
        writes = [
            extent[kind]
            .drop_attrs()
            .rio.write_crs(extent.rio.crs)
            .rio.write_nodata(fill)
            .rio.to_raster(
                tiled[kind], tiled=True, compress="lzw", bigtiff="if_safer", lock=threading.Lock(), compute=False
            )
            for kind, fill in (("water", NOT_OBSERVED), ("likelihood", math.nan))
        ]
        classes = extent["water"].data
        observed, water, *_ = dask.compute((classes != NOT_OBSERVED).sum(), (classes == WATER).sum(), *writes)
        if not observed:
            raise RasterError("The detector can say nothing of any pixel of the raster; nothing is written.")
        for kind, path in cogs.items():
            rasterio.shutil.copy(tiled[kind], path, driver="COG", compress="deflate", overview_resampling="nearest")
    return int(observed), int(water)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file that is needed for a while."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _picture(scene: xr.Dataset, water: Path, picture: Path) -> None:
    """Backscatter in grey with water in blue, no data in brown; at most `QUICKLOOK_PX` wide."""
    step = max(1, math.ceil(max(scene.sizes["y"], scene.sizes["x"]) / QUICKLOOK_PX))
    power = scene[polarisations_of(scene)[0]][::step, ::step].to_numpy()
    with rasterio.open(water) as source:
        seen = source.read(1, out_shape=power.shape, resampling=rasterio.enums.Resampling.nearest)
    with np.errstate(divide="ignore", invalid="ignore"):
        decibel = 10.0 * np.log10(power)
    known = np.isfinite(decibel)
    low, high = np.percentile(decibel[known], [1, 99]) if known.any() else (-25.0, 0.0)
    grey = np.nan_to_num(np.clip((decibel - low) / max(high - low, 1e-3), 0, 1) * 255, nan=0).astype(np.uint8)
    image = np.repeat(grey[..., None], 3, axis=2)
    image[seen == WATER] = (0.4 * image[seen == WATER] + 0.6 * np.array([0, 90, 255])).astype(np.uint8)
    image[seen == NOT_OBSERVED] = (90, 60, 60)
    with whole_file(picture) as partial:
        Image.fromarray(image).save(partial)


def _pixel_km2(scene: xr.Dataset) -> float:
    """Area of the pixel in the middle of the raster."""
    width, height = scene.rio.resolution()
    _, south, _, north = scene.rio.bounds()
    return math.prod(ground_size_m(height, width, scene.rio.crs, (south + north) / 2.0)) / 1e6


def needs_of(name: str, parameters: dict[str, JsonValue] | None = None) -> frozenset[Need]:
    """What a detector needs beyond the scene, with the options given.

    Raises:
        UnknownNameError: no such detector.
        InputError: an option that the detector does not have.
    """
    return detector(name, parameters).needs
