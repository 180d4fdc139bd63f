"""Scores of maps against labels: counts, ratios, calibration, boundaries, intervals. Pure: arrays in, records out."""

from pipeline_lib.evaluate.boundary import Boundary, boundary_counts
from pipeline_lib.evaluate.calibration import Calibration, Reliability, calibrate_scores, reliability
from pipeline_lib.evaluate.comparison import Difference, difference
from pipeline_lib.evaluate.document import SCHEMA_VERSION, ChipRow, Evaluation, Subject, schema
from pipeline_lib.evaluate.intervals import Interval, Intervals, bootstrap, paired_bootstrap
from pipeline_lib.evaluate.scores import Scores, confusion, pool, score
from pipeline_lib.evaluate.summary import ChipConfusion, Summary, summarise

__all__ = [
    "SCHEMA_VERSION",
    "Boundary",
    "Calibration",
    "ChipConfusion",
    "ChipRow",
    "Difference",
    "Evaluation",
    "Interval",
    "Intervals",
    "Reliability",
    "Scores",
    "Subject",
    "Summary",
    "bootstrap",
    "boundary_counts",
    "calibrate_scores",
    "confusion",
    "difference",
    "paired_bootstrap",
    "pool",
    "reliability",
    "schema",
    "score",
    "summarise",
]
