"""Retention: old runs leave neither records on the server nor results on the disk; new ones keep both."""

import os
import time
from datetime import timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from flows.retention import retention
from pipeline_lib.steps.retention import RetentionOptions

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.xdist_group("prefect")]


@flow(result_serializer="json")
def struck():
    """Fails, so that Prefect keeps the error."""
    raise RuntimeError("the archive burned down")


def test_results_of_old_runs_are_removed_with_their_records(tmp_path):
    kept = tmp_path / "kept"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: kept}):
        state = struck(return_state=True)
        (error,) = kept.iterdir()
        assert "burned down" in error.read_text()
        retention(str(tmp_path), RetentionOptions(runs_days=1))
        assert error.exists(), "it is of today"
        long_ago = time.time() - timedelta(days=2).total_seconds()
        os.utime(error, (long_ago, long_ago))
        retention(str(tmp_path), RetentionOptions(runs_days=1))
    assert not error.exists()
    assert len(list(kept.iterdir())) == 2, "what the two runs of retention answered is new"
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(state.state_details.flow_run_id).state.is_failed(), "its record is of today"
