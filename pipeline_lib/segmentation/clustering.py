"""Clustering: k-means or a Gaussian mixture in feature space, fitted on a sample, predicted block by block.

The sample is a regular lattice over the whole image, the image is worked on in fixed blocks with a halo: the result is
the same whatever the chunking. Features are standardised by the sample's mean and standard deviation between the 1st
and 99th percentile, which a few bright targets cannot move; texture counts by its weight. Clusters are numbered by
their mean in the first feature, darkest first.
"""

from dataclasses import dataclass

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ContractError, UnseparableHistogramError
from pipeline_lib.options.segmentation import ClusteringOptions
from pipeline_lib.segmentation.features import HALO_PX, Planes, feature_stack
from pipeline_lib.segmentation.mixture import Matrix, Mixture, classify, gaussians, kmeans

BLOCK_PX = 1024


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """A fitted clustering: everything that prediction needs."""

    options: ClusteringOptions
    is_radar: bool
    bands: tuple[str, ...]
    features: tuple[str, ...]
    centre: Matrix
    """Mean of each feature in the sample, between its 1st and 99th percentile."""
    scale: Matrix
    """Standard deviation likewise, over the weight for texture."""
    means: Matrix
    """Cluster means, standardised, dims (cluster, feature)."""
    factors: Matrix
    """Cholesky factors of the precisions, dims (cluster, feature, feature); the identity for k-means."""
    log_weights: Matrix
    """Log share plus half the log determinant of each cluster; 0 for k-means."""
    sample: int
    """Pixels fitted on."""

    @property
    def feature_means(self) -> Matrix:
        """Cluster means in the features' own units, dims (cluster, feature)."""
        restored: Matrix = self.means * self.scale + self.centre
        return restored

    def predict(self, bands: dict[str, NDArray[np.floating]]) -> tuple[NDArray[np.uint8], Planes]:
        """Cluster of each pixel (0 not observed, 1 ... darkest first) and its posterior by cluster.

        Args:
            bands: planes (y, x) under the names the clustering was fitted on.

        Returns:
            Clusters uint8 (y, x), and posteriors float32 (cluster, y, x), NaN = not observed.
        """
        stack, _ = _features(bands, self.options, is_radar=self.is_radar)
        labels, posterior = classify(stack, self.centre, self.scale, self.means, self.factors, self.log_weights)
        return labels, posterior


def _features(
    bands: dict[str, NDArray[np.floating]], options: ClusteringOptions, *, is_radar: bool
) -> tuple[Planes, tuple[str, ...]]:
    return feature_stack(bands, is_radar=is_radar, texture=options.texture, glcm=options.glcm)


def fit(
    bands: dict[str, da.Array],
    options: ClusteringOptions | None = None,
    *,
    is_radar: bool = True,
    block_px: int = BLOCK_PX,
) -> Clusters:
    """Fit clusters on a lattice sample of a Dask image.

    Args:
        bands: name to plane (y, x), chunked at will; linear power where ``is_radar``; NaN = not observed.
        options: method, number of clusters, features, sample size.
        is_radar: see `pipeline_lib.segmentation.features.feature_stack`.
        block_px: side of the blocks that are looked at one by one; the result does not depend on it.

    Raises:
        UnseparableHistogramError: fewer different observed pixels than clusters.
    """
    options = options or ClusteringOptions()
    rows, names = _sample(bands, options, is_radar=is_radar, block_px=block_px)
    if not _differ(rows[:, : 2 * len(bands)], options.clusters):
        raise UnseparableHistogramError(
            f"The image has fewer than {options.clusters} different observed pixels; ask for fewer clusters."
        )
    usual = np.clip(rows, *np.percentile(rows, [1, 99], axis=0))
    weight = np.where(np.arange(len(names)) < 2 * len(bands), 1.0, options.texture_weight)
    centre, scale = usual.mean(axis=0), np.maximum(usual.std(axis=0), 1e-6) / weight
    standard = (rows - centre) / scale
    mixture = _fitted(standard, options)
    order = np.argsort(mixture.means[:, 0], kind="stable")
    return Clusters(
        options=options,
        is_radar=is_radar,
        bands=tuple(bands),
        features=names,
        centre=centre,
        scale=scale,
        means=mixture.means[order],
        factors=mixture.factors[order],
        log_weights=mixture.log_weights[order],
        sample=len(rows),
    )


