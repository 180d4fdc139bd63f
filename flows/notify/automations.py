"""Which news there is, and the automation that delivers each of it once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture

PREFIX = "overbank notify"
EVENT = {"prefect.resource.id": "overbank.event.*"}
WATCH = {"prefect.resource.id": "overbank.watch.*"}
RUN = {"prefect.resource.id": "prefect.flow-run.*"}
ENDED_BADLY = ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut")
EVENT_PAGE = "{{ event.payload.page }}"


@dataclass(frozen=True, kw_only=True)
class News:
    """Something that people may be told."""

    expect: tuple[str, ...]
    match: dict[str, str]
    tags: tuple[str, ...] = ()
    """Of the runs that are meant; any of them."""
    once_for: tuple[str, ...] = ("prefect.resource.id",)
    """Labels that make two pieces of news the same."""
    within: timedelta = timedelta(days=7)
    """The same news is delivered once in this time."""
    subject: str
    body: str


NEWS: dict[str, tuple[News, ...]] = {
    "published": (
        News(
            expect=("overbank.event.published",),
            match=EVENT,
            once_for=("prefect.resource.id", "overbank.version"),
            subject="Flood map {{ event.payload.event }}, version {{ event.payload.version }}",
            body="{{ event.payload.flood_area_km2 }} km2 flooded, {{ event.payload.state }}, last pass "
            "{{ event.payload.last_pass }}. " + EVENT_PAGE,
        ),
    ),
    "approval": (
        News(
            expect=("overbank.event.awaiting-approval",),
            match=EVENT,
            once_for=("prefect.resource.id", "overbank.content"),
            subject="Approve {{ event.payload.event }}?",
            body="{{ event.payload.reason }}. Decide until {{ event.payload.deadline }}, in the form of the suspended "
            "run or with: overbank events approve {{ event.payload.event }}",
        ),
    ),
    "silence": (
        News(
            expect=("overbank.watch.silent",),
            match=WATCH,
            within=timedelta(days=1),
            subject="Silent gap: {{ event.payload.watch }}",
            body="No new pass for watch {{ event.payload.watch }} in {{ event.payload.silent_days }} days. Has the "
            "archive stopped, or the satellite?",
        ),
    ),
    "failure": (
        News(
            expect=ENDED_BADLY,
            match=RUN,
            tags=("mapping", "reference", "housekeeping"),
            subject="Run {{ flow_run.name }} {{ flow_run.state.name }}",
            body="{{ flow_run.state.message }} {{ flow_run|ui_url }}",
        ),
        News(
            expect=ENDED_BADLY,
            match=RUN,
            tags=("poll",),
            once_for=("related:flow:prefect.resource.id",),
            within=timedelta(hours=6),
            subject="Polling {{ flow_run.state.name }}",
            body="{{ flow_run.state.message }} {{ flow_run|ui_url }} (told at most every 6 hours)",
        ),
        News(
            expect=ENDED_BADLY,
            match=RUN,
            tags=("mirror",),
            once_for=("related:flow:prefect.resource.id",),
            within=timedelta(hours=6),
            subject="Mirror of events {{ flow_run.state.name }}",
            body="{{ flow_run.state.message }} {{ flow_run|ui_url }} (told at most every 6 hours)",
        ),
    ),
}
"""What may be told, by the name that ``overbank notify add --on`` takes."""


def automation_names(name: str) -> list[str]:
    """Automations of a notification that exist."""
    with get_client(sync_client=True) as client:
        found: Any = client.request("POST", "/automations/filter", json={}).json()
    return sorted(one["name"] for one in found if one["name"].startswith(f"{PREFIX} {name}:"))


def create(name: str, block_id: UUID, kinds: tuple[str, ...]) -> None:
    """Create the automations of a notification."""
    for kind in kinds:
        for number, news in enumerate(NEWS[kind]):
            Automation(
                name=f"{PREFIX} {name}: {kind}" + (f" {number + 1}" if number else ""),
                description=f"Tells {name} of: {kind}. Made by `overbank notify`.",
                trigger=_trigger(news),
                actions=[SendNotification(block_document_id=block_id, subject=news.subject, body=news.body)],
            ).create()


def delete(name: str) -> int:
    """Delete the automations of a notification; return how many there were."""
    names = automation_names(name)
    for one in names:
        found: Any = Automation.read(name=one)
        found.delete()
    return len(names)


def _trigger(news: News) -> EventTrigger:
    """Fires at the first of the same news, then not until ``within`` has passed."""
    tags = [f"prefect.tag.{tag}" for tag in news.tags]
    related: dict[str, Any] = {"prefect.resource.role": "tag", "prefect.resource.id": tags} if tags else {}
    return EventTrigger(
        expect=set(news.expect),
        match=news.match,
        match_related=related,
        for_each=set(news.once_for),
        posture=Posture.Reactive,
        threshold=1,
        within=news.within,
    )
