"""Records: equal after a trip through JSON, identical where only hosts moved, strict about what they are given."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from pipeline_lib.errors import ContractError, InputError
from pipeline_lib.model import (
    Acquisition,
    CatalogItem,
    CatalogReference,
    Confusion,
    Event,
    Grid,
    MappingPlan,
    PlannedPass,
    ProductType,
    check_scene,
    check_water_extent,
)
from pipeline_lib.model.area import area_of_bbox

START = datetime(2024, 5, 11, 5, 30, tzinfo=UTC)


def acquisition(host: str = "one.example") -> Acquisition:
    item = CatalogItem(
        item_id="S1A_1",
        collection="sentinel-1-rtc",
        start=START,
        end=START + timedelta(seconds=25),
        footprint=area_of_bbox(10, 45, 11, 46),
        assets={"vv": f"https://{host}/a/vv.tif?sig=abc"},
    )
    return Acquisition(
        acquisition_id="S1A_20240511T053000_R066_D",
        platform="S1A",
        product=ProductType.RTC,
        start=item.start,
        end=item.end,
        polarisations=("vv",),
        relative_orbit=66,
        slices=(item,),
    )


def plan(host: str) -> MappingPlan:
    return MappingPlan(
        event=Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start=START, end=START + timedelta(days=1)),
        catalog=CatalogReference(profile="generic", url=f"http://{host}/"),
        grid=Grid(crs="EPSG:32632", transform=(10, 0, 5e5, 0, -10, 5e6), shape=(10, 20)),
        passes=(PlannedPass(acquisition=acquisition(host)),),
        notes=(host,),
    )


def test_a_plan_is_the_same_wherever_the_archive_lives():
    assert plan("a.example").digest == plan("b.example:8080").digest


def test_a_plan_with_another_item_is_another_plan():
    one = plan("a.example")
    changed = one.passes[0].acquisition.model_copy(update={"platform": "S1C"})
    other = one.model_copy(update={"passes": (PlannedPass(acquisition=changed),)})
    assert one.digest != other.digest


def test_records_survive_json():
    one = plan("a.example")
    assert MappingPlan.model_validate_json(one.model_dump_json()) == one
    assert MappingPlan.model_validate_json(one.model_dump_json()).digest == one.digest


def test_event_ends_after_it_starts():
    for end, says in ((START, "when it starts"), (START - timedelta(hours=1), "before it starts")):
        with pytest.raises(ValidationError, match=says):
            Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start=START, end=end)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "x" * 81, "po\n2024", "po\n"])
def test_event_id_cannot_leave_its_folder(name):
    with pytest.raises(ValidationError) as caught:
        Event(event_id=name, aoi=area_of_bbox(10, 45, 11, 46), start=START, end=START + timedelta(days=1))
    assert isinstance(caught.value.errors()[0]["ctx"]["error"], InputError)


def test_naive_times_are_utc():
    event = Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start="2024-05-11", end="2024-05-12T00:00:00+02:00")
    assert event.start == datetime(2024, 5, 11, tzinfo=UTC)
    assert event.end == datetime(2024, 5, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("end", ["2024-05-12", "20240512", 20240512, date(2024, 5, 12)])
def test_an_end_that_is_a_day_is_all_of_it(end):
    event = Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start="20240512", end=end)
    assert event.start == datetime(2024, 5, 12, tzinfo=UTC)
    assert event.end == datetime(2024, 5, 12, 23, 59, 59, tzinfo=UTC)
    assert Event.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize("start", ["1714694400", 1714694400, 5])
def test_a_count_of_seconds_is_no_time(start):
    with pytest.raises(ValidationError, match="is not a time; expected"):
        Event(event_id="po", aoi=area_of_bbox(10, 45, 11, 46), start=start, end="2024-05-12")


def scene(**changes):
    data = xr.DataArray(np.ones((3, 4), "float32"), dims=("y", "x"), attrs={"units": "1"})
    return xr.Dataset({"vv": changes.get("vv", data)}, attrs=changes.get("attrs", {"backscatter": "gamma0"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"vv": xr.DataArray(np.ones((3, 4)), dims=("y", "x"), attrs={"units": "1"})}, "dtype 'float64'"),
        ({"vv": xr.DataArray(np.ones((3, 4), "f4"), dims=("x", "y"), attrs={"units": "1"})}, "dims"),
        ({"vv": xr.DataArray(np.ones((3, 4), "f4"), dims=("y", "x"), attrs={"units": "dB"})}, "units 'dB'"),
        ({"attrs": {}}, "backscatter"),
    ],
)
def test_scene_contract_names_the_difference(changes, says):
    check_scene(scene())
    with pytest.raises(ContractError, match=says):
        check_scene(scene(**changes))


def test_missing_variable_is_named():
    with pytest.raises(ContractError, match="'water' is missing; the dataset holds vv"):
        check_water_extent(scene())


def test_confusions_pool():
    a = Confusion(true_positive=1, false_positive=2, false_negative=3, true_negative=4, ignored=5)
    assert (a + a).model_dump() == {name: 2 * count for name, count in a.model_dump().items()}
