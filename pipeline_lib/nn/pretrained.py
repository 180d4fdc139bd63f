"""Encoder weights from a file: ImageNet or Sentinel-1 pretrained, torchvision names."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline_lib.errors import ModelError
from pipeline_lib.nn.checkpoint import read_tensors


def load_encoder(network: nn.Module, path: Path) -> int:
    """Load encoder weights from a safetensors file; return how many tensors were used.

    Names are torchvision's (``conv1.weight``, ``layer1.0.bn1.bias`` ...), with or without a leading ``encoder.`` or
    ``backbone.``; classifier weights are left out. A stem of another number of bands is adapted (`adapt_stem`).

    Raises:
        ModelError: the file is not safetensors, or fits less than nine tenths of the encoder.
    """
    encoder = network.get_submodule("encoder")
    own = encoder.state_dict()
    given = {_plain(name): tensor for name, tensor in read_tensors(path).tensors.items()}
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
            f"{path} fits {len(fitting)} of the encoder's {len(own)} tensors; it was made for another encoder."
        )
    encoder.load_state_dict({**own, **fitting})
    return len(fitting)


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
