"""Search the catalogue."""

from prefect import task

from pipeline_lib.catalog.profiles import catalogs_of
from pipeline_lib.model import Event
from pipeline_lib.options.search import SearchOptions
from pipeline_lib.steps.search import Found, search_event
from tasks.retry import ONCE


@task(name="search catalogue", task_run_name="search {catalog} for {event.event_id}", **ONCE)
def search(event: Event, catalog: str, options: SearchOptions) -> Found:
    """Find acquisitions and ancillaries; the search itself retries with backoff, so the task does not."""
    return search_event(event, catalogs_of(catalog), options)
