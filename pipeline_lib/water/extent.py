"""WaterExtent: how every detector hands over its answer."""

import dask.array as da
import numba
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.model import NOT_OBSERVED, Exclusion, check_water_extent

BELOW_HALF = np.float32(0.5) - np.float32(1e-4)


@numba.njit(nogil=True, cache=True)
def likelihood_of(probability: npt.NDArray[np.float32], water: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The probability, brought to the side of one half on which the class lies.

    A detector's last words (region growing, minimum size) may overrule a pixel's own probability; class and likelihood
    must not contradict each other, so that ``water == (likelihood >= 0.5)`` holds for every detector.

    Dims (y, x): P(water) 0 to 1, NaN = not observed; true = water.
    """
    out = np.empty_like(probability)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            value = probability[y, x]
            value = max(value, np.float32(0.5)) if water[y, x] else min(value, BELOW_HALF)
            out[y, x] = value
    return out


@numba.njit(nogil=True, cache=True)
def _class_of(probability: npt.NDArray[np.float32], water: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """0 dry, 1 water, 255 not observed."""
    rows, columns = probability.shape
    out = np.empty((rows, columns), dtype=np.uint8)
    for y in range(rows):
        for x in range(columns):
            out[y, x] = NOT_OBSERVED if np.isnan(probability[y, x]) else water[y, x]
    return out


def water_extent(
    scene: xr.Dataset, probability: da.Array, water: da.Array, *, excluded: da.Array | None = None, notes: list[str]
) -> xr.Dataset:
    """Assemble a WaterExtent on the scene's grid.

    Args:
        scene: the Scene that was looked at; coordinates and facts are taken over.
        probability: of water, float32 (y, x), NaN = not observed.
        water: bool (y, x), the class.
        excluded: uint16 (y, x) bits of `Exclusion` that the detector adds to the scene's layover and shadow.
        notes: what a person should know of how the answer came about.
    """
    layers = {
        "water": da.map_blocks(_class_of, probability, water, dtype=np.uint8),
        "likelihood": da.map_blocks(likelihood_of, probability, water, dtype=np.float32),
        "excluded": _excluded(scene, probability, excluded),
    }
    variables = {name: (("y", "x"), layer, {"units": "1"}) for name, layer in layers.items()}
    facts = {
        name: scene.attrs[name]
        for name in ("acquisition_id", "datetime", "relative_orbit", "platform")
        if name in scene.attrs
    }
    coordinates = {name: scene.coords[name] for name in scene.coords if set(scene.coords[name].dims) <= {"y", "x"}}
    return check_water_extent(xr.Dataset(variables, coords=coordinates, attrs={**facts, "notes": notes}))


def _excluded(scene: xr.Dataset, probability: da.Array, excluded: da.Array | None) -> da.Array:
    """The detector's exclusions and the scene's layover and shadow; 0 where not observed."""
    flags = (
        excluded if excluded is not None else da.zeros(probability.shape, chunks=probability.chunks, dtype=np.uint16)
    )
    if "layover_shadow" in scene:
        geometry = da.asarray(scene["layover_shadow"].data).rechunk(probability.chunks).astype(np.uint16)
        flags = flags | (geometry & np.uint16(Exclusion.SHADOW | Exclusion.LAYOVER))
    return da.where(da.isnan(probability), np.uint16(0), flags).astype(np.uint16)
