"""Supervised losses. Labels are ``(chip, y, x)`` int64: 0 dry, 1 water, 255 ignored by every term."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.train import LossOptions

DICE_SMOOTH = 1.0
"""Pixels added to numerator and denominator, so that an empty chip predicted empty costs nothing."""


def water_logit(logits: Tensor) -> Tensor:
    """Log-odds of water, ``(chip, y, x)``, from two-class logits ``(chip, 2, y, x)``."""
    return (logits[:, 1] - logits[:, 0]).float()


def cross_entropy(
    logits: Tensor,
    label: Tensor,
    *,
    pixel_weight: Tensor | None = None,
    water_weight: float = 1.0,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean cross-entropy over labelled pixels; 0 (with gradient) where there is none.

    Args:
        logits: ``(chip, 2, y, x)``.
        label: ``(chip, y, x)``.
        pixel_weight: ``(chip, y, x)`` weights, for example `border_weight`.
        water_weight: weight of water pixels.
        smoothing: label smoothing epsilon.
    """
    odds = water_logit(logits)
    known = (label != IGNORE).to(odds.dtype)
    truth = (label == 1).to(odds.dtype)
    weight = known * torch.where(label == 1, water_weight, 1.0)
    if pixel_weight is not None:
        weight = weight * pixel_weight
    target = truth * (1 - smoothing) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(odds, target, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp(min=1e-6)


def dice(logits: Tensor, label: Tensor) -> Tensor:
    """1 - soft Dice of water, pooled over the batch's labelled pixels.

    ``logits`` are (chip, class, y, x).

    References: Milletari et al. 2016 (V-Net), section 3 (there with squares in the denominator).
    """
    known = label != IGNORE
    return soft_dice(torch.sigmoid(water_logit(logits)), (label == 1).float(), known.float())


def soft_dice(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - soft Dice of two probability maps over weighted pixels.

    All of one shape: probabilities 0 to 1, weights 0 and more. 0 where both agree.
    """
    overlap = (probability * target * weight).sum()
    total = (probability * weight).sum() + (target * weight).sum()
    return 1 - (2 * overlap + DICE_SMOOTH) / (total + DICE_SMOOTH)


def focal(logits: Tensor, label: Tensor, *, gamma: float = 2.0, alpha: float = 0.5) -> Tensor:
    """Mean of ``-alpha_t (1 - p_t)^gamma log p_t`` over labelled pixels; gamma 0, alpha 0.5 is half cross-entropy.

    ``logits`` are (chip, class, y, x).

    References: Lin et al. 2017, Eq. 5.
    """
    odds = water_logit(logits)
    truth, known = (label == 1), (label != IGNORE)
    signed = torch.where(truth, odds, -odds)
    log_p = F.logsigmoid(signed)
    weight = torch.where(truth, alpha, 1 - alpha) * known
    loss = -weight * (1 - log_p.exp()) ** gamma * log_p
    return loss.sum() / known.sum().clamp(min=1)


def shift_tolerant(logits: Tensor, label: Tensor, shift_px: int, *, water_weight: float = 1.0) -> Tensor:
    """Cross-entropy against the best of all label shifts up to ``shift_px``: mean over chips of the minimum.

    Labels drawn on an optical image of another hour and geometry sit a pixel or two beside the radar's edge. The
    frame of ``shift_px`` pixels is left out, so that all shifts are compared on the same pixels.

    ``logits`` are (chip, class, y, x).
    """
    height, width = label.shape[-2:]
    inner = logits[:, :, shift_px : height - shift_px, shift_px : width - shift_px]
    losses = []
    for dy in range(2 * shift_px + 1):
        for dx in range(2 * shift_px + 1):
            moved = label[:, dy : dy + height - 2 * shift_px, dx : dx + width - 2 * shift_px]
            losses.append(
                torch.stack(
                    [
                        cross_entropy(inner[k : k + 1], moved[k : k + 1], water_weight=water_weight)
                        for k in range(len(label))
                    ]
                )
            )
    return torch.stack(losses).min(dim=0).values.mean()


def supervised(
    logits: Tensor, label: Tensor, options: LossOptions, pixel_weight: Tensor | None = None
) -> dict[str, Tensor]:
    """The weighted supervised terms by name; their sum is the loss.

    Args:
        logits: (chip, class, y, x).
        label: (chip, y, x), see the module.
        options: weights of the terms; those of weight 0 are left out.
        pixel_weight: (chip, y, x) factor of the cross-entropy, where given.
    """
    terms: dict[str, Tensor] = {}
    if options.cross_entropy:
        if options.shift_px:
            value = shift_tolerant(logits, label, options.shift_px, water_weight=options.water_weight)
        else:
            value = cross_entropy(
                logits,
                label,
                pixel_weight=pixel_weight,
                water_weight=options.water_weight,
                smoothing=options.label_smoothing,
            )
        terms["cross_entropy"] = options.cross_entropy * value
    if options.dice:
        terms["dice"] = options.dice * dice(logits, label)
    if options.focal:
        terms["focal"] = options.focal * focal(logits, label)
    return terms
