"""GRD as an input of the pipeline: the same passes as SAFE products give the same flood as terrain-corrected ones."""

from pathlib import Path

import pytest

from pipeline_lib.model import ProductType
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps import decide, map_event, prepare
from pipeline_lib.steps.event import read_event
from pipeline_lib.steps.mapped import Ancillaries
from pipeline_lib.steps.score_event import score_floods
from pipeline_lib.steps.workspace import workspace_of
from pipeline_lib.world.build import build_world
from pipeline_lib.world.server import serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return build_world(tmp_path_factory.mktemp("grd") / "world", WorldOptions(seed=7, size=256, grd=True))


def flood_scores(world, url, out, product):
    """Plan, prepare, detect, derive and score without an orchestrator; the peak pass alone."""
    options = MapOptions.model_validate({"search": {"product": product}, "plan": {"max_references": 3}})
    plan = decide.search_and_plan(read_event(world / "event.yaml"), url, options)
    plan = plan.model_copy(update={"passes": plan.passes[1:2]})
    assert plan.passes[0].acquisition.product is ProductType(product)
    workspace = workspace_of(out, f"{plan.event.event_id}-{product}")
    workspace.plan_path.parent.mkdir(parents=True)
    store, planned = workspace.store, plan.passes[0]
    terrain, occurrence = prepare.prepare_terrain(plan, store), prepare.prepare_occurrence(plan, store)
    ancillaries = Ancillaries(terrain=terrain, occurrence=occurrence)
    history = prepare.prepare_history(plan, store, planned.references)
    scene = prepare.prepare_pass(plan, store, planned, history)
    water = map_event.detect_pass(plan, scene, history, ancillaries, store)
    flood = map_event.derive_pass(plan, planned, scene, history, water, ancillaries, store)
    extent = store.open(flood)["flood_extent"]
    return score_floods("one pass", {planned.acquisition.acquisition_id: extent}, world).passes[0]


def test_grd_gives_the_same_flood_as_rtc(world, tmp_path):
    with serve(world) as url:
        rtc = flood_scores(world, url, tmp_path, "RTC")
        grd = flood_scores(world, url, tmp_path, "GRD")
    assert rtc.flood_open_land.water_iou > 0.75
    assert grd.flood_open_land.water_iou == pytest.approx(rtc.flood_open_land.water_iou, abs=0.05)
    assert grd.not_observed_agreement > 0.9
