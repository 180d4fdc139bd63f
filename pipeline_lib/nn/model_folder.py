"""The model format: a folder of safetensors, ONNX, card and STAC item, every file's digest checked at load.

======================  ===================================================================
``model.json``          the card (`pipeline_lib.nn.model_card.ModelCard`), with the digests
``README.md``           the card for people
``weights.safetensors`` the network's weights
``model.onnx``          the same network, dynamic batch, for ONNX Runtime and OpenVINO
``model.int8.onnx``     quantised (made by ``overbank models quantize``), optional
``item.json``           STAC item with the MLM extension
======================  ===================================================================

Nothing in it can run code when opened.
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipeline_lib.content import digest_of_file
from pipeline_lib.errors import ModelError, UnknownNameError
from pipeline_lib.nn.model_card import ModelCard
from pipeline_lib.nn.pickle_check import refuse_pickle

if TYPE_CHECKING:
    from torch import nn

CARD, WEIGHTS, ONNX, INT8 = "model.json", "weights.safetensors", "model.onnx", "model.int8.onnx"


@dataclass(frozen=True)
class Model:
    """A model folder, checked."""

    folder: Path
    card: ModelCard

    def network(self) -> "nn.Module":
        """The network with its weights, ready to predict.

        Raises:
            ModelError: the weights are damaged or belong to another architecture.
        """
        # Torch is slow to wake, and what maps with OpenVINO or ONNX Runtime never needs it.
        from pipeline_lib.nn.checkpoint import load_weights, read_tensors  # noqa: PLC0415
        from pipeline_lib.nn.networks import build_network  # noqa: PLC0415

        network = build_network(self.card.network, len(self.card.bands))
        load_weights(network, read_tensors(self.folder / WEIGHTS).tensors, str(self.folder / WEIGHTS))
        return network.eval()

    def onnx(self, *, int8: bool = False) -> Path:
        """Path of the ONNX file.

        Raises:
            ModelError: the folder has none.
        """
        path = self.folder / (INT8 if int8 else ONNX)
        if not path.is_file():
            hint = "overbank models quantize" if int8 else "overbank models export"
            raise ModelError(f"{self.folder} has no {path.name}; make it with `{hint} {self.folder}`.")
        return path


def load_model(place: str | Path) -> Model:
    """Open a model folder, or a shipped model by name, and check every digest.

    Raises:
        UnknownNameError: neither a folder nor the name of a shipped model.
        ModelError: a file is missing, changed or damaged, or the folder is not a model.
    """
    folder = folder_of(place)
    try:
        card = ModelCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        raise ModelError(
            f"{folder} is not a model folder of overbank: {CARD} is missing or damaged ({error})."
        ) from error
    for name, digest in card.digests.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{folder} lacks {name}, which its card lists; fetch the model again.")
        refuse_pickle(path)
        if digest_of_file(path) != digest:
            raise ModelError(f"{path} was changed since the model was written (SHA-256 differs); fetch it again.")
    if WEIGHTS not in card.digests:
        raise ModelError(f"The card of {folder} lists no {WEIGHTS}; a model without weights cannot be used.")
    return Model(folder, card)


def folder_of(place: str | Path) -> Path:
    """A model's folder, from itself or from the name of a shipped model.

    Raises:
        UnknownNameError: neither a folder nor the name of a shipped model.
        ModelError: a file, and no folder.
    """
    folder = Path(place)
    if not folder.is_dir():
        shipped = shipped_models()
        if str(place) not in shipped:
            if folder.is_file():
                refuse_pickle(folder)
                raise ModelError(f"{folder} is a file; a model of overbank is a folder with {CARD} and {WEIGHTS}.")
            raise UnknownNameError("model", str(place), tuple(sorted(shipped)))
        return shipped[str(place)]
    return folder


def shipped_models() -> dict[str, Path]:
    """Models that come with overbank, by name."""
    root = Path(str(files("pipeline_lib.nn"))) / "weights"
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CARD}"))}
