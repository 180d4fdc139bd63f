"""Every input of every kind of stored result, changed one by one: its key changes where a pixel may, and only there.

Inputs are found by walking the models, so that a new field fails here until it is said what it decides.
"""

import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grimp
import numpy as np
import pytest
import torch
import xarray as xr
from walking import changed, leaves

from pipeline_lib.model import (
    Acquisition,
    CatalogItem,
    CatalogReference,
    Event,
    Grid,
    MappingPlan,
    PlannedPass,
    ProductType,
    Stored,
)
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.nn.checkpoint import read_tensors, write_tensors
from pipeline_lib.nn.model_folder import ONNX, WEIGHTS, Model, load_model
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.options import Options
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.map_event import MapOptions, StepOptions
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.options.search import PlanOptions
from pipeline_lib.publish.contents import Publication
from pipeline_lib.steps import keys, sources
from pipeline_lib.steps.decide import plan_event
from pipeline_lib.steps.map_event import Ancillaries, detect_pass
from pipeline_lib.steps.search import Found
from pipeline_lib.store import Store
from pipeline_lib.water import detectors

START = datetime(2024, 5, 10, tzinfo=timezone.utc)
ARCHIVE = CatalogReference(profile="planetary-computer", url="http://localhost")


def item(item_id: str, *assets: str, west: float = 10.0, south: float = 45.0) -> CatalogItem:
    return CatalogItem(
        item_id=item_id,
        collection="of tests",
        start=START,
        end=START + timedelta(seconds=25),
        footprint=area_of_bbox(west, south, west + 1, south + 1),
        assets={name: f"http://localhost:1/{item_id}/{name}.tif" for name in assets},
        facts={"updated": "2024-05-11"},
        catalog=ARCHIVE,
    )


def acquisition(name: str, product: ProductType, *assets: str) -> Acquisition:
    return Acquisition(
        acquisition_id=name,
        platform="S1A",
        product=product,
        start=START,
        end=START + timedelta(seconds=25),
        polarisations=("vv", "vh"),
        relative_orbit=66,
        orbit_direction="descending",
        slices=(item(f"slice-of-{name}", *assets),),
        coverage=0.5,
    )


STEPS = StepOptions(prepare=PrepareOptions(speckle_filter="lee"), detect=DetectorChoice(detector="adaptive"))
PLAN = MappingPlan(
    event=Event(event_id="e", aoi=area_of_bbox(10.5, 45.2, 11.5, 45.8), start=START, end=START + timedelta(days=2)),
    catalog=ARCHIVE,
    more_catalogs=(ARCHIVE,),
    grid=Grid(crs="EPSG:32632", transform=(10, 0, 578000, 0, -10, 4985000), shape=(64, 64)),
    passes=(
        PlannedPass(
            acquisition=acquisition("rtc", ProductType.RTC, "vv", "vh"),
            references=(acquisition("before", ProductType.RTC, "vv", "vh"),),
        ),
        PlannedPass(
            acquisition=acquisition("grd", ProductType.GRD, "vv", "vh"),
            references=(acquisition("grd before", ProductType.GRD, "vv", "vh"),),
        ),
    ),
    dem=(item("dem", "data"),),
    water_occurrence=(item("water", "occurrence"),),
    optical=(acquisition("optical", ProductType.L2A, "B03"),),
    options=STEPS,
)


def stored(kind: str) -> Stored:
    return Stored(href=f"/store/{kind}/1.json", kind=kind, key="1")


INPUTS = {kind: stored(kind) for kind in ("scene", "history", "terrain", "occurrence", "water", "composite")}


