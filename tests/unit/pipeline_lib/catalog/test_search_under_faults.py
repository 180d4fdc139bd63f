"""What a search does when the archive fails: the same result, a note, or one clear error. Never a silent part."""

import contextlib
import itertools
import json
import time
import warnings
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from shapely.geometry import Point, box, mapping

from pipeline_lib.catalog.client import CatalogIO
from pipeline_lib.catalog.profiles import resolve_catalog
from pipeline_lib.catalog.safety import policy_of
from pipeline_lib.catalog.search import CatalogSession, Query, _InconsistentPagesError
from pipeline_lib.errors import CatalogError
from pipeline_lib.model.area import area_of_bbox
from pipeline_lib.options.search import ProductChoice, SearchOptions
from pipeline_lib.steps.search import Found, search_event
from pipeline_lib.world.server import serve
from pipeline_lib.world.server.faults import Rule, fault, fault_names

OPTIONS = SearchOptions(page_size=4, attempts=3, backoff_s=0.02, request_timeout_s=300, total_time_s=3000)
"""No busy machine is so slow that these times end a search."""
RTC = "sentinel-1-rtc"

PASSES = [
    "busy-seconds",
    "busy-date",
    "busy-silent",
    "server-error",
    "bad-gateway",
    "unavailable",
    "gateway-timeout",
    "stall",
    "cut",
    "broken-off",
    "half-answer",
    "login-page",
    "not-stac",
    "half-page",
    "short-page",
    "lost-next",
    "repeated-token",
    "empty-page",
    "doubled-item",
    "promise-more",
]
"""Faults that pass: the second answer is right and so is the result."""
HARMLESS = ["doubled-item"]
"""Faults that may stay."""
NOTED = [
    "no-id",
    "no-assets",
    "no-properties",
    "no-time",
    "no-footprint-no-bbox",
    "evil-id",
    "evil-file",
    "evil-vsi",
    "evil-metadata",
]
"""Faults of one item: it is left out, by name, and everything else is there."""
REPAIRED = ["no-footprint"]
REFUSED = [
    "busy-long",
    "unauthorised",
    "forbidden",
    "gone",
    "redirect-metadata",
    "redirect-file",
    "redirect-loop",
    "drip",
    "endless-pages",
    "foreign-next",
]
"""Faults for which one answer is enough to give up."""
OWN_TEST = ["no-orbit"]

NO_OPTICAL = "The catalogue has no sentinel-2-l2a or sentinel-2-c1-l2a or sentinel2-l2a."
"""The small archive of these tests holds radar alone."""


def search(served, event, options=OPTIONS, clock=time.monotonic):
    catalog = resolve_catalog(served.url)
    slept: list[float] = []
    io = _Client(policy_of(catalog), options, sleep=slept.append, clock=clock)
    io.rules = served.faults.rules if hasattr(served, "faults") else ()
    return search_event(event, catalog, options, io=io), slept


class _Client(CatalogIO):
    """Loses patience soon with the answer that will never come, and with no other."""

    def _send(self, href, verb, headers, parameters):
        body = json.dumps(parameters).encode() if verb == "POST" else b""
        struck = (rule.name for rule in self.rules if replace(rule).takes(verb, urlsplit(href).path, body))
        patience = 0.4 if next(struck, None) == "stall" else self._options.request_timeout_s
        self._limits_s = (patience, patience)
        return super()._send(href, verb, headers, parameters)


def ids(found: Found) -> list[list[str]]:
    groups = (found.passes, found.references)
    radar = [[item.item_id for one in group for item in one.slices] for group in groups]
    return [*radar, [item.item_id for item in found.dem], [item.item_id for item in found.water_occurrence]]


@pytest.fixture
def undisturbed(served, flood_event) -> Found:
    return search(served, flood_event)[0]


def test_every_fault_of_a_catalogue_is_tried_here():
    tried = {*PASSES, *HARMLESS, *NOTED, *REPAIRED, *REFUSED, *OWN_TEST}
    assert tried == set(fault_names("search")) | set(fault_names("any"))
    assert len(fault_names()) >= 25
    assert all(len(fault(name).summary) > 10 for name in fault_names())


