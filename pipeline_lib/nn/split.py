"""Which chips teach, which choose among the weights, and which are for the test alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import InputError
from pipeline_lib.nn.chips import ChipSet
from pipeline_lib.options.train import DataOptions

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """Chips by purpose; no look-alike group is in two of them."""

    train: Index
    valid: Index
    test: Index


def split_chips(chips: ChipSet, options: DataOptions) -> Split:
    """Test on one fold, validate on the next, train on the others; without a test fold (-1) validate on fold 0.

    Folds are dealt before events are chosen, so that a place is never in two parts, whatever the date. Events that are
    left out are the test, whatever their fold; further datasets with a share of their own are learned from whole.

    Raises:
        InputError: fewer groups than needed, or no chip of the events to train or to validate on.
    """
    valid_fold = (options.test_fold + 1) % options.folds
    taught, held = _of_events(chips, options.train_events), _of_events(chips, options.held_events)
    further = is_further(chips, options) if options.extra_share else np.zeros(len(chips), bool)
    fold = chips.folds(options.folds, ~further)
    unseen = np.array([event in options.left_out for event in chips.events], dtype=bool)
    test = np.flatnonzero((fold == options.test_fold) & held | unseen)
    valid = np.flatnonzero((fold == valid_fold) & held & ~unseen)
    train = np.flatnonzero((fold != options.test_fold) & (fold != valid_fold) & (taught | further) & ~unseen)
    if len(train) == 0 or len(valid) == 0:
        groups, events = len(set(chips.groups)), ", ".join(sorted(set(chips.events))[:8])
        raise InputError(
            f"{groups} groups of chips (events {events}) cannot be split into {options.folds} folds with something to "
            "train and to validate on."
        )
    return Split(train, valid, test)


def is_further(chips: ChipSet, options: DataOptions) -> NDArray[np.bool_]:
    """(chip) True for chips of ``data.extra``.

    Raises:
        InputError: the store does not tell where its chips come from.
    """
    if len(chips.sources) != len(chips):
        raise InputError("data.extra_share needs a chip store that names the data set of its chips; build it anew.")
    return np.array([source in options.extra for source in chips.sources], dtype=bool)


def _of_events(chips: ChipSet, events: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([not events or event in events for event in chips.events], dtype=bool)
