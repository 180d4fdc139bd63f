"""Where intermediate data live: a folder beside what is published, or a bucket."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.publish.versions import need_links
from pipeline_lib.steps.private_folder import STORE, folder_of_event, private_folder
from pipeline_lib.store import Store

APPROVALS = "approvals"
"""Folder of requests for approval in a workspace."""
STORE_VARIABLE = "OVERBANK_STORE"
"""Folder or URL (``s3://bucket/prefix``) of the intermediate datasets; beside the events where it is not set."""


@dataclass(frozen=True)
class Workspace:
    """A folder of intermediate data; deleting it costs time, never results."""

    folder: str

    @property
    def store(self) -> Store:
        """The datasets of every event under the same folder."""
        return store_of(Path(self.folder).parent.parent)

    @property
    def plan_path(self) -> Path:
        """The plan of the latest run, readable by people."""
        return Path(self.folder) / "plan.yaml"


def workspace_of(out: Path, event_id: str) -> Workspace:
    """The workspace of an event: ``OUT/.overbank/<event_id>``.

    Raises:
        InputError: the event has a name that overbank keeps for itself.
    """
    return Workspace(str(folder_of_event(out, event_id)))


def need_place(out: Path) -> None:
    """Refuse a folder of events, before a catalogue is asked, into which nothing could be published.

    Raises:
        StoreError: it cannot be written, or cannot hold symbolic links.
    """
    need_links(out)


def store_of(out: Path) -> Store:
    """The datasets of every event under ``out``: keys are digests, so events on one grid share them.

    They lie where the environment says (`STORE_VARIABLE`), and so may those of several folders of events.

    Raises:
        InputError: the environment names something that no installed package can open, or holds credentials.
    """
    return Store(os.environ.get(STORE_VARIABLE) or private_folder(out) / STORE)


def any_held(out: Path) -> bool:
    """Whether any event under ``out`` was ever held for a person's approval."""
    return any(private_folder(out).glob(f"*/{APPROVALS}/*.json"))
