"""The items of a world folder, read again when their files change."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape

from pipeline_lib.model.instant import instant_of

logger = logging.getLogger(__name__)

EARLIEST = datetime.min.replace(tzinfo=timezone.utc)


def utc_now() -> datetime:
    """The present, UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Entry:
    """One item with what filters need, worked out once."""

    item: Mapping[str, Any]
    """The item as in its file: asset hrefs relative to the folder."""
    collection: str
    item_id: str
    geometry: Any
    """Lon/lat shapely geometry."""
    start: datetime
    end: datetime
    published: datetime
    """From when on the archive shows it: property ``published``; the beginning of time where absent."""

    @property
    def properties(self) -> Mapping[str, Any]:
        """Properties of the item."""
        found: Mapping[str, Any] = self.item["properties"]
        return found


@dataclass
class Archive:
    """A world folder as a catalogue. Thread-safe; every question sees the files as they are at that moment."""

    folder: Path
    clock: Callable[[], datetime] = utc_now
    """What time it is in the archive: items published later are not there yet."""
    _known: dict[Path, tuple[tuple[int, int], Entry | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def collections(self) -> dict[str, dict[str, Any]]:
        """Collections by id, in alphabetical order."""
        found = (_read(path) for path in sorted((self.folder / "collections").glob("*.json")))
        return {str(one["id"]): one for one in found if one is not None and "id" in one}

    def entries(self) -> list[Entry]:
        """Published items, newest first, then by collection and id."""
        with self._lock:
            self._scan()
            now = self.clock()
            visible = [entry for _, entry in self._known.values() if entry is not None and entry.published <= now]
        visible.sort(key=lambda entry: (entry.collection, entry.item_id))
        visible.sort(key=lambda entry: entry.start, reverse=True)
        return visible

    def entry(self, collection: str, item_id: str) -> Entry | None:
        """One published item."""
        return next((one for one in self.entries() if (one.collection, one.item_id) == (collection, item_id)), None)

    def _scan(self) -> None:
        """Read new and changed files; a file that is just being written keeps its last good content."""
        present: set[Path] = set()
        for path in (self.folder / "items").glob("*/*.json"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            present.add(path)
            stamp = (status.st_mtime_ns, status.st_size)
            stamp_before, before = self._known.get(path, (None, None))
            if stamp != stamp_before:
                self._known[path] = (stamp, _entry(path) or before)
        for path in set(self._known) - present:
            del self._known[path]


def _entry(path: Path) -> Entry | None:
    item = _read(path)
    if item is None:
        return None
    try:
        properties = item["properties"]
        middle = instant_of(properties.get("datetime"))
        start, end = (
            instant_of(properties.get("start_datetime")) or middle,
            instant_of(properties.get("end_datetime")) or middle,
        )
        geometry = shape(item["geometry"])
        shapely.prepare(geometry)
        collection, item_id = str(item.get("collection") or path.parent.name), str(item["id"])
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        logger.warning("%s is not a STAC item (%s) and is not served", path, error)
        return None
    if start is None or end is None:
        logger.warning("%s has no datetime and is not served", path)
        return None
    published = instant_of(properties.get("published")) or EARLIEST
    return Entry(item, collection, item_id, geometry, start, end, published)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read (%s) and is not served", path, error)
        return None
    return content if isinstance(content, dict) else None
