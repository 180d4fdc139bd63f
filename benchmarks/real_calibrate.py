"""Calibrate networks on real events that they have not seen.

    python benchmarks/real_calibrate.py OUT/folds/NAME/SEED [--real DIR] [--model MODEL] [--threshold 0.3]

The folder holds one model for each group of events left out (``benchmarks/real.py --train``). Scale and bias of each
are fitted to the log-odds that the **other** models gave to events they had not seen, so that the answer to an event
depends on nothing of it; those of ``--model``, learned from all events, are fitted to all of these log-odds. Each chip
counts alike (`PIXELS` drawn pixels in their natural mix). ``--threshold`` is written into all cards with it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.real import WATER_SETS
from benchmarks.report import default_real
from pipeline_lib.datasets import read_dataset
from pipeline_lib.nn.calibration import fit_calibration
from pipeline_lib.nn.model_folder import Model, load_model
from pipeline_lib.nn.model_writer import rewrite_card
from pipeline_lib.nn.predict import predict_odds
from pipeline_lib.steps.network_units import network_units

PIXELS = 20_000
STRIDE = 32


def unseen(model: Model, events: list[str], real: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(log-odds, label) of drawn pixels of every chip of the events."""
    found = []
    chips = [chip for name in WATER_SETS for chip in read_dataset(name, real / name) if chip.label is not None]
    for number, chip in enumerate(chips):
        if chip.event not in events or (truth := chip.truth()).min() > 1:
            continue
        image = network_units(model.card.inputs, chip.sar.scene(), None)
        rows, columns = ((-size) % STRIDE for size in truth.shape)
        padded = np.pad(image, ((0, 0), (0, rows), (0, columns)), constant_values=np.nan)
        odds = predict_odds([model.network().eval()], padded[None], np.arange(len(image)), np.array([0]))[0]
        odds = odds[: truth.shape[0], : truth.shape[1]]
        usable = np.flatnonzero(np.isfinite(odds) & (truth <= 1))
        drawn = np.random.default_rng([0, number]).choice(usable, min(PIXELS, usable.size), replace=False)
        found.append((odds.ravel()[drawn], truth.ravel()[drawn]))
    return found


def calibrate(model: Model, pairs: list[tuple[np.ndarray, np.ndarray]], changes: dict[str, float]) -> None:
    odds, truth = (np.concatenate(part) for part in zip(*pairs, strict=True))
    fitted = fit_calibration(odds, truth)
    rewrite_card(model, scale=fitted.scale, bias=fitted.bias, **changes)
    print(f"{model.folder}: scale {fitted.scale:.3f}, bias {fitted.bias:.3f} from {len(pairs)} chips", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--real", type=Path, default=default_real())
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threshold", type=float)
    given = parser.parse_args()
    models = {path.parent.name: load_model(path.parent) for path in sorted(given.folds.glob("*/model.json"))}
    pairs = {events: unseen(model, events.split("+"), given.real) for events, model in models.items()}
    changes = {} if given.threshold is None else {"threshold": given.threshold}
    for events, model in models.items():
        calibrate(model, [pair for other, some in pairs.items() if other != events for pair in some], changes)
    if given.model:
        calibrate(load_model(given.model), [pair for some in pairs.values() for pair in some], changes)


if __name__ == "__main__":
    main()
