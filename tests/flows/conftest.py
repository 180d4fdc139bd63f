"""A Prefect test server and the simulated archive over real HTTP, once for all flow tests of a worker."""

import shutil

import pytest

from pipeline_lib.steps.event import read_event
from pipeline_lib.world.server import serve


@pytest.fixture(scope="session")
def prefect_server():
    """An isolated Prefect server with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=240):
        yield


@pytest.fixture(scope="session")
def archive(small_world):
    """URL of the simulated archive."""
    with serve(small_world) as url:
        yield url


@pytest.fixture(scope="session")
def event(small_world):
    return read_event(small_world / "event.yaml")


@pytest.fixture
def own_world(small_world, tmp_path):
    """A copy of the simulated archive that a test may change."""
    return shutil.copytree(small_world, tmp_path / "world")
