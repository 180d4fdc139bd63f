"""The blocks that hold addresses: secrets live there, encrypted by the server, and nowhere else."""

from typing import Any
from uuid import UUID

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.blocks.fields import SecretDict
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.client.orchestration import get_client

from flows.notify.mail import EmailNotification
from flows.notify.recipients import PREFIX, recipients, subscribe, unsubscribe
from pipeline_lib.errors import InputError, OverbankError, UnknownNameError
from pipeline_lib.steps.outbox import KINDS

CLASSES: dict[str, type[NotificationBlock]] = {
    "webhook": CustomWebhookNotificationBlock,
    "slack": SlackWebhook,
    "email": EmailNotification,
}
SCHEMES = {"webhook": ("https://", "http://"), "slack": ("https://",), "email": ("mailto://", "mailtos://")}


def add(name: str, kind: str, address: str, on: tuple[str, ...]) -> None:
    """Tell ``address`` of the news in ``on``; a notification of that name is replaced.

    Raises:
        InputError: unknown kind or news, or an address of another kind; the message does not repeat the address.
    """
    if kind not in CLASSES:
        raise UnknownNameError("kind of notification", kind, tuple(CLASSES))
    for one in on:
        if one not in KINDS:
            raise UnknownNameError("news", one, KINDS)
    if not address.startswith(SCHEMES[kind]):
        raise InputError(f"The address of a {kind} notification begins with {' or '.join(SCHEMES[kind])}.")
    _block(kind, address).save(_block_name(name), overwrite=True)
    subscribe(name, on)


def _block(kind: str, address: str) -> Any:
    """A block that keeps its address secret."""
    if kind == "webhook":
        return CustomWebhookNotificationBlock(
            name="overbank",
            url="{{address}}",
            json_data={"source": "overbank", "subject": "{{subject}}", "text": "{{body}}"},
            secrets=SecretDict({"address": address}),
        )
    return CLASSES[kind](url=address)


def listed() -> dict[str, dict[str, Any]]:
    """Notifications by name: their kind and what they tell; never an address."""
    found: dict[str, dict[str, Any]] = {}
    slugs = {block.get_block_type_slug(): kind for kind, block in CLASSES.items()}
    with get_client(sync_client=True) as client:
        documents: Any = client.request("POST", "/block_documents/filter", json={"include_secrets": False}).json()
        told = recipients(client)
    for document in documents:
        name = str(document["name"] or "")
        if name.startswith(PREFIX) and document["block_type"]["slug"] in slugs:
            short = name.removeprefix(PREFIX)
            news = sorted(told[short].on) if short in told else []
            found[short] = {"kind": slugs[document["block_type"]["slug"]], "on": news, "id": document["id"]}
    return found


def remove(name: str) -> None:
    """Delete a notification: what it is told, then its block.

    Raises:
        UnknownNameError: there is none of that name.
    """
    known = _known(name)
    unsubscribe(name)
    with get_client(sync_client=True) as client:
        client.delete_block_document(UUID(known["id"]))


def send_test(name: str) -> None:
    """Send a message through a notification's block.

    Raises:
        UnknownNameError: there is none of that name.
        OverbankError: it could not be delivered; the message does not tell the address.
    """
    known = _known(name)
    body = f"The notification {name!r} works. Nothing has happened."
    if problem := send(name, known["kind"], "overbank: a test", body):
        raise OverbankError(f"{name} could not be reached ({problem}); check its address.")


def send_by_name(name: str, subject: str, body: str) -> str:
    """Send one message to a notification; return why it could not be delivered, without the address, or nothing."""
    known = listed().get(name)
    return "it has no address any more" if known is None else send(name, known["kind"], subject, body)


def send(name: str, kind: str, subject: str, body: str) -> str:
    """Send one message now; return why it could not be delivered, without the address, or nothing."""
    try:
        block: Any = Block.load(f"{CLASSES[kind].get_block_type_slug()}/{_block_name(name)}")
        with block.raise_on_failure():
            block.notify(subject=subject, body=body)
    except Exception as error:  # noqa: BLE001 - whatever the transport raises, its words may hold the address
        return type(error).__name__
    return ""


def _known(name: str) -> dict[str, Any]:
    known = listed()
    if name not in known:
        raise UnknownNameError("notification", name, tuple(known))
    return known[name]


def _block_name(name: str) -> str:
    """Block names take lower-case letters, digits and dashes only."""
    if not name or not all(letter.isdigit() or letter == "-" or "a" <= letter <= "z" for letter in name):
        raise InputError(f"Notification name {name!r}: use lower-case letters, digits and dashes.")
    return PREFIX + name
