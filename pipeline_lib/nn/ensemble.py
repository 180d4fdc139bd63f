"""Several models, or draws of one, as one: mean probability, and how far they disagree."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from pipeline_lib.nn.segmenter import Segmenter


def ensemble_likelihood(
    segmenters: Sequence[Segmenter], scene: xr.Dataset, history: xr.Dataset | None = None
) -> xr.Dataset:
    """Mean probability and disagreement of several models.

    Args:
        segmenters: the models; at least one.
        scene: Scene with dims (y, x), linear power.
        history: passes before the event, dims (time, y, x), for models that compare with them.

    Returns:
        ``likelihood`` (mean) and ``disagreement``, the mutual information between prediction and member in nats:
        entropy of the mean minus mean of the entropies; 0 where all agree, ln 2 at most.

    References: Houlsby et al. 2011, Eq. 2; Lakshminarayanan et al. 2017.
    """
    members = xr.concat([s.likelihood(scene, history) for s in segmenters], dim="member")
    mean = members.mean("member", skipna=False).astype(np.float32)
    spread = (_entropy(mean) - _entropy(members).mean("member", skipna=False)).clip(min=0).astype(np.float32)
    return xr.Dataset({"likelihood": mean.assign_attrs(units="1"), "disagreement": spread.assign_attrs(units="nat")})


def _entropy(p: xr.DataArray) -> xr.DataArray:
    q = p.clip(1e-7, 1 - 1e-7)
    return -(q * np.log(q) + (1 - q) * np.log(1 - q))
