"""The STAC API as clients and validators see it."""

import functools
import importlib.util
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pystac
import pytest
from jsonschema import Draft7Validator
from pystac_client import Client
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from pipeline_lib.errors import InputError
from pipeline_lib.world.server import serve

http = httpx.Client(timeout=300, trust_env=False)
SCHEMAS = Path(pystac.__file__).parent / "validation" / "jsonschemas"
AREA = {"type": "Polygon", "coordinates": [[[10, 45], [10.1, 45], [10.1, 45.1], [10, 45.1], [10, 45]]]}


@functools.cache
def schema_registry() -> Registry:
    """pystac's copies of the STAC 1.1 schemas; 1.0 items are valid 1.1 items but for the version."""
    registry = Registry()
    for path in SCHEMAS.rglob("*.json"):
        content = json.loads(path.read_text().replace('"const": "1.1.0"', '"enum": ["1.0.0", "1.1.0"]'))
        folders = [
            f"https://schemas.stacspec.org/v1.1.0/{kind}-spec/json-schema" for kind in ("item", "collection", "catalog")
        ]
        names = {content.get("$id", path.name).rstrip("#"), *(f"{folder}/{path.name}" for folder in folders)}
        for name in names:
            registry = registry.with_resource(name, Resource.from_contents(content, default_specification=DRAFT7))
    return registry


@functools.cache
def validator(kind: str) -> Draft7Validator:
    registry = schema_registry()
    schema = registry.contents(f"https://schemas.stacspec.org/v1.1.0/{kind}-spec/json-schema/{kind}.json")
    return Draft7Validator(schema, registry=registry)


def problems(document: dict, kind: str) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator(kind).iter_errors(document)]


def test_documents_are_valid_stac(served):
    landing = http.get(served.url).json()
    assert problems(landing, "catalog") == []
    for link in landing["links"]:
        if link["rel"] in {"child", "data", "conformance", "service-desc", "service-doc"} or link["rel"].endswith(
            "queryables"
        ):
            answer = http.get(link["href"], headers={"Accept": link["type"]})
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(link["type"].split(";")[0])
    for collection in http.get(f"{served.url}/collections").json()["collections"]:
        assert problems(collection, "collection") == []
        for item in http.get(f"{served.url}/collections/{collection['id']}/items").json()["features"]:
            assert problems(item, "item") == []
            own = next(link["href"] for link in item["links"] if link["rel"] == "self")
            assert http.get(own).json() == item


def test_the_validity_check_can_fail():
    assert problems({"type": "Feature", "stac_version": "1.0.0"}, "item")


def test_pystac_client_is_happy(served):
    client = Client.open(served.url)
    assert {collection.id for collection in client.get_collections()} == {"sentinel-1-rtc", "cop-dem-glo-30", "jrc-gsw"}
    search = client.search(collections=["sentinel-1-rtc"], bbox=[10, 45, 10.1, 45.1], limit=3)
    assert search.matched() == 14
    assert len(list(search.items())) == 14
    ascending = client.search(
        collections=["sentinel-1-rtc"], filter="\"sat:orbit_state\" = 'ascending'", filter_lang="cql2-text"
    )
    assert {item.properties["sat:orbit_state"] for item in ascending.items()} == {"ascending"}
    by_query = client.search(query=["sat:relative_orbit=15"])
    assert len(list(by_query.items())) == 6
    newest = next(client.search(sortby="-properties.datetime", max_items=1).items())
    assert newest.id == "part"
    asset = newest.assets["vv"].href
    assert asset.startswith(served.url)
    assert http.head(asset).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"bbox": [10, 46, 11, 45]},
        {"bbox": [10, 45, 11]},
        {"bbox": [10, 45, 11, 46], "intersects": AREA},
        {"intersects": {"type": "Polygon"}},
        {"datetime": "yesterday"},
        {"datetime": "2024-01-02T00:00:00Z/2024-01-01T00:00:00Z"},
        {"datetime": "2024-13-02T00:00:00Z"},
        {"limit": 0},
        {"filter": "platform = ("},
        {"filter": "platform = 'a'", "filter-lang": "cql-text"},
        {"query": {"platform": {"like": "a"}}},
        {"sortby": [{"field": "id", "direction": "up"}]},
        {"token": "x"},
        {"fields": None},
        {"unknown": 1},
        [],
    ],
)
def test_what_cannot_be_meant_is_refused(served, body):
    answer = http.post(f"{served.url}/search", json=body)
    assert answer.status_code == 400
    assert answer.json()["description"]


