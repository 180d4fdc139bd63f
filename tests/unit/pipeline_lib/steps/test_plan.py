"""Every decision of a run, from what a catalogue has."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from shapely.geometry import box, mapping

from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.catalog.select import choose_optical, references_for
from pipeline_lib.errors import InputError, NoAcquisitionError, NoReferenceError, StoreError, UnknownNameError
from pipeline_lib.grid import choose_grid
from pipeline_lib.model import (
    Acquisition,
    CatalogItem,
    CatalogReference,
    Event,
    MappingPlan,
    OrbitDirection,
    ProductType,
)
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.options.derive import DeriveOptions
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.search import Period, PlanOptions
from pipeline_lib.steps.plan import make_plan, plan_text, write_plan
from pipeline_lib.steps.search import Found, search_event

START = datetime(2024, 5, 10, tzinfo=timezone.utc)
EVENT = Event(event_id="e", aoi=area_of_bbox(10, 45, 10.1, 45.1), start=START, end=START + timedelta(days=10))
PUBLISHED_BEFORE = Path(__file__).parents[3] / "data" / "published_0_1"
CATALOG = CatalogReference(profile="generic", url="https://stac.example.org")
D, A = OrbitDirection.DESCENDING, OrbitDirection.ASCENDING


def acquisition(
    days,
    platform="S1A",
    orbit=66,
    direction=D,
    product=ProductType.RTC,
    bounds=(9, 44, 11, 46),
    pols=("vv", "vh"),
    coverage=1.0,
):
    start = START + timedelta(days=days)
    part = CatalogItem(
        item_id=f"{platform}-{days}-{orbit}",
        collection="c",
        start=start,
        end=start + timedelta(seconds=25),
        footprint=json.loads(json.dumps(mapping(box(*bounds)))),
        assets={pol: f"https://example.org/{pol}.tif" for pol in pols},
    )
    return Acquisition(
        acquisition_id=f"{platform}_{start:%Y%m%dT%H%M%S}_R{orbit:03d}_{direction.value[0].upper()}",
        platform=platform,
        product=product,
        start=start,
        end=part.end,
        polarisations=pols,
        relative_orbit=orbit,
        orbit_direction=direction,
        slices=(part,),
        coverage=coverage,
    )


def tile(name, bounds=(9, 44, 11, 46)):
    day = datetime(2021, 4, 22, tzinfo=timezone.utc)
    return CatalogItem(
        item_id=name,
        collection="d",
        start=day,
        end=day,
        footprint=json.loads(json.dumps(mapping(box(*bounds)))),
        assets={"data": "https://example.org/d.tif"},
    )


def days_of(references):
    return [(one.start - START).days for one in references]


def test_newest_references_of_the_same_orbit_and_direction_across_platforms_oldest_first():
    pool = [acquisition(-12 * n, platform=("S1A", "S1B", "S1C", "S1D")[n % 4]) for n in range(1, 20)]
    found = references_for(acquisition(1), pool, EVENT, PlanOptions(max_references=5))
    assert days_of(found) == [-60, -48, -36, -24, -12]
    assert {one.platform for one in found} == {"S1A", "S1B", "S1C", "S1D"}


@pytest.mark.parametrize(
    "candidate",
    [
        acquisition(-24, orbit=15),
        acquisition(-24, direction=A),
        acquisition(-24, product=ProductType.GRD),
        acquisition(-24, pols=("hh",)),
        acquisition(-24, bounds=(20, 44, 21, 46)),
        acquisition(-24, bounds=(9, 44, 10.04, 46)),
        acquisition(-3),
        acquisition(-5.999),
        acquisition(0.5),
        acquisition(-100),
    ],
)
def test_what_is_no_reference(candidate):
    wet = Period(start=START - timedelta(days=110), end=START - timedelta(days=90))
    assert references_for(acquisition(1), [candidate], EVENT, PlanOptions(wet_periods=(wet,))) == ()


def test_a_reference_that_covers_what_a_partial_pass_sees_is_enough():
    part = acquisition(1, bounds=(9, 44, 10.02, 46), coverage=0.2)
    assert len(references_for(part, [acquisition(-24, bounds=(9, 44, 10.02, 46))], EVENT, PlanOptions())) == 1


def found(**changes):
    base = {
        "passes": (acquisition(1), acquisition(1.5, "S1C", 15, A)),
        "references": tuple(acquisition(-12 * n) for n in range(1, 5))
        + tuple(acquisition(-12 * n, "S1C", 15, A) for n in range(1, 3)),
        "dem": (tile("dem"),),
        "water_occurrence": (tile("gsw"),),
    }
    return Found(**{**base, **changes})


def test_a_plan_holds_every_decision():
    plan = make_plan(
        EVENT,
        CATALOG,
        found(),
        MapOptions(detector_options={"network_share": 0.4}, derive=DeriveOptions(max_slope_deg=9)),
    )
    assert [one.acquisition.relative_orbit for one in plan.passes] == [66, 15]
    assert [len(one.references) for one in plan.passes] == [4, 2]
    assert plan.grid.crs == "EPSG:32632"
    assert plan.grid.pixel_m == 10
    assert plan.options.detect == DetectorChoice(detector="fused", parameters={"network_share": 0.4})
    assert plan.options.derive.max_slope_deg == 9
    assert plan.notes == (
        "S1C_20240511T120000_R015_A has only 2 reference(s) on relative orbit 15 ascending: the comparison is weak.",
        "No pass for 8 days, from 2024-05-11 to 2024-05-20.",
    )


def test_notes_tell_gaps_and_fallbacks_in_plain_english():
    plan = make_plan(
        EVENT,
        CATALOG,
        found(
            passes=(
                acquisition(1, coverage=0.6, bounds=(9, 44, 10.06, 46)),
                acquisition(2, "S1D", 7),
                acquisition(3, coverage=0.0, bounds=(20, 44, 21, 46)),
            ),
            dem=(),
            water_occurrence=(tile("half", (9, 44, 10.05, 46)),),
            notes=("from the search",),
        ),
    )
    text = "\n".join(plan.notes)
    for expected in (
        "S1A_20240511T000000_R066_D covers 60.0% of the area",
        "S1D_20240512T000000_R007_D has no reference on relative orbit 7 descending (none was found)",
        "covers 0.00% of the area and is left out",
        "The elevation model does not cover the area",
        "Long-term water occurrence covers 50.0% of the area",
        "from the search",
    ):
        assert expected in text
    assert len(plan.passes) == 2


def test_another_satellite_of_the_same_orbit_is_noted():
    plan = make_plan(EVENT, CATALOG, found(passes=(acquisition(1, "S1D"),)))
    assert any("another satellite of the same orbit (S1A)" in note for note in plan.notes)


def test_nothing_to_map_is_one_sentence_with_the_next_step():
    with pytest.raises(
        NoAcquisitionError, match=r"2024-05-10 00:00 to 2024-05-20 00:00.*The last one before is"
    ) as caught:
        make_plan(EVENT, CATALOG, found(passes=()))
    assert caught.value.exit_code == 4
    with pytest.raises(NoAcquisitionError, match="check the area, the dates and the catalogue"):
        make_plan(EVENT, CATALOG, Found(passes=()))


def test_no_reference_at_all_is_refused_unless_told_otherwise():
    alone = found(references=())
    with pytest.raises(NoReferenceError, match="reference_days"):
        make_plan(EVENT, CATALOG, alone)
    plan = make_plan(EVENT, CATALOG, alone, MapOptions(plan=PlanOptions(require_references=False)))
    assert all(planned.references == () for planned in plan.passes)
    assert sum("mapped by itself" in note for note in plan.notes) == 2


def test_a_detector_that_cannot_run_is_refused_before_anything_is_planned():
    with pytest.raises(UnknownNameError, match="nothing"):
        make_plan(EVENT, CATALOG, found(), MapOptions(detector="nothing"))
    with pytest.raises(InputError, match=r"network_share.*'half'"):
        make_plan(EVENT, CATALOG, found(), MapOptions(detector_options={"network_share": "half"}))


@pytest.mark.parametrize("name", ["plan.yaml", "plan.json"])
def test_a_plan_survives_its_file(tmp_path, name):
    plan = make_plan(EVENT, CATALOG, found())
    path = write_plan(plan, tmp_path / "new" / name)
    again = MappingPlan.model_validate(yaml.safe_load(path.read_text()))  # JSON is YAML
    assert again == plan
    assert again.digest == plan.digest
    assert [one.name for one in path.parent.iterdir()] == [name]


def test_a_plan_that_version_0_1_wrote_still_reads():
    """Its options were mappings: the same fields are read into the models, defaults for what it did not know."""
    written = json.loads((PUBLISHED_BEFORE / "plan.json").read_text())
    plan = MappingPlan.model_validate(written)
    said = plan.document["options"]
    for step, options in written["options"].items():
        assert {name: said[step][name] for name in options} == options
    del written["options"]["calibrate"]
    written["options"]["detect"] = {"detector": "fused", "parameters": {"network_share": 0.25}}
    older = MappingPlan.model_validate(written)
    assert older.options.calibrate == CalibrateOptions()
    assert older.options.detect.parameters == {"network_share": 0.25}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"derive": {"tea": 1}}, r"options\.derive\.tea"), ({"detect": {"detector": 3}}, r"options\.detect\.detector")],
)
def test_options_of_a_plan_that_cannot_be_meant_are_named(options, said):
    written = json.loads((PUBLISHED_BEFORE / "plan.json").read_text())
    with pytest.raises(ValidationError, match=said):
        MappingPlan.model_validate(written | {"options": options})


def test_a_person_can_read_the_file_and_the_text(tmp_path):
    plan = make_plan(EVENT, CATALOG, found())
    content = write_plan(plan, tmp_path / "plan.yaml").read_text()
    assert content.index("event_id: e") < content.index("passes:")
    assert "!!" not in content
    text = plan_text(plan)
    for expected in (
        "2 passes to map",
        "orbit 66 descending",
        "compared with 4 of S1A",
        "EPSG:32632",
        "Notes:",
        plan.digest,
    ):
        assert expected in text
    assert max(len(line) for line in text.splitlines()) < 140


def test_a_plan_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"Cannot write .*plan\.yaml"):
        write_plan(make_plan(EVENT, CATALOG, found()), tmp_path / "file" / "plan.yaml")


def test_search_and_plan_over_http(served, flood_event):
    catalog = resolve_catalog(served.url)
    plan = make_plan(flood_event, catalog, search_event(flood_event, catalog))
    assert [len(one.acquisition.slices) for one in plan.passes] == [2, 1, 1]
    assert [round(one.acquisition.coverage, 3) for one in plan.passes] == [1, 1, 0.25]
    assert all(len(one.references) == 5 for one in plan.passes)
    assert json.loads(plan.model_dump_json())["catalog"]["url"] == served.url
    again = make_plan(flood_event, catalog, search_event(flood_event, catalog))
    assert again.digest == plan.digest


def test_an_event_over_the_antimeridian(small_archive, flood_event):
    from pipeline_lib.world.server import serve

    sys_path = small_archive.folder
    area = area_of_bbox(179.9, -17.1, -179.9, -17.0)
    event = flood_event.model_copy(update={"aoi": area})
    base = next(item for item in small_archive.items() if item["id"] == "during-A")
    for name, days in (("dateline", 1), ("dateline-before", -12)):
        start = START + timedelta(days=days, hours=6)
        stamp = start.isoformat().replace("+00:00", "Z")
        properties = {
            **base["properties"],
            "datetime": stamp,
            "start_datetime": stamp,
            "end_datetime": stamp,
            "s1:datatake_id": name,
            "sat:absolute_orbit": 60_000 + days,
        }
        ring = [[179, -18], [-179, -18], [-179, -16], [179, -16], [179, -18]]
        parts = [
            [[[179, -18], [180, -18], [180, -16], [179, -16], [179, -18]]],
            [[[-180, -18], [-179, -18], [-179, -16], [-180, -16], [-180, -18]]],
        ]
        geometry = (
            {"type": "MultiPolygon", "coordinates": parts} if days > 0 else {"type": "Polygon", "coordinates": [ring]}
        )
        small_archive.add(
            {**base, "id": name, "geometry": geometry, "bbox": [179, -18, -179, -16], "properties": properties}
        )
    with serve(sys_path) as url:
        catalog = resolve_catalog(url)
        plan = make_plan(
            event, catalog, search_event(event, catalog), MapOptions(plan=PlanOptions(require_references=False))
        )
    assert [one.acquisition.coverage for one in plan.passes] == [1.0]
    assert plan.grid.shape[1] < 2500


def overpass(days, cloud, coverage=1.0):
    one = acquisition(days, platform="S2A", product=ProductType.L2A, coverage=coverage)
    part = one.slices[0].model_copy(update={"facts": {"eo:cloud_cover": cloud}})
    return one.model_copy(update={"slices": (part,), "polarisations": ()})


def test_the_best_optical_passes_before_the_event_are_planned():
    """Clear, recent and whole ones, in order of time; none so late that it may show the flood, none during it."""
    pool = [
        overpass(*one) for one in ((-7, 90), (-10, 5), (-20, 0), (-40, 0), (-80, 0), (-12, 0, 0.2), (-3, 0), (2, 0))
    ]
    grid = choose_grid(EVENT.aoi, pixel_m=10)
    chosen, notes = choose_optical(pool, EVENT, grid, PlanOptions(optical_passes=3))
    assert days_of(chosen) == [-40, -20, -10]
    assert notes == []
    assert choose_optical(pool, EVENT, grid, PlanOptions(optical_passes=0)) == ((), [])
    chosen, notes = choose_optical(pool, EVENT, grid, PlanOptions(optical_max_mpx=0.5))
    assert chosen == ()
    assert "optical_max_mpx of 0.5" in notes[0]
    plan = make_plan(
        EVENT, CATALOG, Found(passes=(acquisition(1),), references=(acquisition(-12),), optical=tuple(pool))
    )
    assert "2024-03-31, 2024-04-20, 2024-04-30" in plan_text(plan)


def test_open_sea_is_said_where_grd_is_placed_on_it():
    """Only of a catalogue that holds the whole elevation model, and only where it matters."""
    event = EVENT.model_copy(update={"aoi": area_of_bbox(9.9, 45, 10.1, 45.1)})

    def notes(profile, product):
        catalog = CATALOG.model_copy(update={"profile": profile})
        dem = (tile("n45e010", (10, 45, 11, 46)).model_copy(update={"catalog": catalog}),)
        passes, references = (acquisition(1, product=product),), (acquisition(-12, product=product),)
        found = Found(passes=passes, references=references, dem=dem)
        plan = make_plan(event, catalog, found)
        return [note for note in plan.notes if "open sea" in note]

    assert "N45E009" in notes("planetary-computer", ProductType.GRD)[0]
    assert notes("planetary-computer", ProductType.RTC) == []
    assert notes("generic", ProductType.GRD) == []
