"""Chips from a STAC event: radar passes of the simulated archive, labelled by its Sentinel-2."""

import numpy as np
import pytest

from pipeline_lib.errors import InputError
from pipeline_lib.nn.chips import open_chips
from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.map_event import MapOptions
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.training_chips import build_chips as chips_of_recipe

RECIPE = {
    "name": "region",
    "description": "d",
    "kind": "distillation",
    "data": {
        "dataset": "store",
        "bands": ["vv_before", "vh_before", "vv", "vh"],
        "teacher_bands": ["vv", "vh", "B03", "B08", "B11"],
    },
    "distill": {"max_lag_days": 3.0},
}


@pytest.mark.slow
def test_a_flow_builds_a_chip_store_from_a_stac_event(prefect_server, archive, event, tmp_path) -> None:
    from flows.chips import build_chips

    recipe, out = Recipe.model_validate(RECIPE), tmp_path / "chips.zarr"
    options = MapOptions.model_validate({"plan": {"max_references": 2}})
    count = build_chips(recipe, [event], archive, str(out), options)
    chips = chips_of_recipe(recipe, out, tmp_path / "unused")
    assert len(chips) == count
    assert set(chips.groups) == {event.event_id}
    assert chips.bands == ("vv_before", "vh_before", "vv", "vh", "B03", "B08", "B11")
    labels, images = np.asarray(chips.labels), np.asarray(chips.images, dtype=np.float32)
    known = labels != IGNORE
    assert 0.02 < known.mean() < 0.9  # an overpass within 3 days where there is no cloud; 288 px fill 512 px of chips
    assert (chips.lag_days <= 3.0).all()
    assert np.isfinite(images[:, 4:].transpose(0, 2, 3, 1)[known]).all()  # a label comes from pixels that were seen
    assert not np.isfinite(images[:, 4:].transpose(0, 2, 3, 1)[~known]).any()
    vv = images[:, 2]
    assert np.nanmedian(vv[labels == 0]) - np.nanmedian(vv[labels == 1]) > 0.8  # 4 dB
    wrong = recipe.model_copy(update={"data": recipe.data.model_copy(update={"teacher_bands": ("B05",)})})
    with pytest.raises(InputError, match="B05"):
        chips_of_recipe(wrong, out, tmp_path / "unused")
    assert open_chips(out).provenance["cloud_masked"]
    assert _progress_of(f"chips for {recipe.name}") == 100.0


def _progress_of(run_name: str) -> float:
    """What the progress bar of that flow run shows."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterName

    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[run_name])))
        wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id for run in runs]))
        (bar,) = (found for found in client.read_artifacts(artifact_filter=wanted) if found.key == "progress")
    return float(bar.data)
