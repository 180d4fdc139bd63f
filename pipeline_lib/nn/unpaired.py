"""Learning from optical images that have no SAR partner: make both modalities' features agree by class."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows


def prototypes(features: Tensor, probability: Tensor, weight: Tensor) -> Tensor:
    """Mean unit feature of dry and of water pixels, ``(2, channel)``; zero for a class that is absent.

    Args:
        features: ``(chip, channel, y, x)``.
        probability: of water ``(chip, y, x)``: labels or (detached) predictions.
        weight: of each pixel ``(chip, y, x)``.
    """
    unit = F.normalize(features, dim=1, eps=1e-6)
    rows = []
    for share in (1 - probability, probability):
        w = (share * weight)[:, None]
        rows.append((unit * w).sum(dim=(0, 2, 3)) / w.sum().clamp(min=1e-6))
    return torch.stack(rows)


def prototype_alignment(student: Tensor, teacher: Tensor) -> Tensor:
    """Pull each class's prototype to its own of the other modality, and keep it from the other class's.

    ``sum_c (1 - cos(s_c, t_c)) + relu(cos(s_c, t_other))``, mean over the two classes; both ``(2, channel)``.
    """
    s, t = F.normalize(student, dim=1, eps=1e-6), F.normalize(teacher, dim=1, eps=1e-6)
    own = (s * t).sum(dim=1)
    other = (s * t.flip(0)).sum(dim=1)
    return (1 - own + F.relu(other)).mean()


class _ReverseGradient(torch.autograd.Function):
    """Identity forward, minus ``strength`` times the gradient backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        """Hand on."""
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Turn round."""
        return -ctx.strength * gradients[0], None


class OutputDiscriminator(nn.Module):
    """Tells whose water map it is, the optical net's or the SAR net's; its reversed gradient trains the SAR net.

    References: Ganin & Lempitsky 2015 (gradient reversal); Tsai et al. 2018 (adversaries on the output space).
    """

    def __init__(self, width: int = 8) -> None:
        """Three strided convolutions, so that shapes and not pixels are compared."""
        super().__init__()
        layers: list[nn.Module] = []
        previous = 1
        for k in range(3):
            layers += [nn.Conv2d(previous, width * 2**k, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            previous = width * 2**k
        self.body = nn.Sequential(*layers, nn.Conv2d(previous, 1, 1))

    def forward(self, optical: Tensor, sar: Tensor, strength: float) -> Tensor:
        """Domain loss from two probability maps ``(chip, y, x)``; the SAR side's gradient is reversed."""
        reversed_sar: Tensor = _ReverseGradient.apply(sar, strength)  # type: ignore[no-untyped-call]
        a, b = self.body(optical[:, None].detach()), self.body(reversed_sar[:, None])
        return F.binary_cross_entropy_with_logits(a, torch.ones_like(a)) + F.binary_cross_entropy_with_logits(
            b, torch.zeros_like(b)
        )
