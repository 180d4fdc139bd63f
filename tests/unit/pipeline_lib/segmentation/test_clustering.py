"""Clustering against scikit-learn, texture against scikit-image and a loop, and independence of the chunking."""

import dask.array as da
import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from pipeline_lib.errors import ContractError, UnseparableHistogramError
from pipeline_lib.options.segmentation import ClusteringOptions
from pipeline_lib.segmentation import fit, predict_blocks
from pipeline_lib.segmentation.features import feature_stack, local_moments
from pipeline_lib.segmentation.glcm import glcm_features, quantised
from pipeline_lib.segmentation.mixture import gaussians, kmeans


def landscape(seed, size=120):
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    kind = np.where((row - 60) ** 2 + (column - 40) ** 2 < 900, 0, np.where(column > 80, 2, 1))
    levels = {"vv": np.array([-19.0, -10.0, -4.0]), "vh": np.array([-26.0, -17.0, -11.0])}
    bands = {name: 10 ** (level[kind] / 10) * rng.gamma(4.4, 1 / 4.4, kind.shape) for name, level in levels.items()}
    return bands, kind


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_clusters_are_the_classes_darkest_first(method):
    bands, kind = landscape(1)
    clusters = fit({name: da.from_array(b) for name, b in bands.items()}, ClusteringOptions(method=method))
    labels, posterior = clusters.predict(bands)
    assert adjusted_rand_score(kind.ravel(), labels.ravel()) > 0.95
    assert (np.diff(clusters.means[:, 0]) > 0).all()
    np.testing.assert_allclose(posterior.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(posterior.argmax(axis=0) + 1, labels)
    assert clusters.feature_means[0, 0] == pytest.approx(-19.5, abs=0.5)


def test_posterior_is_scikit_learns():
    bands, _ = landscape(2, size=40)
    options = ClusteringOptions(sample=1600)
    clusters = fit({name: da.from_array(b) for name, b in bands.items()}, options)
    stack, _ = feature_stack(bands, is_radar=True, texture=False, glcm=False)
    rows = (stack.reshape(len(stack), -1).T - clusters.centre) / clusters.scale
    model = GaussianMixture(3, reg_covar=1e-4, n_init=1, max_iter=200, random_state=0).fit(rows)
    expected = model.predict_proba(rows)[:, np.argsort(model.means_[:, 0])].T
    np.testing.assert_allclose(clusters.predict(bands)[1].reshape(3, -1), expected, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(17, 90), (40, 33)])
def test_chunking_does_not_show(rows, columns):
    bands, _ = landscape(3, size=90)
    bands["vv"][5:9, 70:] = np.nan
    options = ClusteringOptions(glcm=True, texture=True, method="kmeans", sample=2000)
    whole = {name: da.from_array(b, chunks=-1) for name, b in bands.items()}
    cut = {name: da.from_array(b, chunks=(rows, columns)) for name, b in bands.items()}
    one, two = fit(whole, options), fit(cut, options)
    np.testing.assert_array_equal(one.means, two.means)
    labels, posterior = predict_blocks(two, cut)
    expected_labels, expected = one.predict(bands)
    np.testing.assert_array_equal(labels.compute(), expected_labels)
    np.testing.assert_array_equal(posterior.compute(), expected)


def test_blocks_do_not_show():
    bands, _ = landscape(4, size=100)
    bands["vv"][20:50, 30:34] = np.nan
    lazy = {name: da.from_array(b) for name, b in bands.items()}
    options = ClusteringOptions(glcm=True, texture=True, method="kmeans", sample=3000)
    whole, pieces = fit(lazy, options), fit(lazy, options, block_px=32)
    # Co-occurrences are counted along the row, and their sums carry its rounding.
    np.testing.assert_allclose(pieces.means, whole.means, atol=1e-4)
    labels, _ = predict_blocks(whole, lazy, block_px=32)
    assert (labels.compute() == whole.predict(bands)[0]).mean() > 0.9999


def test_blocks_do_not_show_in_a_bit_without_co_occurrence():
    bands, _ = landscape(4, size=100)
    bands["vv"][20:50, 30:34] = np.nan
    bands["vv"][70, 70] = 300.0  # what a running sum would remember
    lazy = {name: da.from_array(b) for name, b in bands.items()}
    options = ClusteringOptions(texture=True, method="gmm", sample=3000)
    whole, pieces = fit(lazy, options), fit(lazy, options, block_px=32)
    for name in ("centre", "scale", "means", "factors", "log_weights"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))
    labels, posterior = predict_blocks(whole, lazy, block_px=32)
    expected_labels, expected = whole.predict(bands)
    np.testing.assert_array_equal(labels.compute(), expected_labels)
    np.testing.assert_array_equal(posterior.compute(), expected)


def test_bic_finds_the_number_of_classes():
    from pipeline_lib.segmentation.clustering import _fitted

    rng = np.random.default_rng(5)
    centres = np.array([[-4.0, 0.0], [0.0, 0.0], [3.0, 2.0]])
    rows = centres[rng.integers(0, 3, 3000)] + rng.normal(0, 0.6, (3000, 2))
    means = _fitted(rows, ClusteringOptions(clusters=5, choose=True)).means
    np.testing.assert_allclose(means[np.argsort(means[:, 0])], centres, atol=0.15)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_fit_is_as_good_as_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    shapes = rng.normal(0, 1, (4, 3, 3)) @ np.diag([1.0, 0.6, 0.3])
    kind = rng.integers(0, 4, 4000)
    rows = rng.normal(0, 2.5, (4, 3))[kind] + np.einsum("nij,nj->ni", shapes[kind], rng.normal(0, 1, (4000, 3)))
    theirs = GaussianMixture(4, reg_covar=1e-4, n_init=4, max_iter=200, random_state=seed).fit(rows)
    ours, criterion = gaussians(rows, 4, seed)
    assert criterion <= theirs.bic(rows) * 1.002
    found = GaussianMixture(4)
    found.weights_ = np.exp(ours.log_weights - np.log(np.diagonal(ours.factors, axis1=1, axis2=2)).sum(axis=1))
    found.means_, found.precisions_cholesky_ = ours.means, ours.factors
    assert found.weights_.sum() == pytest.approx(1)
    assert found.bic(rows) == pytest.approx(criterion)
    centres, labels = kmeans(rows, 4, seed)
    best = KMeans(4, n_init=10, random_state=seed).fit(rows)
    assert ((rows - centres[labels]) ** 2).sum() <= best.inertia_ * 1.01
    assert adjusted_rand_score(best.labels_, labels) > 0.9


