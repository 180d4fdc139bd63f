"""The model as a STAC item with the Machine Learning Model extension (v1.4)."""

from typing import Any

from pipeline_lib.nn.model_card import ModelCard

MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
RASTER_SCHEMA = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
MEDIA = {"weights.safetensors": "application/octet-stream; application=safetensors"}
ONNX_MEDIA = "application/octet-stream; framework=onnx; profile=onnx"


def mlm_item(card: ModelCard, sizes: dict[str, int]) -> dict[str, Any]:
    """STAC item of a model: the world as footprint, MLM properties, and its files as assets.

    Args:
        card: the model's card.
        sizes: bytes of each file that exists.
    """
    west, south, east, north = -180.0, -60.0, 180.0, 84.0
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MLM_SCHEMA, FILE_SCHEMA, RASTER_SCHEMA],
        "id": card.name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": None,
            "start_datetime": "2014-10-03T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "description": card.description,
            **mlm_properties(card),
        },
        "links": [],
        "assets": {name: mlm_asset(name, card, size) for name, size in sizes.items()},
    }


def mlm_properties(*cards: ModelCard) -> dict[str, Any]:
    """Properties of the MLM extension: of the model's own item, and of the item of a map that models made together.

    Several models are named and described in their order: one input and one output each.
    """
    learned = {
        card.name: card.recipe.model_dump(mode="json", exclude_defaults=True)
        for card in cards
        if card.recipe is not None
    }
    chosen = learned if len(cards) > 1 else next(iter(learned.values()), {})
    return {
        "mlm:name": " and ".join(card.name for card in cards),
        "mlm:architecture": " and ".join(dict.fromkeys(card.network.architecture for card in cards)),
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "pytorch",
        "mlm:pretrained": True,
        "mlm:accelerator_constrained": False,
        "mlm:input": [_input(card, _told_apart("backscatter", card, cards)) for card in cards],
        "mlm:output": [_output(card, _told_apart("logits", card, cards)) for card in cards],
        **({"mlm:hyperparameters": chosen} if chosen else {}),
    }


def _told_apart(what: str, card: ModelCard, cards: tuple[ModelCard, ...]) -> str:
    return f"{what} of {card.name}" if len(cards) > 1 else what


def _input(card: ModelCard, name: str) -> dict[str, Any]:
    contract = card.inputs
    return {
        "name": name,
        "bands": [{"name": band} for band in card.bands],
        "input": {
            "shape": [-1, len(card.bands), -1, -1],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "description": f"10 log10 of linear gamma0 power, units {contract.units}, {contract.pixel_m:g} m",
        "pre_processing_function": {"format": "python", "expression": "pipeline_lib.nn.inputs:normalise"},
    }


def _output(card: ModelCard, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, 2, -1, -1],
            "dim_order": ["batch", "classes", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [
            {"value": 0, "name": "dry", "description": "dry"},
            {"value": 1, "name": card.target, "description": f"{card.target} seen by the radar"},
        ],
        "post_processing_function": {"format": "python", "expression": "pipeline_lib.nn.calibration:Calibration.apply"},
    }


def mlm_asset(name: str, card: ModelCard, size: int, folder: str = ".") -> dict[str, Any]:
    """STAC asset of a file of a model, ``folder`` relative to the item.

    ``raster:bands`` are the bands that the network reads: the extension wants them where ``mlm:input`` names bands.
    """
    return {
        "href": f"{folder}/{name}",
        "type": MEDIA.get(name, ONNX_MEDIA),
        "roles": ["mlm:model", "mlm:weights"] if name.endswith("safetensors") else ["mlm:model"],
        "mlm:artifact_type": "safetensors.torch.save_file" if name.endswith("safetensors") else "torch.onnx.export",
        "file:size": size,
        "file:checksum": "1220" + card.digests[name],
        "raster:bands": [{"name": band, "data_type": "float32"} for band in card.bands],
    }
