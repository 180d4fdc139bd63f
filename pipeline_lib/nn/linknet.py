"""LinkNet: skips are added, so the decoder stays thin and fast."""

from torch import Tensor, nn

from pipeline_lib.nn.blocks import ConvNormAct, resize
from pipeline_lib.nn.encoders import Encoder


class LinkBlock(nn.Sequential):
    """Decoder block: 1x1 to a quarter, 3x3 transposed stride 2, 1x1 to the skip's width (paper Fig. 3)."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 2) -> None:
        """``stride`` 1 where the encoder is dilated."""
        quarter = max(channels_in // 4, 1)
        super().__init__(
            ConvNormAct(channels_in, quarter, kernel=1),
            nn.ConvTranspose2d(quarter, quarter, 3, stride=stride, padding=1, output_padding=stride - 1, bias=False),
            nn.BatchNorm2d(quarter),
            nn.ReLU(inplace=True),
            ConvNormAct(quarter, channels_out, kernel=1),
        )


class LinkNet(nn.Module):
    """ResNet-18 encoder (paper), decoder blocks whose output is *added* to the encoder's map of that stride.

    References: Chaurasia & Culurciello 2017, Fig. 1 to 3.
    """

    receptive_is_local = True

    def __init__(self, encoder: Encoder, classes: int) -> None:
        """Works on every encoder; the published net has ResNet-18."""
        super().__init__()
        self.encoder = encoder
        channels, strides = encoder.channels, encoder.strides
        self.blocks = nn.ModuleList(
            LinkBlock(channels[k], channels[k - 1], stride=strides[k] // strides[k - 1])
            for k in range(len(channels) - 1, 0, -1)
        )
        half = max(channels[0] // 2, 8)
        first: nn.Module = (
            nn.ConvTranspose2d(channels[0], half, 3, stride=2, padding=1, output_padding=1)
            if strides[0] > 1
            else nn.Conv2d(channels[0], half, 3, padding=1)
        )
        self.final = nn.Sequential(first, nn.ReLU(inplace=True), ConvNormAct(half, half))
        self.head = nn.Conv2d(half, classes, 1)
        self.feature_channels = half

    def features(self, image: Tensor) -> Tensor:
        """The map before the classifier, at the input's size.

        From (chip, band, y, x) to (chip, channel, y, x).
        """
        maps = self.encoder(image)
        x = maps[-1]
        for block, skip in zip(self.blocks, reversed(maps[:-1]), strict=True):
            x = resize(block(x), (skip.shape[-2], skip.shape[-1])) + skip
        return resize(self.final(x), (image.shape[-2], image.shape[-1]))

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(chip, class, y, x)`` at the input's size."""
        return self.head(self.features(image))  # type: ignore[no-any-return]
