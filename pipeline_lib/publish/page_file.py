"""``index.html``: one file that holds everything it shows, and asks the network for nothing."""

import html
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from pipeline_lib.model.area import crosses_antimeridian
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.layers import EVENT_LAYERS, OPTICAL_LAYERS, PASS_LAYERS
from pipeline_lib.publish.page_data import Imagery
from pipeline_lib.publish.version_record import VersionRecord

FOLDER = files("pipeline_lib.publish") / "page"
SCRIPTS = ("raster.js", "chart.js", "view.js", "event.js")
STATES = {
    "rising": "Rising",
    "peak": "At its peak",
    "receding": "Receding",
    "over": "Over",
    "no flood seen": "No flood seen",
}


def write_page(path: Path, record: VersionRecord, imagery: Imagery, options: PublishOptions) -> None:
    """Write the event's page.

    Args:
        path: of the file; links to downloads are relative to it.
        record: of the version.
        imagery: its pictures.
        options: names the licence.
    """
    page = Template(_read("event.html")).substitute(
        title=html.escape(record.title),
        style=_read("leaflet/leaflet.css") + _read("base.css") + _read("event.css"),
        leaflet=_read("leaflet/leaflet.js"),
        script="\n".join(_read(name) for name in SCRIPTS),
        data=_embedded(_data(record, imagery)),
        licence=html.escape(options.license),
        **_words(record, imagery),
    )
    path.write_text(page, encoding="utf-8")


