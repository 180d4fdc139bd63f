"""A published event: every file opens, says the truth, and is described by valid STAC."""

import hashlib
import json
from pathlib import Path

import geopandas
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.extensions.sar import SarExtension
from pystac.extensions.sat import SatExtension
from rio_cogeo.cogeo import cog_validate

from pipeline_lib.publish.publication import publish, read_record
from pipeline_lib.publish.vectors import write_polygons


def items(folder: Path) -> list[pystac.Item]:
    return list(pystac.Collection.from_file(str(folder / "collection.json")).get_items())


def test_every_raster_is_a_valid_cog_with_nodata_and_its_pixels(flood, published):
    event = flood.publication(3).event
    paths = sorted((published / "current" / "event").glob("*.tif"))
    assert len(paths) == 16
    for path in paths:
        valid, errors, warnings = cog_validate(path, strict=False, quiet=True)
        assert valid, (path.name, errors, warnings)
        with rasterio.open(path) as raster:
            assert raster.nodata is not None
            assert raster.crs.to_string() == flood.plan.grid.crs
            assert raster.transform == flood.plan.grid.geobox.affine
            assert raster.compression.name == "deflate"
            np.testing.assert_array_equal(raster.read(1), event[path.stem].values, err_msg=path.name)
            if path.stem == "flood_extent":
                assert raster.colormap(1)[1][:3] == (215, 48, 39)
    for identity in flood.publication(3).plan.passes:
        folder = published / "current" / "passes" / identity.acquisition.acquisition_id
        assert {path.stem for path in folder.glob("*.tif")} == {
            "flood_extent", "water_extent", "reference_water", "flood_class", "likelihood", "uncertainty", "exclusion", "advisory",
        }  # fmt: skip


def test_dry_excluded_and_not_observed_are_three_values(flood, published):
    one = flood.passes[1]
    with rasterio.open(
        published / "current" / "passes" / one.planned.acquisition.acquisition_id / "flood_extent.tif"
    ) as raster:
        values = raster.read(1)
    assert set(np.unique(values)) == {0, 1, 254, 255}


def test_stac_is_valid_and_every_asset_is_there_with_its_checksum(published):
    collection = pystac.Collection.from_file(str(published / "collection.json"))
    core = pystac.validation.RegisteredValidator.get_validator()
    for thing in (collection, *items(published)):
        core.validate_core(
            thing.to_dict(include_self_link=False, transform_hrefs=False), thing.STAC_OBJECT_TYPE, "1.1.0"
        )
        for asset in thing.assets.values():
            path = Path(asset.get_absolute_href())
            size, checksum = (asset.extra_fields[f"file:{name}"] for name in ("size", "checksum"))
            assert path.stat().st_size == size
            assert checksum == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(items(published)) == 4


def test_extensions_read_back_through_their_classes(flood, published):
    found = {item.id: item for item in items(published)}
    planned = flood.passes[1].planned.acquisition
    item = found[planned.acquisition_id]
    assert ProjectionExtension.ext(item).code == flood.plan.grid.crs
    assert ProjectionExtension.ext(item).shape == list(flood.plan.grid.shape)
    assert SatExtension.ext(item).relative_orbit == planned.relative_orbit
    assert SatExtension.ext(item).orbit_state == planned.orbit_direction
    assert [str(one.value) for one in SarExtension.ext(item).polarizations] == ["VV", "VH"]
    asset = item.assets["flood_extent"]
    assert RasterExtension.ext(asset).bands[0].nodata == 255
    assert [one.value for one in ClassificationExtension.ext(asset).classes] == [0, 1, 254, 255]
    assert ClassificationExtension.ext(item.assets["exclusion"]).bitfields[6].name == "no_sensitivity"
    assert (
        FileExtension.ext(asset).size
        == (published / "current" / "passes" / planned.acquisition_id / "flood_extent.tif").stat().st_size
    )
    assert item.properties["version"] == "2"
    assert item.properties["processing:software"] == {"overbank": "0.1.0"}
    assert item.properties["overbank:minimum_mapping_unit_m2"] == 2000
    assert found["river-2024-event"].properties["overbank:significance"]["significant"] is True


def test_polygons_say_the_same_in_every_format(flood, published):
    frames = [
        geopandas.read_parquet(published / "current" / "event" / "flood.parquet"),
        *(
            geopandas.read_file(published / "current" / "event" / f"flood.{kind}")
            for kind in ("geojson", "fgb", "gpkg")
        ),
    ]
    area = read_record(published).figures.flood_area_km2
    for frame in frames:
        frame = frame.sort_values("polygon_id").reset_index(drop=True)  # noqa: PLW2901
        assert frame.crs.to_epsg() == 4326
        assert frame.geometry.is_valid.all()
        assert frame["area_km2"].sum() >= area * 0.98
        np.testing.assert_allclose(frame["area_km2"], frames[0]["area_km2"])
        assert set(frame) >= {
            "open_km2",
            "vegetation_km2",
            "town_km2",
            "likelihood",
            "observed_share",
            "first_seen",
            "last_seen",
        }
    assert frames[0]["first_seen"].min() == "2024-05-10T06:00:00Z"