def test_fields(served):
    def first(fields):
        return http.post(f"{served.url}/search", json={"limit": 1, "fields": fields}).json()["features"][0]

    identity = {"type", "stac_version", "id", "collection"}
    assert set(first({"include": ["bbox"]})) == identity | {"bbox"}
    nested = first({"include": ["properties.platform"], "exclude": ["properties"]})
    assert set(nested["properties"]) == {"platform"}
    without = first({"exclude": ["geometry", "properties.platform"]})
    assert "geometry" not in without
    assert "platform" not in without["properties"]
    assert len(without["properties"]) > 5
    default = first({})
    assert set(default["properties"]) == {"datetime", "start_datetime", "end_datetime"}


def test_missing_things_are_404(served):
    for path in ("collections/none", "collections/none/items", "collections/jrc-gsw/items/none", "nothing"):
        assert http.get(f"{served.url}/{path}").status_code == 404
    assert http.get(f"{served.url}/collections/jrc-gsw/items", params={"filter": "a=1"}).status_code == 400


def matched(url: str) -> int:
    return int(http.post(f"{url}/search", json={"collections": ["jrc-gsw"]}).json()["numberMatched"])


def test_new_changed_and_removed_files_are_seen_at_once(small_archive):
    item = next(item for item in small_archive.items() if item["collection"] == "jrc-gsw")
    with serve(small_archive.folder) as url:
        assert matched(url) == 1
        path = small_archive.add({**item, "id": "second"})
        assert matched(url) == 2
        path.write_text('{"half": ')
        assert matched(url) == 2
        path.unlink()
        assert matched(url) == 1


def test_an_item_appears_when_it_is_published(small_archive):
    item = next(item for item in small_archive.items() if item["collection"] == "jrc-gsw")
    now = datetime(2024, 5, 1, tzinfo=timezone.utc)
    later = {**item["properties"], "published": "2024-05-01T06:00:00Z"}
    small_archive.add({**item, "id": "later", "properties": later})
    present = [now]
    with serve(small_archive.folder, clock=lambda: present[0]) as url:
        assert matched(url) == 1
        assert http.get(f"{url}/collections/jrc-gsw/items/later").status_code == 404
        present[0] = now + timedelta(hours=6)
        assert matched(url) == 2


def test_an_item_that_appears_between_pages_hides_none(small_archive):
    with serve(small_archive.folder) as url:
        first = http.post(f"{url}/search", json={"collections": ["sentinel-1-rtc"], "limit": 7}).json()
        item = next(item for item in small_archive.items() if item["id"] == "part")
        small_archive.add({**item, "id": "just-now"})
        link = next(link for link in first["links"] if link["rel"] == "next")
        second = http.post(link["href"], json=link["body"]).json()
    found = [feature["id"] for page in (first, second) for feature in page["features"]]
    assert len(found) == len(set(found)) == 14


def test_the_same_folder_gets_the_same_url(small_archive):
    with serve(small_archive.folder) as first, serve(small_archive.folder) as meanwhile:
        assert meanwhile != first
    with serve(small_archive.folder) as second:
        assert second == first


def test_not_a_world_folder(tmp_path):
    with pytest.raises(InputError, match="not a world folder"), serve(tmp_path):
        pass


def test_a_taken_port(small_archive):
    with serve(small_archive.folder) as url, pytest.raises(InputError, match="Cannot listen"):
        serve(small_archive.folder, port=int(url.rsplit(":", 1)[1])).__enter__()


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("stac_api_validator") is None, reason="stac-api-validator is not installed"
)
def test_stac_api_validator_finds_no_error(served, tmp_path):
    """With pystac's copies of the schemas, as the validator would fetch them from the internet."""
    script = Path(__file__).with_name("stac_api_validator_offline.py")
    command = [sys.executable, str(script), served.url, json.dumps(AREA)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Errors: none" in done.stdout, done.stdout[-3000:] + done.stderr[-2000:]
