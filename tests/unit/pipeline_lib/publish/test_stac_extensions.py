"""Every STAC extension that an item claims, held to what its specification demands.

The schemas of the extensions are on the internet and in no package, so the rules stand here, from the specifications'
tables and schemas: fields, their types, and what must be there if the extension is claimed.
"""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import jsonschema
import pystac
import pytest
from pystac.extensions.mlm import MLMExtension

from pipeline_lib.errors import ModelError
from pipeline_lib.model import DetectorUsed, NetworkUsed
from pipeline_lib.nn.model_folder import load_model, shipped_models
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.item import make_item
from pipeline_lib.publish.networks import networks_of
from pipeline_lib.publish.publication import publish
from pipeline_lib.publish.retraction import retract
from pipeline_lib.steps import events
from pipeline_lib.water.making import MADE_BY

TEXT, WHOLE, NUMBER = {"type": "string", "minLength": 1}, {"type": "integer"}, {"type": "number"}
NAME = {"type": "string", "pattern": "^[0-9A-Za-z-_]+$"}
DATA_TYPE = {"pattern": "^(u?int(8|16|32|64)|c?float(16|32|64)|cint(16|32)|other)$"}


def several(thing, least=1, unique=False):
    return {"type": "array", "items": thing, "minItems": least, "uniqueItems": unique}


def table(required=(), closed=False, **fields):
    return {"type": "object", "required": list(required), "properties": fields, "additionalProperties": not closed}


