"""A run in words: for the terminal, for the UI."""

import base64
import io
import os
import uuid
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image

from pipeline_lib.model import Acquisition, EventFigures, MappingPlan, Product
from pipeline_lib.steps.approval import Request, quicklook_of

FORM_PX = 420
"""Longest side of the map in an approval form."""

LABELS = {
    "flood_area_km2": ("flooded area", "km2"),
    "flood_area_low_km2": ("flooded area, low", "km2"),
    "flood_area_high_km2": ("flooded area, high", "km2"),
    "water_area_km2": ("water in all", "km2"),
    "observed_share": ("observed share of the area", ""),
    "excluded_share": ("share not mapped", ""),
    "high_ground_share": ("of it high or steep ground", ""),
    "passes": ("passes mapped", ""),
    "first_pass": ("first pass", ""),
    "last_pass": ("last pass", ""),
    "state": ("state", ""),
}
"""Figures that people read first, with their words and units; others follow under their own names."""


def acquisition_rows(plan: MappingPlan) -> list[dict[str, str]]:
    """One row a pass, each followed by its references, for a table."""
    rows = []
    for planned in plan.passes:
        rows.append({"role": "event", **_row(planned.acquisition)})
        rows += [{"role": "reference", **_row(reference)} for reference in planned.references]
    return rows


def _row(acquisition: Acquisition) -> dict[str, str]:
    """An acquisition in words."""
    return {
        "acquisition": acquisition.acquisition_id,
        "sensed (UTC)": f"{acquisition.start:%Y-%m-%d %H:%M}",
        "product": str(acquisition.product),
        "orbit": f"{acquisition.relative_orbit} {acquisition.orbit_direction}",
        "polarisations": " ".join(acquisition.polarisations).upper(),
        "slices": str(len(acquisition.slices)),
        "covers": f"{acquisition.coverage:.0%}",
    }


def summary_text(product: Product) -> str:
    """The figures of an event and where its page is, for a terminal."""
    rows = [f"  {label:<32} {value}" for label, value in _figures(product.figures)]
    head = f"{product.event_id}, version {product.version}, published {product.published:%Y-%m-%d %H:%M} UTC"
    return "\n".join([head, *rows, f"page: {local_path(product.page_href)}"])


def summary_markdown(plan: MappingPlan, product: Product) -> str:
    """The same for the UI, with what the plan noted."""
    rows = "\n".join(f"| {label} | {value} |" for label, value in _figures(product.figures))
    notes = "\n".join(f"- {note}" for note in plan.notes)
    title = plan.event.title or plan.event.event_id
    return (
        f"# {title}\n\nVersion {product.version}, made by {product.software}.\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n\n{'## Notes' if notes else ''}\n{notes}\n"
    )


def request_markdown(request: Request) -> str:
    """What a person is asked to decide on."""
    rows = "\n".join(f"| {label} | {value} |" for label, value in _figures(request.figures))
    title = request.mapped.plan.event.title or request.event_id
    what = f"revision of version {request.assessment.version}" if request.assessment.version else "first version"
    return (
        f"# {title}\n\n{what}, {request.assessment.reason}\n\n{request.standing}.\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n"
    )


def form_markdown(out: Path, request: Request) -> str:
    """The same with the quicklook, small enough to travel in a form."""
    small = io.BytesIO()
    with Image.open(quicklook_of(out, request)) as picture:
        picture.thumbnail((FORM_PX, FORM_PX))
        picture.convert("RGB").save(small, "JPEG", quality=80)
    uri = f"data:image/jpeg;base64,{base64.b64encode(small.getvalue()).decode()}"
    area, observed = request.figures.flood_area_km2, request.figures.observed_share
    head = f"**{request.event_id}**: {area:,.2f} km2 flooded, {observed:.0%} of the area observed."
    return f"{head}\n\n![Map of {request.event_id}]({uri})\n\n{request_markdown(request)}"


def image_for_ui(product: Product) -> str:
    """The quicklook for the UI."""
    return data_uri(local_path(product.quicklook_href))


def data_uri(picture: Path) -> str:
    """A PNG as a data URI: the UI may run where the folder cannot be reached."""
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def event_identity(*parts: object) -> uuid.UUID:
    """Identifier of an announcement: the same news has the same one."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "overbank:" + ":".join(map(str, parts)))


def page_link(product: Product) -> str:
    """Where the page of an event is: its address where there is one, else the file."""
    return page_address(product) or local_path(product.page_href).as_uri()


def page_address(product: Product) -> str:
    """Where people open the page, by the server of pages that ``OVERBANK_PAGES_URL`` names; empty where none is."""
    server = os.environ.get("OVERBANK_PAGES_URL", "").rstrip("/")
    return f"{server}/{product.event_id}/index.html" if server else ""


def local_path(href: str) -> Path:
    """The path behind a file URL or a plain path."""
    parts = urlsplit(href)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(href)


def _figures(figures: EventFigures) -> list[tuple[str, str]]:
    """Figures in the order of `LABELS`, others after them."""
    values = figures.model_dump()
    shown = []
    for name in (*LABELS, *(name for name in values if name not in LABELS)):
        label, unit = LABELS.get(name, (name.replace("_", " "), ""))
        shown.append((label, f"{_number(name, values[name])} {unit}".strip()))
    return shown


def _number(name: str, value: object) -> str:
    """Shares as percentages, areas with two decimals, unknown said as such."""
    if value is None:
        return "unknown"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, float):
        return f"{value:.1%}" if name.endswith("share") else f"{value:,.2f}"
    return str(value)
