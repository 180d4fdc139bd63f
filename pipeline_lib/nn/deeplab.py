"""DeepLabV3+: atrous spatial pyramid pooling and a light decoder, all separable."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from pipeline_lib.nn.blocks import ConvNormAct, SeparableConv, resize
from pipeline_lib.nn.encoders import Encoder


class AtrousPyramid(nn.Module):
    """ASPP: a 1x1, three atrous separable 3x3 and image pooling, concatenated and projected.

    Rates (6, 12, 18) at output stride 16, doubled at 8.

    References: Chen et al. 2017 (DeepLabV3), section 3.3; separable form Chen et al. 2018, section 3.1.
    """

    def __init__(self, channels: int, width: int, *, output_stride: int) -> None:
        """``width`` 256 is the published net."""
        super().__init__()
        rates = tuple(rate * 16 // output_stride for rate in (6, 12, 18))
        self.point = ConvNormAct(channels, width, kernel=1)
        self.atrous = nn.ModuleList(SeparableConv(channels, width, dilation=rate) for rate in rates)
        # No batch normalisation on a 1x1 map: over a batch of one its variance is zero.
        self.image = nn.Sequential(nn.Conv2d(channels, width, 1), nn.ReLU(inplace=True))
        self.project = nn.Sequential(ConvNormAct(width * (2 + len(rates)), width, kernel=1), nn.Dropout(0.1))

    def forward(self, features: Tensor) -> Tensor:
        """``(chip, channel, y, x)`` in, ``width`` channels of the same size out."""
        pooled = self.image(F.adaptive_avg_pool2d(features, 1)).expand(-1, -1, *features.shape[-2:])
        branches = [self.point(features), *(atrous(features) for atrous in self.atrous), pooled]
        return self.project(torch.cat(branches, dim=1))  # type: ignore[no-any-return]


class DeepLabV3Plus(nn.Module):
    """Encoder at output stride 16 (or 8), ASPP, and a decoder that adds stride-4 detail in 48 channels.

    Image pooling sees the whole chip: tiles are blended, not cropped.

    References: Chen et al. 2018, Fig. 2; sections 3.1 and 4 (48 channels, two 3x3 of width 256).
    """

    receptive_is_local = False

    def __init__(
        self, encoder: Encoder, classes: int, *, width: int = 256, output_stride: int = 16, low_level: int = 48
    ) -> None:
        """``width`` 256 and ``low_level`` 48 are the published net."""
        super().__init__()
        self.encoder = encoder
        self.low_index = min(range(len(encoder.strides)), key=lambda k: abs(encoder.strides[k] - 4))
        self.pyramid = AtrousPyramid(encoder.channels[-1], width, output_stride=output_stride)
        self.low = ConvNormAct(encoder.channels[self.low_index], low_level, kernel=1)
        self.decoder = nn.Sequential(SeparableConv(width + low_level, width), SeparableConv(width, width))
        self.head = nn.Conv2d(width, classes, 1)
        self.feature_channels = width

    def features(self, image: Tensor) -> Tensor:
        """The map before the classifier, at stride 4.

        From (chip, band, y, x) to (chip, channel, y / 4, x / 4).
        """
        maps = self.encoder(image)
        low = self.low(maps[self.low_index])
        context = resize(self.pyramid(maps[-1]), (low.shape[-2], low.shape[-1]))
        return self.decoder(torch.cat([context, low], dim=1))  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(chip, class, y, x)`` at the input's size."""
        return resize(self.head(self.features(image)), (image.shape[-2], image.shape[-1]))
