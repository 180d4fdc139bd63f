"""A detector's answer together with what made it: `DetectorUsed` in ``attrs["made_by"]``."""

import xarray as xr

from pipeline_lib.model import DetectorUsed, NetworkUsed
from pipeline_lib.water.interface import Detector, Observation

MADE_BY = "made_by"
"""Attribute of a WaterExtent, and of the FloodMap that is derived from it: a `DetectorUsed` as JSON."""
NETWORKS = "networks"
"""Attribute by which a detector tells of its own networks: each a `NetworkUsed` as JSON."""
MEMBERS = "members"
"""Attribute by which a detector tells of those that it joined: each a `DetectorUsed` as JSON."""


def detected(found: Detector, observation: Observation) -> xr.Dataset:
    """The WaterExtent of an observation, (y, x), with ``attrs["made_by"]``.

    Raises:
        ContractError: a need of the detector is not met, or a dataset breaks its contract.
        ModelError: a model cannot be used.
    """
    extent = found.detect(observation)
    used = DetectorUsed(
        detector=found.name,
        parameters=found.options.model_dump(mode="json"),
        networks=tuple(NetworkUsed.model_validate_json(one) for one in extent.attrs.get(NETWORKS, ())),
        members=tuple(DetectorUsed.model_validate_json(one) for one in extent.attrs.get(MEMBERS, ())),
    )
    kept = {name: value for name, value in extent.attrs.items() if name not in {NETWORKS, MEMBERS}}
    extent.attrs = {**kept, MADE_BY: used.model_dump_json()}
    return extent


def made_by(dataset: xr.Dataset) -> DetectorUsed:
    """What made a WaterExtent or FloodMap."""
    return DetectorUsed.model_validate_json(dataset.attrs[MADE_BY])
