"""Notifications through Prefect's own blocks and automations, delivered to servers on loopback."""

import http.server
import json
import socket
import threading
import time
import uuid

import httpx
import pytest
from prefect import flow, tags
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from typer.testing import CliRunner

from flows.cli import build_app
from flows.notify import blocks
from flows.notify.mail import mail_address
from pipeline_lib.errors import InputError, OverbankError, UnknownNameError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect_server")]
SECRET = "hush-7f3a"  # noqa: S105


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    """A webhook on loopback; ``received`` are the bodies."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url_of(receiver):
    return f"http://127.0.0.1:{receiver.server_address[1]}/{SECRET}"


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert condition()


def say_published(version, identity):
    payload = {"event": "po", "version": version, "page": "http://pages/po", "flood_area_km2": 2.5, "state": "growing"}
    resource = {"prefect.resource.id": "overbank.event.po", "overbank.version": str(version)}
    emit_event("overbank.event.published", id=identity, resource=resource, payload=payload)


@flow(name="doomed", flow_run_name="map po")
def doomed():
    raise OverbankError("the archive is down")


def test_publication_failure_and_silence_are_each_delivered_once(receiver, monkeypatch):
    monkeypatch.setenv("OVERBANK_NOTIFY_ADDRESS", url_of(receiver))
    monkeypatch.setenv("PREFECT_API_URL", httpx.URL(str(get_client(sync_client=True).api_url)).__str__())
    done = CliRunner().invoke(build_app(), ["notify", "add", "duty"])
    assert done.exit_code == 0, done.output
    try:
        time.sleep(1)  # the server's automations are loaded by a message of its own
        version = uuid.uuid4()
        say_published(1, version)
        say_published(1, version)  # emitted again after a crash
        say_published(1, uuid.uuid4())  # and by another run of the same content
        say_published(2, uuid.uuid4())
        for _ in range(2):
            emit_event(
                "overbank.watch.silent",
                resource={"prefect.resource.id": "overbank.watch.po"},
                payload={"watch": "po", "silent_days": 13.0},
            )
        with tags("mapping"):
            assert doomed(return_state=True).is_failed()
        doomed(return_state=True)  # without the tag it is no run of ours
        wait_for(lambda: len(receiver.received) >= 4)
        time.sleep(3)
        subjects = sorted(one["subject"] for one in receiver.received)
        assert subjects == [
            "Flood map po, version 1",
            "Flood map po, version 2",
            "Run map po Failed",
            "Silent gap: po",
        ]
        texts = " ".join(one["text"] for one in receiver.received)
        assert "2.5 km2 flooded" in texts
        assert "the archive is down" in texts
        assert "13.0 days" in texts
    finally:
        blocks.remove("duty")
    assert "duty" not in blocks.listed()


def test_the_address_is_kept_secret(receiver, monkeypatch):
    blocks.add("ops", "webhook", url_of(receiver), ("published",))
    try:
        shown = CliRunner().invoke(build_app(), ["notify", "list"])
        assert "ops: webhook, told of published" in shown.output
        with get_client(sync_client=True) as client:
            documents = client.request("POST", "/block_documents/filter", json={"include_secrets": False}).text
            automations = client.request("POST", "/automations/filter", json={}).text
        for text in (shown.output, documents, automations):
            assert SECRET not in text
        blocks.send_test("ops")
        assert receiver.received[0]["subject"] == "overbank: a test"
    finally:
        blocks.remove("ops")
    blocks.add("ops", "webhook", f"http://127.0.0.1:9/{SECRET}", ("published",))
    try:
        with pytest.raises(OverbankError) as raised:
            blocks.send_test("ops")
        assert SECRET not in str(raised.value)
    finally:
        blocks.remove("ops")


def test_mail_reaches_a_server(monkeypatch):
    said = []

    def serve(listener):
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            answer = lambda line: (stream.write(line + b"\r\n"), stream.flush())  # noqa: E731
            answer(b"220 test")
            for line in stream:
                said.append(line.strip())
                word = line[:4].upper().strip()
                if word == b"DATA":
                    answer(b"354 go on")
                    for part in stream:
                        said.append(part.strip())
                        if part == b".\r\n":
                            break
                answer(b"221 bye" if word == b"QUIT" else b"250 ok")
                if word == b"QUIT":
                    return

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        blocks.add(
            "mail", "email", mail_address(f"127.0.0.1:{port}", "", "", "o@x.example", "d@x.example"), ("silence",)
        )
        try:
            blocks.send_test("mail")
        finally:
            blocks.remove("mail")
        thread.join(timeout=10)
    text = b"\n".join(said)
    assert b"rcpt to:<d@x.example>" in text.lower()
    assert b"overbank: a test" in text


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(UnknownNameError, match="webhook"):
        blocks.add("x", "pigeon", "https://a.example", ("published",))
    with pytest.raises(UnknownNameError, match="silence"):
        blocks.add("x", "webhook", "https://a.example", ("gossip",))
    with pytest.raises(InputError, match="mailto://") as raised:
        blocks.add("x", "email", f"https://a.example/{SECRET}", ("published",))
    assert SECRET not in str(raised.value)
    with pytest.raises(UnknownNameError, match="nobody"):
        blocks.remove("nobody")
    with pytest.raises(InputError, match="lower-case"):
        blocks.add("Not this", "webhook", "https://a.example", ("published",))