CLASS = table(
    ("value", "name"), value=WHOLE, name=NAME, title=TEXT, description=TEXT, color_hint={"pattern": "^[0-9A-F]{6}$"},
    nodata={"type": "boolean"},
)  # fmt: skip
TENSOR = table(
    ("shape", "dim_order", "data_type"),
    shape=several({"type": "integer", "minimum": -1}), dim_order=several({"pattern": "^[a-z-_]+$"}, unique=True), data_type=DATA_TYPE,
)  # fmt: skip
BAND = {
    **table(("name",), closed=True, name=TEXT, format=TEXT, expression={}),
    "dependencies": {"format": ["expression"], "expression": ["format"]},
}
CODE = {"anyOf": [{"type": "null"}, table(("format", "expression"), format=TEXT)]}
FIELDS = {
    "proj": {
        "code": {"pattern": "^[A-Z]+:[0-9]+$"}, "shape": {**several(WHOLE, 2), "maxItems": 2},
        "transform": {"anyOf": [{**several(NUMBER, n), "maxItems": n} for n in (6, 9)]},
    },
    "raster": {
        "bands": several(
            table(
                name=TEXT, data_type=DATA_TYPE, unit=TEXT, sampling={"enum": ["area", "point"]}, spatial_resolution=NUMBER,
                nodata={"anyOf": [NUMBER, {"enum": ["nan", "inf", "-inf"]}]},
            )
        )
    },
    "sar": {
        "instrument_mode": TEXT, "frequency_band": {"enum": ["P", "L", "S", "C", "X", "Ku", "K", "Ka"]},
        "center_frequency": NUMBER, "polarizations": several({"enum": ["HH", "VV", "HV", "VH"]}, unique=True), "product_type": TEXT,
    },
    "sat": {"orbit_state": {"enum": ["ascending", "descending"]}, "relative_orbit": {"type": "integer", "minimum": 1}},
    "processing": {
        "software": {"type": "object", "additionalProperties": {"type": "string"}}, "level": TEXT, "lineage": TEXT,
    },
    "classification": {
        "classes": several(CLASS, unique=True),
        "bitfields": several(
            table(("offset", "length", "classes"), offset=WHOLE, length=WHOLE, name=NAME, classes=several(CLASS)), unique=True
        ),
    },
    "file": {"size": {"type": "integer", "minimum": 0}, "checksum": {"pattern": "^1220[0-9a-f]{64}$"}},
    "version": {},
    "mlm": {
        "name": {"pattern": "^[a-zA-Z][a-zA-Z0-9_.\\s-]+[a-zA-Z0-9]$"}, "architecture": TEXT, "framework": TEXT,
        "tasks": several({"enum": ["semantic-segmentation"]}), "pretrained": {"type": "boolean"},
        "accelerator_constrained": {"type": "boolean"}, "hyperparameters": {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[0-9a-zA-Z_.-]+$"}},
        "input": several(
            table(
                ("name", "bands", "input"), name=TEXT, description=TEXT, input=TENSOR, pre_processing_function=CODE,
                bands={"type": "array", "items": {"anyOf": [TEXT, BAND]}},
            )
        ),
        "output": several(
            table(
                ("name", "tasks", "result"), name=TEXT, result=TENSOR, post_processing_function=CODE,
                **{"classification:classes": several(CLASS)},
            )
        ),
        "artifact_type": TEXT,
    },
}  # fmt: skip
REQUIRED = {
    "sar": ("instrument_mode", "frequency_band", "polarizations", "product_type"),
    "mlm": ("name", "architecture", "tasks", "input", "output"),
}
OWN = ("overbank",)


def broken_rules(document):
    """What of a STAC object breaks the rules of the extensions that it claims, or uses one that it does not claim."""
    claimed = {url.split("/")[3] for url in document["stac_extensions"]}
    claimed = {"proj" if name == "projection" else name for name in claimed}
    found = [f"unknown extension {name}" for name in claimed - FIELDS.keys()]
    properties = document.get("properties", document)
    for place, holder in (("properties", properties), *document["assets"].items()):
        for key, value in holder.items():
            prefix, _, field = key.partition(":")
            if not field or prefix in OWN:
                continue
            if prefix not in claimed or field not in FIELDS[prefix]:
                found.append(f"{place}: {key} is of no extension that is claimed")
                continue
            errors = jsonschema.Draft7Validator(FIELDS[prefix][field]).iter_errors(value)
            found += [f"{place}: {key}: {error.message}" for error in errors]
    for name in claimed & REQUIRED.keys():
        found += [f"{name}:{field} is missing" for field in REQUIRED[name] if f"{name}:{field}" not in properties]
    if "sat" in claimed and not any(key.startswith("sat:") for key in properties):
        found.append("sat is claimed and nothing of it is there")
    if "version" in claimed and not isinstance(properties.get("version"), str):
        found.append("version is missing")
    return found + (_models_broken(document) if "mlm" in claimed else [])


def _models_broken(document):
    """The model extension wants a model among the assets, its type, and its bands described beside it."""
    models = [asset for asset in document["assets"].values() if "mlm:model" in asset["roles"]]
    bands = [[band["name"] for band in one["bands"]] for one in document["properties"]["mlm:input"]]
    found = [] if models else ["no asset is the model"]
    found += [
        f"{key} is of assets alone"
        for key in ("mlm:artifact_type", "mlm:compile_method")
        if key in document["properties"]
    ]
    for asset in document["assets"].values():
        of_models = [] if "mlm:model" in asset["roles"] else ["mlm:artifact_type"]
        misplaced = {*of_models, "mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters"} & asset.keys()
        found += [f"{asset['href']} must not have {key}" for key in misplaced]
    for asset in models:
        described = [band["name"] for band in asset.get("raster:bands", [])]
        if "mlm:artifact_type" not in asset or described not in bands:
            found.append(f"{asset['href']} does not say its type or the bands of the network")
    return found


def documents(folder: Path):
    collection = pystac.Collection.from_file(str(folder / "collection.json"))
    things = [collection, *collection.get_items()]
    return [json.loads(Path(thing.get_self_href()).read_text()) for thing in things]


def used(name):
    """A shipped network that had a say."""
    model = load_model(name)
    digests = dict(model.card.digests)
    return NetworkUsed(name=name, digests=digests, threshold=0.5, backend="cpu", folder=str(model.folder))


@pytest.fixture(scope="module")
def signed(flood, tmp_path_factory):
    """An event of two passes: one network mapped the first, two the second."""
    one, other = (used(name) for name in sorted(shipped_models())[:2])
    publication = flood.publication(2, options=PublishOptions(vectors=()))
    passes = []
    for known, networks in zip(publication.passes, ((one,), (other, one)), strict=True):
        made = DetectorUsed(detector="learned", parameters={}, networks=networks)
        passes.append(replace(known, flood=known.flood.assign_attrs({MADE_BY: made.model_dump_json()})))
    out = tmp_path_factory.mktemp("signed")
    publish(replace(publication, passes=tuple(passes)), out)
    return out / flood.plan.event.event_id, (one, other)


def test_every_claimed_extension_is_obeyed(published, signed):
    folder, (network, _) = signed
    claimed = set()
    own = json.loads((Path(network.folder) / "item.json").read_text())
    for document in (*documents(published), *documents(folder), own):
        assert broken_rules(document) == [], document["id"]
        claimed |= {url.split("/")[3] for url in document["stac_extensions"]}
    assert {"proj" if name == "projection" else name for name in claimed} == FIELDS.keys(), "a rule that nothing tried"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda one: one["properties"].update({"sat:relative_orbit": 0}), "sat:relative_orbit"),
        (lambda one: one["properties"].pop("sar:product_type"), "sar:product_type is missing"),
        (lambda one: one["stac_extensions"].pop(0), "proj:code is of no extension"),
        (lambda one: one["assets"]["flood_extent"].update({"file:checksum": "12"}), "file:checksum"),
        (
            lambda one: one["assets"]["flood_extent"]["classification:classes"][0].pop("name"),
            "'name' is a required property",
        ),
    ],
)
def test_the_rules_notice(published, spoil, told):
    document = next(one for one in documents(published) if "sar:product_type" in one.get("properties", {}))
    spoil(document)
    assert any(told in sentence for sentence in broken_rules(document))


