"""The network and the adaptive detector as one: the mean of their log-odds.

They fail in different places. The network knows shapes, look-alikes and flooded vegetation, as far as its training
reached; the adaptive detector takes its classes from the scene itself, whatever the place. The weighted mean of the
log-odds is the logarithmic opinion pool, in which one expert's doubt leaves the word to the other.

References: Genest and Zidek 1986, Statistical Science 1(1), section 3 (logarithmic pools).
"""

from typing import ClassVar

import dask.array as da
import numpy as np
import xarray as xr
from scipy.special import expit, logit

from pipeline_lib.errors import ContractError
from pipeline_lib.nn.odds import sigmoid
from pipeline_lib.options import Options
from pipeline_lib.options.learned import FusedOptions
from pipeline_lib.water.adaptive import AdaptiveDetector
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.learned import LearnedDetector
from pipeline_lib.water.making import MADE_BY, MEMBERS, detected
from pipeline_lib.water.plane import Plane

SUREST = 1e-4
"""Neither expert may be surer than this: one that is certain would leave the other no say."""

STRIP_ROWS = 64
"""Rows that are pooled at once."""


def pooled(network: Plane, adaptive: Plane, share: float) -> Plane:
    """Probability of the weighted mean of two log-odds; where one sees nothing, the other alone; NaN where neither.

    References: Genest and Zidek 1986, Eq. 3.8.
    """
    out = np.empty(network.shape, np.float32)
    # Some rows at a time: what is in between stays in the processor's cache.
    for top in range(0, len(out), STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        ours, theirs = (_log_odds(p[rows]) for p in (network, adaptive))
        odds = np.float32(share) * ours + np.float32(1 - share) * theirs
        out[rows] = sigmoid(np.where(np.isnan(ours), theirs, np.where(np.isnan(theirs), ours, odds)))
    return out


def _log_odds(probability: Plane) -> Plane:
    """Log-odds, no surer than `SUREST`."""
    kept = np.clip(probability, np.float32(SUREST), np.float32(1 - SUREST))
    odds: Plane = np.log(kept / (1 - kept))
    return odds


class FusedDetector:
    """See the module's docstring; a scene that the network cannot read is left to the adaptive detector."""

    name: ClassVar[str] = "fused"
    summary: ClassVar[str] = "The shipped network and the adaptive detector, mean of their log-odds"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL})
    options_type: ClassVar[type[Options]] = FusedOptions

    def __init__(self, options: Options | None = None) -> None:
        """Take `FusedOptions`; the model is opened at the first scene."""
        self.options = FusedOptions.model_validate(options.model_dump()) if options else FusedOptions()
        self.network = LearnedDetector(self.options)
        self.adaptive = AdaptiveDetector()

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation, with ``uncertainty`` where the network had its say.

        Raises:
            ContractError: the scene is none.
            ModelError: the model cannot be used.
        """
        classical = detected(self.adaptive, observation)
        members = [classical.attrs.pop(MADE_BY)]
        try:
            look = self.network.look(observation)
        except ContractError as error:
            notes = [*classical.attrs["notes"], f"adaptive detector alone: {error}"]
            return classical.assign_attrs({"notes": notes, MEMBERS: members})
        theirs = classical["likelihood"].data
        options = self.options
        share = options.network_share_with_history if observation.has(Need.HISTORY) else options.network_share
        probability = da.map_blocks(
            pooled, look.probability.rechunk(theirs.chunks), theirs, share=share, dtype=np.float32
        )
        water = probability >= expit(share * logit(look.threshold))
        notes = [*look.notes, *classical.attrs["notes"]]
        extent = look.described(water_extent(observation.scene, probability, water, notes=notes), probability)
        return extent.assign_attrs({MEMBERS: members})
