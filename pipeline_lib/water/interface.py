"""What every water detector is: observation in, WaterExtent out."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, TypeVar

import xarray as xr

from pipeline_lib.errors import ContractError
from pipeline_lib.options import Options
from pipeline_lib.water.blocks import BLOCK_PX, BlockGrid

Given = TypeVar("Given")


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
    block_px: int = BLOCK_PX
    """Side of the blocks that are worked on one by one, pixels, a multiple of `pipeline_lib.water.histogram.TILE_PX`.
    Memory and speed depend on it, the answer does not."""

    @property
    def grid(self) -> BlockGrid:
        """The scene's cut into blocks."""
        return BlockGrid((self.scene.sizes["y"], self.scene.sizes["x"]), self.block_px)

    def has(self, need: Need) -> bool:
        """Whether the need is met."""
        met = {
            Need.HISTORY: self.history is not None and self.history.sizes.get("time", 0) > 0,
            Need.HAND: self.terrain is not None and "hand_m" in self.terrain,
            Need.INCIDENCE_ANGLE: "local_incidence_angle" in self.scene,
            Need.MODEL: True,  # a detector that carries a model finds it by itself
            Need.OPTICAL: self.optical is not None,
            Need.WATER_OCCURRENCE: self.water_occurrence is not None,
        }
        return met[need]


class Detector(Protocol):
    """A named way to find water."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``overbank detectors``."""
    options_type: ClassVar[type[Options]]

    def __init__(self, options: Options | None = None) -> None:
        """Take the detector's own options; defaults where None."""

    @property
    def needs(self) -> frozenset[Need]:
        """What the detector cannot work without, with the options it was given."""
        ...

    @property
    def options(self) -> Options:
        """The detector's own options, complete."""
        ...

    def detect(self, observation: Observation) -> xr.Dataset:
        """Return a WaterExtent (`pipeline_lib.model.check_water_extent`) on the scene's grid, lazily.

        The result must not depend on how the inputs are chunked, nor on the size of the blocks.

        Raises:
            ContractError: a need is not met, or a dataset breaks its contract.
        """
        ...


def require(given: Given | None, need: Need, who: str) -> Given:
    """What a detector cannot do without.

    Raises:
        ContractError: it was not given.
    """
    if given is None:
        raise ContractError(
            f"{who} needs {need.value.replace('_', ' ')}, which this observation does not have; "
            "give it, or choose a detector that needs nothing but the scene (`overbank detectors`)."
        )
    return given