def test_figures_are_those_of_the_rasters_within_the_area(flood, published):
    figures = read_record(published).figures
    from pipeline_lib.flood.area import column_areas, inside_area

    event = flood.publication(3).event
    inside = inside_area(flood.plan.event.aoi, event["flood_extent"], flood.plan.grid).values == 1
    area = np.broadcast_to(column_areas(event["flood_extent"]), inside.shape)
    assert figures.flood_area_km2 == pytest.approx(
        area[(event["flood_extent"].values == 1) & inside].sum() / 1e6, abs=1e-6
    )
    assert figures.flood_area_low_km2 <= figures.flood_area_km2 <= figures.flood_area_high_km2
    assert figures.open_flood_km2 + figures.flooded_vegetation_km2 + figures.flooded_town_km2 == pytest.approx(
        figures.flood_area_km2, abs=3e-6
    )
    geodesic = shapely.geometry.shape(flood.plan.event.aoi)
    from pyproj import Geod

    assert figures.area_of_interest_km2 == pytest.approx(
        abs(Geod(ellps="WGS84").geometry_area_perimeter(geodesic)[0]) / 1e6, rel=2e-3
    )
    assert figures.state == "receding"
    truth = (np.logical_or.reduce(flood.truth) & inside) * area
    assert figures.flood_area_low_km2 <= truth.sum() / 1e6 <= figures.flood_area_high_km2


def test_second_version_says_what_changed_and_keeps_the_first(flood, published):
    record = read_record(published)
    assert record.version == 2
    assert record.changes[0] == f"New: {flood.passes[2].planned.acquisition.acquisition_id}."
    assert any(sentence.startswith("Flooded area") for sentence in record.changes)
    first = pystac.Collection.from_file(str(published / "versions" / "0001" / "collection.json"))
    assert len(list(first.get_items())) == 3
    links = {link["rel"]: link["href"] for link in json.loads((published / "collection.json").read_text())["links"]}
    assert links["predecessor-version"] == "./versions/0001/collection.json"
    assert links["latest-version"] == "./collection.json"


def test_unchanged_passes_are_shared_between_versions_not_copied(flood, published):
    name = f"passes/{flood.passes[0].planned.acquisition.acquisition_id}/flood_extent.tif"
    assert (published / "versions/0001" / name).stat().st_ino == (published / "versions/0002" / name).stat().st_ino


def test_publishing_the_same_again_changes_nothing(flood, published):
    before = (published / "current").readlink()
    product = publish(flood.publication(3), published.parent)
    assert product.version == 2
    assert (published / "current").readlink() == before
    assert sorted(path.name for path in (published / "versions").iterdir()) == ["0001", "0002"]


def test_a_late_slice_is_named_as_the_reason(flood, tmp_path):
    publish(flood.publication(1), tmp_path)
    one = flood.passes[0]
    late = one.planned.acquisition.slices[0].model_copy(update={"item_id": "late_slice"})
    acquisition = one.planned.acquisition.model_copy(update={"slices": (*one.planned.acquisition.slices, late)})
    from dataclasses import replace

    changed = replace(one, planned=one.planned.model_copy(update={"acquisition": acquisition}), key="other")
    publish(flood.publication(1, passes=(changed,)), tmp_path)
    assert read_record(tmp_path / "river-2024").changes == (
        f"Changed: {acquisition.acquisition_id} (late slice late_slice).",
    )


def test_the_page_holds_everything_and_asks_for_nothing(published):
    page = (published / "index.html").read_text(encoding="utf-8")
    assert "River &amp; town &lt;flood&gt;" in page
    assert "<flood>" not in page.split('id="data"')[0]
    data = json.loads(page.split('<script id="data" type="application/json">')[1].split("</script>")[0])
    assert len(data["passes"]) == 3
    for word in ('src="http', 'href="http', "url(http", "@import"):
        assert word not in page.split("<script>")[0], word
    assert (published / "index.html").stat().st_size < 15 * 2**20
    record = read_record(published)
    for asset in record.event_assets.values():
        assert (published / "current" / "event" / asset["href"].removeprefix("./")).is_file()


def test_pages_pictures_carry_the_values_of_the_rasters(flood, published):
    """At full resolution a picture on the page is the raster, only warped to Web Mercator by nearest neighbour."""
    import base64
    import io

    from PIL import Image

    page = (published / "index.html").read_text(encoding="utf-8")
    data = json.loads(page.split('<script id="data" type="application/json">')[1].split("</script>")[0])
    uri = data["pictures"][data["event"]["classes"]]
    values = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))
    expected = flood.publication(3).event["flood_class"].values
    assert values.shape == tuple(data["size"][::-1])
    for code in (1, 2, 3, 4, 254):
        share, wanted = (values == code).mean(), (expected == code).mean()
        assert share == pytest.approx(wanted, rel=0.1, abs=2e-3), code


def test_polygons_as_vector_tiles_cover_the_same_ground(published, tmp_path):
    polygons = geopandas.read_parquet(published / "current" / "event" / "flood.parquet")
    tiles = geopandas.read_file(write_polygons(polygons, tmp_path, ("pmtiles",))["pmtiles"])
    ground = polygons.to_crs(tiles.crs)
    assert set(tiles["polygon_id"]) == set(polygons["polygon_id"])
    covered = shapely.union_all(shapely.make_valid(tiles.geometry.to_numpy()))
    true = shapely.union_all(ground.geometry.to_numpy())
    assert covered.symmetric_difference(true).area < 0.01 * true.area
    assert write_polygons(polygons.iloc[:0], tmp_path, ("pmtiles",)) == {}
