"""Sentinel-2 on the grid: bands of three pixel sizes, and the offset that catalogues get wrong."""

import json
from datetime import datetime, timezone

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from pipeline_lib.catalog.profiles import ReflectanceOffset
from pipeline_lib.errors import AssetError
from pipeline_lib.load.sentinel2_l2a import added_to, declared_offset, load_l2a
from pipeline_lib.model import Acquisition, CatalogItem, Grid, ProductType

NOW = datetime(2024, 5, 11, 10, 20, tzinfo=timezone.utc)
GRID = Grid(crs="EPSG:32632", transform=(10, 0, 500000, 0, -10, 5000000), shape=(180, 240))
BANDS = {"B03": 10, "B08": 10, "B11": 20}


def reflectance_of(seed=0, shape=(180, 240)) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    blocks = generator.uniform(0.01, 0.3, (len(BANDS), shape[0] // 20, shape[1] // 20))
    return {band: np.kron(block, np.ones((20, 20))) for band, block in zip(BANDS, blocks, strict=True)}


def write(folder, reflectance, added, name="t", west=500000, classes=None) -> dict[str, str]:
    hrefs = {}
    shape = next(iter(reflectance.values())).shape
    layers = {
        band: np.round(values[:: BANDS[band] // 10, :: BANDS[band] // 10] * 10_000 + added)
        for band, values in reflectance.items()
    }
    layers["SCL"] = np.full((shape[0] // 2, shape[1] // 2), 4) if classes is None else classes
    for band, values in layers.items():
        step = BANDS.get(band, 20)
        path = folder / f"{name}-{band}.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=1,
            dtype="uint16",
            height=values.shape[0],
            width=values.shape[1],
            crs="EPSG:32632",
            transform=from_origin(west, 5000000, step, step),
        ) as dataset:
            dataset.write(values.astype("u2"), 1)
        hrefs[band] = str(path)
    return hrefs


def item(hrefs, name="t", **facts) -> CatalogItem:
    return CatalogItem(
        item_id=name,
        collection="sentinel-2-l2a",
        start=NOW,
        end=NOW,
        assets=hrefs,
        facts=facts,
        footprint={"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    )


def overpass(*items) -> Acquisition:
    return Acquisition(
        acquisition_id="S2A_X", platform="S2A", product=ProductType.L2A, start=NOW, end=NOW, slices=items
    )


def load(*items, rule=ReflectanceOffset.UNLESS_APPLIED):
    return load_l2a(overpass(*items), GRID, sign=str, offset_rule=rule, bands=tuple(BANDS), chunk=100)


CASES = [
    # baseline, declared applied, really in the numbers
    ("02.12", None, 0),
    ("03.01", None, 0),
    ("04.00", None, 1000),
    ("05.11", None, 1000),
    ("05.11", True, 0),
    ("05.09", False, 1000),
    ("05.11", True, 1000),  # declared as removed, and still in the numbers
    ("05.11", False, 0),  # declared as present, and already removed
    ("05.11", None, 0),
    (None, None, 1000),  # no baseline at all: by its date
]


@pytest.mark.parametrize(("baseline", "applied", "added"), CASES)
def test_reflectance_is_right_whatever_the_catalogue_declares(tmp_path, baseline, applied, added):
    facts = {"s2:processing_baseline": baseline, "earthsearch:boa_offset_applied": applied}
    truth = reflectance_of()
    scene = load(item(write(tmp_path, truth, added), **{k: v for k, v in facts.items() if v is not None}))
    for band in ("B03", "B08"):
        assert np.allclose(scene[band].compute(), truth[band], atol=1e-4)
    assert np.abs(scene["B11"].compute()[30:50, 30:50] - truth["B11"][30:50, 30:50]).mean() < 0.05
    assert f"{added} subtracted" in scene.attrs["reflectance_offset"]
    assert scene["B03"].dtype == "float32"


def test_a_bright_desert_before_2022_is_not_taken_for_an_offset():
    bright = np.full((50, 50), 2500, "f4")
    old = item({}, **{"s2:processing_baseline": "02.08"})
    assert added_to(old, [bright], ReflectanceOffset.BASELINE) == 0


def test_an_overcast_scene_says_nothing_about_the_offset():
    cloud = np.random.default_rng(0).normal(7000, 500, (50, 50)).astype("f4")
    applied = item({}, **{"s2:processing_baseline": "05.11", "earthsearch:boa_offset_applied": True})
    assert added_to(applied, [cloud], ReflectanceOffset.UNLESS_APPLIED) == 0
    plain = item({}, **{"s2:processing_baseline": "05.11"})
    assert added_to(plain, [cloud], ReflectanceOffset.BASELINE) == 1000
    assert added_to(plain, [np.full((50, 50), np.nan, "f4")], ReflectanceOffset.BASELINE) == 1000


def test_a_few_negative_pixels_are_the_noise_of_dark_water():
    dark = np.random.default_rng(0).normal(1060, 40, (100, 100)).astype("f4")
    assert 0 < (dark < 1000).mean() < 0.1
    sample = np.concatenate([dark, np.full((100, 100), 3000, "f4")])
    plain = item({}, **{"s2:processing_baseline": "05.11"})
    assert added_to(plain, [sample], ReflectanceOffset.BASELINE) == 1000


def test_two_granules_with_different_offsets_join(tmp_path):
    truth = reflectance_of(1)
    left = {band: values[:, :120] for band, values in truth.items()}
    right = {band: values[:, 120:] for band, values in truth.items()}
    scene = load(
        item(write(tmp_path, left, 1000, "l"), "l", **{"s2:processing_baseline": "04.00"}),
        item(write(tmp_path, right, 0, "r", west=501200), "r", **{"s2:processing_baseline": "03.01"}),
    )
    assert np.allclose(scene["B03"].compute(), truth["B03"], atol=1e-4)


def test_zero_is_no_data_and_scene_classes_stay_classes(tmp_path):
    truth = reflectance_of(2)
    classes = np.random.default_rng(0).integers(1, 12, (90, 120))
    hrefs = write(tmp_path, truth, 1000, classes=classes)
    with rasterio.open(hrefs["B03"], "r+") as dataset:
        values = dataset.read(1)
        values[:40] = 0
        dataset.write(values, 1)
    scene = load(item(hrefs, **{"s2:processing_baseline": "05.11"}))
    assert np.isnan(scene["B03"].compute()[:40]).all()
    assert np.isfinite(scene["B03"].compute()[40:]).all()
    assert scene["SCL"].dtype == "uint8"
    assert np.array_equal(scene["SCL"].compute(), np.kron(classes, np.ones((2, 2))))


def test_a_baseline_that_is_no_number_is_refused():
    with pytest.raises(AssetError, match="processing baseline 'N0511'; expected a number"):
        declared_offset(item({}, **{"s2:processing_baseline": "N0511"}), ReflectanceOffset.BASELINE)


def test_a_missing_band_is_named(tmp_path):
    hrefs = write(tmp_path, reflectance_of(), 0)
    del hrefs["B08"]
    with pytest.raises(AssetError, match="no asset 'B08'"):
        load(item(hrefs, **{"s2:processing_baseline": "03.00"}))
    with pytest.raises(AssetError, match="has no items"):
        load()


def test_real_items_follow_the_rule_of_their_archive(real_data):
    folder = real_data / "stac" / "real_items_from_cassettes"
    found = {}
    for path in sorted(folder.glob("sentinel-2-*/*.json")):
        properties = json.loads(path.read_text())["properties"] if "properties" in path.read_text() else {}
        if "s2:processing_baseline" not in properties:
            continue
        facts = {
            k: properties[k] for k in ("s2:processing_baseline", "earthsearch:boa_offset_applied") if k in properties
        }
        found[path.parent.name, *facts.values()] = declared_offset(item({}, **facts), ReflectanceOffset.UNLESS_APPLIED)
    assert found["sentinel-2-c1-l2a", "05.11"] == 1000
    assert found["sentinel-2-l2a", "05.11", True] == 0
    assert found["sentinel-2-l2a", "02.12"] == 0