def _read(name: str) -> str:
    """A source of the page, from the package."""
    return (FOLDER / name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> str:
    """JSON that cannot close the script element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("</", "<\\/")


def _data(record: VersionRecord, imagery: Imagery) -> dict[str, Any]:
    """What the script of the page reads."""
    pictures, key = _numbered()
    west, south, east, north = imagery.canvas.bounds
    return {
        "eventId": record.event_id,
        "version": record.version,
        "folder": f"versions/{record.version:04d}/",
        "bounds": [[south, west], [north, east]],
        "size": [imagery.canvas.width, imagery.canvas.height],
        "metres": imagery.metres,
        "outline": _outline(record.area),
        "epoch": record.epoch.isoformat(),
        "passes": [
            {
                **{name: key(uri) for name, uri in drawn.items()},
                "id": identity,
                "time": one.time.isoformat(),
                "platform": one.platform,
                "orbit": f"{one.relative_orbit} {one.orbit_direction}",
                "references": len(one.references),
            }
            for drawn, (identity, one) in zip(imagery.passes, record.passes.items(), strict=True)
        ],
        "event": {name: key(uri) for name, uri in imagery.event.items()},
        "units": imagery.units,
        "series": [entry.model_dump(mode="json") for entry in record.series],
        "codes": {
            layer.name: [{"value": c.value, "title": c.title, "colour": list(c.colour)} for c in layer.codes]
            for layer in (*PASS_LAYERS, *EVENT_LAYERS, *OPTICAL_LAYERS)
            if layer.codes
        },
        "pictures": pictures,
    }


def _numbered() -> tuple[dict[str, str], Callable[[str | None], str | None]]:
    """An empty set of pictures and what adds to it: each picture once, however many passes show it."""
    names: dict[str, str] = {}
    pictures: dict[str, str] = {}

    def key(uri: str | None) -> str | None:
        """Name of a picture."""
        if uri is None:
            return None
        if uri not in names:
            names[uri] = f"p{len(names)}"
            pictures[names[uri]] = uri
        return names[uri]

    return pictures, key


def _outline(area: dict[str, Any]) -> list[Any]:
    """Rings of the area of interest; longitudes go on beyond 180 where it lies over the antimeridian."""
    polygons = [area["coordinates"]] if area["type"] == "Polygon" else area["coordinates"]
    over = crosses_antimeridian(area)
    return [
        [[x + 360 if over and x < 0 else x, y] for x, y in (point[:2] for point in ring)]
        for polygon in polygons
        for ring in polygon
    ]


def _words(record: VersionRecord, imagery: Imagery) -> dict[str, str]:
    """Everything that reads without a script."""
    figures = record.figures
    return {
        "version": str(record.version),
        "event_id": html.escape(record.event_id),
        "state": STATES[figures.state],
        "state_class": figures.state.replace(" ", "-"),
        "published": _when(record.published),
        "first_pass": _when(figures.first_pass),
        "last_pass": _when(figures.last_pass),
        "passes": str(figures.passes),
        "area": _area(figures.flood_area_km2),
        "area_low": _area(figures.flood_area_low_km2),
        "area_high": _area(figures.flood_area_high_km2),
        "open": _area(figures.open_flood_km2),
        "vegetation": _area(figures.flooded_vegetation_km2),
        "town": _area(figures.flooded_town_km2),
        "reference": _area(figures.reference_water_km2),
        "aoi": _area(figures.area_of_interest_km2),
        "observed": f"{figures.observed_share:.0%}",
        "usable": f"{figures.usable_share:.1%}",
        "high_ground": f"{figures.high_ground_share:.1%}",
        "cannot_tell": f"{max(figures.excluded_share - figures.high_ground_share, 0):.1%}",
        "excluded": f"{figures.excluded_share:.1%}",
        "unobserved": f"{1 - figures.observed_share:.0%}",
        "peak": "none" if figures.peak_time is None else _when(figures.peak_time).split(",")[0],
        "metres": f"{imagery.metres:g}",
        "rule": record.rule,
        "mmu": "none" if record.minimum_mapping_unit_m2 is None else f"{record.minimum_mapping_unit_m2:,.0f} m²",
        "banner": banner(record),
        "significance": "; ".join(html.escape(reason) for reason in record.significance.reasons),
        "significant": "yes" if record.significance.significant else "no",
        "changes": _list(record.changes),
        "notes": _list(record.notes or ("None.",)),
        "pass_rows": _pass_rows(record),
        "downloads": _downloads(record),
        "provenance": _provenance(record),
        "tables": _tables(record),
        "software": html.escape(record.provenance.software),
    }


def banner(record: VersionRecord) -> str:
    """A warning over the whole page, where one is due."""
    if record.retracted:
        return f'<p class="banner" role="alert">Retracted: {html.escape(record.retracted_because or "")}</p>'
    if not record.significance.significant:
        return '<p class="banner quiet">Below the significance rules: this may be no flood at all.</p>'
    return ""


def _pass_rows(record: VersionRecord) -> str:
    """One table row a pass."""
    rows = []
    for entry, (identity, one) in zip(record.series, record.passes.items(), strict=True):
        rows.append(
            f"<tr><th scope=row>{_when(entry.time)}</th><td class=aside>{html.escape(one.platform)} "
            f"{one.relative_orbit} {html.escape(str(one.orbit_direction))}</td>"
            f"<td class=n>{_area(entry.flood_km2)}</td>"
            f"<td class=n>{_area(entry.flood_low_km2)} to {_area(entry.flood_high_km2)}</td>"
            f"<td class=n>{_area(entry.flood_now_km2)}</td><td class=n>{_area(entry.flood_so_far_km2)}</td>"
            f"<td class=n>{entry.observed_share:.0%}</td>"
            f"<td class=aside>{html.escape(one.mapped_by)}</td>"
            f"<td class=aside><code>{html.escape(identity)}</code></td></tr>"
        )
    return "".join(rows)


def _downloads(record: VersionRecord) -> str:
    """Links to every file, the event first, each group folded but the first."""
    groups = [("All passes together", "event", record.event_assets)]
    groups += [(_when(one.time), f"passes/{identity}", one.assets) for identity, one in record.passes.items()]
    parts = []
    for index, (name, folder, assets) in enumerate(groups):
        links = "".join(
            f'<li><a data-file href="{folder}/{asset["href"].removeprefix("./")}">{html.escape(asset["title"])}</a> '
            f"<span>{html.escape(asset['href'].rsplit('.', 1)[-1])}, {_bytes(asset['file:size'])}</span></li>"
            for asset in assets.values()
        )
        parts.append(f"<details{' open' if index == 0 else ''}><summary>{name}</summary><ul>{links}</ul></details>")
    plain = (("collection.json", "STAC collection"), ("plan.json", "Plan of the run"), ("record.json", "Record"))
    parts.append(
        "<ul>"
        + "".join(f'<li><a data-file href="{href}">{name}</a> <span>json</span></li>' for href, name in plain)
        + "</ul>"
    )
    return "".join(parts)


def _provenance(record: VersionRecord) -> str:
    """Where it comes from, as rows."""
    known = record.provenance
    detector = "not recorded" if known.detector is None else known.detector.detector
    chosen = None if known.detector is None else known.detector.parameters
    rows = {
        "Software": known.software,
        "Detector": f"{detector} {json.dumps(chosen)}" if chosen else f"{detector}, with its defaults",
        "Catalogue": f"{known.catalog.profile} {known.catalog.url}",
        "Grid": f"{known.grid.crs}, {known.grid.transform[0]:g} m, "
        f"{known.grid.shape[1]} x {known.grid.shape[0]} pixels",
        "Elevation": ", ".join(known.dem) or "none",
        "Long-term water": ", ".join(known.water_occurrence) or "none",
        "Plan digest": known.plan_digest,
        "Libraries": ", ".join(f"{name} {version}" for name, version in known.environment.items()),
    }
    return "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in rows.items())


def _tables(record: VersionRecord) -> str:
    """Zones and exposure, where they were asked for."""
    parts = []
    for models, title in ((record.zones, "Flooded area by unit"), (record.exposure, "What lies in the flood")):
        rows = [one.model_dump() for one in models]
        if not rows:
            continue
        columns = list(rows[0])
        head = "".join(f"<th scope=col>{html.escape(column.replace('_', ' '))}</th>" for column in columns)
        body = "".join("<tr>" + "".join(_cell(row[column]) for column in columns) + "</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        parts.append(f"<section class=card><h2>{title}</h2><div class=scroll>{table}</div></section>")
    return "".join(parts)


def _cell(value: Any) -> str:
    """A table cell; unknown is said, not shown as zero."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"<td class=n>{value:,.2f}</td>" if isinstance(value, float) else f"<td class=n>{value:,}</td>"
    return f"<td>{html.escape('unknown' if value is None else str(value))}</td>"


def _list(sentences: Iterable[str]) -> str:
    """Sentences as list items."""
    return "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)


def _when(moment: datetime) -> str:
    """A moment for people."""
    return moment.strftime("%-d %b %Y, %H:%M UTC")


def _area(km2: float) -> str:
    """Square kilometres with as many decimals as mean something."""
    return f"{km2:,.0f}" if km2 >= 1000 else f"{km2:,.1f}" if km2 >= 100 else f"{km2:,.2f}"


def _bytes(size: int) -> str:
    """A file size for people."""
    return f"{size / 2**20:,.1f} MB" if size >= 2**20 else f"{max(size / 1024, 0.1):,.1f} kB"
