"""Distillation, FESTA and alignment losses."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from pipeline_lib.nn.distillation import (
    FeatureDistiller,
    FlowAlignment,
    channel_wise,
    dist_intra,
    gate,
    logit_distillation,
    warp,
)
from pipeline_lib.nn.festa import NEIGHBOURS, festa
from pipeline_lib.nn.pseudo_label import changed_share, confident_labels, weak_labels
from pipeline_lib.nn.unpaired import OutputDiscriminator, prototype_alignment, prototypes
from pipeline_lib.options.train import SelfTrainOptions, SparseOptions


def odds(seed: int) -> torch.Tensor:
    return 3 * torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(seed))


def test_logit_distillation_is_hintons_formula() -> None:
    student, teacher, T = odds(0), odds(1), 2.5
    two = [torch.stack([torch.zeros_like(z), z], dim=1) / T for z in (student, teacher)]
    log_s, log_t = (F.log_softmax(z, dim=1) for z in two)
    literal = T**2 * (log_t.exp() * (log_t - log_s)).sum(dim=1).mean()
    torch.testing.assert_close(logit_distillation(student, teacher, torch.ones_like(student), T), literal)
    assert float(logit_distillation(teacher, teacher, torch.ones_like(student), T)) == pytest.approx(0, abs=1e-6)


def test_a_closed_gate_teaches_nothing() -> None:
    student = odds(0).requires_grad_()
    weight = torch.zeros(2, 9, 8)
    weight[0, :4] = 1
    logit_distillation(student, odds(1), weight).backward()
    assert not student.grad[weight == 0].any()
    assert student.grad[weight == 1].all()


def test_gate_by_confidence_cloud_lag_and_sight() -> None:
    probability = torch.tensor([[[0.95, 0.5, float("nan"), 0.03]], [[0.95, 0.95, 0.95, 0.95]]])
    clear = torch.tensor([[[1.0, 1, 1, 0]], [[1.0, 1, 1, 1]]])
    lag = torch.tensor([1.0, 5.0])
    weight = gate(probability, confidence=0.8, clear=clear, lag_days=lag, max_lag_days=2)
    assert weight.tolist() == [[[1, 0, 0, 0]], [[0, 0, 0, 0]]]


def test_channel_wise_is_shus_formula() -> None:
    a, b, tau = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), 4.0
    p, q = (F.softmax(x.flatten(2) / tau, dim=-1) for x in (b, a))
    literal = tau**2 / (2 * 3) * (p * (p / q).log()).sum()
    torch.testing.assert_close(channel_wise(a, b, tau=tau), literal)
    assert float(channel_wise(b + 7, b)) == pytest.approx(0, abs=1e-5)  # blind to a channel's offset


def test_channel_wise_leaves_gated_positions_out() -> None:
    a, b = torch.randn(1, 2, 6, 6), torch.randn(1, 2, 6, 6)
    weight = torch.ones(1, 6, 6)
    weight[:, :3] = 0
    other = b.clone()
    other[:, :, :3] += 50
    torch.testing.assert_close(channel_wise(a, b, weight), channel_wise(a, other, weight))


def test_dist_is_one_minus_correlation_and_inter_term_would_be_degenerate() -> None:
    s, t = torch.rand(2, 9, 8), torch.rand(2, 9, 8)
    literal = np.mean([1 - np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(s.numpy(), t.numpy(), strict=True)])
    assert float(dist_intra(s, t, torch.ones_like(s))) == pytest.approx(literal, abs=1e-4)
    assert float(dist_intra(0.3 * t + 0.1, t, torch.ones_like(s))) == pytest.approx(0, abs=1e-3)
    two = torch.stack([1 - s, s], dim=1), torch.stack([1 - t, t], dim=1)
    centred = [x - x.mean(dim=1, keepdim=True) for x in two]
    inter = F.cosine_similarity(centred[0], centred[1], dim=1)
    torch.testing.assert_close(inter.abs(), torch.ones_like(inter), atol=1e-3, rtol=0)


def test_warp_by_nothing_and_by_one_pixel() -> None:
    image = torch.randn(1, 3, 7, 9)
    torch.testing.assert_close(warp(image, torch.zeros(1, 2, 7, 9)), image, atol=1e-5, rtol=1e-5)
    flow = torch.zeros(1, 2, 7, 9)
    flow[:, 0] = 1
    torch.testing.assert_close(warp(image, flow)[..., :-1], image[..., 1:], atol=1e-4, rtol=1e-4)


def test_alignment_starts_as_plain_upsampling_and_learns_a_shift() -> None:
    torch.manual_seed(0)
    align = FlowAlignment(4, 4, 4)
    fine, coarse = torch.randn(1, 4, 16, 16), torch.randn(1, 4, 8, 8)
    plain = align.fine(fine) + F.interpolate(align.coarse(coarse), size=(16, 16), mode="bilinear")
    torch.testing.assert_close(align(fine, coarse), plain, atol=1e-5, rtol=1e-5)


def test_heterogeneous_distillation_pulls_the_student() -> None:
    torch.manual_seed(0)
    student = [torch.randn(1, 4, 8, 8, requires_grad=True), torch.randn(1, 8, 4, 4, requires_grad=True)]
    teacher = [torch.randn(1, 6, 8, 8), torch.randn(1, 6, 4, 4)]
    distiller = FeatureDistiller((4, 8), (6, 6), width=4)
    optimiser = torch.optim.Adam([*student, *distiller.parameters()], lr=0.01)
    losses = []
    for _ in range(150):
        loss = distiller(student, teacher, torch.ones(1, 8, 8))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def literal_festa(features: torch.Tensor, options: SparseOptions, generator: torch.Generator) -> float:
    """Pixel by pixel."""
    chips, _, height, width = features.shape
    unit = F.normalize(features, dim=1)
    rows = torch.randint(1, height - 1, (chips, options.pixels), generator=generator)
    columns = torch.randint(1, width - 1, (chips, options.pixels), generator=generator)
    total = 0.0
    for chip in range(chips):
        for y, x in zip(rows[chip].tolist(), columns[chip].tolist(), strict=True):
            mine = unit[chip, :, y, x]
            others = [unit[chip, :, i, j] for i in range(height) for j in range(width) if (i, j) != (y, x)]
            near = min(float((mine - other).square().sum()) for other in others)
            around = [unit[chip, :, y + dy, x + dx] for dy, dx in NEIGHBOURS]
            neighbour = min(float((mine - other).square().sum()) for other in around)
            far = min(float(mine @ other) for other in others)
            total += options.alpha * near + options.beta * neighbour + options.gamma * far
    return total / (chips * options.pixels)


def test_festa_is_its_definition_and_its_neighbour_term_is_alive() -> None:
    options = SparseOptions(pixels=7)
    features = torch.randn(2, 5, 8, 9)
    ours = festa(features, options, torch.Generator().manual_seed(3))
    assert float(ours) == pytest.approx(literal_festa(features, options, torch.Generator().manual_seed(3)), abs=1e-4)
    only = SparseOptions(alpha=0, beta=1, gamma=0, pixels=7)
    leaf = features.clone().requires_grad_()
    value = festa(leaf, only, torch.Generator().manual_seed(3))
    value.backward()
    assert value.item() > 0.1
    assert float(leaf.grad.abs().sum()) > 0.01


def test_prototypes_are_class_means_and_align() -> None:
    features, truth = torch.randn(1, 4, 6, 6), (torch.rand(1, 6, 6) > 0.5).float()
    ours = prototypes(features, truth, torch.ones(1, 6, 6))
    unit = F.normalize(features, dim=1)[0]
    torch.testing.assert_close(ours[1], unit[:, truth[0] == 1].mean(dim=1))
    apart = torch.tensor([[1.0, 0], [0, 1.0]])
    assert float(prototype_alignment(apart, apart)) == pytest.approx(0, abs=1e-6)
    assert float(prototype_alignment(apart.flip(0), apart)) == pytest.approx(2, abs=1e-5)


def test_the_adversary_pushes_the_radar_side_the_other_way() -> None:
    torch.manual_seed(0)
    discriminator = OutputDiscriminator()
    optical, sar = torch.rand(1, 32, 32), torch.rand(1, 32, 32)
    gradients = []
    for strength in (1.0, -1.0):
        leaf = sar.clone().requires_grad_()
        discriminator(optical, leaf, strength).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[0], -gradients[1])
    assert gradients[0].abs().sum() > 0


def test_confident_labels_gate_pixels_and_chips() -> None:
    probability = np.full((2, 4, 4), 0.99, np.float32)
    probability[0, 0, 0] = 0.6
    probability[0, 0, 1] = np.nan
    probability[1] = 0.7
    labels, used = confident_labels(probability, SelfTrainOptions(confidence=0.95, tile_share=0.9))
    assert used.tolist() == [True, False]
    assert labels[0, 0, 0] == labels[0, 0, 1] == 255
    assert labels[0, 1, 1] == 1


def test_weak_labels_obey_the_tags() -> None:
    probability = np.linspace(0, 1, 100, dtype=np.float32).reshape(1, 10, 10).repeat(3, axis=0)
    probability[2] = 0.01
    options = SelfTrainOptions(high=0.8, low=0.2, forced_water_share=0.1, dry_share=0)
    labels = weak_labels(probability, np.array([True, False, True]), options)
    assert not labels[1].any()  # tagged dry: dry everywhere
    assert (labels[0] == 255).any()
    assert (labels[0][probability[0] > 0.8] == 1).all()
    assert (labels[2] == 1).mean() >= 0.1  # tagged water: never all dry
    assert changed_share(labels, labels) == 0


def test_what_dry_chips_show_is_not_water() -> None:
    """After round 0 land has the wet chips' share as its probability: 0.6 here, which a fixed threshold of 0.5 accepts."""
    rng = np.random.default_rng(0)
    probability = rng.normal(0.6, 0.03, (4, 50, 50)).astype(np.float32)
    probability[:2, :10] = 0.9
    options = SelfTrainOptions(high=0.55, low=0.3, forced_water_share=0.02, dry_share=0.99)
    labels = weak_labels(probability, np.array([True, True, False, False]), options)
    assert (labels[:2, :10] == 1).all()
    assert (labels[:2, 10:] == 1).mean() < 0.02
    assert (labels[:2, 10:] == 0).mean() > 0.85  # below nine tenths of the dry chips' pixels
    assert not labels[2:].any()
