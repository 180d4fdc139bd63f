"""What a machine may lack: a trusted certificate, a projection database, links. One sentence, before pixels are read."""

import datetime as dt
import ipaddress
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import rasterio
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import pipeline_lib
from pipeline_lib.errors import StoreError
from pipeline_lib.listener import listening
from pipeline_lib.publish.versions import need_links
from pipeline_lib.world.server.api import create_app
from pipeline_lib.world.server.archive import Archive, utc_now

ROOT = Path(__file__).parents[2]


def overbank(*arguments, **environment):
    """Run the command in a process of its own, which sees no certificate but those given."""
    plain = {name: value for name, value in os.environ.items() if name not in pipeline_lib.TRUST}
    command = [sys.executable, "-m", "flows", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env={**plain, **environment})


def certificate(name, issuer=None):
    """A certificate and its key: an authority's own, or one of 127.0.0.1 that ``issuer`` signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, by = (key, subject) if issuer is None else (issuer[1], issuer[0].subject)
    now = dt.datetime.now(dt.UTC)
    begun = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is not None:
        host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        begun = begun.add_extension(host, critical=False)
    return begun.sign(signer, hashes.SHA256()), key


@pytest.fixture(scope="module")
def behind_a_proxy(small_world, tmp_path_factory):
    """The archive over TLS with a certificate of a company's own authority: its address and the authority's file."""
    folder = tmp_path_factory.mktemp("tls")
    authority = certificate("A company's proxy")
    server, key = certificate("127.0.0.1", authority)
    pem = serialization.Encoding.PEM
    trusted = folder / "company.pem"
    trusted.write_bytes(authority[0].public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    listener = listening("127.0.0.1", 0)
    running = uvicorn.Server(
        uvicorn.Config(
            create_app(Archive(small_world, utc_now)),
            log_config=None,
            lifespan="off",
            ws="none",
            ssl_certfile=folder / "server.pem",
            ssl_keyfile=folder / "server.key",
        )
    )
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", trusted
    running.should_exit = running.force_exit = True
    thread.join(timeout=10)
    listener.close()


def findings(done):
    return {one["name"]: one for one in json.loads(done.stdout)}


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_one_variable_serves_search_signing_and_pixels(behind_a_proxy, tmp_path, variable):
    url, trusted = behind_a_proxy
    done = overbank("doctor", "--catalog", url, "--out", tmp_path, "--json", **{variable: str(trusted)})
    found = findings(done)
    levels = {name: found.get(name, {}).get("level") for name in (f"catalogue {url}", "signing", "pixels")}
    assert set(levels.values()) == {"ok"}, (levels, done.stdout, done.stderr)


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted_is_called_one(behind_a_proxy, event, tmp_path):
    url, trusted = behind_a_proxy
    found = findings(overbank("doctor", "--catalog", url, "--out", tmp_path, "--json"))[f"catalogue {url}"]
    assert found["level"] == "problem"
    assert "certificate that 127.0.0.1" in found["text"]
    assert "SSL_CERT_FILE" in found["text"]
    # Search may pass where pixels do not: only requests is told here, and GDAL of nobody but certifi.
    told = {"REQUESTS_CA_BUNDLE": str(trusted), "GDAL_CURL_CA_BUNDLE": str(trusted.with_name("server.key"))}
    found = findings(overbank("doctor", "--catalog", url, "--out", tmp_path, "--json", **told))
    assert found["signing"]["level"] == "ok"
    assert found["pixels"]["level"] == "problem"
    assert "certificate" in found["pixels"]["text"]


def test_variables_that_are_set_stay_and_those_that_name_nothing_are_passed_over(tmp_path):
    mine, other = tmp_path / "mine.pem", tmp_path / "other.pem"
    mine.write_text("")
    environment = {"SSL_CERT_FILE": str(other), "CURL_CA_BUNDLE": str(mine), "AWS_CA_BUNDLE": "aws.pem"}
    pipeline_lib.trusted_alike(environment)
    assert environment["SSL_CERT_FILE"] == str(other)
    assert environment["AWS_CA_BUNDLE"] == "aws.pem"
    assert environment["REQUESTS_CA_BUNDLE"] == environment["GDAL_CURL_CA_BUNDLE"] == str(mine)
    nothing = {"SSL_CERT_FILE": str(other)}
    pipeline_lib.trusted_alike(nothing)
    assert nothing == {"SSL_CERT_FILE": str(other)}


def test_another_installations_projections_are_found_before_the_catalogue_is_asked(tmp_path):
    shutil.copy(Path(rasterio.__file__).parent / "proj_data" / "proj.db", tmp_path / "proj.db")
    with sqlite3.connect(tmp_path / "proj.db") as database:
        database.execute("update metadata set value = '2' where key = 'DATABASE.LAYOUT.VERSION.MINOR'")
    flags = ("--id", "a", "--bbox", "9.2,45.3,9.24,45.33", "--start", "2025-10-28", "--end", "2025-11-09")
    done = overbank("plan", *flags, "--catalog", "http://127.0.0.1:9", PROJ_DATA=str(tmp_path))
    assert done.returncode == 2, done.stderr
    assert f"unset PROJ_DATA (PROJ_DATA = {tmp_path})" in done.stderr


def no_links(*_args, **_kwargs):
    raise OSError(1, "Operation not permitted")


def test_a_folder_without_links_is_refused_before_the_catalogue_is_asked(tmp_path, monkeypatch, event):
    from flows.commands.map_event import run_map
    from pipeline_lib.options.map_event import MapOptions

    monkeypatch.setattr(os, "symlink", no_links)
    with pytest.raises(StoreError, match=r"cannot hold symbolic links .* OVERBANK_MIRROR"):
        run_map(event, "http://127.0.0.1:9", tmp_path / "out", MapOptions(), again=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_links_is_left_as_it_is(tmp_path):
    need_links(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []
