"""The protocol on real radar: every detector, threshold and network on events that nothing was learned from.

    python benchmarks/real.py [--real DIR] [--out DIR] [--detector NAME ...] [--folds DIR ...] [--write FILE]
    python benchmarks/real.py --train RECIPE --seed 0 [--only EVENT ...]

Three tables. *Water*: the labelled chips of `WATER_SETS`, pooled, median and mean of the chips with at least 1 % water,
false alarms on dry chips, calibration; 95 % intervals by bootstrap over events, then chips. *Sea*: recall of Puerto
Rico's sea on five dates of different wind. *Flood*: Puerto Rico's first pass after the hurricane with three passes
before, against the Global Flood Monitoring product.

``--train`` trains the recipe once for each of `FOLDS` (``data.left_out``), so that the network that answers an event
has not seen any chip of it, whatever set the chip is in; the models are written to ``OUT/folds/NAME/SEED/EVENTS``.
``--folds`` takes such folders ``OUT/folds/NAME/SEED``: each is judged alone (``network NAME SEED``) and in the pool of
the default (``fused NAME SEED``). Answers are kept in ``OUT/answers``, one file a chip, and are not asked for again
(``--fresh`` forgets them). DFC2024 is one event: nothing tells its chips' places apart.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.real_tables import HEADER, flood_row, markdown, sea_row, water_row
from benchmarks.report import default_real
from pipeline_lib.datasets import Chip, read_dataset
from pipeline_lib.datasets.registry import folder_of_set
from pipeline_lib.errors import OverbankError
from pipeline_lib.model import WATER
from pipeline_lib.steps.answer import Answer, detected
from pipeline_lib.water import Need, detector
from pipeline_lib.water.filtering import boxcar

WATER_SETS = ("sen1floods11", "stac_overflow", "dfc2024")
VV_ALONE, SEA, FLOOD = "paraguay_24341", "puerto_rico_sea", "puerto_rico_2017"
THRESHOLDS = {
    "VH < -22 dB": ("vh", -22),
    "VH < -21 dB": ("vh", -21),
    "VH < -20 dB": ("vh", -20),
    "VV < -16 dB": ("vv", -16),
}
"""Of a 3 x 3 mean of the power."""
DETECTORS = ("adaptive", "fixed", "otsu", "hierarchical")
WITH_REFERENCES = ("adaptive", "fixed", "log-ratio", "tuw-bayes")
"""The default, ``fused``, is judged with networks of ``--folds`` alone: the shipped one has seen these chips."""
FOLDS = ("India+Ghana", "Spain+Somalia+Nigeria", "USA+Bolivia", "dfc2024", "Puerto-Rico+Sri-Lanka+Paraguay+Mekong")
"""Every event is left out once, some of them together: five trainings in place of ten, each of fewer events."""


@dataclass(frozen=True)
class Method:
    """Who answers, and which blocks it can answer."""

    name: str
    answer: Callable[[Chip], Answer]
    blocks: tuple[str, ...]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=default_real(), help="folder of the real sets")
    parser.add_argument("--out", type=Path, default=Path("out") / "real")
    parser.add_argument(
        "--detector", action="append", help="only these detectors; may be repeated; none: thresholds only"
    )
    parser.add_argument("--folds", type=Path, nargs="+", default=[], help="folders that --train wrote")
    parser.add_argument("--share", type=float, help="weight of the network in the pool, instead of the detector's own")
    parser.add_argument("--write", type=Path, help="also write the tables here")
    parser.add_argument("--fresh", action="store_true", help="forget earlier answers")
    parser.add_argument("--train", type=Path, metavar="RECIPE", help="train it once for every event left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="+", default=FOLDS, metavar="EVENT+EVENT", help="events to leave out, a model each"
    )
    return parser.parse_args()


def chips_of(real: Path) -> dict[str, list[Chip]]:
    """Chips of each block; a set that is not there is left out, and said."""
    blocks: dict[str, list[Chip]] = {"water": [], "vv": [], "sea": [], "flood": []}
    for name, block in (*((name, "water") for name in WATER_SETS), (VV_ALONE, "vv"), (SEA, "sea"), (FLOOD, "flood")):
        root = real / folder_of_set(name)
        if not root.is_dir():
            print(f"left out: {name} ({root} is not there)")
            continue
        labelled = [chip for chip in read_dataset(name, root) if chip.label is not None]
        blocks[block] += [chip for chip in labelled if (chip.truth() <= WATER).any()]
    return blocks


def threshold(band: str, level: float) -> Callable[[Chip], Answer]:
    def answer(chip: Chip) -> Answer:
        power = boxcar(chip.sar.backscatter()[band], 1)
        with np.errstate(invalid="ignore"):
            wet = 10 * np.log10(np.maximum(power, 1e-6)) < level
        water = np.where(np.isfinite(power), wet.astype(np.uint8), np.uint8(255))
        return Answer(water=water, likelihood=None, excluded_pixels=0, seconds=0.0)

    return answer


def of_detector(name: str, options: dict[str, object] | None = None) -> Callable[[Chip], Answer]:
    """A detector's water; where chips ask for flood, what it adds to the time before (change detectors: as it is)."""
    found = detector(name, options or {})

    def answer(chip: Chip) -> Answer:
        return detected(found, chip, is_flood=bool(chip.history) and Need.HISTORY not in found.needs)

    return answer


