"""The best pixel: clear, recent, far from cloud; all bands of a pixel from one overpass."""

from datetime import datetime, timedelta, timezone

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipeline_lib.errors import InputError
from pipeline_lib.optical.composite import CLOUD_REACH_PX, HALF_LIFE_DAYS, best_pixel_composite

EVENT = datetime(2024, 5, 11, tzinfo=timezone.utc)


def overpass(days, values, chunks=None) -> xr.Dataset:
    data = values.astype("f4") if chunks is None else da.from_array(values.astype("f4"), chunks=chunks)
    layers = {
        "B03": (("y", "x"), data),
        "B08": (("y", "x"), data * 2),
        "SCL": (("y", "x"), np.ones(values.shape, "u1")),
    }
    return xr.Dataset(layers, attrs={"datetime": (EVENT - timedelta(days=days)).isoformat()})


def mask(values, chunks=None) -> xr.DataArray:
    return xr.DataArray(values if chunks is None else da.from_array(values, chunks=chunks), dims=("y", "x"))


def scenes(seed, shape=(70, 90), chunks=None):
    generator = np.random.default_rng(seed)
    days = generator.uniform(1, 60, 3)
    values = [np.full(shape, n + 1.0) for n in range(3)]
    clear = [ndimage.gaussian_filter(generator.normal(size=shape), 6) > -0.02 for _ in range(3)]
    return (
        days,
        clear,
        best_pixel_composite(
            [overpass(day, value, chunks) for day, value in zip(days, values, strict=True)],
            [mask(one, chunks) for one in clear],
            before=EVENT,
        ),
    )


@given(seed=st.integers(0, 50))
def test_every_pixel_has_the_highest_score(seed):
    days, clear, got = scenes(seed)
    scores = np.stack(
        [
            np.where(
                one,
                0.5 * 2 ** (-day / HALF_LIFE_DAYS)
                + 0.5 * np.minimum(ndimage.distance_transform_edt(one) / CLOUD_REACH_PX, 1),
                -1,
            )
            for day, one in zip(days, clear, strict=True)
        ]
    )
    found = scores.max(axis=0) >= 0
    taken = got["B03"].to_numpy()
    assert np.array_equal(np.isfinite(taken), found)
    index = np.where(found, np.nan_to_num(taken, nan=1), 1).astype(int) - 1
    chosen = np.take_along_axis(scores, index[None], 0)[0]
    assert np.allclose(chosen[found], scores.max(axis=0)[found], atol=1e-6)
    assert np.allclose(got["B08"], 2 * got["B03"], equal_nan=True)  # all bands from one overpass
    assert np.allclose(got["days_before"].to_numpy()[found], days[index][found], atol=1e-4)
    assert np.array_equal(got["clear_count"], np.sum(clear, axis=0))
    assert "SCL" not in got


@pytest.mark.parametrize(("seed", "rows", "columns"), [(0, 52, 90), (1, 70, 33), (2, 17, 60), (3, 60, 55)])
def test_chunks_do_not_matter(seed, rows, columns):
    _, _, whole = scenes(seed)
    _, _, chunked = scenes(seed, chunks=(rows, columns))
    for name in whole:
        assert np.array_equal(whole[name], chunked[name].compute(), equal_nan=True)


def test_a_pixel_without_data_is_not_taken():
    values = np.ones((5, 6))
    values[2, 3] = np.nan
    got = best_pixel_composite(
        [overpass(1, values), overpass(30, np.full((5, 6), 7.0))], [mask(np.ones((5, 6), bool))] * 2, before=EVENT
    )
    assert got["B03"][2, 3] == 7
    assert got["B03"][0, 0] == 1


def test_an_overpass_during_the_event_is_refused():
    values = np.ones((5, 6))
    with pytest.raises(InputError, match="is not before the event"):
        best_pixel_composite([overpass(-1, values)], [mask(values > 0)], before=EVENT)
    with pytest.raises(InputError, match="needs overpasses"):
        best_pixel_composite([], [], before=EVENT)
