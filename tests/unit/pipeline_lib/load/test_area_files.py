"""Areas in the files that people have: read as what they are, or refused in one sentence; the page of them is true."""

import json

import pytest
import shapely
from shapely.geometry import shape

from benchmarks.inputs.area_files import AREA_FILES, FLAT, as_file, as_json, circle, outcome, polygon
from benchmarks.inputs.table import row
from pipeline_lib.load.area_file import read_area
from pipeline_lib.model import Event
from pipeline_lib.model.area import MAX_VERTICES, normalised_area


@pytest.mark.parametrize("case", AREA_FILES, ids=lambda case: case.name)
def test_each_file_ends_as_is_right_and_as_the_page_says(case, tmp_path, repository):
    happens, right = outcome(case, tmp_path)
    assert right, happens
    assert row(case.name, happens) in (repository / "docs/reference/inputs.md").read_text()


def test_what_is_left_out_or_assumed_is_said(tmp_path, caplog):
    point = shapely.Point(9.2, 45.3)
    collection = {"type": "GeometryCollection", "geometries": [shapely.geometry.mapping(one) for one in (FLAT, point)]}
    read_area(as_json(collection)(tmp_path))
    assert "its Point beside polygons is left out" in caplog.text
    path = as_file("area.shp", FLAT)(tmp_path)
    path.with_suffix(".prj").unlink()
    read_area(path)
    assert "taken for longitude and latitude" in caplog.text


def test_a_ring_of_60000_vertices_becomes_one_that_a_request_can_carry():
    exact = circle(60_000)
    area = normalised_area(polygon(exact))
    simple = shape(area)
    assert shapely.get_num_coordinates(simple) <= MAX_VERTICES
    assert simple.area == pytest.approx(shapely.Polygon(exact).area, rel=1e-5)
    assert normalised_area(area) == area
    event = Event(event_id="a", aoi=area, start="2025-10-28", end="2025-11-09")
    assert len(event.model_dump_json()) < 200_000  # of the 524,288 bytes that Prefect takes
    few = polygon(circle(MAX_VERTICES - 1))
    assert shape(normalised_area(few)).equals(shape(few)), "an area of no more is kept as it is"


def test_heights_change_neither_area_nor_identity(tmp_path):
    flat = json.loads(as_json(polygon([list(p) for p in FLAT.exterior.coords]))(tmp_path).read_text())
    high = polygon([[*p, 12.5, 3] for p in FLAT.exterior.coords])
    events = [Event(event_id="a", aoi=aoi, start="2025-10-28", end="2025-11-09") for aoi in (flat, high)]
    assert events[0].identity == events[1].identity
