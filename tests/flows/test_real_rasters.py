"""The main flow on real Sentinel-1 pixels: real rasters behind the embedded STAC API, mapped and published."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

from flows.map_event import map_event
from pipeline_lib.evaluate.scores import confusion, score
from pipeline_lib.model import Event
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.world.server import serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]
SENSED = datetime(2019, 9, 17, 6, 2, 14, tzinfo=UTC)
OPTIONS = {"plan": {"require_references": False}, "publish": {"vectors": ["geojson"]}}


class Archive:
    """A folder in the layout of the simulated world, with real rasters in it."""

    def __init__(self, root, template):
        self.root = root
        for name in ("sentinel-1-rtc", "cop-dem-glo-30"):
            (root / "items" / name).mkdir(parents=True)
            (root / "collections").mkdir(exist_ok=True)
            shutil.copy(template / "collections" / f"{name}.json", root / "collections")

    def raster(self, path, values, like):
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": "COG", "dtype": "float32", "count": 1, "nodata": -32768.0, "crs": like.crs}
        profile |= {"transform": like.transform, "height": like.height, "width": like.width}
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(np.nan_to_num(values, nan=-32768.0).astype("float32"), 1)

    def item(self, collection, identifier, like, assets, properties):
        west, south, east, north = transform_bounds(like.crs, "EPSG:4326", *like.bounds)
        hrefs = {}
        for key, values in assets.items():
            href = f"assets/{collection}/{identifier}/{key}.tif"
            self.raster(self.root / href, values, like)
            hrefs[key] = {"href": href, "roles": ["data"], "type": "image/tiff; application=geotiff"}
        document = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": identifier,
            "collection": collection,
            "links": [],
            "geometry": area_of_bbox(west, south, east, north),
            "bbox": [west, south, east, north],
            "properties": properties,
            "assets": hrefs,
        }
        (self.root / "items" / collection / f"{identifier}.json").write_text(json.dumps(document))
        return west, south, east, north

    def radar(self, source, bands_db):
        power = {key: 10 ** (values / 10) for key, values in bands_db.items()}
        end = SENSED + timedelta(seconds=25)
        identifier = f"S1B_IW_GRDH_1SDV_{SENSED:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}_018076_02209D_rtc"
        properties = {
            "datetime": SENSED.isoformat(),
            "start_datetime": SENSED.isoformat(),
            "end_datetime": end.isoformat(),
            "platform": "SENTINEL-1B",
            "constellation": "Sentinel-1",
            "sar:instrument_mode": "IW",
            "sar:product_type": "GRD",
            "sar:polarizations": ["VV", "VH"],
            "sat:orbit_state": "descending",
            "sat:relative_orbit": 8,
            "sat:absolute_orbit": 18076,
            "s1:datatake_id": "139421",
        }
        return self.item("sentinel-1-rtc", identifier, source, power, properties)


def event_over(bbox, name):
    west, south, east, north = bbox
    inset = 0.02 * (east - west)
    area = area_of_bbox(west + inset, south + inset, east - inset, north - inset)
    day = timedelta(days=1)
    return Event(event_id=name, aoi=area, start=SENSED - day, end=SENSED + day)


def published(out, event_id, layer):
    raster = next((out / event_id).glob(f"current/passes/*/*{layer}.tif"))
    with rasterio.open(raster) as dataset:
        return dataset.read(1), dataset.transform, dataset.crs


def test_the_flood_of_murcia_from_a_catalogue(real_data, small_world, tmp_path):
    """A real chip of the Spanish flood of September 2019 with its hand label, without references or elevation."""
    archive = Archive(tmp_path / "archive", small_world)
    with rasterio.open(real_data / "sen1floods11" / "S1Hand" / "Spain_7370579_S1Hand.tif") as source:
        bbox = archive.radar(source, {"vv": source.read(1), "vh": source.read(2)})
    event = event_over(bbox, "murcia-2019")
    with serve(archive.root) as url:
        product = map_event(event, url, str(tmp_path / "out"), MapOptions.model_validate(OPTIONS))
    assert product.figures.passes == 1
    water, transform, crs = published(tmp_path / "out", "murcia-2019", "water_extent")
    label = np.full(water.shape, -1, "int16")
    with rasterio.open(real_data / "sen1floods11" / "LabelHand" / "Spain_7370579_LabelHand.tif") as source:
        rasterio.warp.reproject(
            rasterio.band(source, 1), label, dst_transform=transform, dst_crs=crs, dst_nodata=-1, src_nodata=-1
        )
    assert score(confusion(water, label)).water_iou > 0.5


def test_a_dry_place_with_its_real_elevation(real_data, small_world, tmp_path):
    """A TerraMind place: real radar and real elevation; slope and HAND exist, and hardly anything is called flood."""
    archive = Archive(tmp_path / "archive", small_world)
    place = "637U_59R_1_3.tif"
    folder = real_data / "terramind_examples" / "examples"
    with rasterio.open(folder / "S1RTC" / place) as source:
        bbox = archive.radar(source, {"vv": source.read(1), "vh": source.read(2)})
    with rasterio.open(folder / "DEM" / place) as source:
        heights = {"data": source.read(1).astype("float32")}
        archive.item("cop-dem-glo-30", "DEM", source, heights, {"datetime": "2021-04-22T00:00:00Z", "gsd": 10})
    event = event_over(bbox, "dry-place")
    with serve(archive.root) as url:
        map_event(event, url, str(tmp_path / "out"), MapOptions.model_validate(OPTIONS))
    flood, _, _ = published(tmp_path / "out", "dry-place", "flood_extent")
    assert list((tmp_path / "out" / ".overbank" / "store" / "terrain").glob("*.json"))
    assert np.mean(flood == 1) < 0.05
    assert np.mean(flood == 255) < 0.2
