"""``overbank notify``: who is told what."""

import os
from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(help="Name of the notification: lower-case letters, digits, dashes.")]
Out = Annotated[Path, typer.Option(help="Folder of published events, whose desk runs; PREFECT_API_URL comes first.")]
OUT = Path("out")


def register(app: typer.Typer) -> None:
    """Add the ``notify`` group to the app."""
    group = typer.Typer(help="Tell people of maps, failures and silences.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_notifications)
    group.command("remove")(remove)
    group.command("test")(send_test)
    app.add_typer(group, name="notify")


def add(
    name: Name,
    kind: Annotated[str, typer.Option(help="webhook, slack or email.")] = "webhook",
    on: Annotated[str, typer.Option(help="What to tell, by commas.")] = "published,approval,failure,silence",
    address_env: Annotated[
        str, typer.Option(help="Environment variable that holds the address; asked for where it is not set.")
    ] = "OVERBANK_NOTIFY_ADDRESS",
    out: Out = OUT,
) -> None:
    """Tell an address of news: a URL, or mailtos://user:password@smtp.example:587/?from=..&to=.. for e-mail.

    The address is kept as a secret in a Prefect block on the desk's server, and nowhere else.
    """
    address = os.environ.get(address_env) or typer.prompt(f"Address ({kind})", hide_input=True)
    _connect(out)
    from flows.notify.blocks import add as add_notification

    add_notification(name, kind, address, tuple(one.strip() for one in on.split(",") if one.strip()))
    typer.echo(f"{name} is told of: {on}. `overbank notify test {name}` sends a message now.")


def list_notifications(out: Out = OUT) -> None:
    """List who is told what."""
    _connect(out)
    from flows.notify.blocks import listed

    known = listed()
    for name, facts in known.items():
        typer.echo(f"{name}: {facts['kind']}, told of {', '.join(facts['on']) or 'nothing'}")
    if not known:
        typer.echo("Nobody is told of anything; `overbank notify add NAME` changes that.")


def remove(name: Name, out: Out = OUT) -> None:
    """Tell an address nothing any more, and forget it."""
    _connect(out)
    from flows.notify.blocks import remove as remove_notification

    remove_notification(name)
    typer.echo(f"Removed {name}.")


def send_test(name: Name, out: Out = OUT) -> None:
    """Send a message now."""
    _connect(out)
    from flows.notify import blocks

    blocks.send_test(name)
    typer.echo(f"Sent a message to {name}.")


def _connect(out: Path) -> None:
    """Speak to the server that PREFECT_API_URL names, else to the desk of that folder, and say which it is.

    Raises:
        OverbankError: nothing answers there.
    """
    from urllib.parse import urlsplit

    from flows.desk.services import answers, desk_of
    from flows.embedded import set_prefect_environment
    from pipeline_lib.errors import OverbankError

    set_prefect_environment()
    named = os.environ.get("PREFECT_API_URL")
    if named is None:
        desk = desk_of(out, auth=os.environ.get("OVERBANK_AUTH"))
        wanted = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
        os.environ.update({key: value for key, value in desk.environment.items() if key in wanted})
    url = os.environ["PREFECT_API_URL"]
    place = urlsplit(url)
    why = f"the desk of {out.resolve()}" if named is None else "PREFECT_API_URL of the environment, whatever --out says"
    port = place.port or (443 if place.scheme == "https" else 80)
    shown = f"{place.hostname}:{port}"
    if not answers(place.hostname or "", port, timeout_s=5.0):
        raise OverbankError(
            f"No server answers at {shown} ({why}); start the desk with `overbank up`, or correct PREFECT_API_URL."
        )
    typer.echo(f"server: {shown} ({why})", err=True)