def kinds(plan: MappingPlan, given: dict[str, Stored] | None = None) -> dict[str, str]:
    """The key of every kind of dataset that the store knows."""
    had = INPUTS | (given or {})
    rtc, grd = (one.acquisition for one in plan.passes)
    before = plan.passes[0].references
    land, water, base = had["terrain"], had["occurrence"], had["composite"]
    return {
        "elevation": keys.elevation_key(plan),
        "terrain": keys.terrain_key(plan),
        "occurrence": keys.occurrence_key(plan),
        "scene": keys.scene_key(plan, rtc),
        "scene of GRD": keys.scene_key(plan, grd),
        "scene on optical": keys.scene_key(plan, rtc, base),
        "history": keys.history_key(plan, before, base),
        "pass": keys.pass_key(plan, rtc, had["history"], base),
        "composite": keys.composite_key(plan, plan.optical),
        "overpass": keys.overpass_key(plan, plan.optical[0]),
        "optical shift": keys.optical_shift_key(plan, had["scene"], base),
        "water": keys.water_key(plan, had["scene"], had["history"], land, water),
        "archive": keys.archive_key(plan, had["history"]),
        "flood": keys.flood_key(plan, plan.passes[0], had["scene"], had["history"], had["water"], land, water),
        "event": keys.mosaic_key(plan, [had["water"]]),
    }


def with_steps(**steps: Options) -> MappingPlan:
    return PLAN.model_copy(update={"options": STEPS.model_copy(update=steps)})


def detecting(detector: str, parameters: dict[str, Any]) -> MappingPlan:
    return with_steps(detect=DetectorChoice(detector=detector, parameters=parameters))


def changed_kinds(plan: MappingPlan, other: MappingPlan) -> set[str]:
    one, two = kinds(plan), kinds(other)
    return {kind for kind in one if one[kind] != two[kind]}


# What each input decides -------------------------------------------------------------------------------------------

ON_GRID = {"elevation", "terrain", "occurrence", "scene", "scene of GRD", "scene on optical", "history", "pass"} | {
    "composite",
    "overpass",
    "event",
}
RADAR = {"scene", "scene on optical", "pass"}
ITEM = ("item_id", "collection", "start", "end", "footprint", "assets", "facts")
ACQUISITION = (
    *("acquisition_id", "platform", "product", "start", "end", "polarisations", "relative_orbit", "orbit_direction"),
    *(f"slices.0.{name}" for name in ITEM),
)
FROM = [
    f"{place}.catalog.{name}"
    for place in (
        *(f"passes.{n}.{part}.slices.0" for n in (0, 1) for part in ("acquisition", "references.0")),
        *("dem.0", "water_occurrence.0", "optical.0.slices.0"),
    )
    for name in CatalogReference.model_fields
]
"""From which catalogue each item comes."""
PLAN_DECIDES: dict[str, set[str]] = {
    "event.event_id": set(),
    "event.aoi": {"event", "scene of GRD"},  # by the cells of sea in it
    "event.start": {"composite"},
    "event.end": set(),
    "event.title": set(),
    "catalog.profile": set(),  # each item says where it comes from
    "catalog.url": set(),
    "more_catalogs.0.profile": set(),
    "more_catalogs.0.url": set(),
    **{place: set() for place in FROM},
    "dem.0.catalog.profile": {"scene of GRD"},  # whether sea has tiles
    "optical.0.slices.0.catalog.profile": {"composite", "overpass"},  # offset of reflectances
    "grid.crs": ON_GRID,
    "grid.transform": ON_GRID,
    "grid.shape": ON_GRID,
    "contents": set(),  # keys are made of what is there when the result is, not when the plan was made
    "notes": set(),
    **{f"passes.0.acquisition.{name}": RADAR for name in ACQUISITION},
    "passes.0.acquisition.acquisition_id": RADAR | {"flood"},
    "passes.0.acquisition.start": RADAR | {"flood", "event"},
    "passes.0.acquisition.coverage": set(),
    **{f"passes.0.references.0.{name}": {"history"} for name in ACQUISITION},
    "passes.0.references.0.acquisition_id": {"history", "flood"},
    "passes.0.references.0.coverage": set(),
    **{f"passes.1.acquisition.{name}": {"scene of GRD"} for name in ACQUISITION},
    "passes.1.acquisition.start": {"scene of GRD", "event"},
    "passes.1.acquisition.coverage": set(),
    **{f"passes.1.references.0.{name}": set() for name in (*ACQUISITION, "coverage")},  # no kind below is of them
    **{f"dem.0.{name}": {"elevation", "terrain", "scene of GRD"} for name in ITEM},
    **{f"water_occurrence.0.{name}": {"occurrence"} for name in ITEM},
    **{f"optical.0.{name}": {"composite", "overpass"} for name in ACQUISITION},
    "optical.0.coverage": set(),
}
PREPARE_DECIDES: dict[str, set[str]] = {
    "chunk": set(),
    "resampling": {"scene", "scene on optical", "history", "pass"},
    "speckle_filter": {"pass"},
    "speckle_window": {"pass"},
    "looks": {"pass"},
    "drainage_area_km2": {"terrain"},
    "max_shift_px": {"scene on optical", "history", "pass", "optical shift"},
    "min_correction_px": {"scene on optical", "history", "pass"},
    "correct_against_optical": set(),  # the composite it lays passes on is an input of their keys
    "cloud_margin_px": {"composite", "overpass"},
}
CHANGED: dict[str, Any] = {
    "event.aoi": area_of_bbox(10.5, 44.8, 11.5, 45.8),
    "profile": "generic",
    "grid.crs": "EPSG:32633",
    "grid.transform": (20, 0, 578000, 0, -20, 4985000),
    "footprint": area_of_bbox(11.0, 45.0, 12.0, 46.0),
}
"""Other values where not any will do."""


