"""Losses against literal twins; what is ignored teaches nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch.nn import functional as F  # noqa: N812

from pipeline_lib.nn.border import border_weight, two_nearest
from pipeline_lib.nn.losses import cross_entropy, dice, focal, shift_tolerant, supervised
from pipeline_lib.options.train import LossOptions

EVERY = LossOptions(cross_entropy=1, dice=1, focal=1, water_weight=3, label_smoothing=0.05)


def problem(seed: int = 0, ignored: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, 12, 14, generator=generator)
    label = torch.randint(0, 2, (2, 12, 14), generator=generator)
    label[torch.rand(label.shape, generator=generator) < ignored] = 255
    return logits, label


@given(st.integers(0, 1000), st.floats(0.5, 8))
def test_cross_entropy_is_torchs(seed: int, water_weight: float) -> None:
    logits, label = problem(seed)
    theirs = F.cross_entropy(logits, label, weight=torch.tensor([1.0, water_weight]), ignore_index=255)
    torch.testing.assert_close(cross_entropy(logits, label, water_weight=water_weight), theirs, atol=1e-5, rtol=1e-5)


@given(st.integers(0, 1000))
def test_weights_of_pixels_multiply_those_of_classes(seed: int) -> None:
    logits, label = problem(seed)
    pixel_weight = 0.2 + 3 * torch.rand(label.shape, generator=torch.Generator().manual_seed(seed + 1))
    classes = torch.tensor([1.0, 2.5])
    each = F.cross_entropy(logits, label, ignore_index=255, reduction="none")
    weight = torch.where(label == 255, 0.0, classes[label.clamp(max=1)] * pixel_weight)
    found = cross_entropy(logits, label, pixel_weight=pixel_weight, water_weight=2.5)
    torch.testing.assert_close(found, (each * weight).sum() / weight.sum(), atol=1e-5, rtol=1e-5)


@given(st.integers(0, 1000))
def test_ignored_pixels_teach_nothing(seed: int) -> None:
    """Whatever the logits of ignored pixels are, the loss is the same and their gradient is zero."""
    logits, label = problem(seed)
    other = logits.clone()
    other[(label == 255)[:, None].expand_as(logits)] += 7
    for options in (EVERY, LossOptions(cross_entropy=1, dice=0, shift_px=0)):
        a, b = (torch.stack(list(supervised(z, label, options).values())).sum() for z in (logits, other))
        torch.testing.assert_close(a, b)
    leaf = logits.clone().requires_grad_()
    torch.stack(list(supervised(leaf, label, EVERY).values())).sum().backward()
    assert not leaf.grad.permute(0, 2, 3, 1)[label == 255].any()


def test_nothing_labelled_is_no_loss_and_no_nan() -> None:
    logits, label = problem()
    leaf = logits.requires_grad_()
    total = torch.stack(list(supervised(leaf, torch.full_like(label, 255), EVERY).values())).sum()
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(leaf.grad).all()


def test_dice_of_a_perfect_and_of_a_wrong_answer() -> None:
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[:, :4] = 1
    sure = torch.stack([1 - 2.0 * label, 2.0 * label - 1], dim=1) * 50
    assert float(dice(sure, label)) == pytest.approx(0, abs=1e-6)
    assert float(dice(-sure, label)) == pytest.approx(1 - 1 / 65, abs=1e-5)


def test_focal_without_focus_is_half_the_cross_entropy() -> None:
    logits, label = problem()
    torch.testing.assert_close(focal(logits, label, gamma=0), 0.5 * cross_entropy(logits, label))
    assert focal(logits, label, gamma=2) < focal(logits, label, gamma=0)


def test_a_shifted_label_costs_nothing_within_tolerance() -> None:
    label = torch.zeros(1, 24, 24, dtype=torch.long)
    label[:, 6:15, 5:17] = 1
    sure = torch.stack([1 - 2.0 * label, 2.0 * label - 1], dim=1) * 20
    moved = torch.roll(label, (2, -1), dims=(1, 2))
    assert float(shift_tolerant(sure, moved, 2)) == pytest.approx(0, abs=1e-4)
    assert float(cross_entropy(sure, moved)) > 1
    assert float(shift_tolerant(sure, torch.roll(label, 4, dims=1), 2)) > 0.5


def literal_border_weight(label: np.ndarray, w0: float, sigma: float) -> np.ndarray:
    """The formula, pixel by pixel: one distance transform of the whole map for every component."""
    water = label == 1
    parts, count = ndimage.label(water, structure=np.ones((3, 3)))
    weight = np.ones(label.shape)
    if count:
        distances = np.sort([ndimage.distance_transform_edt(parts != k) for k in range(1, count + 1)], axis=0)
        first, second = distances[0], distances[min(1, count - 1)]
        weight = weight + np.where(water, 0, w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2)))
    return np.where(label == 255, 0, weight)


@given(st.integers(0, 10_000), st.floats(0.02, 0.4))
def test_border_weight_is_the_formula(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    label = (
        ndimage.gaussian_filter(rng.normal(size=(40, 50)), 2) > np.quantile(rng.normal(size=999), 1 - share)
    ).astype(np.uint8)
    label |= (rng.random(label.shape) < 0.003).astype(np.uint8)
    label[:3] = 255
    for w0 in (10.0, 40.0):
        expected = literal_border_weight(label, w0, 5.0)
        np.testing.assert_allclose(border_weight(label, w0=w0), expected, atol=1e-5)


def test_border_weight_peaks_in_the_gap_between_two_lakes() -> None:
    label = np.zeros((30, 30), np.uint8)
    label[5:25, 3:13] = 1
    label[5:25, 15:25] = 1
    weight = border_weight(label)
    assert weight[15, 13] > 8
    assert weight[15, 29] < 3
    first, second = two_nearest(label == 1)
    assert (first <= second).all()


def test_border_weight_of_dry_and_of_one_lake() -> None:
    assert (border_weight(np.zeros((9, 9), np.uint8)) == 1).all()
    lake = np.zeros((9, 9), np.uint8)
    lake[4, 4] = 1
    assert border_weight(lake)[4, 5] == pytest.approx(1 + 10 * np.exp(-4 / 50), abs=1e-5)
