"""A person decides before readers see: requests with a quicklook, decisions with a comment, kept beside the run's data.

One file a content (`Assessment.key`): the same content is asked about once, whoever runs it again; a decision that was
taken outlives a crash between it and the publication.
"""

import getpass
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pipeline_lib.atomic import one_writer, write_atomically
from pipeline_lib.errors import InputError, StoreError
from pipeline_lib.model import Decision, EventFigures, Grounds, Product, Record
from pipeline_lib.options.gate import ApprovalOptions
from pipeline_lib.publish.publication import draw_quicklook, read_record
from pipeline_lib.steps.gate import Assessment
from pipeline_lib.steps.mapped import Mapped
from pipeline_lib.steps.private_folder import private_folder
from pipeline_lib.steps.publish import publication_of, publish_event
from pipeline_lib.steps.workspace import APPROVALS, workspace_of
from pipeline_lib.store import holding

PREVIEW_PX = 1200
"""Longest side of the map in the quicklook of a request."""


class Request(Record):
    """A mapped event that waits, or waited, for a person."""

    assessment: Assessment
    mapped: Mapped
    options: ApprovalOptions
    figures: EventFigures
    """Of the version that would be published."""
    asked: datetime
    run_id: str | None = None
    """Of requests that overbank 0.1 wrote: the one run that waits."""
    run_ids: tuple[str, ...] = ()
    """Suspended runs that go on once there is an answer; several runs may map the same content."""
    decisions: tuple[Decision, ...] = ()
    """The last one counts; a person may decide again after a time-out."""

    @property
    def event_id(self) -> str:
        """The event."""
        return self.assessment.event_id

    @property
    def deadline(self) -> datetime:
        """When waiting ends."""
        return self.asked + timedelta(hours=self.options.timeout_hours)

    @property
    def decision(self) -> Decision | None:
        """What holds now; None while nobody has decided."""
        return self.decisions[-1] if self.decisions else None

    @property
    def waiting_runs(self) -> tuple[str, ...]:
        """Every run that waits for the answer."""
        return self.run_ids if self.run_id is None else tuple(dict.fromkeys((self.run_id, *self.run_ids)))

    @property
    def standing(self) -> str:
        """How things stand, in one sentence."""
        if self.decision is None:
            until = f"{self.deadline:%Y-%m-%d %H:%M} UTC"
            return f"{self.event_id} waits for approval until {until}: `overbank events approve {self.event_id}`"
        word = "approved" if self.decision.approved else "rejected and kept unpublished"
        comment = f": {self.decision.comment}" if self.decision.comment else ""
        return f"{self.event_id} was {word} by {self.decision.by} on {self.decision.at:%Y-%m-%d %H:%M} UTC{comment}"

    @property
    def grounds(self) -> Grounds:
        """The rule's verdict and the approval for the version's record."""
        return self.assessment.grounds.model_copy(update={"approval": self.decision})


