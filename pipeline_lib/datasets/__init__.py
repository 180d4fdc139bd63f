"""Labelled data sets: one reader each, one record for a chip, datasheets in the docstrings."""

from pipeline_lib.datasets.chip import Band, Chip, Label, Layer, Meaning, Stretch, Unit
from pipeline_lib.datasets.registry import DATASETS, read_dataset

__all__ = ["DATASETS", "Band", "Chip", "Label", "Layer", "Meaning", "Stretch", "Unit", "read_dataset"]
