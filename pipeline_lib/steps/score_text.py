"""An evaluation as a page of text for the terminal."""

from pipeline_lib.evaluate import Evaluation, Interval, difference


def score_text(evaluation: Evaluation) -> str:
    """Headline scores with their intervals, then one line a chip; every number says what it pools."""
    reference, scores = evaluation.reference, evaluation.scores
    where = reference.dataset if reference.split is None else f"{reference.dataset} {reference.split}"
    counted = f"{reference.chips} chips, {scores.per_event.events} events, label = {reference.label_meaning}"
    lines = [
        f"{evaluation.subject.kind} {evaluation.subject.name} on {where}: {counted}",
        *(f"  note: {note}" for note in evaluation.notes),
        "",
        *_headline(evaluation),
        "",
        f"  {'chip':32s} {'event':18s} {'IoU':>6s} {'prec.':>6s} {'recall':>6s} {'bias':>6s} {'seconds':>8s}",
    ]
    for row in evaluation.chips:
        each = row.scores
        numbers = (each.water_iou, each.water_precision, each.water_recall, each.area_bias)
        shown = " ".join(f"{_number(value):>6s}" for value in numbers)
        lines.append(f"  {row.chip[:32]:32s} {row.event[:18]:18s} {shown} {row.seconds:8.2f}")
    return "\n".join(lines)


def difference_text(one: Evaluation, other: Evaluation) -> str:
    """Whether one method is better than another on the same chips, in a sentence.

    Raises:
        ContractError: the chips or the meaning of the labels differ.
    """
    found = difference(one, other, resamples=one.intervals.resamples)
    said = f"water IoU, pooled: {found.one} - {found.other} = {_number(found.water_iou_pooled)}"
    if found.interval is None:
        return f"{said}; too few resamples have water to say how sure that is"
    sure = "the difference is more than chance" if found.is_sure else "the chips do not tell them apart"
    return f"{said} [{found.interval.low:.3f}, {found.interval.high:.3f}] 95 % paired bootstrap over events: {sure}"


def _headline(evaluation: Evaluation) -> list[str]:
    scores, intervals = evaluation.scores, evaluation.intervals
    pooled, per_chip, per_event, dry = scores.pooled, scores.per_chip, scores.per_event, scores.dry_chips
    rows: list[tuple[str, float | None, Interval | None]] = [
        ("water IoU, pooled", pooled.water_iou, intervals.water_iou_pooled),
        ("water IoU, per-chip mean", per_chip.water_iou_per_chip_mean, intervals.water_iou_per_chip_mean),
        ("water IoU, per-chip median", per_chip.water_iou_per_chip_median, intervals.water_iou_per_chip_median),
        ("water IoU, median of wet chips", per_chip.water_iou_per_wet_chip_median, None),
        ("water IoU, per-event mean", per_event.water_iou_per_event_mean, intervals.water_iou_per_event_mean),
        ("mean IoU (land, water), pooled", pooled.mean_iou, None),
        ("F1, pooled", pooled.water_f1, intervals.water_f1_pooled),
        ("precision, pooled", pooled.water_precision, None),
        ("recall, pooled", pooled.water_recall, None),
        ("pixel accuracy, pooled", pooled.pixel_accuracy, None),
        ("area bias, pooled", pooled.area_bias, None),
        ("boundary F1 (2 px), pooled", evaluation.boundary.boundary_f1_pooled, None),
        ("water IoU within 5 px of the edge", evaluation.boundary.band.water_iou, None),
    ]
    if evaluation.calibration is not None:
        rows += [
            ("ECE, pooled", evaluation.calibration.ece_pooled, None),
            ("Brier score, pooled", evaluation.calibration.brier_pooled, None),
        ]
    lines = [f"  {name:36s} {_number(value)}{_between(interval)}" for name, value, interval in rows]
    area = "" if dry.false_alarm_km2 is None else f", {dry.false_alarm_km2:.3f} km2"
    if dry.false_alarm_pixels_per_km2 is not None:
        area += f" ({dry.false_alarm_pixels_per_km2:.2f} pixels a km2)"
    lines.append(f"  {'false alarms on chips without water':36s} {dry.false_alarm_pixels} of {dry.valid_pixels} pixels"
                 f" on {dry.chips} chips{area}")  # fmt: skip
    speed = evaluation.megapixels_per_second
    lines.append(f"  {'left out (no data or no label)':36s} {evaluation.ignored_pixels} pixels")
    if speed is not None:
        lines.append(f"  {'time':36s} {evaluation.seconds:.1f} s, {speed:.2f} Mpx/s")
    return lines


def _number(value: float | None) -> str:
    return "  -  " if value is None else f"{value:.3f}"


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f"  [{interval.low:.3f}, {interval.high:.3f}] 95 % bootstrap over events"
