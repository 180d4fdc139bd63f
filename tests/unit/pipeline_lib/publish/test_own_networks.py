"""A map by one's own networks says so, pass by pass, and is another map when their weights are others."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr

from pipeline_lib.nn.inputs import sar_contract
from pipeline_lib.nn.model_card import ModelCard
from pipeline_lib.nn.model_writer import write_model
from pipeline_lib.nn.networks import build_network, coarsest_stride, halo_px
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.map_event import StepOptions
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.options.train import NetworkOptions
from pipeline_lib.steps import map_event
from pipeline_lib.steps.derive import mosaic_event
from pipeline_lib.steps.events import show_event, show_text
from pipeline_lib.steps.mapped import Ancillaries, Mapped, MappedPass
from pipeline_lib.steps.publish import publish_event
from pipeline_lib.store import Store


def write_network(folder: Path, *, before: bool, seed: int) -> Path:
    """A network with weights by chance that looks at one pass, or at one and the time before it."""
    contract, options = sar_contract(before=before), NetworkOptions(width=4, depth=3, head_width=8)
    torch.manual_seed(seed)
    network = build_network(options, len(contract.bands))
    card = ModelCard(
        name=folder.name,
        description="Made up.",
        target="water",
        inputs=contract,
        network=options,
        halo_px=halo_px(network, len(contract.bands)),
        stride_px=coarsest_stride(network),
    )
    return write_model(folder, network, card, onnx=False).folder


@pytest.fixture(scope="module")
def event(flood_at, tmp_path_factory):
    """Two passes in a store, the first without references, the second with them."""
    flood = flood_at((5.30, 43.90, 5.325, 43.915))
    store = Store(tmp_path_factory.mktemp("store"))
    plan = flood.plan.model_copy(update={"dem": ()})
    first, second = plan.passes[:2]
    plan = plan.model_copy(update={"passes": (first.model_copy(update={"references": ()}), second)})
    scenes = [store.save("scene", f"scene{k}", one.scene) for k, one in enumerate(flood.passes[:2])]
    past = xr.concat([flood.passes[1].scene.fillna(0.05)] * 2, dim="time").assign_attrs(backscatter="gamma0")
    return store, plan, scenes, [None, store.save("history", "history", past)]


def published(event, out: Path, detect: DetectorChoice):
    """The event mapped with a detector and published: folder of the version, and of each pass's item its properties."""
    store, plan, scenes, histories = event
    publish = PublishOptions(vectors=(), depth=False)
    plan = plan.model_copy(update={"options": StepOptions(detect=detect, publish=publish)})
    passes = []
    for planned, scene, history in zip(plan.passes, scenes, histories, strict=True):
        water = map_event.detect_pass(plan, scene, history, Ancillaries(), store)
        flood = map_event.derive_pass(plan, planned, scene, history, water, Ancillaries(), store)
        passes.append(MappedPass(planned=planned, scene=scene, water=water, flood=flood))
    mosaic = mosaic_event(store, plan, [one.flood for one in passes])
    mapped = Mapped(plan=plan, passes=tuple(passes), ancillaries=Ancillaries(), mosaic=mosaic)
    product = publish_event(mapped, str(out), store)
    folder = out / plan.event.event_id / "versions" / f"{product.version:04d}"
    names = [one.acquisition.acquisition_id for one in plan.passes]
    items = [json.loads((folder / "passes" / name / f"{name}.json").read_text()) for name in names]
    whole = json.loads((folder / "event" / f"{plan.event.event_id}-event.json").read_text())
    return folder, items, whole


def likelihoods(folder: Path, items) -> list[np.ndarray]:
    """The likelihood of each pass as it is published."""
    found = []
    for item in items:
        with rasterio.open(folder / "passes" / item["id"] / "likelihood.tif") as layer:
            found.append(layer.read(1))
    return found


@pytest.mark.parametrize("name", ["learned", "fused", "ensemble"])
def test_items_name_the_networks_that_made_the_map_and_new_weights_make_another(name, event, tmp_path):
    alone, compared = tmp_path / "alone", tmp_path / "compared"
    mine = {"model": str(compared), "without_history": str(alone), "backend": "cpu", "tile_px": 128}
    given = {"members": ["adaptive", "learned"], "parameters": {"learned": mine}} if name == "ensemble" else mine
    detect = DetectorChoice(detector=name, parameters=given)
    maps = []
    for seed in (1, 2):
        write_network(alone, before=False, seed=seed)
        write_network(compared, before=True, seed=seed)
        folder, items, whole = published(event, tmp_path / "out", detect)
        for item, network in zip(items, (alone, compared), strict=True):
            (told,) = item["properties"]["overbank:networks"]
            weights = hashlib.sha256((network / "weights.safetensors").read_bytes()).hexdigest()
            assert (told["name"], told["digests"]) == (network.name, {"weights.safetensors": weights})
            assert item["properties"]["mlm:name"] == network.name
            assert item["properties"]["overbank:detector"]["detector"] == name
            copy = folder / "passes" / item["id"] / item["assets"][f"model_{network.name}_weights.safetensors"]["href"]
            assert hashlib.sha256(copy.read_bytes()).hexdigest() == weights
        both = whole["properties"]["overbank:networks"]
        assert [(one["name"], one["passes"]) for one in both] == [
            (network.name, [item["id"]]) for network, item in zip((alone, compared), items, strict=True)
        ]
        maps.append(likelihoods(folder, items))
        shown = show_text(show_event(tmp_path / "out", whole["collection"]))
        page = (folder / "index.html").read_text()
        for item, network in zip(items, (alone, compared), strict=True):
            digest = hashlib.sha256((network / "weights.safetensors").read_bytes()).hexdigest()[:8]
            words = f"{name} with {network.name} (weights {digest}, torch-cpu)"
            assert f"{item['id']}, mapped by {words}" in shown
            assert words in page
    for before, after in zip(*maps, strict=True):
        assert (before != after).any()
    assert whole["properties"]["version"] == "2"


def test_a_network_of_ones_own_that_needs_no_history_maps_passes_with_and_without_references(event, tmp_path):
    model = write_network(tmp_path / "mine", before=False, seed=3)
    detect = DetectorChoice(detector="learned", parameters={"model": str(model), "backend": "cpu", "tile_px": 128})
    _, items, _ = published(event, tmp_path / "out", detect)
    assert [one["properties"]["mlm:name"] for one in items] == ["mine", "mine"]
