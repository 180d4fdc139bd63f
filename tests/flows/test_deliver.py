"""Each message reaches each address that wants it, once, however long the address is away; no server is needed here."""

from datetime import UTC, datetime, timedelta

import pytest

from flows.notify.deliver import GIVE_UP_AFTER, LONGEST_WAIT_S, Postman
from flows.notify.recipients import Recipient
from pipeline_lib.steps import outbox
from pipeline_lib.steps.outbox import Message

DUTY = {"duty": Recipient(on=("failure", "published"), since=datetime.now(UTC) - timedelta(days=3))}


class World:
    """An address that can be down, and a clock that a test sets forward."""

    def __init__(self, out):
        self.out, self.now, self.down, self.received, self.asked = out, datetime.now(UTC).timestamp(), set(), [], 0
        self.postman = Postman(self.send, lambda: self.now)

    def send(self, name, subject, body):  # noqa: ARG002 - as blocks are called
        self.asked += 1
        if name in self.down or subject in self.down:
            return "ConnectError"
        self.received.append((name, subject))
        return ""

    def pass_time(self, seconds, wanted, step=5):
        for _ in range(0, round(seconds), step):
            self.now += step
            self.postman.round(self.out, wanted)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def put(world, count, kind="failure"):
    for number in range(count):
        at = datetime.now(UTC) - timedelta(minutes=count - number)
        outbox.put(world.out, Message(kind=kind, about=f"{kind} {number}", subject=f"{kind} {number}", body="", at=at))


def test_an_address_that_is_down_for_a_minute_gets_everything_afterwards_once(world):
    world.down = {"duty"}
    put(world, 30)
    world.pass_time(60, DUTY)
    assert world.received == []
    assert world.asked < 8, "it is left alone for longer each time"
    world.down = set()
    world.pass_time(120, DUTY)
    assert sorted(world.received) == sorted(("duty", f"failure {number}") for number in range(30))
    assert outbox.waiting(world.out) == []


def test_a_postman_that_is_killed_goes_on_where_it_was(world):
    put(world, 3)
    world.down = {"failure 1"}
    world.postman.round(world.out, DUTY)
    world.down = set()
    later = Postman(world.send, lambda: world.now)
    later.round(world.out, DUTY)
    later.round(world.out, DUTY)
    assert sorted(world.received) == [("duty", f"failure {number}") for number in range(3)]


def test_an_address_that_fails_does_not_hold_up_another(world):
    both = DUTY | {"chief": DUTY["duty"]}
    put(world, 3)
    world.down = {"duty"}
    world.postman.round(world.out, both)
    assert [name for name, _ in world.received] == ["chief"] * 3


def test_a_message_that_is_always_refused_does_not_hold_up_later_ones(world):
    put(world, 4)
    world.down = {"failure 0"}
    world.pass_time(LONGEST_WAIT_S * 4, DUTY)
    assert sorted(world.received) == [("duty", f"failure {number}") for number in range(1, 4)]
    assert [one.about for one in outbox.waiting(world.out)] == ["failure 0"]


def test_it_is_given_up_after_a_day_of_trying_and_not_before(world):
    put(world, 1)
    world.down = {"duty"}
    world.postman.round(world.out, DUTY)
    world.pass_time(GIVE_UP_AFTER.total_seconds() - 600, DUTY, step=300)
    assert len(outbox.waiting(world.out)) == 1
    world.pass_time(1200, DUTY, step=300)
    assert outbox.waiting(world.out) == []
    assert "given up" in outbox.outbox_lines(world.out)[0]


def test_only_what_was_asked_for_is_told_and_nothing_from_before(world):
    put(world, 2, "published")
    put(world, 2, "silence")
    late = {"duty": Recipient(on=("published",), since=datetime.now(UTC) - timedelta(seconds=90))}
    world.postman.round(world.out, late)
    assert world.received == [("duty", "published 1")]
    assert outbox.waiting(world.out) == [], "the rest is for nobody"
