"""Mean C-band backscatter of each kind of land and water, and how it varies from place to place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.land_cover import Cover, LandCover
from pipeline_lib.world.noise import Field, smooth

REFERENCE_INCIDENCE_DEG = 39.0


@dataclass(frozen=True)
class ClassBackscatter:
    """sigma0 of one class at 39 degrees, before noise and speckle."""

    vv_db: float
    vh_db: float
    slope_db_per_deg: float
    """Change of both polarisations with incidence angle."""
    parcel_db: float
    """Standard deviation from parcel to parcel."""
    texture_db: float
    """Standard deviation within a parcel, over some pixels."""


WATER = ClassBackscatter(vv_db=-19.5, vh_db=-30.0, slope_db_per_deg=-0.394, parcel_db=0.0, texture_db=1.3)
"""Calm water. VH lies below the noise floor: what is seen, -26, is mostly noise. VV: sigma0 = -0.394 theta - 4.142."""

BACKSCATTER = {
    LandCover.RIVER: WATER,
    LandCover.LAKE: WATER,
    LandCover.SEASONAL_WATER: ClassBackscatter(-12.0, -19.5, -0.12, 0.4, 0.8),
    LandCover.WETLAND: ClassBackscatter(-10.0, -16.5, -0.09, 0.5, 1.0),
    LandCover.CROPS: ClassBackscatter(-10.5, -16.5, -0.10, 1.1, 0.5),
    LandCover.GRASS: ClassBackscatter(-11.5, -17.6, -0.10, 0.7, 0.5),
    LandCover.BARE: ClassBackscatter(-12.0, -19.5, -0.13, 1.2, 0.5),
    LandCover.DARK_FIELD: ClassBackscatter(-18.6, -26.2, -0.20, 1.0, 0.6),
    LandCover.FOREST: ClassBackscatter(-8.0, -13.8, -0.05, 0.2, 0.7),
    LandCover.TOWN: ClassBackscatter(-5.5, -13.5, -0.01, 1.6, 3.0),
    LandCover.TARMAC: ClassBackscatter(-20.5, -27.5, -0.30, 0.3, 0.7),
    LandCover.SAND: ClassBackscatter(-20.0, -27.0, -0.25, 0.3, 0.9),
}
"""Centres of the published ranges.

References:
    Bauer-Marschallinger et al. 2022, Remote Sens. 14(15), 3673 (water against incidence, GFM's
    TU Wien algorithm);
    Ulaby & Dobson 1989, Handbook of Radar Scattering Statistics for Terrain; Martinis & Rieke 2015, Remote Sens. 7(6)
    (flooded vegetation); O'Grady et al. 2014 (sand and other look-alikes).
"""


@dataclass(frozen=True)
class Ground:
    """What the ground returns on every date, as decibels to add up; each (y, x)."""

    vv_db: Field
    """sigma0 of the dry land at the reference incidence, with its lasting texture."""
    vh_db: Field
    slope_db_per_deg: Field
    front: Field
    """How squarely the fronts of a town block face a radar that looks east or west, 0 to 1."""


def make_ground(options: WorldOptions, cover: Cover, rng: np.random.Generator) -> Ground:
    """Lasting backscatter of the dry land."""
    shape = cover.classes.shape
    table = class_table(options, rng)
    parcel = rng.standard_normal(cover.parcels).astype(np.float32)[cover.parcel]
    fine = smooth(shape, rng, sigma_px=1.5)
    varied = table.parcel_db[cover.classes] * parcel + table.texture_db[cover.classes] * fine
    return Ground(
        vv_db=table.vv_db[cover.classes] + varied,
        vh_db=table.vh_db[cover.classes] + (np.float32(0.85) * varied).astype(np.float32),
        slope_db_per_deg=table.slope_db_per_deg[cover.classes],
        front=rng.beta(0.9, 1.6, cover.parcels).astype(np.float32)[cover.parcel],
    )


@dataclass(frozen=True)
class ClassTable:
    """`BACKSCATTER` as arrays indexed by class code."""

    vv_db: NDArray[np.float32]
    vh_db: NDArray[np.float32]
    slope_db_per_deg: NDArray[np.float32]
    parcel_db: NDArray[np.float32]
    texture_db: NDArray[np.float32]


def class_table(options: WorldOptions, rng: np.random.Generator) -> ClassTable:
    """Tabulate the classes; each mean is off by a draw of ``options.radar.class_offset_db``."""
    codes = max(LandCover) + 1
    columns = {name: np.zeros(codes, np.float32) for name in ClassTable.__dataclass_fields__}
    for code, backscatter in BACKSCATTER.items():
        for name, column in columns.items():
            column[code] = getattr(backscatter, name)
    for name in ("vv_db", "vh_db"):
        columns[name] += options.radar.class_offset_db * rng.standard_normal(codes).astype(np.float32)
    return ClassTable(**columns)
