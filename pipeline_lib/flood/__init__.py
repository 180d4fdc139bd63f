"""Flood: what is water now and is not reference water; passes joined into events; polygons, depth."""

from pipeline_lib.flood.derive import derive_flood
from pipeline_lib.flood.event import mosaic
from pipeline_lib.flood.reference import reference_water
from pipeline_lib.flood.series import state_of

__all__ = ["derive_flood", "mosaic", "reference_water", "state_of"]
