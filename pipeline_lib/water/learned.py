"""The learned detector: a model folder as a water detector."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from pipeline_lib.errors import ModelError
from pipeline_lib.model import NOT_OBSERVED, Advisory, NetworkUsed, check_scene
from pipeline_lib.options import Options
from pipeline_lib.options.learned import LearnedOptions
from pipeline_lib.water.extent import water_extent
from pipeline_lib.water.interface import Need, Observation
from pipeline_lib.water.making import NETWORKS

if TYPE_CHECKING:
    from pipeline_lib.nn.model_folder import Model
    from pipeline_lib.nn.segmenter import Segmenter


def doubt_percent(probability: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Probability of the less likely class in percent: 0 sure, 50 undecided, 255 not observed.

    Any shape: P(water) 0 to 1, NaN = not observed.
    """
    doubt = np.rint(100 * np.minimum(probability, 1 - probability))
    return np.where(np.isnan(probability), NOT_OBSERVED, np.nan_to_num(doubt)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a network says of an observation, and which network."""

    probability: da.Array
    """Calibrated P(water) float32 (y, x), NaN = not observed."""
    threshold: float
    networks: tuple[NetworkUsed, ...]
    """Those whose probabilities are averaged."""
    draws: int
    """Draws of dropout of each in its place; 0: none."""
    strange: tuple[str, ...]
    """Sentences on what of the scene lies outside the training range."""
    disagreement: da.Array | None = None
    """Mutual information of several models or draws, nats float32 (y, x), where there are several."""

    @property
    def notes(self) -> list[str]:
        """For the WaterExtent."""
        names = " and ".join(one.name for one in self.networks)
        drawn = f", {self.draws} draws of dropout each" if self.draws else ""
        return [f"model {names}{drawn} on {self.networks[0].backend}", *self.strange]

    def described(self, extent: xr.Dataset, probability: da.Array | None = None) -> xr.Dataset:
        """The extent with its uncertainty, the networks and, where called for, the warning.

        Layers (y, x): ``uncertainty`` uint8 percent, 255 not observed; ``disagreement`` in nats where there are several
        answers.
        """
        sure = da.map_blocks(doubt_percent, self.probability if probability is None else probability, dtype=np.uint8)
        extent["uncertainty"] = (("y", "x"), sure, {"units": "%"})
        if self.disagreement is not None:
            extent["disagreement"] = (("y", "x"), self.disagreement, {"units": "nat"})
        extent.attrs[NETWORKS] = [one.model_dump_json() for one in self.networks]
        if self.strange:
            extent.attrs["advisory"] = int(Advisory.OUT_OF_DISTRIBUTION)
        return extent


class LearnedDetector:
    """A trained network: water (or flood, as its card says) by calibrated probability.

    A scene whose statistics leave the model's training range is mapped all the same, and says so in its notes and in
    ``attrs["advisory"]`` (bits of `Advisory`).
    """

    name: ClassVar[str] = "learned"
    summary: ClassVar[str] = "a trained network (shipped or your own), calibrated, on CPU or GPU"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL})
    options_type: ClassVar[type[Options]] = LearnedOptions

    def __init__(self, options: Options | None = None) -> None:
        """The model is opened at the first scene."""
        self.options = (
            LearnedOptions.model_validate(options.model_dump(include=set(LearnedOptions.model_fields)))
            if options
            else LearnedOptions()
        )

    def models(self, *, with_history: bool = True) -> "list[Model]":
        """Every model whose probability is averaged for a pass that has references, or has none, not opened yet.

        Raises:
            UnknownNameError: no such model.
            ModelError: a model cannot be used, or is of another target than the first.
        """
        first = self._first(with_history=with_history)
        models = [first, *(_model(name) for name in self.options.members)]
        for other in models:
            if other.card.target != first.card.target:
                raise ModelError(
                    f"{other.card.name} finds {other.card.target} and {first.card.name} finds {first.card.target}: "
                    "members must find the same."
                )
        return [one for one in models if with_history or not one.card.inputs.needs_history] or [first]

    def segmenter(self, *, with_history: bool = True) -> "Segmenter":
        """The open model for a pass that has references, or has none.

        Raises:
            UnknownNameError: no such model or backend.
            ModelError: the model cannot be used.
        """
        return self._opened(self._first(with_history=with_history))

    def members(self, *, with_history: bool = True) -> "list[Segmenter]":
        """Every open model and draw whose probabilities are averaged for such a pass; the model alone by default.

        Raises:
            UnknownNameError: no such model or backend.
            ModelError: a model cannot be used, is of another target than the first, or has no dropout to draw from.
        """
        draws = range(self.options.dropout_draws) if self.options.dropout_draws else (None,)
        return [self._opened(one, draw) for one in self.models(with_history=with_history) for draw in draws]

    def _first(self, *, with_history: bool) -> "Model":
        """The model, or the one for passes without references where that compares with them."""
        model = _model(self.options.model)
        if with_history or not model.card.inputs.needs_history or self.options.without_history is None:
            return model
        return _model(self.options.without_history)

    def _opened(self, model: "Model", draw: int | None = None) -> "Segmenter":
        from pipeline_lib.nn.segmenter import opened_once  # noqa: PLC0415 - slow to import, and not every detector's

        chosen = self.options
        return opened_once(str(model.folder), chosen.backend, chosen.tile_px, None, chosen.threads, chosen.views, draw)

    def look(self, observation: Observation) -> Look:
        """The network's view of an observation, lazily.

        Raises:
            ContractError: a polarisation or the history that the model needs is missing.
            ModelError: the model cannot be used.
        """
        from pipeline_lib.nn.ensemble import ensemble_likelihood  # noqa: PLC0415 - torch takes seconds to import

        scene = check_scene(observation.scene)
        segmenter = self.segmenter(with_history=observation.has(Need.HISTORY))
        members = self.members(with_history=observation.has(Need.HISTORY))
        card = segmenter.model.card
        history = observation.history
        joined = ensemble_likelihood(members, scene, history) if len(members) > 1 else None
        probability = members[0].likelihood(scene, history) if joined is None else joined["likelihood"]
        threshold = self.options.threshold or card.threshold
        used = {str(one.model.folder): _used(one, threshold) for one in members}  # draws of one model are one network
        return Look(
            probability=cast("da.Array", probability.data),
            threshold=threshold,
            networks=tuple(used.values()),
            draws=self.options.dropout_draws,
            strange=segmenter.out_of_distribution(scene, history),
            disagreement=None if joined is None else cast("da.Array", joined["disagreement"].data),
        )

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the scene; the model's threshold decides the class.

        One layer more: ``uncertainty``, `doubt_percent` of the calibrated probability before the class is decided.

        Raises:
            ContractError: a polarisation or the history that the model needs is missing.
            ModelError: the model cannot be used.
        """
        look = self.look(observation)
        water = look.probability >= look.threshold
        return look.described(water_extent(observation.scene, look.probability, water, notes=look.notes))


def _used(segmenter: "Segmenter", threshold: float) -> NetworkUsed:
    """The network of an open model: the files that were checked when it was opened."""
    card, folder = segmenter.model.card, str(segmenter.model.folder.resolve())
    return NetworkUsed(
        name=card.name, digests=card.digests, threshold=threshold, backend=segmenter.backend, folder=folder
    )


def _model(name: str) -> "Model":
    """A model by folder or name, its files checked."""
    from pipeline_lib.nn.model_folder import load_model  # noqa: PLC0415 - not every detector's

    return load_model(name)