def _differ(rows: Matrix, wanted: int) -> bool:
    """Whether there are that many different rows."""
    # Rounding leaves crumbs in the local means: what differs by less is the same.
    different: set[bytes] = set()
    for row in np.round(rows, 3) + 0.0:
        different.add(row.tobytes())
        if len(different) >= wanted:
            return True
    return False


def _fitted(standard: Matrix, options: ClusteringOptions) -> Mixture:
    """Clusters of the method asked for."""
    if options.method == "kmeans":
        return Mixture.of_centres(kmeans(standard, options.clusters, options.seed)[0])
    numbers = range(1, options.clusters + 1) if options.choose else (options.clusters,)
    return min((gaussians(standard, number, options.seed) for number in numbers), key=lambda found: found[1])[0]


def predict_blocks(
    clusters: Clusters, bands: dict[str, da.Array], *, block_px: int = BLOCK_PX
) -> tuple[da.Array, da.Array]:
    """`Clusters.predict` of a Dask image, lazily, block by block.

    Args:
        clusters: fitted.
        bands: planes (y, x) under the names it was fitted on.
        block_px: side of the blocks.

    Returns:
        Clusters uint8 (y, x) and posteriors float32 (cluster, y, x).
    """
    stack = da.stack([bands[name] for name in clusters.bands]).rechunk({0: -1, 1: block_px, 2: block_px})
    depth = {0: 0, 1: HALO_PX, 2: HALO_PX}
    widened = da.overlap.overlap(stack, depth=depth, boundary="none", allow_rechunk=False)
    joined = widened.map_blocks(
        _predicted, clusters, chunks=((len(clusters.means) + 1,), *widened.chunks[1:]), dtype=np.float32
    )
    whole = da.overlap.trim_internal(joined, depth, boundary="none")
    return whole[0].astype(np.uint8), whole[1:]


def _predicted(block: Planes, clusters: Clusters) -> Planes:
    labels, posterior = clusters.predict(dict(zip(clusters.bands, block, strict=True)))
    return np.concatenate([labels[None].astype(np.float32), posterior])


@dataclass(frozen=True)
class _Window:
    """A piece of the image with a halo: where its own pixels begin, and how wide the halo before them is."""

    top: int
    left: int
    above: int
    before: int
    side: int

    @property
    def cut(self) -> tuple[slice, slice]:
        """Rows and columns of the image, halo included."""
        below, after = self.top + self.side + HALO_PX, self.left + self.side + HALO_PX
        return slice(self.top - self.above, below), slice(self.left - self.before, after)


def _sample(
    bands: dict[str, da.Array], options: ClusteringOptions, *, is_radar: bool, block_px: int
) -> tuple[Matrix, tuple[str, ...]]:
    """Features at the points of a lattice, block by block: no whole plane of features is ever held."""
    if not bands:
        raise ContractError("Clustering needs at least one band; none was given.")
    rows, columns = next(iter(bands.values())).shape
    step = max(1, int(np.sqrt(rows * columns / options.sample)))
    windows = [
        _Window(top, left, min(HALO_PX, top), min(HALO_PX, left), block_px)
        for top in range(0, rows, block_px)
        for left in range(0, columns, block_px)
    ]
    parts = [
        dask.delayed(_lattice)(
            {name: plane[window.cut] for name, plane in bands.items()}, options, is_radar, step, window
        )
        for window in windows
    ]
    found = [part for part in dask.compute(*parts) if part[0].size]
    if not found:
        raise UnseparableHistogramError("The image holds no observed pixel; there is nothing to cluster.")
    # From the top left to the bottom right, whatever the blocks: sums and first centres follow the order of the rows.
    places = np.concatenate([part[1] for part in found])
    order = np.lexsort((places[:, 1], places[:, 0]))
    return np.concatenate([part[0] for part in found])[order], found[0][2]


def _lattice(
    bands: dict[str, NDArray[np.floating]],
    options: ClusteringOptions,
    is_radar: bool,
    step: int,
    window: _Window,
) -> tuple[Matrix, NDArray[np.int64], tuple[str, ...]]:
    """Rows of features at the observed lattice points of one window, their places (y, x), and the features' names."""
    stack, features = _features(bands, options, is_radar=is_radar)
    own = stack[:, window.above : window.above + window.side, window.before : window.before + window.side]
    first = np.array([-window.top % step, -window.left % step])
    lattice = own[:, first[0] :: step, first[1] :: step]
    points = lattice.reshape(len(own), -1).T
    places = np.argwhere(np.ones(lattice.shape[1:], bool)) * step + first + (window.top, window.left)
    known = np.isfinite(points).all(axis=1)
    return points[known].astype(np.float64), places[known], features
