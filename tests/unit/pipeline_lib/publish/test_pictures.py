"""Coarse pictures of a page against literal twins: codes stay codes, and what is on the page is in the layer."""

import base64
import io

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.page_data import NEVER, draw_imagery
from pipeline_lib.publish.pictures import coarse_classes, coarse_measure


def layer(values):
    return xr.DataArray(values, dims=("y", "x")).chunk({"y": 7, "x": 9})


def blocks_of(values, factor):
    rows, columns = (-(-size // factor) for size in values.shape)
    for row in range(rows):
        for column in range(columns):
            yield row, column, values[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_class_is_the_commonest_of_its_block_and_flood_comes_first(factor):
    codes = np.random.default_rng(factor).choice(np.array([0, 1, 2, 3, 254, 255], np.uint8), (23, 31))
    found = coarse_classes(layer(codes), factor, (2, 3))
    for row, column, block in blocks_of(codes, factor):
        flood = block[np.isin(block, (2, 3))]
        shown = flood if flood.size >= max(0.25 * block.size, 1) else block
        values, counts = np.unique(shown, return_counts=True)
        assert found[row, column] == values[counts.argmax()]


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_measure_is_the_mean_of_what_is_known(factor):
    values = np.random.default_rng(factor).integers(0, 9, (23, 31)).astype(np.uint16)
    values[values > 5] = 65535
    found = coarse_measure(layer(values), factor, 65535)
    for row, column, block in blocks_of(values, factor):
        known = block[block != 65535]
        enough = known.size >= max(0.25 * block.size, 1)
        assert found[row, column] == (np.rint(known.mean()) if enough else 65535)


def test_coarse_pictures_of_an_event_show_no_code_that_is_nowhere(flood):
    event, passes = flood.event, [(one.scene, one.flood) for one in flood.passes]
    imagery = draw_imagery(event, passes, flood.plan.grid, PublishOptions(preview_px=256))
    assert imagery.metres > 1.5 * flood.plan.grid.pixel_m
    allowed = {name: set(np.unique(event[name])) | {NEVER} for name in ("state", "reference_water")}
    allowed |= {name: {*range(len(passes)), NEVER} for name in ("first_seen", "last_seen", "peak_date")}
    for name, codes in allowed.items():
        picture = Image.open(io.BytesIO(base64.b64decode(imagery.event[name].partition(",")[2])))
        assert set(np.unique(np.asarray(picture))) <= codes, name
