"""Water detectors: an observation in, a WaterExtent out, each by name and behind one interface."""

from pipeline_lib.water.interface import Detector, Need, Observation
from pipeline_lib.water.registry import DEFAULT_DETECTOR, detector, detectors

__all__ = ["DEFAULT_DETECTOR", "Detector", "Need", "Observation", "detector", "detectors"]
