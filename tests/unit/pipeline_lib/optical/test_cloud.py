"""Clear pixels: by scene class against a literal twin."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import ContractError
from pipeline_lib.optical.cloud import clear_by_scene_class


def classes_of(seed, shape=(30, 40), share=0.02) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.where(generator.random(shape) < share, generator.integers(0, 12, shape), 4).astype("u1")


def scene(classes, chunks=None) -> xr.Dataset:
    return xr.Dataset({"SCL": (("y", "x"), classes if chunks is None else da.from_array(classes, chunks=chunks))})


@given(seed=st.integers(0, 99), cloud_px=st.integers(0, 6), shadow_px=st.integers(0, 6))
def test_literal_twin(seed, cloud_px, shadow_px):
    classes = classes_of(seed)
    got = clear_by_scene_class(scene(classes), cloud_margin_px=cloud_px, shadow_margin_px=shadow_px).to_numpy()
    for i, j in np.ndindex(classes.shape):
        near = {
            margin: classes[max(0, i - margin) : i + margin + 1, max(0, j - margin) : j + margin + 1]
            for margin in (cloud_px, shadow_px)
        }
        hidden = classes[i, j] in (0, 1) or np.isin(near[cloud_px], (8, 9, 10)).any() or (near[shadow_px] == 3).any()
        assert got[i, j] != hidden


@given(seed=st.integers(0, 20), rows=st.integers(7, 30), columns=st.integers(7, 40))
def test_chunks_do_not_matter(seed, rows, columns):
    classes = classes_of(seed)
    lazy = clear_by_scene_class(scene(classes, (rows, columns)), cloud_margin_px=5)
    assert lazy.chunks == scene(classes, (rows, columns))["SCL"].chunks
    assert np.array_equal(lazy.compute(), clear_by_scene_class(scene(classes), cloud_margin_px=5))


def test_without_scene_class_there_is_a_clear_error():
    with pytest.raises(ContractError, match="'SCL' is missing"):
        clear_by_scene_class(xr.Dataset())


def bands() -> xr.Dataset:
    values = np.full((20, 30), 0.1, "f4")
    dataset = xr.Dataset({band: (("y", "x"), values * (n + 1)) for n, band in enumerate(CSMASK_BANDS)})
    dataset["B08"][:3] = np.nan
    return dataset
