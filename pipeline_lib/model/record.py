"""The base of every record, and the digest by which records are compared."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue


class Record(BaseModel):
    """A small frozen value that tasks hand to each other; pixels never travel in one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of the record's canonical JSON."""
        return digest_of(self.model_dump(mode="json"))


def digest_of(value: JsonValue | dict[str, Any]) -> str:
    """Digest any JSON value: keys sorted, no whitespace, SHA-256, first 16 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
