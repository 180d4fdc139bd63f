"""Predictions on chips while training: plain, with flips and turns, or as an ensemble."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline_lib.nn.augment import dihedral, undo_dihedral
from pipeline_lib.nn.batches import fill
from pipeline_lib.nn.losses import water_logit
from pipeline_lib.nn.odds import Odds


def predict_odds(
    networks: Sequence[nn.Module],
    images: Any,
    bands: NDArray[np.intp],
    chips: NDArray[np.intp],
    *,
    views: Sequence[int] = (0,),
) -> Odds:
    """Log-odds of water ``(chip, y, x)`` float32, NaN where no band is observed.

    Averaged over networks and over ``views`` (numbers of `pipeline_lib.nn.augment.dihedral`).
    """
    out = np.empty((len(chips), *images.shape[2:]), np.float32)
    for row, chip in enumerate(chips):
        image = np.asarray(images[chip], dtype=np.float32)[bands]
        total = np.zeros(image.shape[1:], np.float32)
        for network in networks:
            for view in views:
                turned = np.asarray(dihedral(image, view), dtype=np.float32)
                total += np.asarray(undo_dihedral(odds_of(network, turned), view), dtype=np.float32)
        out[row] = total / (len(networks) * len(views))
        out[row][~np.isfinite(image).any(axis=0)] = np.nan
    return out


def odds_of(network: nn.Module, image: NDArray[np.float32]) -> Odds:
    """Log-odds of one image ``(band, y, x)``; NaN is filled with the mean first."""
    network.eval()
    with torch.inference_mode():
        tensor = torch.from_numpy(fill(image))[None].contiguous(memory_format=torch.channels_last)
        device = next(network.parameters()).device
        return np.asarray(water_logit(network(tensor.to(device)))[0].cpu().numpy())
