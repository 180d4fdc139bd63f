"""Encoders shared by all architectures: plain (U-Net), VGG-16 and ResNet, for any number of input channels.

An encoder turns ``(chip, band, y, x)`` into a list of feature maps, finest first. ``channels`` and ``strides`` say
what each map is: a decoder needs to know nothing else.
"""

from itertools import pairwise

from torch import Tensor, nn

from pipeline_lib.errors import InputError
from pipeline_lib.nn.blocks import ConvNormAct, DoubleConv


class Encoder(nn.Module):
    """Base: ``channels[k]`` features at stride ``strides[k]``, finest first."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]


class PlainEncoder(Encoder):
    """The contracting path of the U-Net: double 3x3 convolutions with 2x2 max pooling in between.

    References: Ronneberger et al. 2015, Fig. 1 (there width 64, depth 5).
    """

    def __init__(self, bands: int, *, width: int = 64, depth: int = 5) -> None:
        """``width`` channels at full resolution, doubled at each of ``depth`` levels."""
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(depth))
        self.strides = tuple(2**level for level in range(depth))
        self.levels = nn.ModuleList(DoubleConv(a, b) for a, b in pairwise((bands, *self.channels)))
        self.pool = nn.MaxPool2d(2)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 1, 2, 4 ..."""
        features = [self.levels[0](image)]
        for level in list(self.levels)[1:]:
            features.append(level(self.pool(features[-1])))
        return features


class VggEncoder(Encoder):
    """VGG-16 with batch normalisation: maps after pool1 to pool5, strides 2 to 32.

    ``width`` 64 is the published net. References: Simonyan & Zisserman 2015, Table 1, column D.
    """

    def __init__(self, bands: int, *, width: int = 64) -> None:
        """Five stages of 2, 2, 3, 3, 3 convolutions."""
        super().__init__()
        self.channels = tuple(width * factor for factor in (1, 2, 4, 8, 8))
        self.strides = (2, 4, 8, 16, 32)
        stages, previous = [], bands
        for channels, repeats in zip(self.channels, (2, 2, 3, 3, 3), strict=True):
            layers: list[nn.Module] = []
            for _ in range(repeats):
                layers.append(ConvNormAct(previous, channels))
                previous = channels
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 2 to 32."""
        features: list[Tensor] = []
        for stage in self.stages:
            features.append(stage(features[-1] if features else image))
        return features


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions (He et al. 2016, Fig. 5 left); parameter names as in torchvision."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        """Project the shortcut when size or width changes."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Residual plus shortcut, then ReLU."""
        out: Tensor = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.downsample(x))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 residual block (He et al. 2016, Fig. 5 right); the stride sits on the 3x3, as in torchvision."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        """Put out ``4 * width`` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Residual plus shortcut, then ReLU."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        return self.relu(out + self.downsample(x))  # type: ignore[no-any-return]


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
    )


RESNETS: dict[str, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNetEncoder(Encoder):
    """ResNet-18, -34 or -50; ``output_stride`` 8 or 16 trades stride for dilation in the last stages.

    Parameter names are torchvision's, so that its state dicts load (`pipeline_lib.nn.pretrained`).

    References: He et al. 2016, Table 1; dilation as in Chen et al. 2017, section 3.2.
    """

    def __init__(self, bands: int, *, name: str = "resnet18", width: int = 64, output_stride: int = 32) -> None:
        """``width`` 64 is the published net.

        Raises:
            InputError: the name or the output stride is not known.
        """
        super().__init__()
        if name not in RESNETS or output_stride not in {8, 16, 32}:
            raise InputError(
                f"Encoder {name!r} with output stride {output_stride} does not exist; "
                f"known: {', '.join(RESNETS)} with 8, 16 or 32."
            )
        self._block, counts = RESNETS[name]
        self.conv1 = nn.Conv2d(bands, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = tuple(width * 2**stage for stage in range(4))
        self.channels = (width, *(self._block.expansion * w for w in widths))
        strides, previous, reached, dilation = [2], width, 4, 1
        for stage, (stage_width, count) in enumerate(zip(widths, counts, strict=True)):
            stride = 1 if stage == 0 else 2
            if reached * stride > output_stride:
                dilation, stride = dilation * stride, 1
            reached *= stride
            strides.append(reached)
            setattr(self, f"layer{stage + 1}", self._stage(previous, stage_width, count, stride, dilation))
            previous = stage_width * self._block.expansion
        self.strides = tuple(strides)

    def _stage(self, channels_in: int, width: int, count: int, stride: int, dilation: int) -> nn.Sequential:
        blocks = [self._block(channels_in, width, stride=stride, dilation=dilation)]
        wide = width * self._block.expansion
        blocks += [self._block(wide, width, dilation=dilation) for _ in range(count - 1)]
        return nn.Sequential(*blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 2, 4, 8, 16, 32 (less where dilated)."""
        features = [self.relu(self.bn1(self.conv1(image)))]
        x = self.maxpool(features[0])
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            features.append(x)
        return features


def build_encoder(name: str, bands: int, *, width: int, depth: int = 5, output_stride: int = 32) -> Encoder:
    """Make an encoder by name: ``plain``, ``vgg16``, ``resnet18``, ``resnet34`` or ``resnet50``.

    Args:
        name: which encoder.
        bands: input channels, at least 1.
        width: channels of the first stage.
        depth: levels of the plain encoder.
        output_stride: coarsest stride; the plain encoder gives up levels for it, the ResNets dilate.

    Raises:
        InputError: the name is unknown, or no such output stride exists.
    """
    if bands < 1:
        raise InputError(f"A network needs at least 1 input channel, not {bands}.")
    if name == "plain":
        levels = min(depth, output_stride.bit_length())
        return PlainEncoder(bands, width=width, depth=levels)
    if name == "vgg16":
        return VggEncoder(bands, width=width)
    return ResNetEncoder(bands, name=name, width=width, output_stride=output_stride)