def _said(path: str) -> Any:
    return CHANGED.get(path, CHANGED.get(path.rpartition(".")[2]))


def step_decides(step: str, path: str) -> set[str]:
    if step == "prepare":
        return PREPARE_DECIDES[path]
    if step == "calibrate":
        return set() if path == "chunk" else {"scene of GRD"}
    if step == "derive":
        if path.startswith("reference."):
            return {"flood", "archive"}
        return {"event"} if path == "mosaic_rule" else {"flood"}
    assert step == "publish"
    return set()


# Tests --------------------------------------------------------------------------------------------------------------


def test_every_field_of_a_plan_changes_the_keys_that_it_decides_and_no_other():
    plan = PLAN
    paths = [path for path in leaves(plan) if not path.startswith("options.")]
    assert sorted(paths) == sorted(PLAN_DECIDES), "say in PLAN_DECIDES what the new field decides"
    found = {path: changed_kinds(plan, changed(plan, path, _said(path))) for path in paths}
    assert found == PLAN_DECIDES


@pytest.mark.parametrize("step", [name for name in StepOptions.model_fields if name != "detect"])
def test_every_option_of_a_step_changes_the_keys_that_it_decides_and_no_other(step, tmp_path):
    (tmp_path / "a.gtx").write_bytes(b"a geoid")
    files = {"orbit_files": (str(tmp_path / "a.gtx"),), "geoid_file": str(tmp_path / "a.gtx")}
    options = getattr(STEPS, step)
    found = {
        path: changed_kinds(PLAN, with_steps(**{step: changed(options, path, files.get(path))}))
        for path in leaves(options)
    }
    assert found == {path: step_decides(step, path) for path in found}


def test_a_filter_that_is_off_has_no_window():
    off, wide = PrepareOptions(), PrepareOptions(speckle_window=9, looks=9)
    assert changed_kinds(with_steps(prepare=off), with_steps(prepare=wide)) == set()


def test_stored_inputs_count_by_kind_and_key_wherever_they_lie():
    plan, reads = PLAN, {}
    whole = kinds(plan)
    for name, one in INPUTS.items():
        for field in Stored.model_fields:
            found = kinds(plan, {name: changed(one, field)})
            differing = {kind for kind in whole if whole[kind] != found[kind]}
            assert field in {"href", "kind", "key"}
            if field == "href":
                assert differing == set()
            else:
                assert reads.setdefault(name, differing) == differing
    assert reads == {
        "scene": {"optical shift", "water", "flood"},
        "history": {"pass", "water", "archive", "flood"},
        "terrain": {"water", "flood"},
        "occurrence": {"water", "flood"},
        "water": {"flood", "event"},
        "composite": {"scene on optical", "history", "pass", "optical shift"},
    }


