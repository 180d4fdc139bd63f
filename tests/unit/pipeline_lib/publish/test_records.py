"""Records that earlier releases wrote, and those that cannot be read."""

import json
from pathlib import Path

import pytest

from pipeline_lib.errors import StoreError
from pipeline_lib.publish.catalogue import catalogue_texts, events_of
from pipeline_lib.publish.publication import publish
from pipeline_lib.publish.records import RECORD, SCHEMA, read_record, write_record
from pipeline_lib.steps.events import diff_events, list_events, show_event, show_text

BEFORE = Path(__file__).parents[3] / "data" / "published_0_1"
"""Of a simulated event that version 0.1.0 published and took back; of each pass's files two are kept in the records."""
NAME = "simulated-flood-7"


def written(state: str) -> dict:
    return json.loads((BEFORE / f"record_{state}.json").read_text(encoding="utf-8"))


@pytest.fixture
def event(tmp_path):
    """The folder of the event, version 2 current."""
    folder = tmp_path / NAME
    for number, state in ((1, "published"), (2, "retracted")):
        place = folder / "versions" / f"{number:04d}"
        place.mkdir(parents=True)
        (place / RECORD).write_bytes((BEFORE / f"record_{state}.json").read_bytes())
    (folder / "current").symlink_to("versions/0002")
    return folder


def change(event, **fields):
    path = event / "versions" / "0002" / RECORD
    path.write_text(json.dumps(written("retracted") | fields), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("number", "state", "added"), [(1, "published", {"retracted_because": None}), (2, "retracted", {})]
)
def test_a_record_of_version_0_1_keeps_every_field(event, number, state, added):
    expected = written(state) | added | {"schema_version": SCHEMA}
    expected["provenance"]["decision"]["approval"] = None
    for one in expected["passes"].values():
        one["made_by"] = None
    record = read_record(event, number)
    assert record.model_dump(mode="json") == expected
    assert record.retracted == (state == "retracted")
    assert (event / "versions" / f"{number:04d}" / RECORD).read_bytes() == (
        BEFORE / f"record_{state}.json"
    ).read_bytes()


def test_what_a_record_lacks_has_the_default_that_its_field_states(event):
    content = written("retracted")
    for name in ("zones", "exposure"):
        del content[name]
    content["provenance"] |= {"detector": {}, "decision": {}}
    one = next(iter(content["passes"]))
    del content["passes"][one]["slices"]
    (event / "versions" / "0002" / RECORD).write_text(json.dumps(content))
    record = read_record(event)
    assert record.zones == record.exposure == record.passes[one].slices == ()
    assert record.provenance.detector is None
    assert record.provenance.decision is None


def test_commands_read_them(event):
    out = event.parent
    (row,) = list_events(out)
    assert row["state"] == "retracted"
    assert row["flooded km2"] == "7.05"
    assert row["last pass"] == "2025-11-07 17:14"
    shown = show_text(show_event(out, NAME))
    assert "version 2 of 2" in shown
    assert "RETRACTED: It was a rice field." in shown
    assert diff_events(out, NAME) == ["Status: retracted (was published)."]
    assert "Retracted" in catalogue_texts(events_of(out))["index.html"]


@pytest.mark.parametrize("schema", [SCHEMA + 1, 0, "2", None])
def test_a_record_of_another_schema_is_refused_by_one_sentence(event, schema):
    path = change(event, schema_version=schema)
    with pytest.raises(StoreError, match=rf"reads 1 to {SCHEMA}: a newer one wrote it\. Update") as caught:
        read_record(event)
    assert str(path) in str(caught.value)
    assert repr(schema) in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "lost"}, "at status"),
        ({"tea": 1}, "at tea"),
        ({"figures": {}}, r"at figures\.flood_area_km2"),
        ({"provenance": 3}, "cannot be read"),
    ],
)
def test_a_record_that_is_none_names_the_file_and_the_field(event, fields, said):
    path = change(event, **fields)
    with pytest.raises(StoreError, match=said) as caught:
        read_record(event)
    assert str(path) in str(caught.value)
    assert "map it again" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_file_that_is_no_record(event, text):
    (event / "versions" / "0002" / RECORD).write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        read_record(event)


def test_a_record_survives_its_file(event, tmp_path):
    record = read_record(event)
    write_record(tmp_path, record)
    place = event / "versions" / "0001"
    write_record(place, record)
    assert read_record(event, 1) == record
    text = (place / RECORD).read_text()
    assert text.index('"event_id"') < text.index('"figures"') < text.index('"passes": {')
    assert max(len(line) for line in text.splitlines()) < 400


def test_a_version_follows_one_that_version_0_1_wrote(flood, tmp_path):
    """Only what is new is told, and files of passes that did not change are those of the version before."""
    publish(flood.publication(2), tmp_path)
    event = tmp_path / "river-2024"
    path = event / "versions" / "0001" / RECORD
    content = json.loads(path.read_text())
    del content["schema_version"], content["retracted_because"]
    content["provenance"]["decision"] = {}
    path.write_text(json.dumps(content))
    publish(flood.publication(3), tmp_path)
    record = read_record(event)
    new = flood.passes[2].planned.acquisition.acquisition_id
    assert record.schema_version == SCHEMA
    assert record.changes[0] == f"New: {new}."
    assert not any("Detector" in sentence or "Options" in sentence for sentence in record.changes)
    same = f"passes/{next(iter(record.passes))}/flood_extent.tif"
    assert (event / "versions" / "0001" / same).samefile(event / "versions" / "0002" / same)
