"""The folder in which an event's intermediate data live, beside what is published."""

from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.store import Store

APPROVALS = "approvals"
"""Folder of requests for approval in a workspace."""


@dataclass(frozen=True)
class Workspace:
    """A folder of intermediate data; deleting it costs time, never results."""

    folder: str

    @property
    def store(self) -> Store:
        """The datasets of every event under the same folder: keys are digests, so events on one grid share them."""
        return Store(Path(self.folder).parent / "store")

    @property
    def plan_path(self) -> Path:
        """The plan of the latest run, readable by people."""
        return Path(self.folder) / "plan.yaml"


def workspace_of(out: Path, event_id: str) -> Workspace:
    """The workspace of an event: ``OUT/.overbank/<event_id>``, hidden from readers of the products."""
    return Workspace(str(out / ".overbank" / event_id))


def any_held(out: Path) -> bool:
    """Whether any event under ``out`` was ever held for a person's approval."""
    return any((out / ".overbank").glob(f"*/{APPROVALS}/*.json"))