def test_the_undisturbed_search_reads_several_pages(served, flood_event, undisturbed):
    assert [len(group) for group in ids(undisturbed)] == [4, 10, 1, 1]
    assert undisturbed.notes == (NO_OPTICAL,)
    assert sum(path == "/search" for _, path in served.faults.requests) >= 6


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("name", PASSES)
def test_a_fault_that_passes_loses_nothing(served, flood_event, undisturbed, name, skip):
    served.faults.set([Rule(name, path="^/search$", body=RTC, skip=skip)])
    found, _ = search(served, flood_event)
    assert [entry[0] for entry in served.faults.log] == [name]
    assert ids(found) == ids(undisturbed)
    assert found.passes == undisturbed.passes


@pytest.mark.parametrize("name", [name for name in PASSES if name not in HARMLESS])
def test_a_fault_that_stays_is_an_error_and_no_partial_result(served, flood_event, name):
    served.faults.set([Rule(name, path="^/search$", body=RTC, times=None)])
    with pytest.raises(CatalogError) as caught:
        search(served, flood_event)
    assert str(caught.value).endswith((".", "?"))
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_fault_may_stay(served, flood_event, undisturbed, name):
    served.faults.set([Rule(name, path="^/search$", body=RTC, times=None)])
    assert ids(search(served, flood_event)[0]) == ids(undisturbed)


@pytest.mark.parametrize("name", NOTED)
def test_an_item_that_cannot_be_used_is_named_and_all_others_are_there(served, flood_event, undisturbed, name):
    served.faults.set([Rule(name, path="^/search$", body=RTC)])
    found, _ = search(served, flood_event)
    lost = {one for group in ids(undisturbed) for one in group} - {one for group in ids(found) for one in group}
    assert len(lost) == 1
    notes = [note for note in found.notes if "is skipped" in note]
    assert len(notes) == 1
    assert lost.pop() in notes[0] or name in {"no-id", "evil-id"}
    assert "passwd'" not in notes[0] or name == "evil-file"


def test_an_item_without_footprint_is_used_with_its_bbox_and_that_is_noted(served, flood_event, undisturbed):
    served.faults.set([Rule("no-footprint", path="^/search$", body=RTC)])
    found, _ = search(served, flood_event)
    assert ids(found) == ids(undisturbed)
    assert any("bbox is used" in note for note in found.notes)


def test_an_item_without_orbit_stays_a_pass_of_unknown_orbit(served, flood_event, undisturbed):
    served.faults.set([Rule("no-orbit", path="^/search$", body=RTC)])
    found, _ = search(served, flood_event)
    assert {one for group in ids(found) for one in group} == {one for group in ids(undisturbed) for one in group}
    assert sum(one.relative_orbit is None for one in found.passes) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_patience_mends_is_an_error_at_once(served, flood_event, name):
    served.faults.set([Rule(name, path="^/search$", body=RTC, times=None)])
    clock = itertools.count(0.0, 100.0).__next__ if name == "drip" else time.monotonic  # each look costs its time
    with pytest.raises(CatalogError):
        search(served, flood_event, clock=clock)
    assert len(served.faults.log) <= 70


@pytest.mark.parametrize("name", ["redirect-metadata", "redirect-file", "evil-metadata", "foreign-next"])
def test_no_forbidden_address_is_ever_asked(served, flood_event, name, monkeypatch):
    asked: list[str] = []
    original = CatalogIO._send
    monkeypatch.setattr(CatalogIO, "_send", lambda self, href, *rest: asked.append(href) or original(self, href, *rest))
    served.faults.set([Rule(name, path="^/search$", body=RTC, times=None)])
    with contextlib.suppress(CatalogError):
        search(served, flood_event)
    assert asked
    assert all(href.startswith(served.url) for href in asked)


def test_the_server_is_waited_for_as_long_as_it_asks(served, flood_event):
    served.faults.set([Rule("busy-seconds", path="^/search$", times=2)])
    _, slept = search(served, flood_event)
    assert slept == [1.0, 1.0]


def test_without_a_time_the_waits_grow_and_stay_below_the_limit(served, flood_event):
    options = OPTIONS.model_copy(update={"attempts": 6, "backoff_s": 0.02, "max_backoff_s": 0.1})
    served.faults.set([Rule("busy-silent", path="^/search$", times=5)])
    _, slept = search(served, flood_event, options)
    ceilings = [0.02, 0.04, 0.08, 0.1, 0.1]
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(slept, ceilings, strict=True))


def test_retries_are_logged_and_change_nothing_in_the_result(served, flood_event, undisturbed, caplog):
    served.faults.set([Rule("unavailable", path="^/search$")])
    found, _ = search(served, flood_event)
    assert found == undisturbed
    assert "asked again 1 time" in caplog.text
    assert "503" in caplog.text


