"""Searches over HTTP against plain Python filtering of all items; GET, POST and paging agree."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, mapping, shape

from pipeline_lib.world.server import serve

T0 = datetime(2024, 1, 1, tzinfo=timezone.utc)
COLLECTIONS = ("sentinel-1-rtc", "sentinel-2-l2a", "cop-dem-glo-30")
LONGITUDES = (-179.5, -90.25, 0.0, 10.0, 10.5, 179.0)


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def make_items() -> list[dict]:
    """60 items on a fixed pattern: three collections, six places, a day apart, some without some properties."""
    items = []
    for number in range(60):
        west = LONGITUDES[number % len(LONGITUDES)]
        south = -40.0 + 20 * (number % 5)
        bounds = (west, south, min(180.0, west + 0.75), south + 0.5)
        start = T0 + timedelta(days=number % 23, hours=number)
        properties = {"datetime": iso(start), "platform": ("SENTINEL-1A", "sentinel-1c", "Sentinel-2B")[number % 3]}
        if number % 4:
            properties["eo:cloud_cover"] = (number * 7 % 101) / 1.0
        if number % 3:
            properties["sat:relative_orbit"] = number % 5 + 1
        if number % 7 == 0:
            properties |= {
                "datetime": None,
                "start_datetime": iso(start),
                "end_datetime": iso(start + timedelta(days=2)),
            }
        items.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": f"item-{number:02d}",
                "collection": COLLECTIONS[number % 2] if number % 10 else COLLECTIONS[2],
                "geometry": mapping(box(*bounds)),
                "bbox": list(bounds),
                "properties": properties,
                "links": [],
                "assets": {},
            }
        )
    return items


ITEMS = make_items()


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("oracle")
    for name in COLLECTIONS:
        (folder / "items" / name).mkdir(parents=True)
        (folder / "collections").mkdir(exist_ok=True)
        (folder / "collections" / f"{name}.json").write_text(json.dumps({"type": "Collection", "id": name}))
    for item in ITEMS:
        (folder / "items" / item["collection"] / f"{item['id']}.json").write_text(json.dumps(item))
    with serve(folder) as url, requests.Session() as session:
        yield url, session


def span(item: dict) -> tuple[datetime, datetime]:
    given_ = item["properties"]
    start = given_.get("start_datetime") or given_["datetime"]
    end = given_.get("end_datetime") or given_["datetime"]
    return datetime.fromisoformat(start), datetime.fromisoformat(end)


OPERATORS = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
SYMBOLS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def plainly(search: dict) -> set[str]:
    """The slow literal twin."""
    found = set()
    for item in ITEMS:
        if search.get("collections") and item["collection"] not in search["collections"]:
            continue
        if search.get("ids") and item["id"] not in search["ids"]:
            continue
        if "period" in search:
            start, end = span(item)
            low, high = search["period"]
            if (low is not None and end < low) or (high is not None and start > high):
                continue
        if "bbox" in search:
            west, south, east, north = search["bbox"]
            parts = (
                [box(west, south, east, north)]
                if west <= east
                else [box(west, south, 180, north), box(-180, south, east, north)]
            )
            if not any(shape(item["geometry"]).intersects(part) for part in parts):
                continue
        if "condition" in search:
            name, op, value = search["condition"]
            have = item["properties"].get(name)
            if have is None or not OPERATORS[op](have, value):
                continue
        found.add(item["id"])
    return found


moments = st.integers(-3, 30).map(lambda days: T0 + timedelta(days=days))
periods = st.tuples(st.none() | moments, st.none() | moments).filter(
    lambda pair: any(pair) and (None in pair or pair[0] <= pair[1])
)
longitudes = st.sampled_from((-180.0, -179.4, -90.0, -1.0, 0.5, 10.2, 10.6, 90.0, 179.2, 180.0))
latitudes = st.sampled_from((-90.0, -39.8, -20.0, 0.25, 20.4, 41.0, 90.0))
boxes = st.tuples(longitudes, latitudes, longitudes, latitudes).filter(lambda b: b[1] < b[3] and b[0] != b[2])
conditions = st.one_of(
    st.tuples(st.just("eo:cloud_cover"), st.sampled_from(sorted(OPERATORS)), st.integers(0, 100).map(float)),
    st.tuples(st.just("sat:relative_orbit"), st.sampled_from(sorted(OPERATORS)), st.integers(0, 6)),
    st.tuples(st.just("platform"), st.sampled_from(("eq", "neq")), st.sampled_from(("SENTINEL-1A", "nothing"))),
)
searches = st.fixed_dictionaries(
    {},
    optional={
        "collections": st.lists(st.sampled_from((*COLLECTIONS, "unknown")), min_size=1, max_size=2, unique=True),
        "ids": st.lists(st.sampled_from([item["id"] for item in ITEMS[::4]]), min_size=1, max_size=4, unique=True),
        "period": periods,
        "bbox": boxes,
        "condition": conditions,
    },
)


def body_of(search: dict, form: str) -> dict:
    """The search as a POST body, its condition in one of three languages, its box as bbox or polygon."""
    body = {name: search[name] for name in ("collections", "ids") if name in search}
    if "period" in search:
        body["datetime"] = "/".join(".." if bound is None else iso(bound) for bound in search["period"])
    if "bbox" in search:
        west, south, east, north = search["bbox"]
        if form == "cql2-json" and west < east:
            body["intersects"] = mapping(box(west, south, east, north))
        else:
            body["bbox"] = list(search["bbox"])
    if "condition" in search:
        name, op, value = search["condition"]
        if form == "query":
            body["query"] = {name: {op: value}}
        elif form == "cql2-json":
            body |= {"filter-lang": "cql2-json", "filter": {"op": SYMBOLS[op], "args": [{"property": name}, value]}}
        else:
            literal = f"'{value}'" if isinstance(value, str) else f"{value}"
            body |= {"filter-lang": "cql2-text", "filter": f'"{name}" {SYMBOLS[op]} {literal}'}
    return body


def parameters_of(body: dict) -> dict:
    given_ = {}
    for name, value in body.items():
        if name in {"collections", "ids", "bbox"}:
            given_[name] = ",".join(str(part) for part in value)
        else:
            given_[name] = json.dumps(value) if isinstance(value, dict) else value
    return given_


def drain(session: requests.Session, page: dict) -> list[str]:
    """Ids of all pages, in order."""
    found, total = [], page["numberMatched"]
    while True:
        assert page["numberReturned"] == len(page["features"])
        assert page["numberMatched"] == total
        found += [feature["id"] for feature in page["features"]]
        following = [link for link in page["links"] if link["rel"] == "next"]
        if not following:
            assert len(found) == total
            return found
        link = following[0]
        page = (
            session.post(link["href"], json=link["body"]).json()
            if link["method"] == "POST"
            else session.get(link["href"]).json()
        )


@settings(max_examples=40)
@given(search=searches, form=st.sampled_from(("query", "cql2-json", "cql2-text")), limit=st.integers(6, 25))
def test_post_get_and_paging_find_what_plain_filtering_finds(api, search, form, limit):
    url, session = api
    body = {**body_of(search, form), "limit": limit}
    by_post = drain(session, session.post(f"{url}/search", json=body).json())
    by_get = drain(session, session.get(f"{url}/search", params=parameters_of(body)).json())
    assert by_post == by_get
    assert len(by_post) == len(set(by_post))
    assert set(by_post) == plainly(search)


@settings(max_examples=15)
@given(
    field=st.sampled_from(("eo:cloud_cover", "properties.sat:relative_orbit", "datetime", "id")),
    descending=st.booleans(),
    limit=st.integers(9, 30),
)
def test_sorting_is_stable_and_puts_items_without_the_field_last(api, field, descending, limit):
    url, session = api
    direction = "desc" if descending else "asc"
    body = {"sortby": [{"field": field, "direction": direction}], "limit": limit}
    order = drain(session, session.post(f"{url}/search", json=body).json())
    sign = "-" if descending else "+"
    assert order == drain(
        session, session.get(f"{url}/search", params={"sortby": f"{sign}{field}", "limit": limit}).json()
    )
    by_id = {item["id"]: item for item in ITEMS}
    name = field.removeprefix("properties.")
    values = [item_id if name == "id" else by_id[item_id]["properties"].get(name) for item_id in order]
    present = [value for value in values if value is not None]
    assert values[: len(present)] == present
    assert present == sorted(present, reverse=descending)


def test_newest_first_without_sorting(api):
    url, session = api
    order = drain(session, session.get(f"{url}/search", params={"limit": 17}).json())
    starts = [span({item["id"]: item for item in ITEMS}[item_id])[0] for item_id in order]
    assert starts == sorted(starts, reverse=True)
