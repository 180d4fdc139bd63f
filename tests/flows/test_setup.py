"""A server that overbank did not start is set up once: pool, deployments; for a pool of Kubernetes, too."""

import json
from datetime import timedelta

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]


def test_a_pool_of_kubernetes_is_kept_and_gets_every_deployment(repository, tmp_path, monkeypatch):
    from prefect.automations import Automation
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.events.actions import DoNothing
    from prefect.events.schemas.automations import EventTrigger
    from prefect.settings import PREFECT_API_URL

    from flows.desk.services import POOL
    from flows.desk.setup import ZOMBIES, set_up_server

    template = json.loads((repository / "deployments" / "kubernetes" / "base-job-template.json").read_text())
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())
    monkeypatch.setenv("OVERBANK_OUT", str(tmp_path))
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="kubernetes", base_job_template=template))
        try:
            trigger = EventTrigger(expect={"overbank.none"}, threshold=1, within=timedelta(0))
            Automation(name=ZOMBIES, trigger=trigger, actions=[DoNothing()]).create()  # as overbank 0.1 made it
            set_up_server()
            pool = client.read_work_pool(POOL)
            mapping = client.read_deployment_by_name("map-event/map-event")
            assert (pool.type, pool.base_job_template["job_configuration"]) == (
                "kubernetes",
                template["job_configuration"],
            )
            assert (mapping.work_pool_name, mapping.parameters["out"]) == (POOL, str(tmp_path))
            with pytest.raises(ValueError, match="not found"):
                Automation.read(name=ZOMBIES)
        finally:
            client.delete_work_pool(POOL)


@pytest.mark.parametrize("missing", ["PREFECT_API_URL", "OVERBANK_OUT"])
def test_what_is_not_set_is_said(monkeypatch, missing):
    from flows.desk.setup import set_up_server
    from pipeline_lib.errors import InputError

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("OVERBANK_OUT", "/data")
    monkeypatch.delenv(missing)
    with pytest.raises(InputError, match=missing):
        set_up_server()
