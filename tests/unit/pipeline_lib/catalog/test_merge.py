"""Slices, doubles, coverage and footprints."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, box, mapping, shape

from pipeline_lib.catalog.footprint import BrokenFootprintError, area_m2, footprint_of, share_of
from pipeline_lib.catalog.merge import acquisitions_of, same_passes
from pipeline_lib.model import CatalogItem, CatalogReference, ProductType

START = datetime(2024, 5, 11, 5, tzinfo=timezone.utc)
AREA = box(10.0, 45.0, 10.2, 45.1)


def item(name, second=0, *, seconds=25, bounds=(9, 44, 11, 46), assets=("vv", "vh"), **facts):
    start = START + timedelta(seconds=second)
    return CatalogItem(
        item_id=name,
        collection="sentinel-1-rtc",
        start=start,
        end=start + timedelta(seconds=seconds),
        footprint=mapping(box(*bounds)),
        assets={key: f"https://example.org/{name}/{key}.tif" for key in assets},
        facts={
            "platform": "S1A",
            "sat:relative_orbit": 66,
            "sat:orbit_state": "descending",
            "overbank:datatake": "049F13",
            **facts,
        },
    )


def merged(*items, product=ProductType.RTC):
    return acquisitions_of(items, product, AREA)


WEST, EAST = (9, 44, 10.1, 46), (10.1, 44, 11, 46)


def test_adjacent_slices_are_one_pass_in_order_of_sensing():
    (one,), notes = merged(item("b", 25, bounds=EAST), item("a", bounds=WEST))
    assert [part.item_id for part in one.slices] == ["a", "b"]
    assert one.acquisition_id == "S1A_20240511T050000_R066_D"
    assert one.coverage == 1.0
    assert (one.start, one.end) == (START, START + timedelta(seconds=50))
    assert notes == []


@pytest.mark.parametrize(
    "facts",
    [{"platform": "S1C"}, {"overbank:datatake": "049F14"}, {"sat:orbit_state": "ascending"}],
)
def test_what_belongs_to_another_pass_stays_apart(facts):
    passes, _ = merged(item("a", bounds=WEST), item("b", 25, bounds=EAST, **facts))
    assert len(passes) == 2


def test_a_slice_that_states_no_direction_stays_with_its_pass():
    (one,), notes = merged(item("a", bounds=WEST), item("b", 25, bounds=EAST, **{"sat:orbit_state": None}))
    assert [part.item_id for part in one.slices] == ["a", "b"]
    assert one.orbit_direction == "descending"
    assert notes == ["b states no flight direction; descending, as its neighbours say."]


def test_a_pass_that_states_no_direction_flew_as_others_over_the_same_ground_did():
    later = {"overbank:datatake": "04A001", "sat:orbit_state": None}
    day = 12 * 86400
    first, second = merged(item("a"), item("b", day, **later))[0]
    assert (first.orbit_direction, second.orbit_direction) == ("descending", "descending")
    elsewhere = merged(item("a"), item("b", day, bounds=(20, -10, 22, -8), **later))[0]
    assert [one.orbit_direction for one in elsewhere] == ["descending", None]
    other_orbit = merged(item("a"), item("b", day, **later, **{"sat:relative_orbit": 15}))[0]
    assert [one.orbit_direction for one in other_orbit] == ["descending", None]
    torn = {"overbank:datatake": "04A002", "sat:orbit_state": "ascending"}
    assert merged(item("a"), item("c", 2 * day, **torn), item("b", day, **later))[0][1].orbit_direction is None


def test_a_missing_slice_is_noted_and_a_long_break_separates():
    (one,), notes = merged(item("a", bounds=WEST), item("c", 50, bounds=EAST))
    assert len(one.slices) == 2
    assert "lacks 25 s" in notes[0]
    assert len(merged(item("a", bounds=WEST), item("z", 600, bounds=EAST))[0]) == 2


def test_of_two_processings_the_newest_is_used_and_that_is_noted():
    old, new = item("old", updated="2024-05-11T08:00:00Z"), item("new", updated="2024-05-12T08:00:00Z")
    for pair in ((old, new), (new, old)):
        (one,), notes = merged(*pair)
        assert [part.item_id for part in one.slices] == ["new"]
        assert notes == ["old shows the same as new, which is newer and used instead."]


def test_the_newest_is_told_by_instants_whatever_their_zones():
    older = item("z", updated="2025-10-28T07:00:00+02:00")
    newer = item("a", updated="2025-10-28T05:30:00Z")
    (one,), _ = merged(older, newer)
    assert [part.item_id for part in one.slices] == ["a"]


def test_the_same_item_twice_is_no_note():
    (one,), notes = merged(item("a"), item("a"))
    assert len(one.slices) == 1
    assert notes == []


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(1, 30)), max_size=12))
def test_no_two_kept_items_are_doubles_and_each_left_out_has_a_newer_one(parts):
    from pipeline_lib.catalog.merge import _doubles, _newness, without_doubles

    items = [
        item(f"i{n}", 300 * part, seconds=length, bounds=(9, 44 + place, 11, 45 + place))
        for n, (part, place, length) in enumerate(parts)
    ]
    kept, notes = without_doubles(items)
    assert not any(_doubles(one, other) for one in kept for other in kept if one is not other)
    left = [one for one in items if one not in kept]
    assert len(notes) == len(left)
    assert all(any(_doubles(one, other) and _newness(other) >= _newness(one) for other in kept) for one in left)


def test_tiles_of_one_moment_are_no_doubles_but_the_same_tile_is():
    tiles = [
        item(f"t{n}", seconds=0, bounds=(9 + n, 44, 10.1 + n, 46), assets=("B03",), **{"grid:code": f"MGRS-32TN{n}"})
        for n in range(2)
    ]
    again = item(
        "t0-again",
        1,
        seconds=0,
        bounds=(9, 44, 10.1, 46),
        assets=("B03",),
        **{"grid:code": "MGRS-32TN0", "s2:generation_time": "2025"},
    )
    (one,), notes = merged(*tiles, again, product=ProductType.L2A)
    assert {part.item_id for part in one.slices} == {"t0-again", "t1"}
    assert len(notes) == 1


def test_slices_of_different_polarisations_have_the_common_ones():
    (one,), notes = merged(item("a", bounds=WEST), item("b", 25, bounds=EAST, assets=("vv",)))
    assert one.polarisations == ("vv",)
    assert "polarisations" in notes[0]


def test_coverage_is_the_share_of_the_area():
    (one,), _ = merged(item("a", bounds=(9, 44, 10.05, 46)))
    assert one.coverage == pytest.approx(0.25, abs=1e-6)


def test_every_product_of_a_pass_is_one_pass():
    rtc, _ = merged(item("rtc"))
    grd, _ = merged(item("same-pass"), product=ProductType.GRD)
    other, _ = merged(item("other", 86_400, **{"overbank:datatake": "04A000"}), product=ProductType.GRD)
    beside, _ = merged(item("beside", 60, platform="S1C", **{"overbank:datatake": "04B000"}))
    assert same_passes([*grd, *other, *beside, *rtc]) == [[*grd, *rtc], beside, other]


def test_of_two_catalogues_the_first_is_taken_slice_by_slice():
    """Also where the second holds a newer processing, under another name; what only it has is added."""
    first, second = (CatalogReference(profile="generic", url=f"https://{name}.example.org") for name in "ab")
    here = item("x", bounds=WEST, updated="2024-05-11").model_copy(update={"catalog": first})
    there = item("y", bounds=WEST, updated="2024-05-12").model_copy(update={"catalog": second})
    only_there = item("z", 25, bounds=EAST).model_copy(update={"catalog": second})
    for order in ([here, there, only_there], [only_there, there, here]):
        (one,), notes = acquisitions_of(order, ProductType.GRD, AREA, (first, second))
        assert [part.item_id for part in one.slices] == ["x", "z"]
        assert [part.catalog for part in one.slices] == [first, second]
        assert notes == []


@given(st.permutations(range(6)), st.lists(st.integers(20, 30), min_size=6, max_size=6))
def test_the_order_of_items_does_not_matter(order, lengths):
    starts = [sum(lengths[:n]) for n in range(6)]
    slices = [item(f"s{n}", starts[n], seconds=lengths[n], bounds=(9, 44 + n, 11, 45 + n)) for n in range(6)]
    (one,), notes = merged(*(slices[n] for n in order))
    assert one.slices == tuple(slices)
    assert notes == []


@given(st.floats(-179, 175), st.floats(-70, 65), st.floats(0.1, 4), st.floats(0.1, 4), st.floats(0.05, 0.95))
def test_shares_of_a_box_are_additive(west, south, width, height, cut):
    whole = box(west, south, west + width, south + height)
    left = box(west, south, west + cut * width, south + height)
    right = box(west + cut * width, south, west + width, south + height)
    assert share_of(whole, left) == pytest.approx(cut, abs=1e-6)
    assert share_of(whole, left) + share_of(whole, right) == pytest.approx(1, abs=1e-6)
    assert share_of(whole, whole) == 1


def test_area_against_the_geodesic_one():
    from pyproj import Geod

    for south in (-60, 0, 45, 70):
        square = box(10, south, 10.05, south + 0.05)
        assert area_m2(square) == pytest.approx(abs(Geod(ellps="WGS84").geometry_area_perimeter(square)[0]), rel=1e-5)


def test_a_footprint_the_long_way_round_is_cut_at_the_antimeridian():
    drawn = {"type": "Polygon", "coordinates": [[[179, 10], [-179, 10], [-179, 12], [179, 12], [179, 10]]]}
    footprint, _ = footprint_of(drawn, None, None)
    assert shape(footprint).equals(MultiPolygon([box(179, 10, 180, 12), box(-180, 10, -179, 12)]))


def test_a_bbox_over_the_antimeridian_stands_in():
    footprint, notes = footprint_of(None, [179, 10, -179, 12], None)
    assert shape(footprint).equals(MultiPolygon([box(179, 10, 180, 12), box(-180, 10, -179, 12)]))
    assert notes == ("no footprint, its bbox is used",)


def test_a_bow_tie_is_mended():
    tie = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    footprint, _ = footprint_of(tie, None, None)
    assert shape(footprint).is_valid
    assert shape(footprint).area == pytest.approx(2)


@pytest.mark.parametrize(
    ("geometry", "bbox", "epsg"),
    [
        (None, None, None),
        ({"type": "Point", "coordinates": [1, 2]}, None, None),
        ({"type": "Polygon"}, "no", None),
        (None, [1, 2, 3], None),
        (None, ["a", 1, 2, 3], None),
        (mapping(box(600_000, 4_000_000, 700_000, 4_100_000)), None, None),
        (mapping(box(600_000, 4_000_000, 700_000, 4_100_000)), None, 99_999),
        (mapping(box(1, 1, 1, 1)), None, None),
        ({"type": ["Polygon"], "coordinates": []}, None, None),
        (
            {"type": "Polygon", "coordinates": [[[float("nan"), 45], [10, 45], [10, 46], [float("nan"), 45]]]},
            None,
            None,
        ),
        (None, [9, 45, 10, float("nan")], None),
    ],
)
def test_what_is_no_footprint(geometry, bbox, epsg):
    with pytest.raises(BrokenFootprintError):
        footprint_of(geometry, bbox, epsg)
