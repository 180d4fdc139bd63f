"""Keys of what training keeps: chip stores by the data that they are cut from, checkpoints by all that they learn from.

The rules are those of `pipeline_lib.steps.keys`: content counts, places do not.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline_lib.content import digest_of_file
from pipeline_lib.datasets.registry import folder_of_set, read_dataset
from pipeline_lib.errors import RasterError, shown
from pipeline_lib.model.record import digest_of
from pipeline_lib.nn.chips import ChipSet
from pipeline_lib.nn.model_folder import WEIGHTS, load_model
from pipeline_lib.nn.pretrained import LIBRARIES
from pipeline_lib.options.train import Recipe
from pipeline_lib.steps.sources import CHIPS, TRAINING, code

SPLIT_ONLY = frozenset(
    {"labelled_share", "sparse_share", "folds", "test_fold", "train_events", "held_events", "extra_share", "left_out"}
)
"""Data options that choose among the chips but do not change them."""
FOR_PEOPLE = frozenset({"name", "description", "threshold"})
"""Of a recipe: what no step of learning looks at."""
PACKAGES = {"smp": "segmentation-models-pytorch"}
"""Package of a library of weights, where it is not the library's name."""


def chips_key(recipe: Recipe, root: Path | None) -> str:
    """Of the chips of a recipe, from its data options and the files of its data sets.

    Every file is read: as much work as making the chips once more would read, without the rest of it.

    Raises:
        UnknownNameError: no such data set.
        InputError: the root is not a folder of that set.
        RasterError: one of its files cannot be read.
    """
    data = recipe.data
    named = {} if root is None or data.dataset == "world" else {data.dataset: root}
    named |= {} if root is None else {name: root / folder_of_set(name) for name in data.extra}
    return digest_of(
        {
            "kind": "chips",
            "code": code(CHIPS),
            "data": data.model_dump(mode="json", exclude=set(SPLIT_ONLY)),
            "units": recipe.units,
            "target": recipe.target,
            "sets": {name: _set_content(name, place) for name, place in named.items()},
        }
    )


def training_key(recipe: Recipe, chips: ChipSet) -> str:
    """Of every checkpoint of a recipe's stages on given chips; the device is no part of it.

    Raises:
        UnknownNameError: no such model to start from.
        ModelError: the model, or a file of weights, is missing or damaged.
    """
    made_of = recipe.model_dump(mode="json", exclude={*FOR_PEOPLE, "base_model"})
    for options in (made_of["network"], made_of["distill"]["teacher"]):
        options["pretrained"] = _pretrained(options["pretrained"])
    base = None if recipe.base_model is None else load_model(recipe.base_model).card
    start = None if base is None else [base.digests[WEIGHTS], base.network.model_dump(mode="json")]
    return digest_of(
        {"kind": "checkpoint", "code": code(TRAINING), "recipe": made_of, "chips": chips.digest, "base": start}
    )


def _set_content(name: str, root: Path) -> str:
    """Digest of all chips of a data set: their files by content, all else as it is."""
    known: dict[Path, str] = {}
    return digest_of([_plain(chip, known) for chip in read_dataset(name, root)])


def _plain(value: Any, known: dict[Path, str]) -> Any:
    """A chip, or a part of one, as JSON with content in place of paths."""
    if isinstance(value, Path):
        if value not in known:
            try:
                known[value] = digest_of_file(value)
            except OSError as error:
                raise RasterError(f"The data set's file {value} cannot be read ({shown(error)}).") from error
        return known[value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), known) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part, known) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part, known) for part in value]
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    return value.value if isinstance(value, Enum) else value


def _pretrained(source: str | None) -> list[str] | None:
    """Encoder weights: a file by its content, those of a library by name and the library's version."""
    if source is None:
        return None
    library = source.partition(":")[0]
    if library not in LIBRARIES:
        return [digest_of_file(Path(source))] if Path(source).is_file() else [source]
    try:
        return [source, version(PACKAGES.get(library, library))]
    except PackageNotFoundError:  # the training will say so
        return [source]
