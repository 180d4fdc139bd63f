"""What changed between two versions of an event, and why."""

from collections.abc import Mapping
from typing import Any

from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.publish.version_record import PassRecord, VersionRecord


def describe_changes(before: VersionRecord | None, now: VersionRecord) -> list[str]:
    """Sentences for the collection, the page and ``overbank events diff``.

    Args:
        before: record of the earlier version, None for the first.
        now: record of the later version.
    """
    if before is None:
        return ["First version."]
    said = _passes(before.passes, now.passes)
    was, made = before.provenance, now.provenance
    for what, old, new in (
        ("Options", was.options, made.options),
        ("Detector", _choice(was.detector), _choice(made.detector)),
        ("Software", was.software, made.software),
    ):
        if old != new:
            said.append(_changed(what, old, new))
    if before.status != now.status:
        said.append(f"Status: {now.status} (was {before.status}).")
    if before.title != now.title:
        said.append(f"Title: {now.title} (was {before.title}).")
    area_before, area = before.figures.flood_area_km2, now.figures.flood_area_km2
    if area != area_before:
        said.append(f"Flooded area {area:,.2f} km2 (was {area_before:,.2f} km2).")
    return said or ["Nothing but the time of publication."]


def _passes(before: Mapping[str, PassRecord], now: Mapping[str, PassRecord]) -> list[str]:
    """Passes added, taken out, and made anew."""
    said = []
    added, gone = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added:
        said.append(f"New: {', '.join(added)}.")
    if gone:
        said.append(f"Taken out: {', '.join(gone)}.")
    for name in sorted(set(now) & set(before)):
        if now[name].key == before[name].key:
            continue
        late = sorted(set(now[name].slices) - set(before[name].slices))
        why = f"late slice {', '.join(late)}" if late else "made anew with other inputs, options or software"
        networks, others = _networks(now[name]), _networks(before[name])
        if networks != others:
            why += f"; network {networks}, was {others}"
        said.append(f"Changed: {name} ({why}).")
    return said


def _networks(one: PassRecord) -> str:
    """The networks that mapped a pass."""
    if one.made_by is None:
        return "not recorded"
    return " and ".join(network.label for network in one.made_by.all_networks) or "none"


def _choice(detector: DetectorChoice | None) -> dict[str, Any]:
    """A detector as it stands in the record; nothing where it was not recorded."""
    return {} if detector is None else detector.model_dump(mode="json")


def _changed(what: str, before: Any, now: Any) -> str:
    """One sentence on a changed value; of a mapping only the keys that differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        flat_before, flat_now = _flat(before), _flat(now)
        keys = [key for key in sorted(flat_before | flat_now) if flat_before.get(key) != flat_now.get(key)]
        parts = [f"{key} {flat_now.get(key)!r} (was {flat_before.get(key)!r})" for key in keys]
        return f"{what}: {'; '.join(parts)}."
    return f"{what}: {now} (was {before})."


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, part in value.items():
        flat |= _flat(part, f"{prefix}{key}.") if isinstance(part, dict) else {f"{prefix}{key}": part}
    return flat
