"""The base of every record, and the digest by which records are compared."""

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A small frozen value that tasks hand to each other; pixels never travel in one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the record's `identity`."""
        return digest_of(self.identity)

    @property
    def identity(self) -> dict[str, Any]:
        """The record as JSON without what may change while the data stay the same: where assets and catalogues are."""
        plain = _hrefs_as(self.model_dump(mode="json"), lambda href: urlsplit(href).path)
        identity: dict[str, Any] = _without_catalogs(plain)
        return identity

    @property
    def document(self) -> dict[str, Any]:
        """The record as JSON that may be written or shown: asset hrefs without their queries, which may be signed."""
        document: dict[str, Any] = _hrefs_as(self.model_dump(mode="json"), lambda href: href.split("?", 1)[0])
        return document


def digest_of(value: object) -> str:
    """Digest any JSON value: keys sorted, no whitespace, SHA-256, first 16 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _hrefs_as(value: Any, change: Callable[[str], str]) -> Any:
    """Change the hrefs of every ``assets`` mapping; STAC asset objects, whose hrefs are relative, stay."""
    if isinstance(value, dict):
        return {
            key: {name: change(href) if isinstance(href, str) else href for name, href in part.items()}
            if key == "assets"
            else _hrefs_as(part, change)
            for key, part in value.items()
        }
    return [_hrefs_as(part, change) for part in value] if isinstance(value, list) else value


def _without_catalogs(value: Any) -> Any:
    """Without the catalogue of each item; of a plan's own the profile stays."""
    if isinstance(value, dict):
        return {
            key: {"profile": part["profile"]} if key == "catalog" else _without_catalogs(part)
            for key, part in value.items()
            if key != "catalog" or "item_id" not in value
        }
    return [_without_catalogs(part) for part in value] if isinstance(value, list) else value
