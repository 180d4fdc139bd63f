"""Events that the server gave up are sent to it again when it takes them, and not before; other letters stay."""

import json
import os
import time
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flows.desk.dead_letters import REMEMBERED_S, send_again
from pipeline_lib.steps.outbox import dead_letters


@pytest.fixture
def client():
    """A server that takes what it is sent, or none."""
    sent, server = [], SimpleNamespace(down=False)

    def request(method, path, json):
        if server.down:
            raise ConnectionError
        sent.append((method, path, json))

    return SimpleNamespace(request=request, sent=sent, server=server)


def letter(out, held, *, age_s=REMEMBERED_S + 1):
    """A dead letter as Prefect 3.8 writes it."""
    folder = out / ".overbank" / "desk" / "prefect" / "dlq"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / uuid.uuid4().hex
    path.write_text(json.dumps({"data": json.dumps(held), "attributes": {}, "retry_count": 4}))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def event():
    when = datetime.now(UTC).isoformat()
    resource = {"prefect.resource.id": "prefect.flow-run.1"}
    return {
        "occurred": when, "event": "prefect.flow-run.Failed", "resource": resource, "related": [], "payload": {"a": 1},
        "id": str(uuid.uuid4()), "follows": str(uuid.uuid4()), "received": when,
    }  # fmt: skip


def test_an_event_is_sent_again_with_its_own_id_and_without_what_it_follows(tmp_path, client):
    held = event()
    letter(tmp_path, held)
    assert send_again(client, tmp_path) == 1
    ((method, path, (sent,)),) = client.sent
    assert (method, path) == ("POST", "/events")
    assert (sent["id"], sent["event"], sent["payload"]) == (held["id"], held["event"], {"a": 1})
    assert "follows" not in sent
    assert dead_letters(tmp_path) == []


def test_one_that_the_server_would_take_for_a_copy_waits(tmp_path, client):
    letter(tmp_path, event(), age_s=REMEMBERED_S - 60)
    assert send_again(client, tmp_path) == 0
    assert len(dead_letters(tmp_path)) == 1


def test_what_was_not_taken_stays_and_so_does_what_is_no_event(tmp_path, client):
    letter(tmp_path, event())
    client.server.down = True
    with pytest.raises(ConnectionError):
        send_again(client, tmp_path)
    assert len(dead_letters(tmp_path)) == 1
    client.server.down = False
    action = letter(tmp_path, {"automation": {}, "action": {}})
    assert send_again(client, tmp_path) == 1
    assert dead_letters(tmp_path) == [action]
