"""Bring the mirror of published events up to date: what a publication could not copy is copied later."""

from pathlib import Path

from prefect import flow

from flows.progress import run_logger
from pipeline_lib.steps.mirror import mirror_of
from tasks import mirror


@flow(
    name="mirror-events",
    description="Copy to the mirror what it lacks of the published events.",
    result_serializer="json",
)
def mirror_events(out: str, check: bool = False) -> int:
    """Copy what is missing; nothing to do where no mirror is set.

    Args:
        out: Folder of published events.
        check: Read every file of the mirror back and mend what differs.

    Returns:
        How many versions were copied.

    Raises:
        MirrorError: some events could not be copied; the others were.
    """
    if mirror_of(Path(out)) is None:
        return 0
    followed = mirror.mirror_events(out, check=check)
    for line in followed.copied:
        run_logger().info("Copied %s", line)
    followed.need_whole()
    return len(followed.copied)
