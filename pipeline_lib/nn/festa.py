"""FESTA: learning from a few annotated pixels by relations in feature and in image space."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from pipeline_lib.options.train import SparseOptions

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))


def festa(features: Tensor, options: SparseOptions, generator: torch.Generator) -> Tensor:
    """``alpha |x - x_near|^2 + beta |x - x_neighbour|^2 + gamma cos(x, x_far)``, mean over pixels drawn at random.

    ``x_near`` is the closest other pixel of the chip in feature space, ``x_neighbour`` the most similar of the 8
    neighbours in the image, ``x_far`` the pixel of least cosine similarity. Features are normalised to unit length
    first, without which the two pulls shrink all features to a point.

    The authors' code masks the other distances with 0 before taking the minimum, so that its neighbour term is 0
    for every image; here only the 8 neighbours enter the minimum, and pixels of the frame are never drawn, because
    they do not have 8.

    Args:
        features: ``(chip, channel, y, x)``.
        options: weights and the number of pixels drawn per chip.
        generator: draws the pixels.

    References: Hua et al. 2021, section II-B.
    """
    chips, channels, height, width = features.shape
    unit = F.normalize(features, dim=1, eps=1e-6)
    # Drawn on the CPU, so that the same pixels are drawn whatever the device.
    rows = torch.randint(1, height - 1, (chips, options.pixels), generator=generator).to(features.device)
    columns = torch.randint(1, width - 1, (chips, options.pixels), generator=generator).to(features.device)
    chip = torch.arange(chips, device=features.device)[:, None]
    drawn = unit[chip, :, rows, columns]
    everything = unit.reshape(chips, channels, -1)
    cosine = torch.bmm(drawn, everything)
    itself = (rows * width + columns)[..., None]
    near = cosine.scatter(2, itself, -torch.inf).max(dim=2).values
    far = cosine.min(dim=2).values
    around = torch.stack([unit[chip, :, rows + dy, columns + dx] for dy, dx in NEIGHBOURS], dim=2)
    neighbour = (around * drawn[:, :, None]).sum(dim=-1).max(dim=2).values
    # For unit vectors |a - b|^2 = 2 - 2 cos(a, b).
    pull = options.alpha * (2 - 2 * near) + options.beta * (2 - 2 * neighbour)
    return (pull + options.gamma * far).mean()
