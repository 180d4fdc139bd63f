"""What cannot be run here is held to the schemas and checkers that its own makers ship.

Compose by Docker Compose itself, Dockerfiles by hadolint, manifests by Kubernetes' schemas, the unit by systemd, the
jobs of SLURM as dask-jobqueue writes them. The charts of Prefect are in no package: what their documentation says of
the values used stands here as rules.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import dask
import kubernetes_validate
import pytest
import yaml
from dask_jobqueue.slurm import SLURMJob
from prefect.utilities.templating import apply_values

KUBERNETES = ("1.30", "1.37")
SECRET = {"name": "overbank", "key": "auth-string"}
COMPOSE_NEEDS = {"OVERBANK_AUTH": "user:password", "POSTGRES_PASSWORD": "secret"}
SERVER_VALUES = {"global": {"prefect"}, "server": {"basicAuth", "uiConfig"}, "backgroundServices": {"runAsSeparateDeployment"},
                 "postgresql": {"enabled", "primary"}, "redis": {"enabled"}}  # fmt: skip
WORKER_VALUES = {"image", "apiConfig", "selfHostedServerApiConfig", "config", "extraEnvVars"}


def tool(name: str) -> str:
    """A checker beside this Python, as its package installs it, or on the path."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name not in COMPOSE_NEEDS}
    return subprocess.run(
        [str(part) for part in command], env=known | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def manifests(repository):
    """Every manifest as it would reach a cluster, by name: those shipped, and the job of a run from its template."""
    folder = repository / "deployments" / "kubernetes"
    shipped = list(yaml.safe_load_all((folder / "overbank.yaml").read_text()))
    cluster = yaml.safe_load((folder / "dask-cluster.yaml").read_text())["spec"]
    pods = [{"apiVersion": "v1", "kind": "Pod", "spec": cluster[part]["spec"]} for part in ("worker", "scheduler")]
    service = {"apiVersion": "v1", "kind": "Service", "spec": cluster["scheduler"]["service"]}
    return {
        "run": job_of_a_run(folder / "base-job-template.json"),
        **dict(zip(("claim", "setup", "pages", "tend", "pages service"), shipped, strict=True)),
        **dict(zip(("dask worker", "dask scheduler", "dask service"), (*pods, service), strict=True)),
    }


def job_of_a_run(path: Path):
    """The job that Prefect's worker makes of the template, with the template's defaults and a run's own values."""
    template = json.loads(path.read_text())
    values = {
        name: field["default"] for name, field in template["variables"]["properties"].items() if "default" in field
    }
    values |= {"name": "map-po", "labels": {"prefect.io/version": "3"}, "command": ["prefect", "flow-run", "execute"]}
    return apply_values(template["job_configuration"], values)["job_manifest"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_obey_kubernetes_schemas(manifests, version):
    for name, manifest in manifests.items():
        assert kubernetes_validate.validate(manifest, version, strict=True) == version, name


def test_a_wrong_manifest_is_noticed(manifests):
    wrong = json.loads(json.dumps(manifests["run"]).replace('"restartPolicy"', '"restart_policy"'))
    with pytest.raises(kubernetes_validate.ValidationError, match="restart_policy"):
        kubernetes_validate.validate(wrong, KUBERNETES[-1], strict=True)


def test_template_of_runs_uses_what_it_declares_and_is_whole(repository, manifests):
    text = (repository / "deployments" / "kubernetes" / "base-job-template.json").read_text()
    declared = set(json.loads(text)["variables"]["properties"])
    assert set(re.findall(r"{{ (\w+) }}", text)) == declared
    assert "{{" not in json.dumps(manifests["run"])
    (container,) = manifests["run"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["env"], "the image's entry point is overbank; the run's command is Prefect's"


def test_one_volume_one_user_one_address(repository, manifests):
    """Who writes the shared volume is the same user everywhere, that of both images; names agree across files."""
    folder = repository / "deployments"
    users = [
        re.findall(r"^USER (\d+)$", (folder / name).read_text(), re.MULTILINE)
        for name in ("Dockerfile", "Dockerfile.cuda")
    ]
    assert users == [["1000"], ["1000"]]
    claim = manifests["claim"]["metadata"]["name"]
    for name in ("run", "setup", "pages", "dask worker"):
        pod = manifests[name]["spec"]
        pod = pod["template"]["spec"] if "template" in pod else pod
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000, name
        assert [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]] == [claim], name
        assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/data", name
    cluster = yaml.safe_load((folder / "kubernetes" / "dask-cluster.yaml").read_text())["metadata"]["name"]
    assert f"tcp://{cluster}-scheduler:8786" in json.dumps(manifests["run"])


def test_setup_calls_what_exists(manifests, repository):
    from flows.desk import setup

    compose = yaml.safe_load((repository / "deployments" / "compose.yaml").read_text())["services"]["setup"]
    (container,) = manifests["setup"]["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == compose["entrypoint"]
    assert container["command"][2:] == compose["command"] == [
        f"from {setup.__name__} import {setup.set_up_server.__name__}; {setup.set_up_server.__name__}()"
    ]  # fmt: skip


def test_values_of_the_server_chart(repository):
    values = yaml.safe_load((repository / "deployments" / "kubernetes" / "prefect-server-values.yaml").read_text())
    assert {name: set(value) for name, value in values.items()} == SERVER_VALUES
    assert values["server"]["basicAuth"] == {"enabled": True, "existingSecret": SECRET["name"]}
    assert values["postgresql"]["primary"]["persistence"]["enabled"], "the chart forgets its database otherwise"
    everywhere = {entry["name"]: entry["value"] for entry in values["global"]["prefect"]["env"]}
    assert everywhere == {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def test_values_of_the_worker_chart(repository, manifests):
    worker = yaml.safe_load((repository / "deployments" / "kubernetes" / "prefect-worker-values.yaml").read_text())
    assert set(worker) == {"worker"}
    worker = worker["worker"]
    assert set(worker) == WORKER_VALUES
    assert worker["apiConfig"] in ("cloud", "selfHostedServer", "customerManagedCloud")
    server = worker["selfHostedServerApiConfig"]
    (container,) = manifests["setup"]["spec"]["template"]["spec"]["containers"]
    setup = {entry["name"]: entry for entry in container["env"]}
    assert server["apiUrl"] == setup["PREFECT_API_URL"]["value"] == "http://prefect-server:4200/api"
    assert server["basicAuth"] == {"enabled": True, "existingSecret": SECRET["name"]}
    assert setup["PREFECT_API_AUTH_STRING"]["valueFrom"]["secretKeyRef"] == SECRET
    prefix = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    environment = {entry["name"]: entry["value"] for entry in worker["extraEnvVars"]}
    assert environment == {"DO_NOT_TRACK": "1", f"{prefix}_NAME": SECRET["name"], f"{prefix}_KEY": SECRET["key"]}


def test_images_of_the_charts_are_of_the_prefect_that_is_pinned(repository):
    (pin,) = re.findall(r"^prefect==(\S+)$", (repository / "constraints.txt").read_text(), re.MULTILINE)
    tags = [
        yaml.safe_load((repository / "deployments" / "kubernetes" / f"prefect-{name}-values.yaml").read_text())
        for name in ("server", "worker")
    ]
    assert tags[0]["global"]["prefect"]["image"]["prefectTag"] == f"{pin}-python3.12"
    assert tags[1]["worker"]["image"]["prefectTag"] == f"{pin}-python3.12-kubernetes"


def test_compose_file_is_one_to_docker_compose(repository):
    compose = (
        tool("docker-compose"),
        "--file",
        repository / "deployments" / "compose.yaml",
        "config",
        "--format",
        "json",
    )
    done = run(*compose, **COMPOSE_NEEDS)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {port["host_ip"] for service in services.values() for port in service.get("ports", ())} == {"127.0.0.1"}
    assert services["setup"]["depends_on"]["server"]["condition"] == "service_healthy"
    for name in COMPOSE_NEEDS:
        without = run(*compose, **{other: value for other, value in COMPOSE_NEEDS.items() if other != name})
        assert without.returncode != 0
        assert name in without.stderr


def test_a_wrong_compose_file_is_noticed(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("services: {one: {image: x, port: ['80:80']}}\n")
    done = run(tool("docker-compose"), "--file", wrong, "config", "--quiet")
    assert done.returncode != 0
    assert "port" in done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_hadolint_has_nothing_to_say(repository, name):
    done = run(tool("hadolint"), "--no-color", repository / "deployments" / name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_images_are_built_with_every_file_that_the_package_names(repository, name):
    """Texts of licences go where the package goes."""
    copied = " ".join(
        re.findall(r"^COPY (?!--from)(.+) \S+$", (repository / "deployments" / name).read_text(), re.MULTILINE)
    ).split()
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    named = [project["project"]["readme"], *project["project"]["license-files"]]
    named += project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [path for path in named if path.split("/")[0] not in copied] == []
    assert [path for path in copied if not (repository / path).exists()] == []


def test_systemd_has_nothing_to_say(repository, tmp_path):
    text = (repository / "deployments" / "systemd" / "overbank.service").read_text()
    unit = tmp_path / "overbank.service"
    unit.write_text(text.replace("/opt/overbank/bin/overbank", sys.executable))
    done = run(tool("systemd-analyze"), "verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("[Service]", "[Service]\nRestrat=always"))
    assert "Restrat" in run(tool("systemd-analyze"), "verify", "--man=no", unit).stderr


def test_unit_may_write_where_it_must(repository):
    """Compiled code is kept where the unit may write; elsewhere every process would compile anew."""
    text = (repository / "deployments" / "systemd" / "overbank.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.+)$", text, re.MULTILINE))
    assert settings["ProtectSystem"] == "strict"
    assert settings["ExecStart"].endswith(f"--out {settings['ReadWritePaths']}")
    assert f"Environment=XDG_CACHE_HOME=/var/cache/{settings['CacheDirectory']}\n" in text


def test_slurm_settings_become_a_job_script(repository):
    """As dask-jobqueue renders it for one worker of the cluster."""
    settings = yaml.safe_load((repository / "deployments" / "slurm" / "jobqueue.yaml").read_text())
    defaults = {"jobqueue": dask.config.get("jobqueue")}
    with dask.config.set(dask.config.merge(defaults, settings)):
        script = SLURMJob(scheduler="tcp://10.0.0.1:8786", name="one").job_script()
    slurm = settings["jobqueue"]["slurm"]
    assert f"#SBATCH -J {slurm['name']}\n" in script
    assert f"#SBATCH --cpus-per-task={slurm['cores']}\n" in script
    assert f"#SBATCH -t {slurm['walltime']}\n" in script
    assert all(line in script for line in slurm["job-script-prologue"])
    threads = slurm["cores"] // slurm["processes"]
    assert f"tcp://10.0.0.1:8786 --name one --nthreads {threads} --memory-limit 8.00GiB" in script
    assert f"--nworkers {slurm['processes']} --nanny --death-timeout {slurm['death-timeout']}" in script
