"""A run in words: for the terminal, for the UI."""

import base64
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

from pipeline_lib.model import Acquisition, MappingPlan, Product

LABELS = {
    "flood_area_km2": ("flooded area", "km2"),
    "flood_area_low_km2": ("flooded area, low", "km2"),
    "flood_area_high_km2": ("flooded area, high", "km2"),
    "water_area_km2": ("water in all", "km2"),
    "observed_share": ("observed share of the area", ""),
    "excluded_share": ("share where radar cannot tell", ""),
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
    rows = [f"  {label:<32} {value}" for label, value in _figures(product)]
    head = f"{product.event_id}, version {product.version}, published {product.published:%Y-%m-%d %H:%M} UTC"
    return "\n".join([head, *rows, f"page: {local_path(product.page_href)}"])


def summary_markdown(plan: MappingPlan, product: Product) -> str:
    """The same for the UI, with what the plan noted."""
    rows = "\n".join(f"| {label} | {value} |" for label, value in _figures(product))
    notes = "\n".join(f"- {note}" for note in plan.notes)
    title = plan.event.title or plan.event.event_id
    return (
        f"# {title}\n\nVersion {product.version}, made by {product.software}.\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n\n{'## Notes' if notes else ''}\n{notes}\n"
    )


def image_for_ui(product: Product) -> str:
    """The quicklook as a data URI: the UI may run where the product's folder cannot be reached."""
    picture = local_path(product.quicklook_href).read_bytes()
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def page_link(product: Product) -> str:
    """Where people open the page: on the pages' server where one runs (``OVERBANK_PAGES_URL``), else the file."""
    server = os.environ.get("OVERBANK_PAGES_URL", "").rstrip("/")
    return f"{server}/{product.event_id}/index.html" if server else local_path(product.page_href).as_uri()


def local_path(href: str) -> Path:
    """The path behind a file URL or a plain path."""
    parts = urlsplit(href)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(href)


def _figures(product: Product) -> list[tuple[str, str]]:
    """Figures in the order of `LABELS`, others after them."""
    names = [name for name in LABELS if name in product.figures]
    names += [name for name in product.figures if name not in LABELS]
    shown = []
    for name in names:
        value = product.figures[name]
        if isinstance(value, (dict, list)):
            continue
        label, unit = LABELS.get(name, (name.replace("_", " "), ""))
        shown.append((label, f"{_number(name, value)} {unit}".strip()))
    return shown


def _number(name: str, value: JsonValue) -> str:
    """Shares as percentages, areas with two decimals, unknown said as such."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.1%}" if name.endswith("share") else f"{value:,.2f}"
    return str(value)