def test_as_many_clusters_as_rows_lose_none():
    rows = np.repeat(np.arange(5.0)[:, None] ** 2, 3, axis=0)
    centres, labels = kmeans(rows, 5, 0)
    np.testing.assert_array_equal(np.sort(centres[:, 0]), np.arange(5.0) ** 2)
    np.testing.assert_array_equal(centres[labels], rows)


def test_an_optical_image_clusters_by_colour():
    rng = np.random.default_rng(6)
    kind = (np.mgrid[:50, :50][1] > 25).astype(int)
    bands = {
        "green": np.array([0.08, 0.1])[kind] + rng.normal(0, 0.005, kind.shape),
        "nir": np.array([0.02, 0.35])[kind] + rng.normal(0, 0.02, kind.shape),
    }
    clusters = fit({n: da.from_array(b) for n, b in bands.items()}, ClusteringOptions(clusters=2), is_radar=False)
    labels, _ = clusters.predict(bands)
    assert adjusted_rand_score(kind.ravel(), labels.ravel()) > 0.95


def test_no_data_has_no_cluster():
    bands, _ = landscape(7, size=40)
    bands["vh"][:10] = np.nan
    clusters = fit({n: da.from_array(b) for n, b in bands.items()}, ClusteringOptions())
    labels, posterior = clusters.predict(bands)
    assert not labels[:10].any()
    assert np.isnan(posterior[:, :10]).all()
    assert (labels[10:] > 0).all()


def test_nothing_to_cluster_is_said():
    constant = {"vv": da.ones((20, 20)) * 0.1}
    with pytest.raises(UnseparableHistogramError, match="fewer than 3"):
        fit(constant, ClusteringOptions())
    with pytest.raises(UnseparableHistogramError, match="no observed"):
        fit({"vv": da.full((5, 5), np.nan)}, ClusteringOptions())
    with pytest.raises(ContractError, match="band"):
        fit({}, ClusteringOptions())


def test_glcm_is_scikit_images_summed_over_directions():
    rng = np.random.default_rng(8)
    grey = rng.integers(0, 8, (15, 17)).astype(np.uint8)
    ours = glcm_features(grey, radius=3, levels=8)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    for y, x in [(3, 3), (7, 9), (0, 0), (14, 16), (5, 16)]:
        window = grey[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
        counts = graycomatrix(window, [1], angles, levels=8, symmetric=True).sum(axis=(2, 3)).astype(float)
        p = counts / counts.sum()
        as_matrix = p[:, :, None, None]
        assert ours[0, y, x] == pytest.approx(graycoprops(as_matrix, "contrast")[0, 0], rel=1e-5)
        assert ours[1, y, x] == pytest.approx(graycoprops(as_matrix, "homogeneity")[0, 0], rel=1e-5)
        assert ours[2, y, x] == pytest.approx(graycoprops(as_matrix, "ASM")[0, 0], rel=1e-5)
        assert ours[3, y, x] == pytest.approx(-(p[p > 0] * np.log(p[p > 0])).sum(), rel=1e-4)


def test_glcm_leaves_no_data_out():
    grey = np.random.default_rng(9).integers(0, 8, (9, 9)).astype(np.uint8)
    grey[2, 2] = 255
    got = glcm_features(grey, radius=1, levels=8)
    assert np.isnan(got[:, 2, 2]).all()
    pairs = [(grey[a], grey[b]) for a, b in _pairs_in(range(2, 5), range(2, 5)) if grey[a] != 255 and grey[b] != 255]
    assert got[0, 3, 3] == pytest.approx(np.mean([(float(a) - float(b)) ** 2 for a, b in pairs]), rel=1e-5)


def _pairs_in(rows, columns):
    for y in rows:
        for x in columns:
            for v, u in ((y, x + 1), (y + 1, x - 1), (y + 1, x), (y + 1, x + 1)):
                if v in rows and u in columns:
                    yield (y, x), (v, u)


def test_grey_levels_are_fixed_and_refuse_nonsense():
    image = np.array([[-40.0, -32.0, -15.0, 1.9, 30.0, np.nan]])
    np.testing.assert_array_equal(quantised(image, -32, 2), [[0, 0, 16, 31, 31, 255]])
    with pytest.raises(ContractError):
        quantised(image, 2, -32)


def test_local_moments_are_those_of_the_window():
    rng = np.random.default_rng(10)
    plane = rng.gamma(4, 1, (12, 13))
    plane[rng.uniform(size=plane.shape) < 0.2] = np.nan
    mean, spread = local_moments(plane, 5)
    for y in range(12):
        for x in range(13):
            window = plane[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            if np.isnan(plane[y, x]):
                assert np.isnan(mean[y, x])
            else:
                assert mean[y, x] == pytest.approx(np.nanmean(window), rel=1e-5)
                assert spread[y, x] == pytest.approx(np.nanstd(window), rel=1e-4, abs=1e-6)
