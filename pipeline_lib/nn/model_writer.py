"""Writing the model format of `pipeline_lib.nn.model_folder`: whole or not at all, with the digests in the card."""

import json
from pathlib import Path

from torch import nn

from pipeline_lib.atomic import whole_folder, write_atomically
from pipeline_lib.content import digest_of_file
from pipeline_lib.errors import StoreError
from pipeline_lib.nn.checkpoint import write_tensors
from pipeline_lib.nn.export import export_onnx
from pipeline_lib.nn.mlm import mlm_item
from pipeline_lib.nn.model_card import ModelCard, card_markdown
from pipeline_lib.nn.model_folder import CARD, INT8, ONNX, WEIGHTS, Model, load_model


def write_model(folder: Path, network: nn.Module, card: ModelCard, *, onnx: bool = True) -> Model:
    """Write a model folder; it appears complete or not at all. Without ``onnx`` torch alone can run it.

    Raises:
        StoreError: the folder cannot be written.
    """
    if folder.exists() and not (folder / CARD).is_file():
        raise StoreError(f"{folder} exists and is not a model folder; give another --out.")
    with whole_folder(folder) as partial:
        write_tensors(partial / WEIGHTS, dict(network.state_dict()))
        if onnx:
            export_onnx(network, len(card.bands), partial / ONNX, stride_px=card.stride_px)
        _finish(partial, card)
    return load_model(folder)


def rewrite_card(model: Model, **changes: object) -> Model:
    """Change the card (metrics, calibration, a new file) and the digests with it."""
    _finish(model.folder, model.card.model_copy(update=changes))
    return load_model(model.folder)


def _finish(folder: Path, card: ModelCard) -> None:
    present = [name for name in (WEIGHTS, ONNX, INT8) if (folder / name).is_file()]
    card = card.model_copy(update={"digests": {name: digest_of_file(folder / name) for name in present}})
    for name, text in (
        ("README.md", card_markdown(card)),
        ("item.json", json.dumps(mlm_item(card, {n: (folder / n).stat().st_size for n in present}), indent=2)),
        (CARD, card.model_dump_json(indent=2)),
    ):
        write_atomically(folder / name, text + "\n")