def test_what_is_not_there_is_not_what_is():
    plan = PLAN
    every = ("scene", "history", "terrain", "occurrence")
    some = [keys.water_key(plan, INPUTS["scene"], *(INPUTS[k] if k != no else None for k in every[1:])) for no in every]
    assert len(set(some)) == len(every)


def test_hosts_and_queries_of_hrefs_change_nothing_and_checksums_do():
    def dem(href: str, **facts: Any) -> MappingPlan:
        one = PLAN.dem[0].model_copy(update={"assets": {"data": href}, "facts": facts})
        return PLAN.model_copy(update={"dem": (one,)})

    plain = keys.elevation_key(dem("https://a.org/dem.tif"))
    assert keys.elevation_key(dem("https://b.org/dem.tif?sig=1&se=2")) == plain
    assert keys.elevation_key(dem("https://a.org/other.tif")) != plain
    assert keys.elevation_key(dem("https://a.org/dem.tif", **{"file:checksum": {"data": "1220ab"}})) != plain


def test_assets_on_this_machine_count_by_content(tmp_path):
    place = tmp_path / "dem.tif"
    plan = PLAN.model_copy(update={"dem": (PLAN.dem[0].model_copy(update={"assets": {"data": f"file://{place}"}}),)})
    place.write_bytes(b"low")
    low = keys.elevation_key(plan)
    place.write_bytes(b"high")
    assert keys.elevation_key(plan) != low
    place.write_bytes(b"low")
    assert keys.elevation_key(plan) == low


def test_orbit_files_count_by_content_and_only_those_of_the_satellite_and_the_time(tmp_path):
    def key(folder: Path) -> str:
        return keys.scene_key(with_steps(calibrate=CalibrateOptions(orbit_files=(str(folder),))), grd)

    def name(unit: str, day: int) -> str:
        return f"S1{unit}_OPER_AUX_POEORB_OPOD_202405{day + 2}T120000_V202405{day - 1:02}T225942_202405{day + 1}T005942.EOF"

    grd = PLAN.passes[1].acquisition
    (one := tmp_path / "one").mkdir()
    empty = key(one)
    (one / name("A", 10)).write_text("an orbit")
    first = key(one)
    (one / name("A", 14)).write_text("of other days")
    (one / name("B", 10)).write_text("of another satellite")
    shutil.copytree(one, tmp_path / "two" / "deep")
    assert key(one) == first == key(tmp_path / "two") != empty
    (one / name("A", 10)).write_text("a better orbit")
    assert key(one) != first


def test_the_geoid_counts_by_content(tmp_path):
    def key(path: Path) -> str:
        return keys.scene_key(with_steps(calibrate=CalibrateOptions(geoid_file=str(path))), grd)

    grd = PLAN.passes[1].acquisition
    one, two = tmp_path / "one.gtx", tmp_path / "two.gtx"
    one.write_bytes(b"egm96")
    two.write_bytes(b"egm96")
    same = key(one)
    assert key(two) == same
    two.write_bytes(b"egm2008")
    assert key(two) != same


# Versions -----------------------------------------------------------------------------------------------------------


def version(options: PublishOptions) -> str:
    empty = xr.Dataset()
    return Publication(
        plan=PLAN, passes=(), event=empty, event_key="e", options=options, software="", environment={}, published=START
    ).key


def test_every_option_of_publishing_makes_another_version_but_for_how_long_to_wait():
    plain = version(PublishOptions())
    for path in leaves(PublishOptions()):
        assert (version(changed(PublishOptions(), path)) == plain) == (path == "lock_wait_s"), path


