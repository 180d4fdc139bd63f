"""Where an area lies, in words."""

import pytest
import shapely

from pipeline_lib.place import described, place_of, size_of


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((9.2, 45.3, 9.24, 45.33), "3.13 x 3.33 km in Italy"),
        ((8.5, 43.9, 9.5, 44.6), "79.7 x 77.8 km in Italy and the sea beside it"),
        ((14, 12, 16, 14), "217 x 221 km in Chad, Cameroon and Nigeria"),
        ((9.2, 80.3, 9.24, 80.33), "0.749 x 3.35 km at sea, about 66.7 km from Norway"),
    ],
)
def test_size_and_place(bounds, says):
    assert described(shapely.box(*bounds)) == says


def test_beside_the_antimeridian_the_short_way_round_counts():
    fiji = shapely.MultiPolygon([shapely.box(179.7, -17.2, 180, -16.9), shapely.box(-180, -17.2, -179.8, -16.9)])
    assert size_of(fiji) == "53.2 x 33.2 km"
    assert place_of(fiji) == "in Fiji and the sea beside it"


def test_an_area_that_crosses_itself_has_a_place_all_the_same():
    assert place_of(shapely.Polygon([(9, 45), (10, 46), (10, 45), (9, 46)])).startswith("in Italy")