def test_a_detailed_area_is_asked_for_as_a_box_and_answered_exactly(served, flood_event, undisturbed, small_archive):
    circle = Point(10.05, 45.05).buffer(0.04, quad_segs=500)
    event = flood_event.model_copy(update={"aoi": json.loads(json.dumps(mapping(circle)))})
    corner = small_archive.items()[-1] | {"id": "corner", "bbox": [10.085, 45.085, 10.09, 45.09]}
    corner["geometry"] = mapping(box(*corner["bbox"]))
    small_archive.add(corner)
    with serve(small_archive.folder) as url:
        found = search_event(event, resolve_catalog(url), OPTIONS)
    assert len(found.passes) == 3
    assert "corner" not in {one for group in ids(found) for one in group}


def test_missing_collections_are_noted_but_not_grd_where_there_is_rtc(small_archive, flood_event):
    (small_archive.folder / "collections" / "cop-dem-glo-30.json").unlink()
    with serve(small_archive.folder) as url:
        found = search_event(flood_event, resolve_catalog(url), OPTIONS)
        assert found.notes == (NO_OPTICAL, "The catalogue has no cop-dem-glo-30 or cop-dem-glo-30-dged-cog.")
        assert found.dem == ()
        elsewhere = flood_event.model_copy(update={"aoi": area_of_bbox(100, 10, 100.1, 10.1)})
        assert not any("sentinel-1" in note for note in search_event(elsewhere, resolve_catalog(url), OPTIONS).notes)
        only_grd = OPTIONS.model_copy(update={"product": ProductChoice.GRD})
        assert any("sentinel-1-grd" in note for note in search_event(flood_event, resolve_catalog(url), only_grd).notes)
        (small_archive.folder / "collections" / "sentinel-1-rtc.json").unlink()
        found = search_event(flood_event, resolve_catalog(url), OPTIONS)
    assert found.passes == ()
    assert "The catalogue has no sentinel-1-rtc or sentinel1-rtc." in found.notes
    assert "The catalogue has no sentinel-1-grd or sentinel1-grd or sentinel-1-l1-grd." in found.notes


@pytest.mark.parametrize(
    ("counts", "complete"),
    [
        ({"numberReturned": 9, "numberMatched": 2}, True),
        ({"numberMatched": 50, "context": {"matched": 2}}, True),
        ({"numberReturned": 9}, False),
        ({"numberReturned": 9, "numberMatched": 9}, False),
        ({"numberMatched": 50}, False),
        ({"numberMatched": 50, "context": {"matched": 40}}, False),
        ({"numberMatched": 1}, True),
    ],
)
def test_counts_that_contradict_themselves_end_no_search_that_is_complete(served, monkeypatch, counts, complete):
    session = CatalogSession.open(resolve_catalog(served.url), OPTIONS)
    page = {"features": [{"id": "a", "collection": "c"}, {"id": "b", "collection": "c"}], **counts}
    monkeypatch.setattr(session, "_pages", lambda _: iter([page]))
    with contextlib.nullcontext() if complete else pytest.raises(_InconsistentPagesError):
        assert [one["id"] for one in session._drain(None)] == ["a", "b"]


def test_a_catalogue_whose_links_do_not_name_the_method_is_asked_without_a_warning(served, monkeypatch):
    """pystac-client after 0.9.1 warns of it, and a warning is an error in these tests."""
    session = CatalogSession.open(resolve_catalog(served.url), OPTIONS)
    real = session.client.search

    def warning(**parameters):
        warnings.warn("POST is not advertised by any search link", UserWarning, stacklevel=2)
        return real(**parameters)

    monkeypatch.setattr(session.client, "search", warning)
    assert session.find(Query("rtc", area_of_bbox(9, 45, 10, 46))) is not None


def test_a_catalogue_that_is_down_is_one_sentence(flood_event):
    with pytest.raises(CatalogError, match="does not answer"):
        search(type("Gone", (), {"url": "http://127.0.0.1:9"})(), flood_event)


@pytest.mark.parametrize("name", ["login-page", "not-stac", "gone"])
def test_a_url_that_is_no_stac_api(served, flood_event, name):
    served.faults.set([Rule(name, path="^/$", times=None)])
    with pytest.raises(CatalogError):
        search(served, flood_event)


def test_more_items_than_allowed_is_refused(served, flood_event):
    with pytest.raises(CatalogError, match="more than 5 items"):
        search(served, flood_event, OPTIONS.model_copy(update={"max_items": 5}))
