"""Addresses as keys of assets."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.assets import Asset

from pipeline_lib.model import (
    CatalogItem,
    CatalogReference,
    Event,
    EventFigures,
    EventState,
    Grid,
    MappingPlan,
    Product,
)
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.steps.lineage import event_address, item_addresses
from tasks.display import all_shown, show
from tasks.lineage import asset_key, materialized

MOMENT = datetime(2024, 5, 10, tzinfo=timezone.utc)
NUMBERS = {name: 0.0 for name, field in EventFigures.model_fields.items() if field.annotation is float}
FIGURES = EventFigures(
    **NUMBERS,
    passes=1,
    first_pass=MOMENT,
    last_pass=MOMENT,
    state=EventState.NONE,
    peak_area_km2=None,
    peak_time=None,
)


def plan_of(url: str) -> MappingPlan:
    tile = CatalogItem(
        item_id="N45", collection="cop-dem-glo-30", start=MOMENT, end=MOMENT, footprint={}, assets={"data": "x"}
    )
    return MappingPlan(
        event=Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start=MOMENT, end=MOMENT + timedelta(days=1)),
        catalog=CatalogReference(profile="generic", url=url),
        grid=Grid(crs="EPSG:32632", transform=(10, 0, 0, 0, -10, 0), shape=(10, 10)),
        passes=(),
        dem=(tile,),
    )


def product_in(folder: str) -> Product:
    return Product(
        event_id="po",
        version=2,
        collection_href=f"{folder}/po/collection.json",
        page_href=f"{folder}/po/index.html",
        quicklook_href=f"{folder}/po/quicklook.png",
        figures=FIGURES,
        plan_digest="0",
        software="overbank",
        published=MOMENT,
    )


@given(st.text(max_size=700))
def test_any_address_becomes_a_key_that_prefect_takes(rest):
    key = asset_key(f"file:///{rest}")
    assert Asset(key=key).key == key
    assert asset_key(key) == key


def test_addresses_that_differ_stay_apart():
    addresses = ["file:///a b", "file:///a-b", "file:///a#b", "file:///" + "a" * 600, "file:///" + "a" * 601]
    assert len({asset_key(address) for address in addresses}) == len(addresses)
    assert asset_key("file:///floods/po") == "file:///floods/po"


def test_the_address_of_an_event_is_its_folder(tmp_path):
    assert event_address(product_in(str(tmp_path))) == f"file://{tmp_path.resolve()}/po"


@pytest.mark.parametrize("url", ["https://stac.example/v1", "https://me:secret@stac.example/v1/?token=secret#secret"])
def test_what_opens_a_catalogue_is_no_part_of_an_address(url):
    assert item_addresses(plan_of(url)) == {"https://stac.example/v1/collections/cop-dem-glo-30/items/N45": "N45"}


def test_an_asset_that_cannot_be_told_of_is_a_warning(tmp_path, caplog):
    with all_shown():
        show(materialized, plan=plan_of("no address"), product=product_in(str(tmp_path)))
    assert "valid URI" in caplog.text
