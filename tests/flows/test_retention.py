"""Retention: old runs of ours leave neither records on the server nor results on the disk; all else stays."""

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.retention import retention
from pipeline_lib.steps.retention import RetentionOptions

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.xdist_group("prefect")]


@task
def counted():
    """Succeeds, and Prefect keeps what it answered."""
    return 1


@flow(name="struck", result_serializer="json")
def struck():
    """Fails, so that Prefect keeps the error."""
    raise RuntimeError(f"the archive burned down {counted()} time")


@flow(name="of-others", result_serializer="json")
def of_others():
    """A flow of somebody who shares the server and the folder of results."""
    return "theirs"


def test_results_of_old_runs_are_removed_with_their_records(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.retention.OURS", ("struck",))  # the server also keeps runs of other tests
    kept = tmp_path / "kept"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: kept}):
        theirs = of_others(return_state=True)
        (foreign,) = kept.iterdir()
        ours = struck(return_state=True)
        answered = set(kept.iterdir()) - {foreign}
        assert any("burned down" in path.read_text() for path in answered)
        assert len(answered) == 2, "the error, and what the task answered"
        retention(str(tmp_path), RetentionOptions(runs_days=1))
        assert all(path.exists() for path in answered), "they are of today"
        retention(str(tmp_path), RetentionOptions(runs_days=0))
    assert not any(path.exists() for path in answered)
    assert foreign.exists()
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(theirs.state_details.flow_run_id).state.is_completed()
        with pytest.raises(ObjectNotFound):
            client.read_flow_run(ours.state_details.flow_run_id)