@pytest.mark.parametrize("mark", ["", "#class"])
def test_units_and_exposure_count_by_content(mark, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("some")
    for made in (
        lambda name: PublishOptions(zones=(f"{tmp_path / name}{mark}",)),
        lambda name: PublishOptions(exposure={"people": f"{tmp_path / name}{mark}"}),
    ):
        (tmp_path / "b").write_text("some")
        same = version(made("a"))
        assert version(made("b")) == same != version(PublishOptions())
        (tmp_path / "b").write_text("other")
        assert version(made("b")) != same


# Detectors ----------------------------------------------------------------------------------------------------------

BY_CONTENT = {"model", "without_history", "members", "parameters"}
"""Options of detectors that name models and members; tested below."""
NO_PIXEL = {"threads", "tile_px"}


def water(detector: str, history: bool = True, **parameters: Any) -> str:
    before = INPUTS["history"] if history else None
    return keys.water_key(detecting(detector, parameters), INPUTS["scene"], before)


@pytest.mark.parametrize("kind", detectors(), ids=lambda found: found.name)
def test_every_option_of_every_detector_changes_the_water(kind, monkeypatch):
    monkeypatch.setattr("pipeline_lib.nn.backends.choose_backend", lambda _: "openvino")
    plain, options = water(kind.name), kind.options_type()
    assert water(kind.name, **options.model_dump(mode="json")) == plain, "defaults said and unsaid are the same"
    learned = {"model"} <= set(kind.options_type.model_fields)
    for path in leaves(options):
        if path in BY_CONTENT and (learned or kind.name == "ensemble"):
            continue
        key = water(kind.name, **changed(options, path).model_dump(mode="json"))
        assert (key == plain) == (learned and path in NO_PIXEL), path


def test_detectors_are_told_apart_and_default_is_the_name_of_one(monkeypatch):
    monkeypatch.setattr("pipeline_lib.nn.backends.choose_backend", lambda _: "openvino")
    found = [water(kind.name) for kind in detectors()]
    assert len(set(found)) == len(found)
    assert water("default") == found[0]


def test_a_changed_default_changes_the_water(monkeypatch):
    before = water("adaptive"), water("fused"), water("ensemble", members=["adaptive", "otsu"]), water("otsu")
    kind = next(found for found in detectors() if found.name == "adaptive")
    default = kind.options_type(coupling=2.5)
    whole = kind.options_type
    monkeypatch.setattr(kind, "__init__", lambda self, _=None: setattr(self, "options", default))
    after = water("adaptive"), water("fused"), water("ensemble", members=["adaptive", "otsu"]), water("otsu")
    assert whole().coupling != default.coupling
    assert [one != two for one, two in zip(before, after, strict=True)] == [True, True, True, False]


def test_members_of_an_ensemble_count_with_all_their_options():
    plain = water("ensemble", members=["adaptive", "otsu"])
    assert water("ensemble", members=["adaptive", "otsu"], parameters={"otsu": {"min_pixels": 1}}) == plain
    assert water("ensemble", members=["adaptive", "otsu"], parameters={"otsu": {"min_pixels": 2}}) != plain
    assert water("ensemble", members=["adaptive", "fixed"]) != plain


@pytest.fixture
def own(tmp_path) -> Path:
    """A model of one's own that needs no history, one that does, and a member, below one folder."""
    for name, shipped in (("single", "post_event"), ("pair", "pre_post_event"), ("member", "post_event")):
        shutil.copytree(load_model(f"shipped_{shipped}").folder, tmp_path / name)
    return tmp_path


def reweighted(folder: Path, scale: float = 0.0, file: str = WEIGHTS) -> None:
    """Change a model where it is, as training anew into the same folder would."""
    model = load_model(folder)
    if file == WEIGHTS:
        saved = read_tensors(folder / WEIGHTS)
        tensors = {k: v * scale if v.dtype.is_floating_point else v for k, v in saved.tensors.items()}
        write_tensors(folder / WEIGHTS, tensors, saved.facts)
    else:
        (folder / file).write_bytes((folder / file).read_bytes() + b"\0")
    rewrite_card(model)


DETECTING = {
    "learned": lambda **given: ("learned", given),
    "fused": lambda **given: ("fused", given),
    "ensemble": lambda **given: ("ensemble", {"members": ["otsu", "learned"], "parameters": {"learned": given}}),
}


@pytest.mark.parametrize("name", DETECTING)
def test_models_count_by_the_content_of_the_files_used_wherever_they_lie(name, own):
    def key(folder: Path = own, history: bool = True, backend: str = "cpu", members: tuple[str, ...] = ()) -> str:
        given = {"model": str(folder / "pair"), "without_history": str(folder / "single"), "backend": backend}
        detector, parameters = DETECTING[name](**given, members=[str(folder / one) for one in members])
        return water(detector, history, **parameters)

    views = {
        "with history": {},
        "without": {"history": False},
        "onnx": {"backend": "openvino"},
        "pooled": {"members": ("member",)},
    }
    whole = {view: key(**given) for view, given in views.items()}
    assert len(set(whole.values())) == len(views)
    shutil.copytree(own, own / "moved" / "deep", ignore=shutil.ignore_patterns("moved"))
    assert {view: key(own / "moved" / "deep", **given) for view, given in views.items()} == whole
    touched = {}
    for part, file in (("pair", WEIGHTS), ("single", WEIGHTS), ("member", WEIGHTS), ("pair", ONNX), ("single", ONNX)):
        reweighted(own / part, file=file)
        found = {view: key(**given) for view, given in views.items()}
        touched[part, file] = {view for view in views if found[view] != whole[view]}
        whole = found
    assert touched == {
        # Stored water names the digests of all files of its models, so each of them counts, whichever is run.
        ("pair", WEIGHTS): {"with history", "onnx", "pooled"},
        ("single", WEIGHTS): {"without"},
        ("member", WEIGHTS): {"pooled"},
        ("pair", ONNX): {"with history", "onnx", "pooled"},
        ("single", ONNX): {"without"},
    }


def test_every_field_of_a_card_that_decides_an_answer_changes_the_water(own):
    folder = own / "single"
    model = load_model(folder)
    plain = water("learned", model=str(folder), backend="cpu")
    emptied = {"recipe": None, "metrics": {"more": 1}}
    for path in leaves(model.card, stop=keys.CARD_FOR_PEOPLE):
        if path in {"digests", "teacher_bands"}:
            continue  # the files' own digests count in their place; a teacher cannot map
        card = model.card.model_copy(update={path: emptied[path]}) if path in emptied else changed(model.card, path)
        rewrite_card(Model(folder, card))
        found = water("learned", model=str(folder), backend="cpu")
        assert (found == plain) == (path in keys.CARD_FOR_PEOPLE), path


def test_tiles_leave_a_trace_where_they_are_blended_and_workers_with_a_gpu_compute_otherwise(own, monkeypatch):
    folder = own / "single"
    plan = detecting("learned", {"model": str(folder)})
    monkeypatch.setattr("pipeline_lib.nn.backends.choose_backend", lambda _: "openvino")
    assert keys.water_key(plan, INPUTS["scene"]) != keys.water_key(plan, INPUTS["scene"], on_gpu=True)
    sure = detecting("learned", {"model": str(folder), "backend": "cpu"})
    assert keys.water_key(sure, INPUTS["scene"]) == keys.water_key(sure, INPUTS["scene"], on_gpu=True)
    rewrite_card(load_model(folder), halo_px=None)
    some = [water("learned", model=str(folder), backend="cpu", tile_px=tile) for tile in (512, 1024)]
    assert some[0] != some[1]


def test_a_model_changed_in_place_makes_another_map(own, tmp_path):
    torch.manual_seed(1)
    store, rng = Store(tmp_path / "store"), np.random.default_rng(3)
    power = rng.gamma(4.4, 1 / 4.4, (2, 96, 96)).astype(np.float32) * 0.1
    power[:, 30:60, 30:60] *= 0.03
    axes = {"y": 4985000 - 10 * np.arange(96.0), "x": 578000 + 10 * np.arange(96.0)}
    bands = {name: (("y", "x"), band, {"units": "1"}) for name, band in zip(("vv", "vh"), power, strict=True)}
    facts = {"backscatter": "gamma0", "acquisition_id": "a", "datetime": START.isoformat()}
    scene = store.save("scene", "s", xr.Dataset(bands, coords=axes, attrs=facts))
    plan = detecting("learned", {"model": str(own / "single"), "backend": "cpu"})
    first = detect_pass(plan, scene, None, Ancillaries(), store)
    assert detect_pass(plan, scene, None, Ancillaries(), store) == first
    reweighted(own / "single", scale=0.5)
    second = detect_pass(plan, scene, None, Ancillaries(), store)
    assert second.key != first.key
    one, two = (store.open(found)["likelihood"].to_numpy() for found in (first, second))
    assert not np.array_equal(one, two, equal_nan=True)


def test_a_plan_is_told_from_that_of_another_model_and_of_other_units(own, tmp_path):
    def digest() -> str:
        given = {"model": str(own / "pair"), "without_history": str(own / "single"), "backend": "cpu"}
        found = Found(passes=(one.acquisition,), references=(before,))
        publish = PublishOptions(zones=(str(units),))
        plan = PlanOptions(min_coverage=0, guard_days=0)
        options = MapOptions(detector="learned", detector_options=given, publish=publish, plan=plan)
        return plan_event(PLAN.event, "planetary-computer", found, options).digest

    one, units = PLAN.passes[0], tmp_path / "units.geojson"
    earlier = {"start": START - timedelta(days=12), "end": START - timedelta(days=11)}
    before = one.references[0].model_copy(update=earlier)
    units.write_text("some")
    found = [digest(), digest()]
    reweighted(own / "pair")
    found.append(digest())
    units.write_text("other")
    found.append(digest())
    assert found[0] == found[1]
    assert len(set(found)) == 3


# Code ---------------------------------------------------------------------------------------------------------------


def test_a_working_copy_is_known_by_its_sources_and_a_release_by_its_version(monkeypatch):
    assert not sources.is_release(), "tests run from a working copy"
    copy = keys.terrain_key(PLAN)
    monkeypatch.setattr(sources, "is_release", lambda: True)
    sources.code.cache_clear()
    release = keys.terrain_key(PLAN)
    assert sources.code(sources.MAPS)["overbank"] == sources.distribution("overbank").version
    monkeypatch.setattr(sources, "environment", lambda: {"python": "9", "numpy": "0"})
    sources.code.cache_clear()
    assert len({copy, release, keys.terrain_key(PLAN)}) == 3
    monkeypatch.undo()
    sources.code.cache_clear()
    assert keys.terrain_key(PLAN) == copy


def test_a_change_of_any_source_is_seen_and_of_others_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_root", lambda: tmp_path)
    for name in ("water/a.py", "publish/page.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("first")
    first = sources.sources_digest(sources.MAPS)
    (tmp_path / "publish/page.py").write_text("other")
    assert sources.sources_digest(sources.MAPS) == first
    (tmp_path / "water/a.py").write_text("other")
    assert sources.sources_digest(sources.MAPS) != first
    (tmp_path / "water/a.py").rename(tmp_path / "water/b.py")
    (tmp_path / "water/a.py").write_text("")
    assert len({first, sources.sources_digest(sources.MAPS)}) == 2


@pytest.mark.parametrize(
    ("parts", "made_by"),
    [
        (sources.MAPS, ("steps.read", "steps.prepare", "steps.optical", "steps.detect", "steps.derive", "steps.keys")),
        (sources.CHIPS, ("steps.training_chips",)),
        (sources.TRAINING, ("nn.recipes",)),
    ],
)
def test_whatever_makes_a_result_is_among_its_sources(parts, made_by):
    graph = grimp.build_graph("pipeline_lib", cache_dir=None)
    makers = {f"pipeline_lib.{name}" for name in made_by}
    reached = makers.union(*(graph.find_upstream_modules(name) for name in makers))
    root = sources._root()
    counted = {path.relative_to(root).as_posix() for part in parts for path in root.glob(part)}
    files = {f"{name.partition('.')[2].replace('.', '/')}.py" for name in reached}
    missing = {file for file in files - counted if (root / file).is_file()}
    # What names them makes none, and the versions that `environment` gives are in the keys themselves.
    assert missing <= {"publish/environment.py", "steps/sources.py"}
