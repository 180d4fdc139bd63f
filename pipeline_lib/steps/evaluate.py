"""Evaluate: a detector or a model on the chips of a labelled set, to ``scores.json`` and pictures."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from pipeline_lib.atomic import whole_file, write_atomically
from pipeline_lib.datasets import Chip, read_dataset
from pipeline_lib.errors import InputError
from pipeline_lib.evaluate import (
    Boundary,
    ChipRow,
    Evaluation,
    Reliability,
    Scores,
    Subject,
    bootstrap,
    boundary_counts,
    calibrate_scores,
    confusion,
    reliability,
    score,
    summarise,
)
from pipeline_lib.evaluate.boundary import BAND_PX, TOLERANCE_PX
from pipeline_lib.evaluate.document import BoundaryScores, Reference
from pipeline_lib.evaluate.pictures import panel, reliability_svg
from pipeline_lib.evaluate.summary import ChipConfusion, compared
from pipeline_lib.model import DRY, NOT_OBSERVED, WATER
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps.answer import Answer, Answerer
from pipeline_lib.steps.subject import subject_of


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One chip compared with its label."""

    chip: Chip
    scores: Scores
    reliability: Reliability | None
    boundary: Boundary
    unmapped_pixels: int
    excluded_pixels: int
    seconds: float


def evaluate(options: EvaluateOptions, *, plot: Path | None = None) -> Evaluation:
    """Score a detector or a model on a labelled set.

    Args:
        options: what, and on which chips.
        plot: folder for one picture a chip and the reliability diagram; None = no pictures.

    Raises:
        UnknownNameError: no such data set or detector.
        InputError: the root is not that set, or none of its chips has a pixel label.
        StoreError: the pictures cannot be written.
    """
    chips = [chip for chip in read_dataset(options.dataset, options.root, options.split) if chip.label is not None]
    if not chips:
        raise InputError(f"No chip of {options.dataset} in {options.root} has a pixel label; nothing can be scored.")
    subject, answer, notes = subject_of(options, chips)
    return evaluate_chips(chips, subject, answer, options=options, notes=notes, plot=plot)


def evaluate_chips(
    chips: Sequence[Chip],
    subject: Subject,
    answer: Answerer,
    *,
    options: EvaluateOptions,
    notes: tuple[str, ...] = (),
    plot: Path | None = None,
) -> Evaluation:
    """Score any answer to given chips: the peers of the comparison report come in here, too."""
    judged = [_judge(chip, answer(chip), plot) for chip in chips]
    evaluation = _document(judged, subject, options, notes)
    if plot is not None and evaluation.calibration is not None:
        write_atomically(plot / "reliability.svg", reliability_svg(evaluation.calibration))
    return evaluation


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write ``scores.json``, whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    write_atomically(path, evaluation.model_dump_json(indent=1) + "\n")


def read_evaluation(path: Path) -> Evaluation:
    """Read a ``scores.json``.

    Raises:
        InputError: it is not there or is none.
    """
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"The scores {path} cannot be read ({error.strerror or error}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise InputError(
            f"{path} holds no scores: {first['msg']} at {where}; make them with `overbank evaluate --out`."
        ) from error


def _judge(chip: Chip, answer: Answer, plot: Path | None) -> Judged:
    """Compare; what the subject left unmapped counts as dry, so that silence cannot improve a score."""
    truth = chip.truth()
    labelled = truth != NOT_OBSERVED
    unmapped = labelled & (answer.water != WATER) & (answer.water != DRY)
    mapped = np.where(labelled & (answer.water != WATER), np.uint8(DRY), answer.water)
    counts = confusion(mapped, truth)
    if plot is not None:
        _write_panel(plot / f"{chip.chip_id.replace('/', '_')}.png", chip, mapped, truth)
    return Judged(
        chip=chip,
        scores=score(counts),
        reliability=None if answer.likelihood is None else reliability(answer.likelihood, truth),
        boundary=boundary_counts(mapped, truth),
        unmapped_pixels=int(unmapped.sum()),
        excluded_pixels=answer.excluded_pixels,
        seconds=answer.seconds,
    )


def _write_panel(path: Path, chip: Chip, mapped: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    power = next(iter(chip.sar.backscatter().values()))
    with whole_file(path) as partial:
        Image.fromarray(panel(power, mapped, truth)).save(partial)


def _document(
    judged: Sequence[Judged], subject: Subject, options: EvaluateOptions, notes: tuple[str, ...]
) -> Evaluation:
    rows = [_row(each) for each in judged]
    counted = [
        ChipConfusion(
            chip=each.chip.chip_id,
            event=each.chip.event,
            confusion=each.scores.confusion,
            pixel_area_km2=None if each.chip.pixel_m is None else (each.chip.pixel_m / 1000) ** 2,
        )
        for each in judged
    ]
    boundary = sum((each.boundary for each in judged[1:]), start=judged[0].boundary)
    tables = [each.reliability for each in judged if each.reliability is not None and each.reliability.pixels.any()]
    seconds, pixels = sum(row.seconds for row in rows), sum(compared(chip.confusion) for chip in counted)
    return Evaluation(
        software=f"overbank {version('overbank')}",
        created=datetime.now(timezone.utc),
        subject=subject,
        reference=Reference(
            dataset=options.dataset,
            split=options.split,
            label_meaning=judged[0].chip.meaning.value,
            chips=len(judged),
            chips_without_valid_pixels=sum(compared(chip.confusion) == 0 for chip in counted),
        ),
        scores=summarise(counted),
        intervals=bootstrap(counted, resamples=options.resamples),
        calibration=calibrate_scores(tables) if tables else None,
        boundary=boundary_scores(boundary),
        ignored_pixels=sum(chip.confusion.ignored for chip in counted),
        seconds=seconds,
        megapixels_per_second=pixels / seconds / 1e6 if seconds else None,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        notes=notes,
        chips=tuple(rows),
    )


def boundary_scores(counts: Boundary) -> BoundaryScores:
    """Edge scores of pooled counts."""
    return BoundaryScores(
        counts=counts,
        band_px=BAND_PX,
        band=score(counts.band),
        tolerance_px=TOLERANCE_PX,
        boundary_f1_pooled=counts.f1,
    )


def _row(each: Judged) -> ChipRow:
    usable = each.reliability is not None and bool(each.reliability.pixels.any())
    return ChipRow(
        chip=each.chip.chip_id,
        event=each.chip.event,
        scores=each.scores,
        ece=calibrate_scores([each.reliability]).ece_pooled if usable and each.reliability is not None else None,
        excluded_pixels=each.excluded_pixels,
        unmapped_pixels=each.unmapped_pixels,
        seconds=each.seconds,
    )
