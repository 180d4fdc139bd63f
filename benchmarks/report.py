"""The comparison report: every detector on every labelled set and on a simulated world, peers on the same pixels.

    python benchmarks/report.py [--real DIR] [--out DIR] [--peers PYTHON] [--detector NAME ...] [--limit 12]

Each detector runs in a process of its own (its peak memory is its own) and leaves one ``scores.json`` a set under
``OUT/scores``; finished ones are kept, so that a broken run goes on where it stopped (``--fresh`` starts anew). The
peers run in the environment of ``--peers``, that of ``make peers`` where there is one. ``OUT/index.html`` is the page
with maps; ``--docs`` writes docs/reference/comparison.html and the tables of docs/explanation/scores.md anew.

Of a set with more than ``--limit`` chips so many are drawn at random with `SEED`; of a chip larger than `WINDOW_PX` one
window is scored: of `DRAWS` drawn with the same seed the one with most labelled pixels. All methods see the same.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PEERS = ("hydrosar", "dask-flood-mapper", "autofloods-any", "autofloods-both")
SETS = {
    "sen1floods11": ("sen1floods11", None),
    "etci2021": ("etci2021", None),
    "ombria": ("ombria", "test"),
    "cems": ("cems_rcnn", None),
}
"""Real set to its folder and split."""
WITHOUT_DUAL_POLARISATION = {"ombria"}
"""The peers need VV and VH."""
WORLD_SIZE = 512
SEED = 20_251_101
WINDOW_PX = 512
DRAWS = 12
SHOWN_AS_MAPS = ("sen1floods11", "world")


def default_real() -> Path:
    """Folder of the labelled sets where none is given."""
    return Path(os.environ.get("OVERBANK_REAL_DATA", REPOSITORY.parent / "shared" / "data"))


def arguments() -> argparse.Namespace:
    from benchmarks.record import peers_python

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=default_real(), help="folder of the labelled sets")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "report")
    parser.add_argument("--peers", type=Path, default=peers_python(), help="Python of the peers' environment")
    parser.add_argument("--detector", action="append", help="only these; may be repeated; none: peers only")
    parser.add_argument("--model", action="append", default=[], help="trained model to score too; may be repeated")
    parser.add_argument("--set", action="append", dest="sets", help="only these sets; may be repeated")
    parser.add_argument("--limit", type=int, default=12, help="chips a set, drawn at random; 0 = all")
    parser.add_argument("--fresh", action="store_true", help="forget earlier scores")
    parser.add_argument("--docs", action="store_true", help="also write the page and the tables of the documentation")
    parser.add_argument("--schema", action="store_true", help="only write docs/reference/scores.schema.json")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NAME"), help=argparse.SUPPRESS)
    return parser.parse_args()


def available(given: argparse.Namespace) -> dict[str, tuple[str, Path, str | None]]:
    """Name of each set on the page to reader, root and split."""
    found = {
        name: (name, given.real / folder, split)
        for name, (folder, split) in SETS.items()
        if (given.real / folder).is_dir()
    }
    world = given.out / "world"
    if world.is_dir():
        found |= {"world": ("world", world, None), "world-flood": ("world-flood", world, None)}
    return {name: entry for name, entry in found.items() if not given.sets or name in given.sets}


def chips_of(entry: tuple[str, Path, str | None], limit: int) -> list:
    """Labelled chips, drawn at random where there are more than ``limit``, and large ones cut."""
    from pipeline_lib.datasets import read_dataset

    reader, root, split = entry
    chips = [chip for chip in read_dataset(reader, root, split) if chip.label is not None]
    if limit and len(chips) > limit:
        drawn = random.Random(SEED).sample(range(len(chips)), limit)  # noqa: S311 - a sample, no secret
        chips = [chips[index] for index in sorted(drawn)]
    return [windowed(chip) for chip in chips]


def windowed(chip):
    """The chip, or one window of a chip that is larger than `WINDOW_PX`."""
    truth = chip.truth()
    if max(truth.shape) <= WINDOW_PX:
        return chip
    draw = random.Random(f"{SEED} {chip.chip_id}")  # noqa: S311
    corners = [[draw.randrange(max(1, size - WINDOW_PX)) for size in truth.shape] for _ in range(DRAWS)]
    windows = [tuple(slice(start, start + WINDOW_PX) for start in corner) for corner in corners]
    window = max(windows, key=lambda cut: int((truth[cut] <= 1).sum()))
    cut = {
        name: replace(getattr(chip, name), crop=window)
        for name in ("sar", "sar_before", "label")
        if getattr(chip, name)
    }
    return replace(chip, **cut)


def is_done(given: argparse.Namespace, name: str) -> bool:
    """Whether a method has answered or refused every set."""
    places = [given.out / "scores" / title for title in available(given)]
    return all(any((place / f"{name}{end}").is_file() for end in (".json", ".refused")) for place in places)


def run_one(given: argparse.Namespace, kind: str, name: str) -> None:
    """Score one detector or model on every set it can take."""
    from pipeline_lib.errors import OverbankError
    from pipeline_lib.options.evaluate import EvaluateOptions
    from pipeline_lib.steps.evaluate import evaluate_chips, write_evaluation
    from pipeline_lib.steps.subject import subject_of

    for title, entry in available(given).items():
        target = given.out / "scores" / title / f"{Path(name).name}.json"
        if target.is_file() or target.with_suffix(".refused").is_file():
            continue
        subject = {"detector": name} if kind == "detector" else {"model": name}
        options = EvaluateOptions(dataset=entry[0], root=entry[1], split=entry[2], **subject)
        chips = chips_of(entry, given.limit)
        try:
            found, answer, notes = subject_of(options, chips)
            answer(chips[0])  # compiled code and lazy imports are not the detector's time
            plot = given.out / "maps" / title / Path(name).name if title in SHOWN_AS_MAPS else None
            evaluation = evaluate_chips(chips, found, answer, options=options, notes=notes, plot=plot)
        except OverbankError as error:
            refuse(target, str(error))
            continue
        write_evaluation(evaluation, target)
        print(f"  {name} on {title}: pooled IoU {evaluation.scores.pooled.water_iou}", flush=True)


def refuse(target: Path, reason: str) -> None:
    """Record that a set could not be answered, and why: the page says so instead of leaving a gap."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".refused").write_text(reason)


