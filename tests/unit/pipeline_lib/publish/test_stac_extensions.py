"""Every STAC extension that an item claims, held to what its specification demands.

The schemas of the extensions are on the internet and in no package, so the rules stand here, from the specifications'
tables and schemas: fields, their types, and what must be there if the extension is claimed.
"""

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

import jsonschema
import pystac
import pytest
from pystac.extensions.mlm import MLMExtension

from pipeline_lib.nn.model_folder import load_model, shipped_models
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.map_event import StepOptions
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.item import make_item
from pipeline_lib.publish.publication import publish
from pipeline_lib.publish.retraction import retract
from pipeline_lib.steps import events
from pipeline_lib.steps.publish import publication_of_network

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
    bands = [band["name"] for one in document["properties"]["mlm:input"] for band in one["bands"]]
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
        if "mlm:artifact_type" not in asset or described != bands:
            found.append(f"{asset['href']} does not say its type or the bands of the network")
    return found


def documents(folder: Path):
    collection = pystac.Collection.from_file(str(folder / "collection.json"))
    things = [collection, *collection.get_items()]
    return [json.loads(Path(thing.get_self_href()).read_text()) for thing in things]


@pytest.fixture(scope="module")
def signed(flood, tmp_path_factory):
    """An event that a network mapped, and the network."""
    model = load_model(min(shipped_models()))
    detect = DetectorChoice(detector="learned", parameters={"model": str(model.folder)})
    learned = flood.plan.model_copy(update={"options": StepOptions(detect=detect)})
    out = tmp_path_factory.mktemp("signed")
    publish(flood.publication(1, options=PublishOptions(vectors=()), **publication_of_network(learned)), out)
    return out / flood.plan.event.event_id, model


def test_every_claimed_extension_is_obeyed(published, signed):
    folder, model = signed
    claimed = set()
    for document in (*documents(published), *documents(folder), json.loads((model.folder / "item.json").read_text())):
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


def test_a_network_signs_the_map_it_made_and_goes_with_it(flood, signed):
    folder, model = signed
    classical = flood.plan.model_copy(update={"options": StepOptions(detect=DetectorChoice(detector="adaptive"))})
    assert publication_of_network(classical) == {}
    for item in pystac.Collection.from_file(str(folder / "collection.json")).get_items():
        said = MLMExtension.ext(item)
        assert said.mlm_name == model.card.name
        assert said.input[0].bands
        assert item.properties["overbank:model_digests"] == model.card.digests
        for name in model.card.digests:
            copy = Path(item.assets[f"model_{name}"].get_absolute_href())
            assert copy.read_bytes() == (model.folder / name).read_bytes()
    assert load_model(folder / "current" / "model").card == model.card


def test_the_network_stays_with_a_retracted_event_and_is_found_from_an_api(signed, tmp_path):
    folder, model = signed
    out = Path(shutil.copytree(folder.parent, tmp_path / "out", symlinks=True))
    retract(out, folder.name, "a test", now=datetime(2024, 6, 1, tzinfo=timezone.utc))
    with pytest.warns(pystac.errors.DeprecatedWarning):
        retracted = documents(out / folder.name)
    assert [broken_rules(document) for document in retracted] == [[], [], []]
    assert load_model(out / folder.name / "current" / "model").card == model.card
    bodies = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "_put", lambda _, identity, body: bodies.append(body) or identity)
        events.push_event(out, folder.name, "https://api.example", "https://files.example/event/")
    version = out / folder.name / "current"
    hrefs = {asset["href"] for body in bodies for asset in body["assets"].values()}
    assert all((version / href.removeprefix("https://files.example/event/")).is_file() for href in hrefs)
    assert "https://files.example/event/model/weights.safetensors" in hrefs
