"""Scores of maps against labels: counts, ratios, calibration, boundaries, intervals. Pure: arrays in, records out."""

from pipeline_lib.evaluate.scores import (
    ChipConfusion,
    Scores,
    Summary,
    confusion,
    pool,
    score,
    summarise,
)

__all__ = ["ChipConfusion", "Scores", "Summary", "confusion", "pool", "score", "summarise"]
