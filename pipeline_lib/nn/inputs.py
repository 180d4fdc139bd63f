"""The input contract: what numbers a model expects, and how a Scene becomes them."""

from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from pipeline_lib.errors import ContractError
from pipeline_lib.model.record import Record

FLOOR_POWER = 1e-5
"""Smallest linear power, -50 dB: below it there is only noise."""
SPREAD_FLOOR_DB = 0.5
"""Least spread by which a scene is standardised, so that a constant scene does not blow up."""

STRIP_ROWS = 32
"""Rows that are brought to network units at once."""


class BandContract(Record):
    """One input band."""

    name: str
    """``vv``, ``vh``, ``vv_before``, ``vh_before``; ``grey`` and ``grey_before`` stand for whichever one is there."""
    polarisation: str
    """Variable of the Scene (or of the history) it comes from."""
    before: bool = False
    """Whether it is the mean of the history (time before the event) and not the scene."""
    clip_db: tuple[float, float] = (-35.0, 5.0)
    """Backscatter is cut to this range."""
    mean_db: float = 0.0
    """Subtracted; units ``db`` only."""
    sd_db: float = Field(1.0, gt=0)
    """Divided by; units ``db`` only."""


class InputContract(Record):
    """What a model expects of a Scene; part of its card, checked at every use."""

    bands: tuple[BandContract, ...]
    """In the order of the network's channels."""
    units: Literal["db", "relative"] = "db"
    """``db``: 10 log10 of linear power, standardised by fixed mean and sd. ``relative``: the same logarithm, but
    standardised by a percentile of each scene itself and by its 2-98 percentile range, so that any linear stretch of
    dB, and so any 8-bit image, gives the same input."""
    centre_percentile: float = Field(50.0, gt=0, lt=100)
    """Relative units: what of the scene is 0. Where more than half of a scene may be water, the median is water; the
    80th percentile is land still."""
    pixel_m: float = 10.0
    """Ground sampling distance it was trained at, metres."""
    pixel_tolerance: float = 0.5
    """Other pixel sizes may differ by this share before a warning is raised."""
    optional: tuple[str, ...] = ()
    """Polarisations the model can do without (they were dropped at random while training)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Band names in order."""
        return tuple(band.name for band in self.bands)

    @property
    def needs_history(self) -> bool:
        """Whether the model looks at the time before the event."""
        return any(band.before for band in self.bands)

    def select(self, scene: xr.Dataset, history: xr.Dataset | None) -> list[xr.DataArray]:
        """Linear power of each band, ``(y, x)``; history is averaged in linear power over time.

        Raises:
            ContractError: a polarisation or the history is missing.
        """
        if self.needs_history and history is None:
            raise ContractError("This model compares with the time before the event: it needs a history, got none.")
        template = scene[str(next(iter(scene.data_vars)))]
        chosen = []
        for band in self.bands:
            source = history if band.before else scene
            name = band.polarisation
            if source is None or name not in source:
                if name not in self.optional:
                    held = ", ".join(map(str, [] if source is None else source.data_vars))
                    raise ContractError(f"This model needs {name}; the {_where(band)} holds {held or 'nothing'}.")
                chosen.append(xr.full_like(template, np.nan, dtype=np.float32))
                continue
            array = source[name]
            chosen.append(array.mean("time", skipna=True) if "time" in array.dims else array)
        return chosen


def _where(band: BandContract) -> str:
    return "history" if band.before else "scene"


def to_db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """10 log10 of linear power, floored at -50 dB; NaN stays NaN.

    Any shape.
    """
    return np.asarray(10 * np.log10(np.maximum(power, np.float32(FLOOR_POWER))), dtype=np.float32)


def normalise(
    db: NDArray[np.float32], contract: InputContract, centre: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``(band, y, x)`` dB to network units: cut, minus centre, over spread; relative units are cut to +-4."""
    low = np.array([band.clip_db[0] for band in contract.bands], np.float32)[:, None, None]
    high = np.array([band.clip_db[1] for band in contract.bands], np.float32)[:, None, None]
    cut = np.clip(db, low, high) if contract.units == "db" else db
    units = (cut - centre[:, None, None]) / spread[:, None, None]
    return np.clip(units, -4, 4) if contract.units == "relative" else units


def filled_units(
    power: NDArray[np.float32], contract: InputContract, centre: NDArray[np.float32], spread: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`normalise` of `to_db`, 0 where not observed; some rows at a time: nothing but the answer takes memory.

    Args:
        power: (band, y, x) linear power, NaN = not observed.
        contract: of the model.
        centre: (band) subtracted from dB.
        spread: (band) divided by.

    Returns:
        (band, y, x) float32 in network units.
    """
    out = np.empty(power.shape, np.float32)
    for top in range(0, power.shape[1], STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        out[:, rows] = np.nan_to_num(normalise(to_db(power[:, rows]), contract, centre, spread), nan=0.0)
    return out


def fixed_scale(contract: InputContract) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and spread per band of a ``db`` contract.

    Both (band) float32, dB.
    """
    return (
        np.array([band.mean_db for band in contract.bands], np.float32),
        np.array([band.sd_db for band in contract.bands], np.float32),
    )


def relative_scale(
    db: NDArray[np.float32], centre_percentile: float = 50.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre (a percentile) and spread (2-98 percentile range over 3) per band of ``(band, y, x)`` dB.

    NaN is left out, and so are a largest or smallest value that more than 0.5 % of the pixels share: 8-bit images
    mark blank and saturated pixels so. A band without any pixel gets 0 and 1.
    """
    centres, spreads = [], []
    for band in db:
        seen = _without_fill(band[np.isfinite(band)])
        if seen.size == 0:
            centres.append(0.0)
            spreads.append(1.0)
            continue
        low, middle, high = np.percentile(seen, (2, centre_percentile, 98))
        centres.append(middle)
        spreads.append(max((high - low) / 3, SPREAD_FLOOR_DB))
    return np.array(centres, np.float32), np.array(spreads, np.float32)


def _without_fill(values: NDArray[np.float32]) -> NDArray[np.float32]:
    for end in (np.max, np.min):
        if values.size:
            at_end = values == end(values)
            if 0.005 < at_end.mean() < 1:
                values = values[~at_end]
    return values


def grey_contract(*, before: bool) -> InputContract:
    """Contract of one grey 8-bit band after (and before) the event, as OMBRIA has it."""
    after = BandContract(name="grey", polarisation="vv")
    bands = (BandContract(name="grey_before", polarisation="vv", before=True), after) if before else (after,)
    return InputContract(bands=bands, units="relative")


def sar_contract(*, before: bool) -> InputContract:
    """Contract of calibrated VV and VH after (and before) the event; VH may be missing.

    Means and standard deviations are round numbers near those published for land and water together (methods: VV
    -10 to -15 dB, VH -17 to -23 dB); they only bring the input near zero mean and unit spread.
    """
    sources = (True, False) if before else (False,)
    bands = tuple(
        BandContract(
            name=f"{name}_before" if old else name, polarisation=name, before=old, clip_db=clip, mean_db=mean, sd_db=5.0
        )
        for old in sources
        for name, clip, mean in (("vv", (-35.0, 5.0), -12.0), ("vh", (-42.0, 0.0), -19.0))
    )
    return InputContract(bands=bands, units="db", optional=("vh",))
