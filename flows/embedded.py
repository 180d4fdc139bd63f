"""Running flows from the command line: against the server that is configured, or an embedded one; without telemetry."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def set_prefect_environment() -> None:
    """Defaults for Prefect that must stand before it is imported; what the user has set is kept.

    No telemetry; an embedded server that may take its time on a busy machine; our own display instead of Prefect's
    log lines on the console (the lines still reach the API and the UI), unless ``--debug``.
    """
    defaults = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline_lib",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # the library also speaks before a run begins
    }
    if not os.environ.get("OVERBANK_DEBUG"):
        defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
        defaults["PREFECT_SERVER_LOGGING_LEVEL"] = "CRITICAL"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


class _StageLines(logging.Handler):
    """Draws each finished stage: a bar on a terminal, a line elsewhere."""

    def emit(self, record: logging.LogRecord) -> None:
        """Draw one record that `flows.progress.Progress` wrote; others are not for this display."""
        done, total = getattr(record, "overbank_done", None), getattr(record, "overbank_total", None)
        if done is None or not total:
            return
        filled = round(24 * done / total)
        line = f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{total} {getattr(record, 'overbank_stage', '')}"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K{line[:110]}" + ("\n" if done == total else ""))
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


@contextmanager
def shown_progress() -> Iterator[None]:
    """Show the stages of flows that run in this process on standard error."""
    handler = _StageLines(level=logging.INFO)
    logger = logging.getLogger("prefect.flow_runs")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
