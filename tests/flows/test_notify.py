"""Notifications through Prefect's own blocks, delivered to servers on loopback."""

import http.server
import json
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow, tags
from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events.actions import DoNothing
from prefect.events.schemas.automations import EventTrigger
from typer.testing import CliRunner

from flows.cli import build_app
from flows.notify import blocks
from flows.notify.deliver import Postman, deliver
from flows.notify.mail import mail_address
from flows.notify.recipients import adopt_automations, unsubscribe
from pipeline_lib.errors import InputError, OverbankError, UnknownNameError
from pipeline_lib.model import EventFigures, Product
from pipeline_lib.steps.news import tell_published, tell_silence

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


@flow(name="doomed", flow_run_name="map po")
def doomed():
    raise OverbankError("the archive is down")


def product(version):
    when = datetime.now(UTC)
    known = {"flood_area_km2": 2.5, "state": "rising", "first_pass": when, "last_pass": when}
    figures = EventFigures.model_validate(dict.fromkeys(EventFigures.model_fields, 0) | known)
    place = {"collection_href": "c.json", "page_href": "file:///data/po/index.html", "quicklook_href": "q.png"}
    return Product(
        event_id="po", version=version, figures=figures, plan_digest="0", software="overbank 0", published=when, **place
    )


def test_publication_failure_and_silence_are_each_delivered_once(receiver, monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBANK_NOTIFY_ADDRESS", url_of(receiver))
    monkeypatch.setenv("PREFECT_API_URL", str(get_client(sync_client=True).api_url))
    monkeypatch.delenv("OVERBANK_PAGES_URL", raising=False)
    with tags("mapping"):
        doomed(return_state=True)  # before anybody looked
    done = CliRunner().invoke(build_app(), ["notify", "add", "duty"])
    assert done.exit_code == 0, done.output
    postman = Postman(blocks.send_by_name)
    try:
        with get_client(sync_client=True) as client:
            deliver(client, tmp_path, postman)
            first = product(1)
            tell_published(tmp_path, first)
            tell_published(tmp_path, first)  # found again after a crash
            tell_published(tmp_path, product(2))
            for _ in range(2):
                tell_silence(tmp_path, "po", 13.0)
            with tags("mapping"):
                assert doomed(return_state=True).is_failed()
            with tags("poll"):
                doomed(return_state=True)
                doomed(return_state=True)
            doomed(return_state=True)  # without the tag it is no run of ours
            for _ in range(3):
                deliver(client, tmp_path, postman)
        assert sorted(one["subject"] for one in receiver.received) == [
            "Flood map po, version 1",
            "Flood map po, version 2",
            "Polling Failed",
            "Run map po Failed",
            "Silent gap: po",
        ]
        texts = " ".join(one["text"] for one in receiver.received)
        for said in (
            "2.5 km2 flooded",
            "the archive is down",
            "13.0 days",
            "overbank events show po",
            "/runs/flow-run/",
        ):
            assert said in texts
        assert "file:" not in texts
        assert "None" not in texts
    finally:
        blocks.remove("duty")
    assert "duty" not in blocks.listed()


def test_what_automations_told_before_is_told_still(receiver):
    """A desk that is upgraded goes on telling, and its automations are gone."""
    blocks.add("old", "webhook", url_of(receiver), ("published",))
    unsubscribe("old")
    for kind in ("failure", "failure 2", "silence"):
        trigger = EventTrigger(expect={"overbank.none"}, threshold=1, within=timedelta(0))
        Automation(name=f"overbank notify old: {kind}", trigger=trigger, actions=[DoNothing()]).create()
    try:
        assert adopt_automations() == 3
        assert blocks.listed()["old"]["on"] == ["failure", "silence"]
        assert adopt_automations() == 0
    finally:
        blocks.remove("old")


def test_the_address_is_kept_secret(receiver, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", str(get_client(sync_client=True).api_url))
    blocks.add("ops", "webhook", url_of(receiver), ("published",))
    try:
        shown = CliRunner().invoke(build_app(), ["notify", "list"])
        assert "ops: webhook, told of published" in shown.output
        with get_client(sync_client=True) as client:
            told = client.request("POST", "/variables/filter", json={}).text
            documents = client.request("POST", "/block_documents/filter", json={"include_secrets": False}).text
        for text in (shown.output, documents, told):
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


def test_where_nothing_answers_one_sentence_says_which_server_was_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    asked = CliRunner().invoke(build_app(), ["notify", "list", "--out", str(tmp_path)])
    assert isinstance(asked.exception, OverbankError)
    assert "No server answers at 127.0.0.1:9 (PREFECT_API_URL of the environment" in str(asked.exception)
