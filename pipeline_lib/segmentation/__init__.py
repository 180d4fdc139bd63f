"""Segmentation as taught: region growing, clustering, split and merge; for radar and optical images alike."""

from pipeline_lib.segmentation.clustering import Clusters, fit, predict_blocks
from pipeline_lib.segmentation.region_growing import grow, hysteresis, seeds_below
from pipeline_lib.segmentation.split_merge import Regions, split_and_merge

__all__ = ["Clusters", "Regions", "fit", "grow", "hysteresis", "predict_blocks", "seeds_below", "split_and_merge"]
