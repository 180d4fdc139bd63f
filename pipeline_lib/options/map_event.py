"""Options of a whole mapping run: one model a step, and where to compute."""

from pydantic import Field, JsonValue

from pipeline_lib.options.base import Options
from pipeline_lib.options.calibrate import CalibrateOptions
from pipeline_lib.options.derive import DeriveOptions
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.options.gate import ApprovalOptions, PublishIf
from pipeline_lib.options.prepare import PrepareOptions
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.options.search import PlanOptions, SearchOptions


class StepOptions(Options):
    """What a plan records of a run's options: those of the steps that read and write pixels.

    What is searched for and compared shows in the plan itself; where a run computes and who approves it are no part of
    what it makes.
    """

    prepare: PrepareOptions = PrepareOptions()
    """How pixels are brought onto the grid."""
    calibrate: CalibrateOptions = CalibrateOptions()
    """How GRD passes are calibrated, geocoded and flattened; RTC passes are done already."""
    detect: DetectorChoice = DetectorChoice()
    """Which detector finds water."""
    derive: DeriveOptions = DeriveOptions()
    """How flood is derived from water."""
    publish: PublishOptions = PublishOptions()
    """What is written."""


class MapOptions(Options):
    """Everything about a run that is not the event and the catalogue."""

    detector: str = "default"
    """Name of the water detector (``overbank detectors`` lists them)."""
    detector_options: dict[str, JsonValue] = {}
    """The detector's own options."""
    search: SearchOptions = SearchOptions()
    """What is looked for in the catalogue."""
    plan: PlanOptions = PlanOptions()
    """Pixel of the grid, and which acquisitions are compared."""
    prepare: PrepareOptions = PrepareOptions()
    """How pixels are brought onto the grid."""
    calibrate: CalibrateOptions = CalibrateOptions()
    """How GRD passes are calibrated, geocoded and flattened; RTC passes are done already."""
    derive: DeriveOptions = DeriveOptions()
    """How flood is derived from water."""
    publish: PublishOptions = PublishOptions()
    """What is written."""
    publish_if: PublishIf = PublishIf()
    """When an event that is not published yet is worth publishing."""
    approval: ApprovalOptions = ApprovalOptions()
    """Whether a person decides before anything is published."""
    dask_address: str | None = None
    """Address of a Dask scheduler (``tcp://host:8786``); this process's threads where empty."""
    dask_patience_s: float = Field(default=900.0, ge=0.0)
    """Seconds that the cluster may be without any worker; then the run fails, and continues when it is run again."""

    @property
    def steps(self) -> StepOptions:
        """What the plan records of them."""
        return StepOptions(
            prepare=self.prepare,
            calibrate=self.calibrate,
            detect=DetectorChoice(detector=self.detector, parameters=self.detector_options),
            derive=self.derive,
            publish=self.publish,
        )
