"""Options of the segmenters: one frozen model each."""

from typing import Literal

from pydantic import Field

from pipeline_lib.options.base import Options


class GrowingOptions(Options):
    """Region growing from seeds."""

    predicate: Literal["running_mean", "hysteresis"] = "running_mean"
    """``running_mean``: a neighbour joins while it differs from the region's mean by at most ``tolerance``.
    ``hysteresis``: connected pixels at or below ``tolerance`` that touch a seed."""
    seed: float = -20.0
    """Pixels at or below this are seeds (dB of the filtered image)."""
    tolerance: float = 3.0
    """``running_mean``: largest difference (dB; about 2 to 3 standard deviations of speckle). ``hysteresis``: upper
    bound (dB) of the region's pixels."""
    connectivity: Literal[4, 8] = 8
    """Neighbours of a pixel."""


class ClusteringOptions(Options):
    """k-means or a Gaussian mixture over intensity (or colour) and texture."""

    method: Literal["kmeans", "gmm"] = "gmm"
    """Hard centres, or full-covariance Gaussians."""
    clusters: int = Field(default=3, ge=1, le=16)
    """Number of clusters; the largest number tried with ``choose``."""
    choose: bool = False
    """Choose the number of clusters from 1 to ``clusters`` by BIC (Gaussian mixtures on the sample)."""
    texture: bool = False
    """Add the local variation of each band. Off: at the borders of regions every variation is large, so that with few
    clusters one of them becomes "border" (see docs/explanation/segmentation.md for the measurement)."""
    glcm: bool = False
    """Add grey level co-occurrence contrast, homogeneity, entropy (slower)."""
    texture_weight: float = Field(default=0.3, gt=0, le=1)
    """Weight of texture against intensity; k-means only, a Gaussian mixture has its own scales."""
    sample: int = Field(default=20_000, ge=100, le=1_000_000)
    """Pixels the clusters are fitted on, on a regular lattice over the whole image."""
    seed: int = Field(default=0, ge=0)
    """Of the initial centres."""


class SplitMergeOptions(Options):
    """Quadtree split, then merging of neighbouring regions."""

    homogeneity: Literal["speckle", "spread"] = "speckle"
    """``speckle``: gamma likelihood ratio on linear power (radar). ``spread``: standard deviation and difference of
    means in the image's own units (optical, or radar in dB)."""
    looks: float = Field(default=4.4, gt=0)
    """Equivalent number of looks of the image given."""
    significance: float = Field(default=0.01, gt=0, lt=0.5)
    """Chance that two halves of a homogeneous region are held to differ."""
    texture_cv: float = Field(default=0.25, ge=0, le=1)
    """Coefficient of variation of the land's own texture, allowed on top of speckle; 0 = none (bare speckle)."""
    min_step_db: float = Field(default=0.5, ge=0)
    """Means closer than this are equal, however many pixels prove the difference."""
    max_spread: float = Field(default=0.03, gt=0)
    """``spread``: largest standard deviation within a region, per band."""
    max_step: float = Field(default=0.03, gt=0)
    """``spread``: largest difference of the means of two regions that merge, per band."""


class ClusteringDetectorOptions(Options):
    """The ``clustering`` detector."""

    clustering: ClusteringOptions = ClusteringOptions()
    """How the scene is clustered."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller water bodies are dropped."""


class GrowingDetectorOptions(Options):
    """The ``region-growing`` detector."""

    filter_radius: int = Field(default=1, ge=0, le=3)
    """Radius of the boxcar on linear power, pixels."""
    tolerance_db: float = Field(default=4.0, gt=0)
    """Largest difference of a joining pixel from its region's mean (4 standard deviations of speckle of 4.4 looks
    after a 3 x 3 mean of correlated pixels)."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller water bodies are dropped."""


class SplitMergeDetectorOptions(Options):
    """The ``split-merge`` detector."""

    split_merge: SplitMergeOptions = SplitMergeOptions()
    """How the scene is cut into regions."""
    min_pixels: int = Field(default=10, ge=1)
    """Smaller water bodies are dropped."""
