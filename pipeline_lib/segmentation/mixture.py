"""k-means and Gaussian mixtures of a few clusters: compiled, one pass over the rows a step, on one thread.

A step of either is a handful of operations a row. Library versions make whole arrays of each of them and hand matrices
four columns wide to BLAS, whose threads then wait for each other for longer than they multiply.

References:
    Lloyd, IEEE Trans. Inf. Theory 28, 1982; Arthur and Vassilvitskii, SODA 2007 (k-means++);
    Dempster, Laird, Rubin, JRSS B 39, 1977 (EM); Schwarz, Annals of Statistics 6, 1978 (BIC).
"""

from dataclasses import dataclass
from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

STARTS = 4
"""Initial centres tried; the partition of the smallest spread is kept."""
LLOYD_STEPS, EM_STEPS = 300, 200
RIDGE = 1e-4
"""Added to variances (of standardised features), so that no cluster shrinks to a point."""
CLOSE_ENOUGH = 1e-3
"""EM ends when a step raises the mean log likelihood of a row by less."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Clusters with a Gaussian each."""

    means: Matrix
    """Dims (cluster, feature)."""
    factors: Matrix
    """Cholesky factors of the precisions, upper triangles, dims (cluster, feature, feature)."""
    log_weights: Matrix
    """Log share plus half the log determinant of the precision of each cluster."""

    @classmethod
    def of_centres(cls, centres: Matrix) -> Self:
        """Clusters that differ by their centre alone, as k-means has them."""
        factors = np.tile(np.eye(centres.shape[1]), (len(centres), 1, 1))
        return cls(means=centres, factors=factors, log_weights=np.zeros(len(centres)))

    @classmethod
    def of_moments(cls, weights: Matrix, means: Matrix, covariances: Matrix) -> Self:
        """Clusters of known share, mean and covariance."""
        ridge = RIDGE * np.eye(means.shape[1])
        factors = np.linalg.inv(np.linalg.cholesky(covariances + ridge)).transpose(0, 2, 1).copy()
        determinant = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        return cls(means=means, factors=factors, log_weights=np.log(weights / weights.sum()) + determinant)

    @property
    def parameters(self) -> int:
        """Free parameters of the Gaussians and their shares."""
        clusters, features = self.means.shape
        return int(clusters * (features + features * (features + 1) // 2 + 1) - 1)


def kmeans(rows: Matrix, clusters: int, seed: int) -> tuple[Matrix, NDArray[np.int64]]:
    """Centres (cluster, feature) of the best of `STARTS` runs of Lloyd's algorithm, and the cluster of each row.

    ``rows`` are (row, feature), all finite.
    """
    rng = np.random.default_rng(seed)
    best_spread, best = np.inf, (rows[:clusters], np.zeros(len(rows), np.int64))
    for _ in range(STARTS):
        centres = _spread_out(rows, clusters, rng)
        labels = np.full(len(rows), -1, np.int64)
        for _ in range(LLOYD_STEPS):
            centres, spread, moved = _lloyd_step(rows, centres, labels)
            if not moved:
                break
        if spread < best_spread:
            best_spread, best = spread, (centres, labels)
    return best


def _spread_out(rows: Matrix, clusters: int, rng: np.random.Generator) -> Matrix:
    """k-means++: each further centre is a row, drawn in proportion to its squared distance from those before."""
    chosen = [int(rng.integers(len(rows)))]
    apart = np.full(len(rows), np.inf)
    while len(chosen) < clusters:
        apart = np.minimum(apart, ((rows - rows[chosen[-1]]) ** 2).sum(axis=1))
        reach = np.cumsum(apart)
        chosen.append(min(int(np.searchsorted(reach, rng.uniform() * reach[-1], "right")), len(rows) - 1))
    return rows[chosen]


@numba.njit(cache=True, nogil=True)
def _lloyd_step(rows: Matrix, centres: Matrix, labels: NDArray[np.int64]) -> tuple[Matrix, float, int]:
    """Put each row to its nearest centre (``labels``, in place); new centres, sum of squared distances, rows moved."""
    clusters, features = centres.shape
    sums, counts = np.zeros((clusters, features)), np.zeros(clusters)
    spread, moved, farthest, farthest_row = 0.0, 0, -1.0, 0
    for n in range(rows.shape[0]):
        nearest, least = 0, np.inf
        for k in range(clusters):
            apart = 0.0
            for f in range(features):
                apart += (rows[n, f] - centres[k, f]) ** 2
            if apart < least:
                nearest, least = k, apart
        moved += labels[n] != nearest
        labels[n] = nearest
        counts[nearest] += 1
        spread += least
        if least > farthest:
            farthest, farthest_row = least, n
        for f in range(features):
            sums[nearest, f] += rows[n, f]
    for k in range(clusters):
        # A centre that nobody is near to starts anew where the partition is worst.
        sums[k] = sums[k] / counts[k] if counts[k] else rows[farthest_row]
    return sums, spread, moved


def gaussians(rows: Matrix, clusters: int, seed: int) -> tuple[Mixture, float]:
    """A mixture by expectation and maximisation from the partition of `kmeans`, and its Bayesian information criterion.

    Steps end when they gain less than `CLOSE_ENOUGH`, or after `EM_STEPS`: what is not converged by then is a usable
    partition all the same.
    """
    centres, labels = kmeans(rows, clusters, seed)
    shares = np.eye(clusters)[labels]
    mixture = _maximised(*_moments_of_shares(rows, centres, shares), centres, len(rows))
    before = -np.inf
    for _ in range(EM_STEPS):
        weights, first, second, likelihood = _expected(rows, mixture.means, mixture.factors, mixture.log_weights)
        mixture = _maximised(weights, first, second, mixture.means, len(rows))
        gain, before = likelihood / len(rows) - before, likelihood / len(rows)
        if abs(gain) < CLOSE_ENOUGH:
            break
    likelihood = _expected(rows, mixture.means, mixture.factors, mixture.log_weights)[-1]
    likelihood -= 0.5 * rows.size * np.log(2 * np.pi)
    return mixture, float(mixture.parameters * np.log(len(rows)) - 2 * likelihood)


def _moments_of_shares(rows: Matrix, around: Matrix, shares: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Weight, first and second moment around a point of each cluster, for given shares (row, cluster)."""
    apart = rows[:, None] - around
    return (
        shares.sum(axis=0),
        np.einsum("nk,nkf->kf", shares, apart),
        np.einsum("nk,nkf,nkg->kfg", shares, apart, apart),
    )


def _maximised(weights: Matrix, first: Matrix, second: Matrix, around: Matrix, rows: int) -> Mixture:
    """The mixture of the moments; they are taken around points near the means, where no digits cancel."""
    weights = weights + 10 * np.finfo(np.float64).eps * rows
    moved = first / weights[:, None]
    covariances = second / weights[:, None, None] - moved[:, :, None] * moved[:, None]
    return Mixture.of_moments(weights, around + moved, covariances)


@numba.njit(cache=True, nogil=True)
def _expected(
    rows: Matrix, means: Matrix, factors: Matrix, log_weights: Matrix
) -> tuple[Matrix, Matrix, Matrix, float]:
    """Weight and moments around its mean of each cluster by the rows' posteriors, and the sum of log likelihoods."""
    clusters, features = means.shape
    weights, first = np.zeros(clusters), np.zeros((clusters, features))
    second = np.zeros((clusters, features, features))
    chances, likelihood = np.empty(clusters), 0.0
    for n in range(rows.shape[0]):
        likelihood += _chances(rows[n], means, factors, log_weights, chances)
        for k in range(clusters):
            weights[k] += chances[k]
            for f in range(features):
                weighted = chances[k] * (rows[n, f] - means[k, f])
                first[k, f] += weighted
                for g in range(features):
                    second[k, f, g] += weighted * (rows[n, g] - means[k, g])
    return weights, first, second, likelihood


@numba.njit(cache=True, nogil=True)
def _chances(row: Matrix, means: Matrix, factors: Matrix, log_weights: Matrix, out: Matrix) -> float:
    """Posterior of each cluster for a row (``out``); log of their densities' sum."""
    clusters, features = means.shape
    largest = -np.inf
    for k in range(clusters):
        square = 0.0
        for g in range(features):
            apart = 0.0
            for f in range(g + 1):
                apart += (row[f] - means[k, f]) * factors[k, f, g]
            square += apart * apart
        out[k] = log_weights[k] - 0.5 * square
        largest = max(largest, out[k])
    total = 0.0
    for k in range(clusters):
        out[k] = np.exp(out[k] - largest)
        total += out[k]
    for k in range(clusters):
        out[k] /= total
    return float(largest + np.log(total))


@numba.njit(cache=True, nogil=True)
def classify(
    stack: NDArray[np.float32], centre: Matrix, scale: Matrix, means: Matrix, factors: Matrix, log_weights: Matrix
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Cluster of each pixel (1 ...; 0 where the first feature is NaN) and its posterior by cluster (NaN there).

    Args:
        stack: features, dims (feature, y, x).
        centre: what standardises the features: subtracted first.
        scale: likewise, divided by.
        means: of the clusters, see `Mixture`.
        factors: likewise.
        log_weights: likewise.
    """
    features, rows, columns = stack.shape
    clusters = len(means)
    labels = np.zeros((rows, columns), np.uint8)
    posterior = np.full((clusters, rows, columns), np.nan, np.float32)
    row, chances = np.empty(features), np.empty(clusters)
    for y in range(rows):
        for x in range(columns):
            if not np.isfinite(stack[0, y, x]):
                continue
            for f in range(features):
                row[f] = (stack[f, y, x] - centre[f]) / scale[f]
            _chances(row, means, factors, log_weights, chances)
            labels[y, x] = chances.argmax() + 1
            for k in range(clusters):
                posterior[k, y, x] = chances[k]
    return labels, posterior
