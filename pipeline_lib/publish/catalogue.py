"""All events of a folder: a static STAC catalogue and a page to begin at."""

import fcntl
import html
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from pipeline_lib.atomic import leftovers, write_atomically
from pipeline_lib.model import EventState
from pipeline_lib.publish.item import STAC_VERSION
from pipeline_lib.publish.page_file import STATES
from pipeline_lib.publish.records import read_record
from pipeline_lib.publish.version_record import VersionRecord

CATALOGUE, PAGE = "catalog.json", "index.html"
UNDER_WAY = {EventState.RISING, EventState.PEAK, EventState.RECEDING}


def events_of(out: Path) -> list[VersionRecord]:
    """Records of the current version of every event under ``out``, the newest pass first."""
    folders = [path for path in out.iterdir() if not path.name.startswith(".")] if out.is_dir() else []
    records = [record for record in map(read_record, folders) if record is not None]
    return sorted(records, key=lambda record: record.figures.last_pass, reverse=True)


def update_catalogue(out: Path) -> None:
    """Write ``catalog.json`` and ``index.html`` over all events; each is replaced by one rename."""
    with _alone(out):
        for name, text in catalogue_texts(events_of(out)).items():
            write_atomically(out / name, text)


def catalogue_texts(records: list[VersionRecord]) -> dict[str, str]:
    """The two files over events, by name, in the order in which they are put in place."""
    return {CATALOGUE: json.dumps(_catalog(records), indent=1), PAGE: _page(records)}


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """One catalogue writer at a time; events published meanwhile are in the list of the one that comes last."""
    handle = os.open(out / ".catalog.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in (*leftovers(out / CATALOGUE), *leftovers(out / PAGE)):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def _catalog(records: list[VersionRecord]) -> dict[str, Any]:
    """The static catalogue."""
    links = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
    links += [
        {
            "rel": "child",
            "href": f"./{record.event_id}/collection.json",
            "type": "application/json",
            "title": record.title,
        }
        for record in records
    ]
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "overbank-events",
        "title": "Flood events",
        "description": "Flood events mapped from Sentinel-1, each a collection of its passes and their mosaic.",
        "links": links,
    }


def _page(records: list[VersionRecord]) -> str:
    """The overview."""
    folder = files("pipeline_lib.publish") / "page"
    cards = "".join(_card(record) for record in records) or "<p>No event has been published here.</p>"
    running = sum(record.figures.state in UNDER_WAY for record in records)
    return Template((folder / "events.html").read_text(encoding="utf-8")).substitute(
        style=(folder / "base.css").read_text(encoding="utf-8") + (folder / "events.css").read_text(encoding="utf-8"),
        cards=cards,
        count=f"{len(records)} event{'' if len(records) == 1 else 's'}, {running} under way",
    )


def _card(record: VersionRecord) -> str:
    """One event."""
    figures, identity = record.figures, html.escape(record.event_id)
    state = "Retracted" if record.retracted else STATES[figures.state]
    kind = "over" if record.retracted else figures.state.replace(" ", "-")
    first, last = (moment.strftime("%-d %b %Y") for moment in (figures.first_pass, figures.last_pass))
    return (
        f'<li class="card event" data-state="{kind}"><a href="{identity}/index.html">'
        f'<img src="{identity}/quicklook.png" alt="" loading="lazy">'
        f"<h2>{html.escape(record.title)}</h2></a>"
        f'<p><span class="badge {kind}">{state}</span> <span class="quiet">version {record.version}</span></p>'
        f'<p class="area"><b>{figures.flood_area_km2:,.2f}</b> km² flooded <span class="quiet">'
        f"({figures.flood_area_low_km2:,.2f} to {figures.flood_area_high_km2:,.2f})</span></p>"
        f'<p class="quiet">{first} to {last}, {figures.passes} passes, '
        f"{figures.observed_share:.0%} observed</p></li>"
    )
