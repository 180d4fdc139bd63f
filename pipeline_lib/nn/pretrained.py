"""Encoder weights from a file or from a library of weights: ImageNet or Sentinel-1 pretrained, torchvision names."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib.errors import ModelError
from pipeline_lib.nn.checkpoint import read_tensors


def load_encoder(network: nn.Module, source: str) -> int:
    """Load encoder weights from a safetensors file or a library (`encoder_tensors`); return how many tensors were used.

    Names are torchvision's (``conv1.weight``, ``layer1.0.bn1.bias`` ...), with or without a leading ``encoder.`` or
    ``backbone.``; classifier weights are left out. A stem of another number of bands is adapted (`adapt_stem`).

    Raises:
        ModelError: the file is not safetensors, the library is not there or does not know the name, or the weights fit
            less than nine tenths of the encoder.
    """
    encoder = network.get_submodule("encoder")
    own = encoder.state_dict()
    given = {_plain(name): tensor for name, tensor in encoder_tensors(source).items()}
    fitting: dict[str, Tensor] = {}
    for name, mine in own.items():
        tensor = given.get(name)
        if tensor is None:
            continue
        if tensor.dim() == 4 and tensor.shape[0] == mine.shape[0] and tensor.shape[2:] == mine.shape[2:]:
            tensor = adapt_stem(tensor, mine.shape[1])
        if tensor.shape == mine.shape:
            fitting[name] = tensor
    if len(fitting) < 0.9 * len(own):
        raise ModelError(
            f"{source} fits {len(fitting)} of the encoder's {len(own)} tensors; it was made for another encoder."
        )
    encoder.load_state_dict({**own, **fitting})
    return len(fitting)


def encoder_tensors(source: str) -> dict[str, Tensor]:
    """Weights by name from where a recipe says.

    Args:
        source: a safetensors file, or ``timm:NAME`` (``timm:resnet18.a1_in1k``), ``smp:ENCODER:WEIGHTS``
            (``smp:resnet34:imagenet``) or ``torchgeo:NAME`` (``torchgeo:ResNet50_Weights.SENTINEL1_ALL_MOCO``), whose
            package fetches them.

    Raises:
        ModelError: the package is not installed, does not know the name or cannot fetch it; or the file is unusable.
    """
    library, _, name = source.partition(":")
    if library not in LIBRARIES:
        return read_tensors(Path(source)).tensors
    try:
        return LIBRARIES[library](name)
    except ImportError as error:
        raise ModelError(f"{source} needs {error.name or library}: install overbank[encoders].") from error
    except (RuntimeError, ValueError, KeyError, AttributeError, OSError) as error:
        raise ModelError(f"{library} gives no weights for {name!r}: {error}") from error


def _timm(name: str) -> dict[str, Tensor]:
    timm: Any = import_module("timm")
    return dict(timm.create_model(name, pretrained=True).state_dict())


def _smp(name: str) -> dict[str, Tensor]:
    smp: Any = import_module("segmentation_models_pytorch")
    encoder, _, weights = name.partition(":")
    return dict(smp.encoders.get_encoder(encoder, weights=weights or "imagenet").state_dict())


def _torchgeo(name: str) -> dict[str, Tensor]:
    models: Any = import_module("torchgeo.models")
    # TorchGeo publishes torch files: torch's restricted reader makes tensors of them and runs nothing.
    return dict(models.get_weight(name).get_state_dict(progress=False, weights_only=True))


LIBRARIES: dict[str, Callable[[str], dict[str, Tensor]]] = {"timm": _timm, "smp": _smp, "torchgeo": _torchgeo}
"""Who can be asked for weights, by the prefix that names them."""


def adapt_stem(weight: Tensor, bands: int) -> Tensor:
    """Average a stem over its input bands and tile it, scaled so that the output keeps its size.

    Args:
        weight: ``(out, bands_in, y, x)``.
        bands: wanted number of input bands.
    """
    if weight.shape[1] == bands:
        return weight
    mean = weight.mean(dim=1, keepdim=True)
    return (mean * (weight.shape[1] / bands)).repeat(1, bands, 1, 1).to(torch.float32)


def _plain(name: str) -> str:
    for prefix in ("module.", "backbone.", "encoder."):
        name = name.removeprefix(prefix)
    return name