def run_peer(given: argparse.Namespace, peer: str) -> None:
    """Hand a set's pixels to a peer's environment, and score what comes back with our own scores."""
    import numpy as np

    for title, entry in available(given).items():
        target = given.out / "scores" / title / f"peer-{peer}.json"
        if title in WITHOUT_DUAL_POLARISATION:
            refuse(target, "one polarisation; the peer needs VV and VH")
        if target.is_file() or target.with_suffix(".refused").is_file():
            continue
        chips = chips_of(entry, given.limit)
        place = given.out / "peers" / title
        names = {chip.chip_id: chip.chip_id.replace("/", "_") for chip in chips}
        (place / "input").mkdir(parents=True, exist_ok=True)
        for chip in chips:
            path = place / "input" / f"{names[chip.chip_id]}.npz"
            if not path.is_file():
                bands = chip.sar.backscatter()
                np.savez(path, vv=bands["vv"], vh=bands["vh"])
        script = Path(__file__).parent / "peers" / "run_peer.py"
        command = [str(given.peers), str(script), peer, str(place / "input"), str(place / peer)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            refuse(target, done.stderr.strip().splitlines()[-1] if done.stderr else f"exit code {done.returncode}")
            continue
        score_peer(given, peer, (title, entry), chips, place / peer)


def score_peer(given: argparse.Namespace, peer: str, data: tuple, chips: list, answers: Path) -> None:
    import numpy as np

    from pipeline_lib.evaluate import Subject
    from pipeline_lib.options.evaluate import EvaluateOptions
    from pipeline_lib.steps.answer import Answer
    from pipeline_lib.steps.evaluate import evaluate_chips, write_evaluation

    title, entry = data
    facts = json.loads((answers / "facts.json").read_text())

    def answer(chip):
        with np.load(answers / f"{chip.chip_id.replace('/', '_')}.npz") as stored:
            return Answer(water=stored["water"], likelihood=None, excluded_pixels=0, seconds=float(stored["seconds"]))

    notes = [f"peer, version {facts['version']}, on the same pixels in its own environment"]
    notes += [f"crashed on {chip}: {error}" for chip, error in facts["errors"].items()]
    options = EvaluateOptions(dataset=entry[0], root=entry[1], split=entry[2])
    subject = Subject(kind="map", name=peer)
    plot = given.out / "maps" / title / f"peer-{peer}" if title in SHOWN_AS_MAPS else None
    found = evaluate_chips(chips, subject, answer, options=options, notes=tuple(notes), plot=plot)
    found = found.model_copy(update={"peak_memory_bytes": facts["peak_memory_bytes"]})
    write_evaluation(found, given.out / "scores" / title / f"peer-{peer}.json")


def make_world(given: argparse.Namespace) -> None:
    from pipeline_lib.options.world import WorldOptions
    from pipeline_lib.world.build import build_world

    if (given.out / "world" / "truth.json").is_file():
        return
    build_world(given.out / "world", WorldOptions(size=WORLD_SIZE))


def write_schema() -> None:
    from pipeline_lib.evaluate import schema

    path = REPOSITORY / "docs" / "reference" / "scores.schema.json"
    path.write_text(json.dumps(schema(), indent=1) + "\n")


def main() -> None:
    sys.path.insert(0, str(REPOSITORY))
    given = arguments()
    if given.schema:
        write_schema()
        return
    if given.one:
        run_one(given, *given.one)
        return
    if given.fresh:
        import shutil

        shutil.rmtree(given.out / "scores", ignore_errors=True)
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.sets or any(name.startswith("world") for name in given.sets):
        make_world(given)
    from benchmarks.report_page import fill_tables, write_page
    from pipeline_lib.water import detectors

    names = [] if given.detector == ["none"] else given.detector or [found.name for found in detectors()]
    for kind, name in [("detector", name) for name in names] + [("model", name) for name in given.model]:
        if not is_done(given, Path(name).name):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", kind, name], check=True)
    for peer in PEERS if given.peers else ():
        run_peer(given, peer)
    if given.docs:
        print(write_page(given.out, REPOSITORY / "docs" / "reference" / "comparison.html"))
        print(fill_tables(given.out, REPOSITORY / "docs" / "explanation" / "scores.md"))
    print(write_page(given.out, given.out / "index.html"))


if __name__ == "__main__":
    main()