def of_folds(folder: Path, name: str, share: float | None) -> Callable[[Chip], Answer]:
    """The network that has not seen the chip's event, alone (``learned``) or in the pool (``fused``)."""

    def answer(chip: Chip) -> Answer:
        model = next(
            (place.parent for place in folder.glob("*/model.json") if chip.event in place.parent.name.split("+")), None
        )
        if model is None:
            raise OverbankError(f"{folder} has no model that was trained without {chip.event}; train it with --train.")
        options: dict[str, object] = {"without_history": str(model)}
        if name == "learned":
            options = {"model": str(model), "without_history": None}
        elif share is not None:
            options["network_share"] = share
        return of_detector(name, options)(chip)

    return answer


def methods(given: argparse.Namespace) -> list[Method]:
    chosen = [] if given.detector == ["none"] else given.detector
    found = [Method(name, threshold(*rule), ("water", "sea")) for name, rule in THRESHOLDS.items()]
    alone, compared = (DETECTORS, WITH_REFERENCES) if chosen is None else (chosen, chosen)
    found += [Method(name, of_detector(name), ("water", "vv", "sea")) for name in alone]
    found += [Method(f"{name} with references", of_detector(name), ("flood",)) for name in compared]
    for folder in given.folds:
        label = f"{folder.parent.name} {folder.name}"
        found.append(Method(f"network {label}", of_folds(folder, "learned", None), ("water", "vv", "sea")))
        title = f"fused {label}" if given.share is None else f"fused {given.share:g} {label}"
        found.append(Method(title, of_folds(folder, "fused", given.share), tuple(ROWS)))
    return found


def kept(out: Path, method: Method, chip: Chip) -> Answer | None:
    """The answer, asked for once; None where the method cannot give one."""
    names = (method.name, chip.dataset, chip.meaning.value, chip.chip_id)
    path = out / "answers" / "/".join(name.replace("/", "_").replace(" ", "_") for name in names)
    path = path.with_name(path.name + ".npz")
    if path.is_file():
        with np.load(path) as stored:
            chance = stored["likelihood"].astype(np.float32) if "likelihood" in stored else None
            return Answer(water=stored["water"], likelihood=chance, excluded_pixels=0, seconds=0.0)
    try:
        answer = method.answer(chip)
    except OverbankError as error:
        print(f"{method.name} has no answer to {chip.chip_id}: {error}", flush=True)
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = {} if answer.likelihood is None else {"likelihood": answer.likelihood.astype(np.float16)}
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, water=answer.water, **chance)
    partial.replace(path)
    return answer


ROWS = {"water": water_row, "vv": water_row, "sea": sea_row, "flood": flood_row}


def measure(given: argparse.Namespace) -> dict[str, dict[str, dict[str, object]]]:
    """Block to method to figures; a method that leaves a chip unanswered has no row in that block."""
    blocks = chips_of(given.real)
    tables: dict[str, dict[str, dict[str, object]]] = {block: {} for block in blocks}
    for method in methods(given):
        for block in method.blocks:
            answers = [kept(given.out, method, chip) for chip in blocks[block]]
            whole = [answer for answer in answers if answer is not None]
            if whole and len(whole) == len(answers):
                tables[block][method.name] = ROWS[block](blocks[block], whole)
                print(block, method.name, summary(tables[block][method.name]), flush=True)
    return tables


def summary(row: dict[str, object]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float))


def train(given: argparse.Namespace) -> None:
    """One model for every event: the recipe as it stands, but for the event that it may not see."""
    from pipeline_lib.steps.train import progress_line, read_recipe, train_model

    for events in given.only:
        recipe = read_recipe(given.train, seed=given.seed)
        recipe = recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"left_out": tuple(events.split("+"))})}
        )
        folder = given.out / "folds" / recipe.name / str(given.seed) / events
        if (folder / "model.json").is_file():
            continue
        workspace = given.out / "training" / recipe.name
        stages = workspace / f"{given.seed}-{events}"
        stages.mkdir(parents=True, exist_ok=True)
        if not (stages / "chips").exists():
            (workspace / "chips").mkdir(exist_ok=True)
            (stages / "chips").symlink_to((workspace / "chips").resolve())
        train_model(
            recipe, given.real, folder, workspace=stages, report=lambda step: print(progress_line(step), flush=True)
        )


def main() -> None:
    given = arguments()
    if given.train:
        train(given)
        return
    if given.fresh:
        shutil.rmtree(given.out / "answers", ignore_errors=True)
    tables = measure(given)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "real.json").write_text(json.dumps(tables, indent=1))
    text = markdown(tables)
    print(text)
    if given.write:
        given.write.write_text(HEADER + text.rstrip() + "\n")


if __name__ == "__main__":
    main()