def ask(
    out: Path, assessment: Assessment, mapped: Mapped, options: ApprovalOptions, now: datetime, run_id: str | None
) -> Request:
    """The request about this content: the one there is, or a new one with its quicklook.

    What was decided before the event was retracted does not hold after it.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = _path(out, assessment.event_id, assessment.key)
    if path.exists() and not _taken_back_since(out, known := _read(path)):
        if run_id is None or run_id in known.waiting_runs:
            return known
        return _changed(out, known, lambda now: {"run_ids": (*now.run_ids, run_id)})
    content = publication_of(mapped, holding(mapped.mosaic))
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = draw_quicklook(content.smaller(PREVIEW_PX), out / assessment.event_id, path.with_suffix(".png"))
    fresh = Request(assessment=assessment, mapped=mapped, options=options, figures=figures, asked=now)
    fresh = fresh.model_copy(update={"run_ids": () if run_id is None else (run_id,)})
    return _write(out, fresh)


def requests(out: Path, event_id: str | None = None) -> list[Request]:
    """Every request of one event or of all, oldest first."""
    found = private_folder(out).glob(f"{event_id or '*'}/{APPROVALS}/*.json")
    return sorted((_read(path) for path in found), key=lambda one: one.asked)


def waiting(out: Path, event_id: str) -> Request:
    """The newest request of an event.

    Raises:
        InputError: nothing of the event was ever held for approval.
    """
    known = requests(out, event_id)
    if not known:
        raise InputError(
            f"Nothing of {event_id} waits for approval in {out}; `overbank events waiting` lists what does."
        )
    return known[-1]


def settle(out: Path, request: Request, decision: Decision) -> Request:
    """Write a decision down; the answer that was given stays in the request's history.

    Raises:
        StoreError: the folder cannot be written.
    """
    return _changed(out, request, lambda now: {"decisions": (*now.decisions, decision)})


def decide(
    out: Path, event_id: str, *, approved: bool, comment: str, by: str | None, now: datetime
) -> tuple[Request, Product | None]:
    """Decide on the newest request of an event from the command line; publish at once where it is approved.

    Raises:
        InputError: nothing waits, a rejection has no reason, or the same was decided, and done, before.
        StoreError: the mapped data are gone (retention), or the folder cannot be written; approve again then.
        SupersededError: since it was asked about, the event was retracted, or published with more passes.
    """
    request = waiting(out, event_id)
    if not approved and not comment.strip():
        raise InputError("A rejection needs a comment: people wait for this map.")
    before, current = request.decision, read_record(out / event_id)
    done = not approved or (current is not None and current.key == request.assessment.key)
    if before is not None and before.approved == approved and before.through != "timeout" and done:
        word = "approved" if approved else "rejected"
        raise InputError(f"{event_id} was {word} already by {before.by} on {before.at:%Y-%m-%d %H:%M} UTC.")
    decision = Decision(approved=approved, by=by or getpass.getuser(), comment=comment, at=now, through="command")
    request = settle(out, request, decision)
    if not approved:
        return request, None
    since = request.assessment.version
    return request, publish_event(request.mapped, str(out), holding(request.mapped.mosaic), request.grounds, since)


def timed_out(request: Request, now: datetime) -> Decision | None:
    """The clock's decision, where nobody decided in time."""
    if request.decision is not None or now < request.deadline:
        return None
    hours = request.options.timeout_hours
    publish_it = request.options.on_timeout == "publish"
    comment = f"Nobody decided within {hours:g} h; " + ("published unseen." if publish_it else "kept unpublished.")
    return Decision(approved=publish_it, by="nobody", comment=comment, at=now, through="timeout")


def quicklook_of(out: Path, request: Request) -> Path:
    """Picture of what is to be decided on."""
    return _path(out, request.event_id, request.assessment.key).with_suffix(".png")


def _taken_back_since(out: Path, request: Request) -> bool:
    """Whether the event was retracted after a request was made."""
    current = read_record(out / request.event_id)
    if current is None or not current.retracted:
        return False
    return current.published > request.asked


def _path(out: Path, event_id: str, key: str) -> Path:
    return Path(workspace_of(out, event_id).folder) / APPROVALS / f"{key}.json"


def _read(path: Path) -> Request:
    """A request.

    Raises:
        StoreError: the file is damaged or of another version.
    """
    try:
        return Request.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"The approval request {path} cannot be read ({error}); delete it and map again.") from error


def _changed(out: Path, request: Request, change: Callable[[Request], dict[str, object]]) -> Request:
    """Change a request as it stands now: a run may ask while a person decides."""
    path = _path(out, request.event_id, request.assessment.key)
    with one_writer(path.parent):
        now = _read(path)
        return _write(out, now.model_copy(update=change(now)))


def _write(out: Path, request: Request) -> Request:
    """Write a request beside its place and rename it."""
    write_atomically(_path(out, request.event_id, request.assessment.key), request.model_dump_json(indent=1))
    return request
