"""Options of GRD reach the reader from a file and from flags."""

from datetime import datetime, timezone

import pytest

from pipeline_lib.model import Acquisition, CatalogReference, Event, Grid, MappingPlan, ProductType
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.steps.event import read_map_options
from pipeline_lib.steps.prepare import prepare_scene
from pipeline_lib.store import Store

AREA = {"type": "Polygon", "coordinates": [[[10, 45], [10.02, 45], [10.02, 45.02], [10, 45.02], [10, 45]]]}
START = datetime(2024, 5, 10, tzinfo=timezone.utc)


class ReachedError(Exception):
    """The reader was called."""


def plan_of(options) -> MappingPlan:
    return MappingPlan(
        event=Event(event_id="e", aoi=AREA, start=START, end=START.replace(day=12)),
        catalog=CatalogReference(profile="generic", url="http://localhost"),
        grid=Grid(crs="EPSG:32632", transform=(10, 0, 578000, 0, -10, 4985000), shape=(64, 64)),
        passes=(),
        options=options.steps,
    )


def acquisition(product) -> Acquisition:
    return Acquisition(
        acquisition_id="a", platform="S1A", product=product, start=START, end=START, polarisations=("vv",), slices=()
    )


def test_from_a_file_and_from_flags_to_the_reader(tmp_path, monkeypatch):
    (tmp_path / "options.yaml").write_text("calibrate: {chunk: 512, border: never}\n")
    options = read_map_options(tmp_path / "options.yaml", optical=False, orbits=(tmp_path / "orbits",))
    assert options.search.optical is False
    expected = CalibrateOptions(chunk=512, border="never", orbit_files=(str(tmp_path / "orbits"),))
    assert options.calibrate == expected

    def reader(_acquisition, _grid, **given):
        raise ReachedError(given["calibrate"])

    monkeypatch.setattr("pipeline_lib.steps.read.load_scene", reader)
    with pytest.raises(ReachedError) as reached:
        prepare_scene(plan_of(options), Store(tmp_path / "store"), acquisition(ProductType.GRD))
    assert reached.value.args == (expected,)
