"""Fixtures shared by every test: real data where it exists, hypothesis profiles, no telemetry, no network."""

import logging
import os
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports Prefect or OpenVINO: nothing phones home from a test.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
# A busy machine starts a server slowly; that is no failure of what is tested (the command line allows the same).
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "800")
for _name in ("NO_PROXY", "no_proxy"):  # whatever proxy this machine has, the servers of tests are not behind it
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1", "localhost")))

_PROFILE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "max_examples": 30}
# The same examples and the same order for everybody, so that a failure repeats; `make fuzz` draws others.
settings.register_profile("repeatable", derandomize=True, **_PROFILE)
settings.register_profile("fuzz", **_PROFILE)
settings.load_profile("repeatable")

ORDER_SEED = 1246069502


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The order of the tests, where the command line gives none."""
    if getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = ORDER_SEED


REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real Sentinel data; the test skips where it is absent."""
    folder = Path(os.environ.get("OVERBANK_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (set OVERBANK_REAL_DATA to a copy)")
    return folder


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a simulated flood of 288 x 288 pixels with its truth; built once a session, not to be written to."""
    from pipeline_lib.options.world import WorldOptions
    from pipeline_lib.world.build import build_world

    return build_world(tmp_path_factory.mktemp("world") / "small", WorldOptions(seed=7, size=288))


@pytest.fixture(scope="session")
def s3_server():
    """A server on loopback that speaks S3, conditional creation included; its address."""
    reason = "moto, the S3 server of the tests, is not installed"
    moto = pytest.importorskip("moto.server", reason=reason, exc_type=ImportError)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch):
    """URL of an empty bucket; what opens it, in this process or another, finds endpoint and keys in the environment."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret-value",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem().call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"


@pytest.fixture(autouse=True)
def _library_logs_as_at_first(monkeypatch: pytest.MonkeyPatch):
    """Each test finds the library's loggers as Python makes them, whatever set up logging in this process before it."""
    for name in ["pipeline_lib", *(one for one in logging.root.manager.loggerDict if one.startswith("pipeline_lib."))]:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "disabled", False)
        monkeypatch.setattr(logger, "propagate", True)
        logger.setLevel(logging.NOTSET)
