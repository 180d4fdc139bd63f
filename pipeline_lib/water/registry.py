"""The detectors by name."""

from typing import TYPE_CHECKING, Any

from pydantic import JsonValue, ValidationError

from pipeline_lib.errors import InputError, UnknownNameError
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.water.adaptive import AdaptiveDetector
from pipeline_lib.water.change import LogRatioDetector, ZScoreDetector
from pipeline_lib.water.ensemble import EnsembleDetector
from pipeline_lib.water.fused import FusedDetector
from pipeline_lib.water.fuzzy import FuzzyDetector, HydrosarDetector
from pipeline_lib.water.harmonic import HarmonicDetector
from pipeline_lib.water.hierarchical import HierarchicalDetector
from pipeline_lib.water.interface import Detector
from pipeline_lib.water.learned import LearnedDetector
from pipeline_lib.water.segmenters import ClusteringDetector, RegionGrowingDetector, SplitMergeDetector
from pipeline_lib.water.thresholding import (
    FixedDetector,
    KittlerIllingworthDetector,
    OtsuDetector,
    SplitBasedDetector,
)

if TYPE_CHECKING:
    from pipeline_lib.nn.model_folder import Model

DEFAULT_DETECTOR = FusedDetector.name
"""What ``default`` stands for: best on real chips and on simulated worlds (docs/reference/model-card.md); needs nothing
but the scene and uses whatever else there is."""

_DETECTORS: tuple[type[Any], ...] = (
    FusedDetector,
    AdaptiveDetector,
    EnsembleDetector,
    HierarchicalDetector,
    FuzzyDetector,
    HarmonicDetector,
    HydrosarDetector,
    SplitBasedDetector,
    LogRatioDetector,
    ZScoreDetector,
    KittlerIllingworthDetector,
    OtsuDetector,
    FixedDetector,
    ClusteringDetector,
    RegionGrowingDetector,
    SplitMergeDetector,
    LearnedDetector,
)


def detectors() -> tuple[type[Detector], ...]:
    """Every detector, the default one first."""
    return _DETECTORS


def detector(name: str = "default", parameters: dict[str, JsonValue] | None = None) -> Detector:
    """The detector of that name with the options given.

    Args:
        name: as ``overbank detectors`` lists it; ``default`` for `DEFAULT_DETECTOR`.
        parameters: fields of the detector's options model; defaults for what is left out.

    Raises:
        UnknownNameError: no such detector.
        InputError: an option does not exist or has a value that it cannot have.
    """
    wanted = DEFAULT_DETECTOR if name == "default" else name
    known = {found.name: found for found in _DETECTORS}
    if wanted not in known:
        raise UnknownNameError("detector", name, ("default", *known))
    try:
        options = known[wanted].options_type.model_validate(parameters or {})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(
            f"Detector {wanted!r}: option {field!r}: {first['msg']} (given {first['input']!r})."
        ) from error
    return known[wanted](options)  # type: ignore[no-any-return]


def chosen_detector(name: str = "default", parameters: dict[str, JsonValue] | None = None) -> DetectorChoice:
    """A choice that can be run, with the detector by its own name where ``default`` is asked for.

    Raises:
        UnknownNameError: no such detector.
        InputError: an option does not exist or has a value that it cannot have.
    """
    return DetectorChoice(detector=detector(name, parameters).name, parameters=parameters or {})


def models_of(found: Detector) -> "list[Model]":
    """Every model that a detector, or one within it, may run.

    Raises:
        UnknownNameError: no such model.
        ModelError: a model cannot be used.
    """
    if isinstance(found, LearnedDetector):
        return [*found.models(with_history=True), *found.models(with_history=False)]
    if isinstance(found, FusedDetector):
        return models_of(found.network)
    within = found.members.values() if isinstance(found, EnsembleDetector) else ()
    return [model for member in within for model in models_of(member)]


EnsembleDetector.make = staticmethod(detector)
