"""``overbank events``: published events, listed, shown, compared, exported, retracted; held ones approved."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder of all events, as given to `overbank map --out`.")]
Version = Annotated[int | None, typer.Option(help="Version; the current one without it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    events = typer.Typer(
        no_args_is_help=True, help="Events: list, show, diff, export, mirror, retract; approve, reject."
    )
    events.command("list")(list_command)
    events.command("show")(show_command)
    events.command("diff")(diff_command)
    events.command("export")(export_command)
    events.command("retract")(retract_command)
    events.command("mirror")(mirror_command)
    events.command("waiting")(waiting_command)
    events.command("approve")(approve_command)
    events.command("reject")(reject_command)
    app.add_typer(events, name="events")


def list_command(
    out: Out = Path("out"), as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """List the events of a folder, the newest look first."""
    import json

    from pipeline_lib.steps.events import list_events

    rows = list_events(out)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        typer.echo(f"No event is published in {out}.")
        return
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in [{name: name for name in widths}, *rows]:
        typer.echo("  ".join(str(row[name]).ljust(width) for name, width in widths.items()).rstrip())


def show_command(
    event_id: str,
    out: Out = Path("out"),
    version: Version = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole record, as JSON.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="What each stage of its run took, instead.")] = False,
) -> None:
    """Show one event: figures, passes, what changed; or what each stage took."""
    import json

    from pipeline_lib.steps.metrics import fullest_metrics, metrics_text

    if metrics:
        run = fullest_metrics(out, event_id)
        typer.echo(run.model_dump_json(indent=1) if as_json else metrics_text(run))
        return

    from pipeline_lib.steps.events import show_event, show_text

    record = show_event(out, event_id, version)
    typer.echo(json.dumps(record.model_dump(mode="json"), indent=1) if as_json else show_text(record))


def diff_command(
    event_id: str,
    before: Annotated[int | None, typer.Argument(help="Earlier version; the one before without it.")] = None,
    after: Annotated[int | None, typer.Argument(help="Later version; the current one without it.")] = None,
    out: Out = Path("out"),
) -> None:
    """Say what changed between two versions, and why."""
    from pipeline_lib.steps.events import diff_events

    for sentence in diff_events(out, event_id, before, after):
        typer.echo(sentence)


def export_command(
    event_id: str,
    to: Annotated[str | None, typer.Option(help="Folder, file.zip or URL (s3://, gs://, az:// ...).")] = None,
    stac_api: Annotated[str | None, typer.Option(help="STAC API with transactions to put the items into.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the exported files can be fetched.")] = None,
    out: Out = Path("out"),
    version: Version = None,
) -> None:
    """Copy a version elsewhere, and/or put it into a STAC API."""
    from pipeline_lib.errors import InputError
    from pipeline_lib.steps.events import export_event, push_event

    if to is None and stac_api is None:
        raise InputError("Say where to: --to FOLDER, --to FILE.zip, --to s3://bucket/path, or --stac-api URL.")
    if to is not None:
        typer.echo(export_event(out, event_id, to, version))
    if stac_api is not None:
        fetched_at = base_url or (to if to is not None and "://" in to else None)
        if fetched_at is None:
            raise InputError("--stac-api needs --base-url: the address under which the exported files can be fetched.")
        for done in push_event(out, event_id, stac_api, fetched_at, version):
            typer.echo(done)


def retract_command(
    event_id: str, reason: Annotated[str, typer.Option(help="Why; it stands on the page.")], out: Out = Path("out")
) -> None:
    """Retract an event: a new version says so, and nothing is deleted."""
    from pipeline_lib.steps.events import retract_event

    typer.echo(f"{event_id} is retracted in version {retract_event(out, event_id, reason)}.")
    mirrored(out, event_id)


def mirror_command(
    to: Annotated[str | None, typer.Argument(help="Folder or URL (s3://bucket/prefix); the one set before.")] = None,
    out: Out = Path("out"),
    check: Annotated[bool, typer.Option("--check", help="Read every file of the mirror back and mend it.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Mirror no more; what was copied stays.")] = False,
) -> None:
    """Copy everything published elsewhere, now and whenever something is published."""
    from pipeline_lib.errors import InputError
    from pipeline_lib.steps.mirror import follow, mirror_of, set_mirror

    if to is not None or off:
        set_mirror(out, None if off else to)
    if off:
        return
    followed = follow(out, check=check)
    if followed is None:
        raise InputError(f"The events of {out} have no mirror; give one: overbank events mirror s3://bucket/prefix.")
    for line in followed.copied or ("nothing to copy",):
        typer.echo(line)
    followed.need_whole()
    typer.echo(f"{mirror_of(out)} has every event of {out}.")


def mirrored(out: Path, event_id: str) -> None:
    """Copy what was just published to the mirror, if there is one; a copy that fails is an error of its own.

    Raises:
        MirrorError: the mirror is behind; what is published stays.
    """
    from pipeline_lib.steps.mirror import follow

    followed = follow(out, event_id)
    if followed is not None:
        followed.need_whole()


def waiting_command(out: Out = Path("out")) -> None:
    """List what waits for approval, and what was decided."""
    from pipeline_lib.steps.approval import quicklook_of, requests

    known = requests(out)
    for request in known:
        typer.echo(f"{request.standing}\n  {request.assessment.reason}\n  {quicklook_of(out, request)}")
    if not known:
        typer.echo(f"Nothing waits for approval in {out}.")


def approve_command(
    event_id: str,
    comment: Annotated[str, typer.Option(help="Stands in the event's record.")] = "",
    name: Annotated[str | None, typer.Option(help="Who decides; the login name without it.")] = None,
    out: Out = Path("out"),
) -> None:
    """Publish what was held for approval."""
    _decide(event_id, comment, name, out, approved=True)


def reject_command(
    event_id: str,
    comment: Annotated[str, typer.Option(help="Why; stands in the request's record.")],
    name: Annotated[str | None, typer.Option(help="Who decides; the login name without it.")] = None,
    out: Out = Path("out"),
) -> None:
    """Keep what was held for approval unpublished."""
    _decide(event_id, comment, name, out, approved=False)


def _decide(event_id: str, comment: str, name: str | None, out: Path, *, approved: bool) -> None:
    from datetime import datetime, timezone

    from pipeline_lib.steps.approval import decide
    from pipeline_lib.steps.news import tell_published
    from pipeline_lib.steps.summary import summary_text

    now = datetime.now(timezone.utc)
    request, product = decide(out.resolve(), event_id, approved=approved, comment=comment, by=name, now=now)
    typer.echo(request.standing)
    if product is not None:
        tell_published(out.resolve(), product)
        typer.echo(summary_text(product))
        mirrored(out, event_id)
