"""Which product of a pass is mapped: with its references, of what covers most, terrain-corrected first."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from shapely.geometry import box, mapping, shape

from pipeline_lib.catalog.product import choose_passes, of_most_cover
from pipeline_lib.model import Acquisition, CatalogItem, CatalogReference, Event, OrbitDirection, ProductType
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.search import Mixture, PlanOptions

START = datetime(2026, 6, 28, tzinfo=timezone.utc)
EVENT = Event(event_id="e", aoi=area_of_bbox(10, 45, 10.1, 45.1), start=START, end=START + timedelta(days=10))
RTC, GRD = ProductType.RTC, ProductType.GRD
BOTH = ("vv", "vh")


def one(day, product, *, coverage=1.0, polarisations=BOTH, collection=None, platform="S1A"):
    start = START + timedelta(days=day, hours=5)
    east = 10 + 0.1 * coverage
    part = CatalogItem(
        item_id=f"{platform}-{day}-{product}",
        collection=collection or f"sentinel-1-{product.lower()}",
        start=start,
        end=start + timedelta(seconds=25),
        footprint=json.loads(json.dumps(mapping(box(10, 44, east, 46)))),
        assets=dict.fromkeys(polarisations, "https://example.org/a.tif"),
    )
    return Acquisition(
        acquisition_id=f"{platform}_{start:%Y%m%dT%H%M%S}_R066_D",
        platform=platform,
        product=product,
        start=start,
        end=part.end,
        polarisations=polarisations,
        relative_orbit=66,
        orbit_direction=OrbitDirection.DESCENDING,
        slices=(part,),
        coverage=coverage,
    )


def before(product, number=5, **changes):
    return [one(-12 * n, product, **changes) for n in range(1, number + 1)]


def chosen(passes, references, *, elevation=True, **options):
    planned, notes = choose_passes(passes, references, EVENT, PlanOptions(**options), elevation=elevation)
    return [(each.acquisition.product, {ref.product for ref in each.references}) for each in planned], notes


def test_of_equal_cover_and_references_the_terrain_corrected_one():
    products, notes = chosen([one(1, GRD), one(1, RTC)], [*before(GRD), *before(RTC)])
    assert products == [(RTC, {RTC})]
    assert notes == []


def test_a_pass_that_exists_as_grd_alone_is_compared_with_grd():
    products, notes = chosen([one(1, GRD)], [*before(GRD), *before(RTC)])
    assert products == [(GRD, {GRD})]
    assert notes == []


def test_a_pass_whose_references_exist_as_grd_alone_is_mapped_from_grd():
    products, notes = chosen([one(1, GRD), one(1, RTC)], before(GRD))
    assert products == [(GRD, {GRD})]
    assert notes == [
        "S1A_20260629T050000_R066_D is mapped from GRD: its references do not exist as RTC of sentinel-1-rtc."
    ]


def test_few_terrain_corrected_references_are_less_than_enough_of_the_others():
    products, notes = chosen([one(1, GRD), one(1, RTC)], [*before(GRD), *before(RTC, 2)])
    assert products == [(GRD, {GRD})]
    assert "only 2 of its references exist as RTC" in notes[0]
    assert chosen([one(1, GRD), one(1, RTC)], [*before(GRD), *before(RTC, 3)])[0] == [(RTC, {RTC})]


def test_a_pass_of_which_one_slice_is_terrain_corrected_is_mapped_whole():
    products, notes = chosen([one(1, GRD), one(1, RTC, coverage=0.448)], [*before(GRD), *before(RTC)])
    assert products == [(GRD, {GRD})]
    assert "as RTC of sentinel-1-rtc it covers 44.8% of the area" in notes[0]


def test_the_rim_that_terrain_correction_cuts_off_is_not_more():
    """0.1 degree are 7.9 km here: what is missing is a strip of 0.8 km, and one of 1.2 km."""
    references = [*before(GRD), *before(RTC)]
    assert chosen([one(1, GRD), one(1, RTC, coverage=0.9)], references)[0] == [(RTC, {RTC})]
    assert chosen([one(1, GRD), one(1, RTC, coverage=0.85)], references)[0] == [(GRD, {GRD})]


def test_grd_with_both_polarisations_is_more_than_rtc_with_one():
    products, notes = chosen([one(1, GRD), one(1, RTC, polarisations=("vv",))], [*before(GRD), *before(RTC)])
    assert products == [(GRD, {GRD})]
    assert "fewer polarisations" in notes[0]
    alike = [*before(GRD, polarisations=("vv",)), *before(RTC)]
    assert chosen([one(1, GRD), one(1, RTC, polarisations=("vv",))], alike)[0] == [(RTC, {RTC})]


def test_references_without_vh_are_left_where_there_are_enough_with_it():
    references = [*before(RTC), one(-6.5, RTC, polarisations=("vv",))]
    planned, _ = choose_passes([one(1, RTC)], references, EVENT, PlanOptions())
    assert len(planned[0].references) == 5
    planned, _ = choose_passes([one(1, RTC)], references, EVENT, PlanOptions(few_references=6))
    assert len(planned[0].references) == 6


@pytest.mark.parametrize(("there", "others"), [(GRD, RTC), (RTC, GRD)])
def test_a_mixture_is_the_last_resort_and_said(there, others):
    products, notes = chosen([one(1, there)], before(others))
    assert products == [(there, {others})]
    assert any("gain between both is measured" in note for note in notes)
    products, notes = chosen([one(1, there)], before(others), mixture=Mixture.NEVER)
    assert products == [(there, set())]
    assert "5 were found, 0 of them" in " ".join(notes)
    assert chosen([one(1, there)], [*before(others, 9), *before(there, 1)])[0] == [(there, {there})]


def test_a_mixture_is_better_than_no_comparison():
    products, _ = chosen([one(1, GRD), one(1, RTC, polarisations=("hh",))], before(RTC))
    assert products == [(GRD, {RTC})]


def test_products_of_two_makers_are_not_alike():
    opera = before(RTC, collection="OPERA_L2_RTC-S1_V1")
    planned, _ = choose_passes([one(1, RTC)], [*opera, *before(RTC, 3)], EVENT, PlanOptions())
    assert {part.collection for ref in planned[0].references for part in ref.slices} == {"sentinel-1-rtc"}
    assert not planned[0].is_mixture
    planned, notes = choose_passes([one(1, RTC)], opera, EVENT, PlanOptions())
    assert planned[0].is_mixture
    assert "RTC of OPERA_L2_RTC-S1_V1 alone" in notes[0]


def test_of_two_makers_that_are_as_good_the_catalogue_named_first_is_taken():
    a, b = (CatalogReference(profile="generic", url=f"https://{name}.example.org") for name in "ab")

    def of(acquisition, catalog):
        slices = tuple(item.model_copy(update={"catalog": catalog}) for item in acquisition.slices)
        return acquisition.model_copy(update={"slices": slices})

    here = [of(each, a) for each in (one(1, RTC), *before(RTC))]
    there = [of(each, b) for each in (one(1, RTC, collection="opera"), *before(RTC, collection="opera"))]
    for order in ((a, b), (b, a)):
        passes, pool = [here[0], there[0]], [*there[1:], *here[1:]]
        planned, _ = choose_passes(passes, pool, EVENT, PlanOptions(), catalogs=order)
        assert {item.catalog for ref in planned[0].references for item in ref.slices} == {order[0]}
        assert len(planned) == 1


def test_without_an_elevation_model_grd_is_no_choice():
    """Neither as the pass nor as a reference; a pass that exists as nothing else is left out, with what to do."""
    references = [*before(GRD), *before(RTC, 2)]
    assert chosen([one(1, GRD), one(1, RTC)], references, elevation=False)[0] == [(RTC, {RTC})]
    products, notes = chosen([one(1, RTC)], before(GRD), elevation=False)
    assert products == [(RTC, set())]
    products, notes = chosen([one(1, GRD)], references, elevation=False)
    assert products == []
    assert "--dem-catalog" in notes[0]


def test_each_pass_is_chosen_by_itself():
    passes = [one(1, RTC), one(1, GRD), one(3, GRD, platform="S1C"), one(5, RTC, platform="S1D")]
    products, notes = chosen(passes, [*before(GRD), *before(RTC)])
    assert [product for product, _ in products] == [RTC, GRD, RTC]
    assert "1 pass(es) exist as GRD only and are terrain-corrected here." in notes


def test_who_asks_whether_a_pass_is_there_gets_what_covers_most_first():
    whole = of_most_cover([one(1, GRD), one(1, RTC, coverage=0.4), one(3, GRD)], shape(EVENT.aoi))
    assert [[take[0].product for take in takes] for takes in whole] == [[GRD, RTC], [GRD]]
    assert [take[0].product for take in of_most_cover([one(1, GRD), one(1, RTC)], shape(EVENT.aoi))[0]] == [RTC, GRD]
