"""What a trained model needs of labelled chips before it can be scored on them, and how a teacher answers."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.datasets import Chip
from pipeline_lib.errors import InputError
from pipeline_lib.model import NOT_OBSERVED
from pipeline_lib.nn.calibration import Calibration
from pipeline_lib.nn.model_card import ModelCard
from pipeline_lib.nn.model_folder import Model, load_model
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.steps.answer import Answer, Answerer
from pipeline_lib.steps.training_chips import GREY_OPTICAL, chip_image, has_grey_optical

SHOWN = 3
"""Chips named in a message."""


def model_to_score(place: Path | str, chips: Sequence[Chip]) -> Model:
    """Open a model and see that every chip has what it looks at.

    Raises:
        UnknownNameError: no such model.
        ModelError: the model is damaged.
        InputError: it compares with the time before the event, and a chip has no image of it; or it is a teacher, and
            no chip has an optical image.
    """
    model = load_model(place)
    card = model.card
    alone = [chip.chip_id for chip in chips if chip.sar_before is None and not chip.history]
    if card.inputs.needs_history and alone:
        named = ", ".join(alone[:SHOWN]) + (" ..." if len(alone) > SHOWN else "")
        raise InputError(
            f"{card.name} compares with the time before the event, and {len(alone)} of {len(chips)} chips have no "
            f"image of it ({named}); add their BEFORE images, leave them out, or score a model of one pass."
        )
    if card.teacher_bands and _blind(card, chips) == len(chips):
        raise InputError(
            f"{card.name} is a teacher: it sees {', '.join(card.teacher_bands)}, and no chip has such an optical image."
        )
    return model


def teacher_answer(place: Path | str, chips: Sequence[Chip]) -> tuple[Answerer, tuple[str, ...]]:
    """How a teacher answers, and on how many of the chips it has nothing but radar to go by."""
    model = load_model(place)
    network, card = model.network(), model.card
    calibration = Calibration(card.scale, card.bias)

    def answer(chip: Chip) -> Answer:
        """From the radar and what the chip has of the optical image."""
        start = time.perf_counter()
        image = _padded(chip_image(chip, card.inputs, card.bands), card.stride_px)
        odds = predict_odds([network], image[None], np.arange(len(image)), np.array([0]))[0]
        height, width = chip.sar.observed().shape
        likelihood = calibration.apply(odds[:height, :width])
        water = np.where(np.isnan(likelihood), NOT_OBSERVED, likelihood >= card.threshold).astype(np.uint8)
        return Answer(water=water, likelihood=likelihood, excluded_pixels=0, seconds=time.perf_counter() - start)

    blind = _blind(card, chips)
    notes = (f"{blind} of {len(chips)} chips have no optical image: there the teacher sees radar alone.",)
    return answer, notes if blind else ()


def _blind(card: ModelCard, chips: Sequence[Chip]) -> int:
    """How many chips lack what of the teacher's bands is optical."""
    optical = set(card.bands) - set(card.inputs.names)
    readable = optical <= set(GREY_OPTICAL)
    return sum(not readable or not has_grey_optical(chip) for chip in chips) if optical else 0


def _padded(image: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Not-observed rows and columns up to whole strides of the network, as chips are stored for training."""
    rows, columns = ((-size) % stride for size in image.shape[1:])
    return np.pad(image, ((0, 0), (0, rows), (0, columns)), constant_values=np.nan)
