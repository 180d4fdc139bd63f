"""PSPNet: a pyramid of region averages gives every pixel the context of the whole chip."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from pipeline_lib.nn.blocks import ConvNormAct, resize
from pipeline_lib.nn.encoders import Encoder


class PyramidPooling(nn.Module):
    """Average over 1x1, 2x2, 3x3 and 6x6 regions, 1x1 convolution to a quarter, upsample, concatenate.

    References: Zhao et al. 2017, section 3.2, Fig. 3.
    """

    def __init__(self, channels: int, bins: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        """``bins`` as published."""
        super().__init__()
        self.bins = bins
        quarter = max(channels // len(bins), 1)
        # No batch normalisation here: over a 1x1 map and a batch of one its variance is zero.
        self.reduce = nn.ModuleList(nn.Sequential(nn.Conv2d(channels, quarter, 1), nn.ReLU(inplace=True)) for _ in bins)
        self.channels = channels + quarter * len(bins)

    def forward(self, features: Tensor) -> Tensor:
        """``(chip, channel, y, x)`` in, ``2 * channel`` out."""
        size = (features.shape[-2], features.shape[-1])
        pooled = [
            resize(reduce(F.adaptive_avg_pool2d(features, side)), size)
            for side, reduce in zip(self.bins, self.reduce, strict=True)
        ]
        return torch.cat([features, *pooled], dim=1)


class PSPNet(nn.Module):
    """Dilated encoder (output stride 8), pyramid pooling, one 3x3, classifier, x8 upsampling.

    While training, ``auxiliary`` gives logits from the last stage but one; their loss has weight 0.4 (paper 4.1).
    The pooling sees the whole chip, so that a pixel's class depends on the chip it is in: tiles are blended.

    References: Zhao et al. 2017.
    """

    receptive_is_local = False
    auxiliary_weight = 0.4

    def __init__(self, encoder: Encoder, classes: int, *, head_width: int = 128, dropout: float = 0.1) -> None:
        """``head_width`` 512 is the published net over ResNet-50."""
        super().__init__()
        self.encoder = encoder
        self.pyramid = PyramidPooling(encoder.channels[-1])
        self.project = nn.Sequential(ConvNormAct(self.pyramid.channels, head_width), nn.Dropout2d(dropout))
        self.head = nn.Conv2d(head_width, classes, 1)
        self.auxiliary_head = nn.Sequential(
            ConvNormAct(encoder.channels[-2], head_width // 2), nn.Conv2d(head_width // 2, classes, 1)
        )
        self.feature_channels = head_width

    def features(self, image: Tensor) -> Tensor:
        """The map before the classifier, at the output stride."""
        return self.project(self.pyramid(self.encoder(image)[-1]))  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(chip, class, y, x)`` at the input's size."""
        return resize(self.head(self.features(image)), (image.shape[-2], image.shape[-1]))

    def auxiliary(self, image: Tensor) -> Tensor:
        """Deep-supervision logits ``(chip, class, y, x)`` of the last stage but one."""
        return resize(self.auxiliary_head(self.encoder(image)[-2]), (image.shape[-2], image.shape[-1]))
