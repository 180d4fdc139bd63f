"""What is told of events and watches, in words; each piece once, whoever finds its cause again."""

from datetime import UTC, datetime
from pathlib import Path

from pipeline_lib.model import Product
from pipeline_lib.steps import outbox, summary
from pipeline_lib.steps.approval import Request
from pipeline_lib.steps.outbox import APPROVAL, PUBLISHED, SILENCE


def tell_published(out: Path, product: Product) -> bool:
    """A version of an event is published; return whether that is news."""
    figures = product.figures
    place = summary.page_address(product) or f"See it with: overbank events show {product.event_id}"
    message = outbox.Message(
        kind=PUBLISHED,
        about=f"{product.event_id} {product.version} {product.published.isoformat()}",
        subject=f"Flood map {product.event_id}, version {product.version}",
        body=f"{figures.flood_area_km2} km2 flooded, {figures.state}, last pass {figures.last_pass}. {place}",
        at=product.published,
    )
    return outbox.put(out, message)


def tell_awaiting(out: Path, request: Request) -> bool:
    """A map waits for a person; return whether that is news."""
    message = outbox.Message(
        kind=APPROVAL,
        about=f"{request.event_id} {request.assessment.key} {request.asked.isoformat()}",
        subject=f"Approve {request.event_id}?",
        body=f"{request.assessment.reason}. Decide until {request.deadline:%Y-%m-%d %H:%M} UTC, in the form of the "
        f"suspended run or with: overbank events approve {request.event_id}",
        at=request.asked,
    )
    return outbox.put(out, message)


def tell_silence(out: Path, watch: str, days: float) -> bool:
    """No new pass has come for longer than the orbit's repeat; return whether that is news (once a day)."""
    now = datetime.now(UTC)
    message = outbox.Message(
        kind=SILENCE,
        about=f"{watch} {now:%Y-%m-%d}",
        subject=f"Silent gap: {watch}",
        body=f"No new pass for watch {watch} in {days:.1f} days. Has the archive stopped, or the satellite?",
        at=now,
    )
    return outbox.put(out, message)
