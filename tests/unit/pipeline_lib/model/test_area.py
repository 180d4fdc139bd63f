"""Areas: every shape people send, and every shape that cannot be meant."""

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import mapping, shape

from pipeline_lib.errors import AreaError
from pipeline_lib.model.area import area_of_bbox, crosses_antimeridian, normalised_area

SQUARE = [[10.0, 45.0], [11.0, 45.0], [11.0, 46.0], [10.0, 46.0], [10.0, 45.0]]
HOLE = [[10.4, 45.4], [10.6, 45.4], [10.6, 45.6], [10.4, 45.6], [10.4, 45.4]]


def test_clockwise_ring_is_turned_and_hole_is_kept():
    given_area = {"type": "Polygon", "coordinates": [SQUARE[::-1], HOLE]}
    polygon = shape(normalised_area(given_area))
    assert polygon.exterior.is_ccw
    assert len(polygon.interiors) == 1
    assert polygon.area == pytest.approx(1 - 0.04)


def test_overlapping_features_are_united():
    features = [
        {"type": "Feature", "properties": {}, "geometry": mapping(shapely.box(10, 45, 11, 46))},
        {"type": "Feature", "properties": {}, "geometry": mapping(shapely.box(10.5, 45, 11.5, 46))},
    ]
    area = normalised_area({"type": "FeatureCollection", "features": features})
    assert area["type"] == "Polygon"
    assert shape(area).area == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "Point", "coordinates": [10, 45]}, "Point, which has no area"),
        ({"type": "LineString", "coordinates": [[10, 45], [11, 46]]}, "LineString, which has no area"),
        ({"type": "Polygon", "coordinates": [[[10, 45], [11, 46], [11, 45], [10, 46], [10, 45]]]}, "not valid"),
        (
            {"type": "Polygon", "coordinates": [[[600000, 5000000], [610000, 5000000], [610000, 5010000]]]},
            "off the Earth",
        ),
        ({"type": "FeatureCollection", "features": []}, "empty"),
        ({"type": "Banana"}, "not GeoJSON"),
        ("here", "not GeoJSON"),
        ({"type": "Feature", "geometry": None}, "is empty"),
        ([1, 2], "a list and not an object"),
    ],
)
def test_what_cannot_be_meant_is_said(value, says):
    with pytest.raises(AreaError, match=says):
        normalised_area(value)


@pytest.mark.parametrize(
    ("bbox", "says"),
    [
        ((10, 46, 11, 45), "wrong order"),
        ((11, 45, 10, 46), "west > east"),
        ((14, 100.4, 14.1, 100.5), "Read as south,west,north,east it is .* in Thailand.* --bbox 100.4,14,100.5,14.1"),
        ((45.3, 45.33, 9.2, 9.24), "Read as south,north,west,east it is .* in Italy.* --bbox 9.2,45.3,9.24,45.33"),
        ((45, 10, 46, 100), "off the Earth"),
        ((10, 45, 10, 46), "empty"),
    ],
)
def test_bbox_that_cannot_be_meant_is_said(bbox, says):
    with pytest.raises(AreaError, match=says):
        area_of_bbox(*bbox)


def test_bbox_over_the_antimeridian_is_cut_there():
    area = area_of_bbox(179.5, -17, -179.5, -16)
    assert area["type"] == "MultiPolygon"
    assert crosses_antimeridian(area)
    assert shape(area).area == pytest.approx(1.0)
    assert not crosses_antimeridian(area_of_bbox(178, -17, 179, -16))


@given(st.floats(-179, 178), st.floats(-79, 78), st.floats(0.01, 1), st.floats(0.01, 1))
def test_normalising_twice_changes_nothing(west, south, width, height):
    once = area_of_bbox(west, south, west + width, south + height)
    assert normalised_area(once) == once
