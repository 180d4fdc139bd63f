"""What cannot be run here is at least well formed and consistent with the code it names."""

import configparser
import importlib
import inspect

import yaml
from prefect import Flow


def _yaml(repository, *parts):
    return yaml.safe_load((repository / "deployments").joinpath(*parts).read_text())


def test_every_deployment_names_a_flow_and_its_parameters(repository):
    document = _yaml(repository, "prefect.yaml")
    names = [deployment["name"] for deployment in document["deployments"]]
    assert len(set(names)) == len(names)
    for deployment in document["deployments"]:
        module, attribute = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), attribute)
        assert isinstance(flow, Flow)
        assert deployment["description"]
        accepted = set(inspect.signature(flow.fn).parameters)
        assert set(deployment.get("parameters", {})) <= accepted, deployment["name"]


def test_flow_parameters_have_a_schema_a_person_can_fill(repository):
    for deployment in _yaml(repository, "prefect.yaml")["deployments"]:
        module, attribute = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), attribute)
        for name, field in flow.parameters.properties.items():
            assert field.get("description"), f"{deployment['name']}: parameter {name} has no description for the form"


def test_no_flow_keeps_what_failed_as_a_pickle(repository):
    """Prefect writes the error of every failed run beside its own files, with the serializer of the flow."""
    modules = [importlib.import_module(f"flows.{path.stem}") for path in (repository / "flows").glob("[!_]*.py")]
    found = {one for module in modules for one in vars(module).values() if isinstance(one, Flow)}
    assert len(found) >= 10
    assert {one.name for one in found if one.result_serializer != "json"} == set()


def test_the_mapping_deployment_that_the_watch_asks_for_exists(repository):
    watch = importlib.import_module("flows.watch_catalogue")
    flow_name, deployment = watch.MAPPING_DEPLOYMENT.split("/")
    found = {one["name"]: one["entrypoint"] for one in _yaml(repository, "prefect.yaml")["deployments"]}
    module, attribute = found[deployment].rsplit(".", 1)
    assert getattr(importlib.import_module(module), attribute).name == flow_name


def test_pull_step_names_no_machine(repository):
    text = (repository / "deployments" / "prefect.yaml").read_text()
    assert "{{ $OVERBANK_OUT }}" in text
    assert "/home/" not in text


def test_compose_services_depend_on_each_other_consistently(repository):
    document = _yaml(repository, "compose.yaml")
    services = document["services"]
    for name, service in services.items():
        assert "image" in service, name
        for needed in service.get("depends_on", ()):
            assert needed in services, (name, needed)
    for port in [port for service in services.values() for port in service.get("ports", ())]:
        assert port.startswith("127.0.0.1:"), "nothing listens beyond loopback unless told"
    for service in services.values():
        environment = service.get("environment", {})
        if "PREFECT_API_URL" in environment:
            assert environment["DO_NOT_TRACK"] == "1"


def test_systemd_unit_is_complete(repository):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(repository / "deployments" / "systemd" / "overbank.service")
    assert unit["Service"]["ExecStart"].split()[:2] == ["/opt/overbank/bin/overbank", "up"]
    assert unit["Service"]["Restart"] == "always"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_dask_cluster_ports_agree(repository):
    spec = _yaml(repository, "kubernetes", "dask-cluster.yaml")["spec"]["scheduler"]
    exposed = {port["name"] for port in spec["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in spec["service"]["ports"]} == exposed
