"""The convolution blocks that every network here is made of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation, ReLU; same size out for stride 1.

    Input ``(chip, channels_in, y, x)`` float32, output ``(chip, channels_out, y / stride, x / stride)``.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        """Pad so that stride 1 keeps the size whatever the kernel and dilation."""
        padding = dilation * (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions: one level of the U-Net (Ronneberger et al. 2015, Fig. 1), same padding and BN."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        """Widen in the first convolution."""
        super().__init__(ConvNormAct(channels_in, channels_out), ConvNormAct(channels_out, channels_out))


class SeparableConv(nn.Sequential):
    """Atrous separable convolution: a dilated depthwise 3x3, then a pointwise 1x1.

    References: Chen et al. 2018 (DeepLabV3+), section 3.1, Fig. 3.
    """

    def __init__(self, channels_in: int, channels_out: int, *, dilation: int = 1) -> None:
        """``dilation`` is the atrous rate of the depthwise part."""
        super().__init__(
            nn.Conv2d(channels_in, channels_in, 3, padding=dilation, dilation=dilation, groups=channels_in, bias=False),
            nn.BatchNorm2d(channels_in),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


def resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample ``(chip, channel, y, x)`` to ``size`` (y, x), bilinear with pixel-centre alignment."""
    if tuple(features.shape[-2:]) == size:
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)


def bilinear_kernel(channels: int, factor: int) -> Tensor:
    """Weights that make a transposed convolution an exact bilinear upsampler by ``factor``.

    Returns ``(channels, channels, 2 * factor, 2 * factor)``, zero off the diagonal.

    References: Long et al. 2015 (FCN), section 3.3: "deconvolution filters initialised to bilinear upsampling".
    """
    size = 2 * factor
    centre = factor - 0.5
    ramp = 1 - (torch.arange(size, dtype=torch.float32) - centre).abs() / factor
    weight = torch.zeros(channels, channels, size, size)
    index = torch.arange(channels)
    weight[index, index] = torch.outer(ramp, ramp)
    return weight
