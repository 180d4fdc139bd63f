"""Who is told what: a variable on the server for each notification, beside the block that holds its address."""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate

from pipeline_lib.model import Record
from pipeline_lib.steps.outbox import Message

PREFIX = "overbank-notify-"
"""Of the names of blocks and variables."""
AUTOMATIONS = "overbank notify "
"""Of the names of the automations by which overbank 0.1 told news."""
MOST = 200
"""Variables that the server gives at once."""


class Recipient(Record):
    """What a notification is told."""

    on: tuple[str, ...]
    """Kinds of news."""
    since: datetime
    """What happened earlier is not told."""

    def wants(self, message: Message) -> bool:
        """Whether a message is for it."""
        return message.kind in self.on and message.at >= self.since


def recipients(client: SyncPrefectClient) -> dict[str, Recipient]:
    """Every notification of the server, by its name."""
    found = client.read_variables(limit=MOST)
    return {
        one.name.removeprefix(PREFIX): Recipient.model_validate(one.value)
        for one in found
        if one.name.startswith(PREFIX)
    }


def subscribe(name: str, on: tuple[str, ...], since: datetime | None = None) -> None:
    """Tell a notification of these kinds of news from now on, in place of what it was told before."""
    value: Any = Recipient(on=on, since=since or datetime.now(UTC)).model_dump(mode="json")
    with get_client(sync_client=True) as client:
        if client.read_variable_by_name(PREFIX + name) is None:
            client.create_variable(VariableCreate(name=PREFIX + name, value=value))
        else:
            client.update_variable(VariableUpdate(name=PREFIX + name, value=value))


def unsubscribe(name: str) -> None:
    """Tell a notification nothing any more."""
    with get_client(sync_client=True) as client:
        if client.read_variable_by_name(PREFIX + name) is not None:
            client.delete_variable_by_name(PREFIX + name)


def adopt_automations() -> int:
    """Take over what overbank 0.1 told by automations, which lost news; return how many automations there were.

    They have names such as ``overbank notify duty: failure 2``.
    """
    with get_client(sync_client=True) as client:
        found: Any = client.request("POST", "/automations/filter", json={}).json()
        old = [one for one in found if one["name"].startswith(AUTOMATIONS)]
        wanted: dict[str, set[str]] = {}
        for one in old:
            name, _, kind = one["name"].removeprefix(AUTOMATIONS).partition(": ")
            wanted.setdefault(name, set()).add(kind.split()[0])
        known = recipients(client)
        for name in wanted.keys() - known.keys():
            subscribe(name, tuple(sorted(wanted[name])))
        for one in old:
            client.request("DELETE", "/automations/{id}", path_params={"id": one["id"]})
    return len(old)
