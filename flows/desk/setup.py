"""What a desk's server is told once it answers: pool, limits and deployments."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from flows.desk.services import POOL, Desk
from pipeline_lib.errors import InputError, OverbankError

ZOMBIES = "overbank: runs without a heartbeat have crashed"
"""The automation by which overbank 0.1 ended dead runs; see `flows.desk.dead_runs`."""


def deployments_file() -> Path:
    """``prefect.yaml``: package data here, so that an installed wheel has it; ``deployments/`` links to it."""
    return Path(__file__).resolve().with_name("prefect.yaml")


def apply(desk: Desk) -> None:
    """Bring a fresh or an existing server to the desk's state; running it again changes nothing.

    Raises:
        OverbankError: the deployments could not be applied; the message ends with Prefect's own words.
    """
    environment = desk.environment | {"OVERBANK_DASK_ADDRESS": desk.dask_address or ""}
    os.environ.update(
        {name: value for name, value in environment.items() if name.startswith(("PREFECT_", "OVERBANK_"))}
    )
    os.environ["DO_NOT_TRACK"] = "1"
    prepare_server()
    _deploy_all(environment, desk.out)


def set_up_server() -> None:
    """What `apply` does, for a server that overbank did not start (compose, Kubernetes): once, before anything runs.

    ``PREFECT_API_URL`` names the server, ``OVERBANK_OUT`` the folder of events as the workers see it.

    Raises:
        InputError: one of the two is not set.
        OverbankError: the deployments could not be applied.
    """
    for name in ("PREFECT_API_URL", "OVERBANK_OUT"):
        if not os.environ.get(name):
            raise InputError(
                f"{name} is not set; give the server's API and the folder of events as environment variables."
            )
    prepare_server()
    _deploy_all(dict(os.environ), Path(os.environ["OVERBANK_OUT"]))


def _deploy_all(environment: dict[str, str], folder: Path) -> None:
    """``prefect deploy --all`` with overbank's own deployments."""
    prefect = (sys.executable, "-m", "prefect", "--no-prompt", "deploy")
    command = (*prefect, "--prefect-file", str(deployments_file()), "--all")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise OverbankError(f"The deployments could not be applied: {(done.stdout + done.stderr).strip()[-800:]}")


def prepare_server() -> None:
    """Pool and GPU slots on the server that ``PREFECT_API_URL`` names, without automations of older versions."""
    _create_pool_and_limits()
    _drop_automations()


def _create_pool_and_limits() -> None:
    """The process pool, and a slot for each GPU so that runs never share one by accident."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    from pipeline_lib.steps.hardware import gpu_count
    from tasks.cluster import GPU_SLOT

    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", description="Runs on this machine."))
        except ObjectAlreadyExists:
            client.read_work_pool(POOL)
        try:
            client.read_global_concurrency_limit_by_name(GPU_SLOT)
        except ObjectNotFound:
            limit = GlobalConcurrencyLimitCreate(name=GPU_SLOT, limit=max(1, gpu_count()), active=True)
            client.create_global_concurrency_limit(limit)


def _drop_automations() -> None:
    """Automations of overbank 0.1: one that ended dead runs made SQLite lose events, and others told news by events."""
    from prefect.automations import Automation

    from flows.notify.recipients import adopt_automations

    adopt_automations()
    try:
        found: Any = Automation.read(name=ZOMBIES)
    except ValueError:
        return
    found.delete()
