"""Subject: whose answers are scored, a detector's or a model's, and what a reader of the scores should know."""

from collections.abc import Sequence
from pathlib import Path

from pipeline_lib.datasets import Chip, Meaning
from pipeline_lib.errors import InputError
from pipeline_lib.evaluate import Subject
from pipeline_lib.nn.model_folder import WEIGHTS
from pipeline_lib.options.evaluate import EvaluateOptions
from pipeline_lib.steps.answer import Answerer, detected
from pipeline_lib.water import detector


def subject_of(options: EvaluateOptions, chips: Sequence[Chip]) -> tuple[Subject, Answerer, tuple[str, ...]]:
    """Who answers, how, and what a reader of the scores should know about it."""
    flood = _asks_for_flood(options, chips)
    notes = tuple(note for chip in chips[:1] for note in _notes(chip, is_flood=flood))
    if options.model is not None:
        return _model(options.model, options, chips, notes=notes, is_flood=flood)
    found = detector(options.detector or "default", dict(options.parameters))
    subject = Subject(kind="detector", name=found.name, parameters=dict(options.parameters))
    return subject, lambda chip: detected(found, chip, is_flood=flood), notes


def _model(
    place: Path, options: EvaluateOptions, chips: Sequence[Chip], *, notes: tuple[str, ...], is_flood: bool
) -> tuple[Subject, Answerer, tuple[str, ...]]:
    """The same of a trained model: it answers for itself, and no other in its place where a chip lacks a history."""
    from pipeline_lib.steps.model_answer import model_to_score, teacher_answer  # noqa: PLC0415 - torch takes seconds

    card = model_to_score(place, chips).card
    subject = Subject(kind="model", name=place.name, weights_digest=card.digests[WEIGHTS])
    if card.teacher_bands:
        answer, blind = teacher_answer(place, chips)
        return subject, answer, (*notes, *blind)
    found = detector("learned", {"without_history": None, **options.parameters, "model": str(place)})
    return subject, lambda chip: detected(found, chip, is_flood=is_flood), notes


def _asks_for_flood(options: EvaluateOptions, chips: Sequence[Chip]) -> bool:
    if options.target == "flood" and any(chip.sar_before is None for chip in chips):
        raise InputError("--target flood needs an image before the flood for every chip; this set does not have them.")
    flood_only = all(chip.meaning is Meaning.FLOOD and chip.sar_before is not None for chip in chips)
    return options.target == "flood" or (options.target == "auto" and options.model is None and flood_only)


def _notes(chip: Chip, *, is_flood: bool) -> list[str]:
    notes = [f"{chip.dataset} labels {chip.meaning.value}."]
    if is_flood:
        notes.append("Flood = the detector's water in the event image that is not its water in the image before.")
    elif chip.meaning is Meaning.FLOOD:
        notes.append("The label counts permanent water as dry: a right answer there is scored as a false alarm.")
    if chip.sar.stretch:
        notes.append("8 bit set: backscatter by a nominal stretch; thresholds in dB mean little.")
    return notes