def test_a_pass_of_no_known_orbit_claims_no_orbit(flood):
    acquisition = flood.passes[0].planned.acquisition.model_copy(
        update={"relative_orbit": None, "orbit_direction": None}
    )
    item = make_item(
        "one", geometry=flood.plan.event.aoi, properties={"version": "1"}, assets={}, collection_id="c",
        acquisition=acquisition,
    )  # fmt: skip
    assert broken_rules(item) == []


def test_the_networks_of_each_pass_sign_its_map_and_go_with_it(published, signed):
    folder, (one, other) = signed
    *passes, event = sorted(
        pystac.Collection.from_file(str(folder / "collection.json")).get_items(), key=lambda item: item.id[0] != "S"
    )
    passes.sort(key=lambda item: item.datetime)
    assert event.id.endswith("-event")
    for item, networks in zip((*passes, event), ((one,), (other, one), (one, other)), strict=True):
        told = item.properties["overbank:networks"]
        assert [(entry["name"], entry["digests"]) for entry in told] == [(n.name, n.digests) for n in networks]
        said = MLMExtension.ext(item)
        assert said.mlm_name == " and ".join(network.name for network in networks)
        assert [len(entry.bands) for entry in said.input] == [len(load_model(n.name).card.bands) for n in networks]
        wanted = {f"model_{network.name}_{file}" for network in networks for file in network.digests}
        assert {key for key in item.assets if key.startswith("model_")} == wanted
        for network in networks:
            for file in network.digests:
                copy = Path(item.assets[f"model_{network.name}_{file}"].get_absolute_href())
                assert copy.read_bytes() == (Path(network.folder) / file).read_bytes()
    assert [entry["passes"] for entry in event.properties["overbank:networks"]] == [
        [item.id for item in passes],
        [passes[1].id],
    ]
    for network in (one, other):
        assert load_model(folder / "current" / "models" / network.name).card == load_model(network.name).card
        assert network.folder not in (folder / "current" / "record.json").read_text()
    for document in documents(published):  # no network made this one
        assert not [key for key in document.get("properties", {}) if key.startswith("mlm:")]


def test_a_map_is_not_published_with_another_network_in_the_place_of_its_own(tmp_path):
    shipped = load_model("shipped_post_event").folder
    mine = Path(shutil.copytree(shipped, tmp_path / "mine"))
    network = used("shipped_post_event").model_copy(update={"folder": str(mine)})
    made = DetectorUsed(detector="learned", parameters={}, networks=(network,))
    other = DetectorChoice(detector="adaptive")
    assert [one.model.folder for one in networks_of([made], other).values()] == [mine]
    retrained = network.model_copy(update={"digests": {**network.digests, "weights.safetensors": "0" * 64}})
    with pytest.raises(ModelError, match="does not hold it any more"):
        networks_of([made.model_copy(update={"networks": (retrained,)})], other)
    moved = mine.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="does not hold it any more"):
        networks_of([made], other)
    given = {"members": ["otsu", "fused"], "parameters": {"fused": {"model": str(moved)}}}
    again = DetectorChoice(detector="ensemble", parameters=given)
    assert [one.model.folder for one in networks_of([made], again).values()] == [moved]


def test_the_network_stays_with_a_retracted_event_and_is_found_from_an_api(signed, tmp_path):
    folder, (network, _) = signed
    out = Path(shutil.copytree(folder.parent, tmp_path / "out", symlinks=True))
    retract(out, folder.name, "a test", now=datetime(2024, 6, 1, tzinfo=timezone.utc))
    with pytest.warns(pystac.errors.DeprecatedWarning):
        retracted = documents(out / folder.name)
    assert [broken_rules(document) for document in retracted] == [[], [], [], []]
    assert load_model(out / folder.name / "current" / "models" / network.name).card == load_model(network.name).card
    bodies = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "_put", lambda _, identity, body: bodies.append(body) or identity)
        events.push_event(out, folder.name, "https://api.example", "https://files.example/event/")
    version = out / folder.name / "current"
    hrefs = {asset["href"] for body in bodies for asset in body["assets"].values()}
    assert all((version / href.removeprefix("https://files.example/event/")).is_file() for href in hrefs)
    assert f"https://files.example/event/models/{network.name}/weights.safetensors" in hrefs
