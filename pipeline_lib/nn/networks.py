"""Build a network from its options, and count what it costs."""

import copy
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline_lib.errors import InputError
from pipeline_lib.nn.deeplab import DeepLabV3Plus
from pipeline_lib.nn.encoders import build_encoder
from pipeline_lib.nn.fcn import FCN
from pipeline_lib.nn.linknet import LinkNet
from pipeline_lib.nn.pspnet import PSPNet
from pipeline_lib.nn.unet import UNet
from pipeline_lib.options.train import NetworkOptions

CLASSES = 2
"""Dry and water."""


def build_network(options: NetworkOptions, bands: int) -> nn.Module:
    """Make the network that ``options`` name, for ``bands`` input channels, with random weights.

    Raises:
        InputError: the architecture does not fit on the encoder.
    """
    name = options.architecture
    stride = {"pspnet": 8, "deeplabv3plus": 16}.get(name, 32)
    encoder = build_encoder(options.encoder, bands, width=options.width, depth=options.depth, output_stride=stride)
    if name.startswith("fcn"):
        skips = {"fcn32s": 0, "fcn16s": 1, "fcn8s": 2}[name]
        if len(encoder.channels) <= skips:
            raise InputError(f"{name} needs an encoder of more than {skips} levels.")
        return FCN(encoder, CLASSES, skips=skips, head_width=options.head_width)
    if name == "unet":
        return UNet(encoder, CLASSES, dropout=options.dropout)
    if name == "linknet":
        return LinkNet(encoder, CLASSES)
    if name == "pspnet":
        return PSPNet(encoder, CLASSES, head_width=options.head_width)
    low_level = 48 if options.head_width >= 128 else max(options.head_width // 4, 8)
    return DeepLabV3Plus(
        encoder, CLASSES, width=options.head_width, output_stride=encoder.strides[-1], low_level=low_level
    )


def parameter_count(network: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def gigaflops(network: nn.Module, bands: int, side_px: int = 512) -> float:
    """1e9 floating point operations (2 per multiply-add) of one forward pass over ``side_px`` squared pixels."""
    shape = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shape(torch.empty(1, bands, side_px, side_px, device="meta"))
    return float(counter.get_total_flops()) / 1e9


def coarsest_stride(network: nn.Module) -> int:
    """Size of tiles must be a multiple of it, so that pooling grids of neighbouring tiles coincide."""
    return int(cast("UNet", network).encoder.strides[-1])


def halo_px(network: nn.Module, bands: int) -> int | None:
    """Margin a tile needs so that its centre is exact, pixels; None where the network sees the whole chip.

    Found by an impulse test on the same wiring with positive weights and averages instead of maxima: the farthest
    input pixel that any output pixel's gradient touches. Rounded up to a multiple of the coarsest stride.
    """
    if not getattr(network, "receptive_is_local", False):
        return None
    side = 1024
    reach = _reach_px(network, bands, side)
    stride = coarsest_stride(network)
    return int(math.ceil(reach / stride) * stride)


def _reach_px(network: nn.Module, bands: int, side: int) -> int:
    """Largest distance at which an input pixel can touch an output pixel: gradient support of positive weights."""
    twin = _positive_twin(network)
    image = torch.zeros(1, bands, side, side, requires_grad=True)
    stride, centre, reach = coarsest_stride(network), side // 2, 0
    # The output's phase within the pooling grid matters: both ends of one coarse cell are tried.
    for offset in (0, stride - 1):
        at = centre + offset
        twin(image)[0, 0, at, at].backward()
        touched = torch.nonzero(cast("Tensor", image.grad)[0].abs().sum(dim=(0, 1)) > 0)
        reach = max(reach, int((touched - at).abs().max()))
        image.grad = None
    return reach


def _positive_twin(network: nn.Module) -> nn.Module:
    """The same wiring with weights that cannot cancel: linear, averaging, all positive."""
    # Plain memory order: torch 2.13 corrupts the heap in the backward pass of a padded average pool in channels-last.
    twin: nn.Module = copy.deepcopy(network).to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d | nn.ReLU | nn.Dropout2d):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
    return twin
