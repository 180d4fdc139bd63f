"""Losses that let a SAR student learn from an optical or SAR + optical teacher.

All take the teacher as a constant. ``weight`` is ``(chip, y, x)`` in [0, 1]: the gate (teacher confidence, clear sky,
time lag, observed); where it is 0 nothing is learned.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from pipeline_lib.nn.blocks import ConvNormAct, resize

EPSILON = 1e-6


def gate(
    probability: Tensor,
    *,
    confidence: float,
    clear: Tensor | None = None,
    lag_days: Tensor | None = None,
    max_lag_days: float = 2.0,
) -> Tensor:
    """Where the teacher may teach: sure enough, under clear sky, and close enough in time.

    Args:
        probability: teacher's probability of water ``(chip, y, x)``, NaN where it sees nothing.
        confidence: the larger class probability must exceed this.
        clear: 1 where the optical image is free of cloud and shadow ``(chip, y, x)``.
        lag_days: days between the SAR and the optical image ``(chip,)``.
        max_lag_days: pairs further apart do not teach.

    Returns:
        Weight ``(chip, y, x)``, 0 or 1.
    """
    seen = torch.isfinite(probability)
    sure = torch.maximum(probability, 1 - probability) > confidence
    weight = (seen & sure).float()
    if clear is not None:
        weight = weight * clear
    if lag_days is not None:
        weight = weight * (lag_days.abs() <= max_lag_days).float()[:, None, None]
    return weight


def logit_distillation(student_odds: Tensor, teacher_odds: Tensor, weight: Tensor, temperature: float = 2.0) -> Tensor:
    """``T^2 KL(teacher || student)`` of the softened two-class distributions, mean over the gate.

    Args:
        student_odds: log-odds of water ``(chip, y, x)``.
        teacher_odds: the same of the teacher.
        weight: gate.
        temperature: T; the factor T^2 keeps the gradient's size.

    References: Hinton, Vinyals & Dean 2015, section 2.
    """
    target = torch.sigmoid(teacher_odds / temperature)
    cross = F.binary_cross_entropy_with_logits(student_odds / temperature, target, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(teacher_odds / temperature, target, reduction="none")
    return temperature**2 * ((cross - entropy) * weight).sum() / weight.sum().clamp(min=1)


def channel_wise(student: Tensor, teacher: Tensor, weight: Tensor | None = None, tau: float = 4.0) -> Tensor:
    """Channel-wise distillation: each channel is a distribution over positions; KL, times tau^2 / channels.

    Args:
        student: ``(chip, channel, y, x)``, already adapted to the teacher's channels.
        teacher: the same shape.
        weight: gate; gated positions leave both distributions.
        tau: temperature; 4 (the authors' released scripts).

    References: Shu et al. 2021, Eq. 4 and 5.
    """
    a, b = student.flatten(2) / tau, teacher.flatten(2) / tau
    if weight is not None:
        small = resize(weight[:, None], (student.shape[-2], student.shape[-1])).flatten(2)
        a, b = (x.masked_fill(small < 0.5, -1e4) for x in (a, b))
    log_s, log_t = F.log_softmax(a, dim=-1), F.log_softmax(b, dim=-1)
    divergence = (log_t.exp() * (log_t - log_s)).sum(dim=-1)
    return tau**2 * divergence.mean()


def dist_intra(student: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    """``1 - Pearson correlation`` over the pixels of each chip between two probability maps, mean over chips.

    DIST's other, inter-class term correlates the two class probabilities of one pixel: for two classes that is
    always +1 or -1 and has no gradient, so it is left out.

    Both maps are (chip, y, x), 0 to 1; 0 where they agree, 2 where they are opposed.

    References: Huang et al. 2022, Eq. 9.
    """
    w = weight.flatten(1)
    total = w.sum(dim=1).clamp(min=1)
    s, t = student.flatten(1), teacher.flatten(1)
    s = (s - ((s * w).sum(1) / total)[:, None]) * w
    t = (t - ((t * w).sum(1) / total)[:, None]) * w
    spread = torch.sqrt((s * s).sum(1) * (t * t).sum(1) + EPSILON)
    return (1 - (s * t).sum(1) / spread).mean()


class FlowAlignment(nn.Module):
    """Heterogeneous feature alignment: warp a coarse map onto a fine one by a learned flow, then add.

    The flow is predicted from both maps, in cells of the fine grid; it starts at zero, that is, as plain
    upsampling. (The paper describes multi-scale alignment but not its layers; this is the flow alignment of Li et
    al. 2020, SFNet, Eq. 1-3.)
    """

    def __init__(self, fine_channels: int, coarse_channels: int, width: int) -> None:
        """Project both maps to ``width`` channels."""
        super().__init__()
        self.fine = nn.Conv2d(fine_channels, width, 1)
        self.coarse = nn.Conv2d(coarse_channels, width, 1)
        self.flow = nn.Conv2d(2 * width, 2, 3, padding=1)
        nn.init.zeros_(self.flow.weight)
        if self.flow.bias is not None:
            nn.init.zeros_(self.flow.bias)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """``(chip, width, y, x)`` on the fine grid."""
        size = (fine.shape[-2], fine.shape[-1])
        near, far = self.fine(fine), resize(self.coarse(coarse), size)
        flow = self.flow(torch.cat([near, far], dim=1))
        aligned: Tensor = near + warp(far, flow)
        return aligned


def warp(features: Tensor, flow_px: Tensor) -> Tensor:
    """Sample ``features`` at each pixel plus its flow (x, y in pixels), bilinear, border repeated."""
    chips, _, height, width = features.shape
    ys = torch.arange(height, dtype=features.dtype, device=features.device)
    xs = torch.arange(width, dtype=features.dtype, device=features.device)
    grid_y, grid_x = torch.meshgrid(ys, xs, indexing="ij")
    x = (2 * (grid_x + flow_px[:, 0]) + 1) / width - 1
    y = (2 * (grid_y + flow_px[:, 1]) + 1) / height - 1
    grid = torch.stack([x, y], dim=-1).reshape(chips, height, width, 2)
    return F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)


class FeatureDistiller(nn.Module):
    """Heterogeneous feature distillation between two U-Nets of the same wiring (after Gao & Dong 2022).

    Each encoder level of the student passes an adapter (1x1, BN, ReLU, 1x1) that puts out "pseudo-optical" features
    in the teacher's channels; levels are aligned coarse to fine (`FlowAlignment`) on both sides, and student and
    teacher are compared channel-wise, so that neither scale nor offset of the features matters, across modalities.
    Used while training only; the student at work is the plain network.

    References: Gao & Dong 2022 (arXiv 2210.08988), abstract and section 3 as described there; the equations here
    are ours.
    """

    def __init__(self, student_channels: tuple[int, ...], teacher_channels: tuple[int, ...], width: int = 16) -> None:
        """Channels of the encoder levels used, finest first."""
        super().__init__()
        self.adapters = nn.ModuleList(
            nn.Sequential(ConvNormAct(a, b, kernel=1), nn.Conv2d(b, b, 1))
            for a, b in zip(student_channels, teacher_channels, strict=True)
        )
        pairs = list(pairwise(teacher_channels))
        self.align = nn.ModuleList(FlowAlignment(fine, coarse, width) for fine, coarse in pairs)

    def forward(self, student: list[Tensor], teacher: list[Tensor], weight: Tensor) -> Tensor:
        """Loss between the encoder maps of both, finest first.

        Maps are (chip, channel, y, x), at the strides of the encoders; ``weight`` is (chip, y, x).
        """
        pseudo = [adapter(x) for adapter, x in zip(self.adapters, student, strict=True)]
        loss = torch.stack([channel_wise(p, t, weight) for p, t in zip(pseudo, teacher, strict=True)]).mean()
        for k, align in enumerate(self.align):
            with torch.no_grad():
                goal = align(teacher[k], teacher[k + 1])
            loss = loss + channel_wise(align(pseudo[k], pseudo[k + 1]), goal, weight) / max(len(self.align), 1)
        return loss
