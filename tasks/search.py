"""Search the catalogue."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline_lib.model import CatalogReference, Event
from pipeline_lib.options.search import SearchOptions
from pipeline_lib.steps.search import Found, search_event


@task(name="search catalogue", task_run_name="search {catalog.profile} for {event.event_id}", cache_policy=NO_CACHE)
def search(event: Event, catalog: CatalogReference, options: SearchOptions) -> Found:
    """Find acquisitions and ancillaries; the search itself retries with backoff, so the task does not."""
    return search_event(event, catalog, options)
