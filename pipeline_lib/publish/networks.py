"""The networks that made a map, as a version publishes them: their files, and what STAC says of them."""

import filecmp
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.errors import ModelError
from pipeline_lib.model import DetectorUsed, NetworkUsed
from pipeline_lib.nn.mlm import mlm_asset, mlm_properties
from pipeline_lib.nn.model_folder import CARD, Model, load_model
from pipeline_lib.options.detect import DetectorChoice
from pipeline_lib.publish.rasters import share_file
from pipeline_lib.water.registry import detector, models_of

FOLDER = "models"
"""Of a version, where networks made the map: one folder each."""


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A network whose files go with a version."""

    name: str
    """Of its folder in the version."""
    model: Model

    @property
    def assets(self) -> dict[str, Any]:
        """STAC assets of its files, hrefs relative to the version's folder."""
        card, folder = self.model.card, self.model.folder
        sizes = {file: (folder / file).stat().st_size for file in card.digests}
        place = f"{FOLDER}/{self.name}"
        return {f"model_{self.name}_{file}": mlm_asset(file, card, size, place) for file, size in sizes.items()}


def networks_of(made: Iterable[DetectorUsed], chosen: DetectorChoice) -> dict[str, PublishedNetwork]:
    """The networks that made several passes by `NetworkUsed.key`, each once.

    Stored water outlives the folder that its network lay in: where that is gone or holds another network, a model of
    the same content among those that the run's detector names is the same.

    Args:
        made: what made each pass.
        chosen: the detector of the run.

    Raises:
        ModelError: one is nowhere to be found: the version would hold other files than those that made the map.
    """
    found: dict[str, PublishedNetwork] = {}
    names: set[str] = set()
    for used in (network for one in made for network in one.all_networks):
        if used.key in found:
            continue
        name = re.sub(r"[^\w.-]", "_", used.name)
        name = f"{name}-{used.key}" if name in names else name
        names.add(name)
        found[used.key] = PublishedNetwork(name=name, model=_opened(used, chosen))
    return found


def network_properties(used: Iterable[NetworkUsed], networks: Mapping[str, PublishedNetwork]) -> dict[str, Any]:
    """Properties of the MLM extension for a map that these networks made; nothing where there are none."""
    cards = {one.key: networks[one.key].model.card for one in used}
    return mlm_properties(*cards.values()) if cards else {}


def network_assets(
    used: Iterable[NetworkUsed], networks: Mapping[str, PublishedNetwork], top: str
) -> dict[str, dict[str, Any]]:
    """Assets of these networks' files; ``top`` is the way from an item's folder to the version's."""
    return {
        key: asset | {"href": f"{top}/{asset['href']}"}
        for one in used
        for key, asset in networks[one.key].assets.items()
    }


def take_networks(networks: Iterable[PublishedNetwork], place: Path, old: Path | None) -> None:
    """The networks' files into a version, linked to those of the version before where they are the same."""
    for one in networks:
        target = place / FOLDER / one.name
        target.mkdir(parents=True)
        for path in sorted(path for path in one.model.folder.iterdir() if path.is_file()):
            before = None if old is None else old / FOLDER / one.name / path.name
            if before is not None and before.is_file() and filecmp.cmp(before, path, shallow=False):
                share_file(before, target / path.name)
            else:
                shutil.copyfile(path, target / path.name)


def _opened(used: NetworkUsed, chosen: DetectorChoice) -> Model:
    if (Path(used.folder) / CARD).is_file():
        with suppress(ModelError):  # half replaced: it is not the one that made the map
            model = load_model(used.folder)
            if model.card.digests == used.digests:
                return model
    for model in models_of(detector(chosen.detector, chosen.parameters)):
        if (model.card.name, model.card.digests) == (used.name, used.digests):
            return model
    raise ModelError(
        f"The network {used.name} made this map, and {used.folder} does not hold it any more, so the map cannot be "
        "published with the files that made it. Map the event again."
    )
