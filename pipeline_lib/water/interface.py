"""What every water detector is: observation in, WaterExtent out."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

import xarray as xr

from pipeline_lib.options import Options


class Need(StrEnum):
    """Something a detector cannot work without, beyond the scene itself."""

    HISTORY = "history"
    HAND = "hand"
    INCIDENCE_ANGLE = "incidence_angle"
    MODEL = "model"
    OPTICAL = "optical"
    WATER_OCCURRENCE = "water_occurrence"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Everything a detector may look at, on one grid, Dask-chunked or not."""

    scene: xr.Dataset
    """Scene of the pass: `pipeline_lib.model.check_scene`; dims (y, x), linear power, NaN = not observed."""
    history: xr.Dataset | None = None
    """The same polarisations before the event on the same relative orbit, dims (time, y, x), oldest first."""
    terrain: xr.Dataset | None = None
    """``elevation_m``, ``slope_deg``, ``hand_m`` float32 (y, x), NaN = unknown; any of them may be absent."""
    water_occurrence: xr.DataArray | None = None
    """Long-term share of observations with water, percent 0 to 100, float32 (y, x), NaN = unknown."""
    optical: xr.Dataset | None = None
    """Sentinel-2 reflectance composite before the event, dims (y, x)."""
    extras: dict[str, str] = field(default_factory=dict)
    """Free facts (``model`` folder ...)."""


class Detector(Protocol):
    """A named way to find water."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``overbank detectors``."""
    needs: ClassVar[frozenset[Need]]
    options_type: ClassVar[type[Options]]

    def __init__(self, options: Options | None = None) -> None:
        """Take the detector's own options; defaults where None."""

    def detect(self, observation: Observation) -> xr.Dataset:
        """Return a WaterExtent (`pipeline_lib.model.check_water_extent`) on the scene's grid, lazily.

        The result must not depend on how the inputs are chunked.

        Raises:
            ContractError: a need is not met, or a dataset breaks its contract.
        """
        ...
