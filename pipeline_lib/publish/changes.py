"""What changed between two versions of an event, and why."""

from typing import Any


def describe_changes(before: dict[str, Any] | None, now: dict[str, Any]) -> list[str]:
    """Sentences for the collection, the page and ``overbank events diff``.

    Args:
        before: record of the earlier version, None for the first.
        now: record of the later version.
    """
    if before is None:
        return ["First version."]
    said = _passes(before["passes"], now["passes"])
    for name, what in (("options", "Options"), ("detector", "Detector"), ("software", "Software")):
        if before["provenance"].get(name) != now["provenance"].get(name):
            said.append(_changed(what, before["provenance"].get(name), now["provenance"].get(name)))
    if before.get("status") != now.get("status"):
        said.append(f"Status: {now.get('status')} (was {before.get('status')}).")
    if before["title"] != now["title"]:
        said.append(f"Title: {now['title']} (was {before['title']}).")
    area_before, area = before["figures"]["flood_area_km2"], now["figures"]["flood_area_km2"]
    if area != area_before:
        said.append(f"Flooded area {area:,.2f} km2 (was {area_before:,.2f} km2).")
    return said or ["Nothing but the time of publication."]


def _passes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Passes added, taken out, and made anew."""
    said = []
    added, gone = sorted(set(now) - set(before)), sorted(set(before) - set(now))
    if added:
        said.append(f"New: {', '.join(added)}.")
    if gone:
        said.append(f"Taken out: {', '.join(gone)}.")
    for name in sorted(set(now) & set(before)):
        if now[name]["key"] == before[name]["key"]:
            continue
        slices, old = now[name].get("slices", []), before[name].get("slices", [])
        late = sorted(set(slices) - set(old))
        why = f"late slice {', '.join(late)}" if late else "made anew with other inputs, options or software"
        said.append(f"Changed: {name} ({why}).")
    return said


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
