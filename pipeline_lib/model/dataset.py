"""Scene, WaterExtent and FloodMap: plain `xarray.Dataset`s held to contracts.

Dims are always ``(y, x)``. Codes of every published class layer (uint8):

=====  ==========================================================================================
0      dry: observed, and not water
1      water (flood in ``flood_extent``): observed
254    excluded: observed, but the sensor cannot tell here (see ``exclusion``)
255    not observed: no valid pixel
=====  ==========================================================================================
"""

from enum import IntFlag

import xarray as xr

from pipeline_lib.errors import ContractError
from pipeline_lib.model.contract import VariableContract, check_contracts

DRY = 0
WATER = 1
EXCLUDED = 254
NOT_OBSERVED = 255

YX = ("y", "x")


class Exclusion(IntFlag):
    """Why a pixel is excluded: bits of the ``exclusion`` layer (uint16; 0 = not excluded)."""

    SHADOW = 1
    LAYOVER = 2
    STEEP_SLOPE = 4
    HIGH_ABOVE_DRAINAGE = 8
    DENSE_VEGETATION = 16
    URBAN = 32
    NO_SENSITIVITY = 64
    """Radar cannot separate water from land here (incidence angle, conflicting distributions)."""
    LOW_BACKSCATTER = 128
    """Permanently dark land: dry sand, tarmac, wet snow."""
    NO_REFERENCE = 256
    """Water was seen, but nothing tells whether it is always there: no occurrence, no archive."""


class Advisory(IntFlag):
    """Warnings that leave the class as it is: bits of the ``advisory`` layer (uint8; 0 = none)."""

    ROUGH_WATER = 1
    """Wind-roughened water may be missed."""
    FROZEN_OR_WET_SNOW = 2
    DRY_SOIL = 4
    OUT_OF_DISTRIBUTION = 8
    """The scene's statistics leave the range the model was trained on."""


LEAST_NOISE = -1.0
"""Removed noise (-22 dB at the worst, 0.006) leaves negative power of its own size, hundred times nearer to zero."""


def refuse_decibels(impossible: int, known: int) -> None:
    """Refuse values that claim to be linear power and cannot be.

    Args:
        impossible: values below `LEAST_NOISE`.
        known: finite values among which they were counted.

    Raises:
        ContractError: they are most: decibels would count as darkness, and be mapped as water.
    """
    if 2 * impossible > known:
        raise ContractError(
            f"{impossible} of {known} values of backscatter lie below {LEAST_NOISE:g} and are no linear power: "
            "the scene seems to be in decibel. Convert it, power = 10 ** (dB / 10)."
        )


def check_scene(scene: xr.Dataset) -> xr.Dataset:
    """Check a Scene: ``vv`` and/or ``vh`` (or ``hh``/``hv``), float32 (y, x), linear power, units ``"1"``.

    NaN means not observed. ``attrs["backscatter"]`` says ``gamma0`` or ``sigma0``. Optional variables:
    ``local_incidence_angle`` float32 degree; ``layover_shadow`` uint8 (bits of `Exclusion` SHADOW and LAYOVER).

    Raises:
        ContractError: on the first difference.
    """
    present = polarisations_of(scene)
    if not present:
        raise ContractError(f"A Scene needs vv, vh, hh or hv; it holds {sorted(map(str, scene.data_vars))}.")
    if scene.attrs.get("backscatter") not in {"gamma0", "sigma0"}:
        raise ContractError(
            f"attrs['backscatter'] is {scene.attrs.get('backscatter')!r}, expected 'gamma0' or 'sigma0'."
        )
    return check_contracts(
        scene, *(VariableContract(name=name, dims=YX, dtype="float32", units="1") for name in present)
    )


def polarisations_of(scene: xr.Dataset) -> tuple[str, ...]:
    """Names of the polarisations a Scene holds, co-polarised first."""
    return tuple(name for name in ("vv", "hh", "vh", "hv") if name in scene)


def check_water_extent(water: xr.Dataset) -> xr.Dataset:
    """Check a WaterExtent, what every detector returns.

    ``water`` uint8 (y, x): 0 dry, 1 water, 255 not observed. ``likelihood`` float32: calibrated probability of
    water in [0, 1], NaN not observed. ``excluded`` uint16: bits of `Exclusion`, 0 where the detector can tell.

    Raises:
        ContractError: on the first difference.
    """
    return check_contracts(
        water,
        VariableContract(name="water", dims=YX, dtype="uint8", units="1"),
        VariableContract(name="likelihood", dims=YX, dtype="float32", units="1"),
        VariableContract(name="excluded", dims=YX, dtype="uint16", units="1"),
    )


def check_flood_map(flood: xr.Dataset) -> xr.Dataset:
    """Check a FloodMap of one pass.

    ``flood_extent``, ``water_extent``, ``reference_water`` uint8 with the codes of this module's table
    (``reference_water`` knows 0, 1 permanent, 2 seasonal, 255 unknown); ``exclusion`` uint16 bits of `Exclusion`;
    ``likelihood`` uint8 percent of water, 255 not observed.

    All have dims (y, x) and units 1.

    Raises:
        ContractError: on the first difference.
    """
    classes = ("flood_extent", "water_extent", "reference_water", "likelihood")
    return check_contracts(
        flood,
        *(VariableContract(name=name, dims=YX, dtype="uint8", units="1") for name in classes),
        VariableContract(name="exclusion", dims=YX, dtype="uint16", units="1"),
    )
