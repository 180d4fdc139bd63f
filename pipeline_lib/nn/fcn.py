"""Fully convolutional networks: FCN-32s, FCN-16s, FCN-8s."""

from torch import Tensor, nn

from pipeline_lib.nn.blocks import bilinear_kernel, resize
from pipeline_lib.nn.encoders import Encoder


class FCN(nn.Module):
    """Score the coarsest map, then add the scores of ``skips`` finer maps while upsampling.

    0 skips is FCN-32s, 1 FCN-16s, 2 FCN-8s. ``conv6`` (7x7) and ``conv7`` (1x1) are VGG's fully connected layers
    "convolutionalised". Skip scores start at zero, so that the finer net starts as the coarser one; upsampling is a
    transposed convolution that starts as bilinear interpolation.

    References: Long, Shelhamer & Darrell 2015, sections 3.3 and 4.2, Fig. 3.
    """

    receptive_is_local = True

    def __init__(self, encoder: Encoder, classes: int, *, skips: int, head_width: int = 4096) -> None:
        """``head_width`` 4096 is the published net."""
        super().__init__()
        self.encoder, self.skips = encoder, skips
        deepest = encoder.channels[-1]
        self.conv6 = nn.Sequential(
            nn.Conv2d(deepest, head_width, 7, padding=3), nn.ReLU(inplace=True), nn.Dropout2d(0.5)
        )
        self.conv7 = nn.Sequential(nn.Conv2d(head_width, head_width, 1), nn.ReLU(inplace=True), nn.Dropout2d(0.5))
        self.score = nn.Conv2d(head_width, classes, 1)
        finer = list(reversed(encoder.channels[:-1]))[:skips]
        self.skip_scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for channels in finer)
        strides = list(reversed(encoder.strides))
        factors = [strides[k] // strides[k + 1] for k in range(skips)]
        self.last_factor = strides[skips]
        self.upscores = nn.ModuleList(_upsampler(classes, factor) for factor in (*factors, self.last_factor))
        for parameter in self.skip_scores.parameters():
            nn.init.zeros_(parameter)

    def features(self, image: Tensor) -> Tensor:
        """The map before the score layer, coarsest stride.

        From (chip, band, y, x) to (chip, channel, y / stride, x / stride).
        """
        return self.conv7(self.conv6(self.encoder(image)[-1]))  # type: ignore[no-any-return]

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(chip, class, y, x)`` at the input's size."""
        maps = self.encoder(image)
        scores = self.score(self.conv7(self.conv6(maps[-1])))
        for k, (skip, up) in enumerate(zip(self.skip_scores, self.upscores, strict=False)):
            fine = skip(maps[-2 - k])
            scores = resize(up(scores), (fine.shape[-2], fine.shape[-1])) + fine
        return resize(self.upscores[-1](scores), (image.shape[-2], image.shape[-1]))


def _upsampler(classes: int, factor: int) -> nn.Module:
    """Transposed convolution by ``factor`` (kernel twice that), started as bilinear interpolation."""
    if factor == 1:
        return nn.Identity()
    up = nn.ConvTranspose2d(classes, classes, 2 * factor, stride=factor, padding=factor // 2, bias=False)
    up.weight.data.copy_(bilinear_kernel(classes, factor))
    return up
