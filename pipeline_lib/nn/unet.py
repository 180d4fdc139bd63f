"""U-Net over any encoder."""

from torch import Tensor, cat, nn

from pipeline_lib.nn.blocks import DoubleConv, resize
from pipeline_lib.nn.encoders import Encoder


class UpLevel(nn.Module):
    """One step of the expanding path: 2x2 up-convolution, concatenation of the skip, double convolution."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        """``channels_skip`` may be 0: no skip at that stride."""
        super().__init__()
        self.up = nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
        self.merge = DoubleConv(channels_out + channels_skip, channels_out)

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """Upsample, concatenate (never add: that is LinkNet), convolve."""
        fine = self.up(coarse)
        if skip is not None:
            fine = cat([resize(fine, (skip.shape[-2], skip.shape[-1])), skip], dim=1)
        return self.merge(fine)  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Encoder, decoder, and skips that carry the detail over.

    With `PlainEncoder` of width 64 and depth 5 it is the published net, but with same padding (output size = input
    size) and batch normalisation, the form in use today. An encoder that starts at stride 2 gets one more level
    without a skip.

    References: Ronneberger, Fischer & Brox 2015, Fig. 1.
    """

    receptive_is_local = True

    def __init__(self, encoder: Encoder, classes: int, *, dropout: float = 0.0) -> None:
        """``dropout`` acts on the coarsest map (the paper's "drop-out layers at the end of the contracting path")."""
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout2d(dropout)
        skips = list(reversed(encoder.channels[:-1]))
        levels, previous = [], encoder.channels[-1]
        for skip in skips:
            levels.append(UpLevel(previous, skip, skip))
            previous = skip
        stride = encoder.strides[0]
        while stride > 1:
            levels.append(UpLevel(previous, 0, max(previous // 2, 8)))
            previous, stride = max(previous // 2, 8), stride // 2
        self.levels = nn.ModuleList(levels)
        self.head = nn.Conv2d(previous, classes, 1)
        self.feature_channels = previous

    def features(self, image: Tensor) -> Tensor:
        """The map before the classifier, at the input's size.

        From (chip, band, y, x) to (chip, channel, y, x).
        """
        maps = self.encoder(image)
        x = self.drop(maps[-1])
        skips = list(reversed(maps[:-1]))
        for k, level in enumerate(self.levels):
            x = level(x, skips[k] if k < len(skips) else None)
        return resize(x, (image.shape[-2], image.shape[-1]))

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(chip, class, y, x)`` at the input's size."""
        return self.head(self.features(image))  # type: ignore[no-any-return]
