"""The ensemble: several detectors vote, in the manner of the Copernicus Global Flood Monitoring service.

A pixel is water where more than half of the members that delivered there say so: of three, two; of two, both (one of
two is not water); of one, that one. Where no member delivered, the pixel is not classified. The likelihood is the mean
of the delivered likelihoods. Agreement and disagreement are layers of their own.

References:
    Global Flood Monitoring, Product Definition Document, ensemble flood mapping algorithm; Krullikowski et al. (2023).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import ClassVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from pydantic import JsonValue

from pipeline_lib.errors import ContractError, InputError
from pipeline_lib.model import NOT_OBSERVED, WATER, check_scene, check_water_extent
from pipeline_lib.options import Options
from pipeline_lib.options.detect import EnsembleOptions
from pipeline_lib.water.interface import Detector, Need, Observation
from pipeline_lib.water.making import MADE_BY, MEMBERS, detected


def vote(water: Sequence[npt.NDArray[np.uint8]]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Strict majority of the members that delivered.

    Args:
        water: of each member, uint8 (y, x): 0 dry, 1 water, anything else = did not deliver here.

    Returns:
        Class (0, 1, or 255 where none delivered), and the number of members that delivered.
    """
    stack = np.stack(list(water))
    delivered = (stack <= WATER).sum(axis=0)
    yes = (stack == WATER).sum(axis=0)
    classes = np.where(delivered == 0, NOT_OBSERVED, np.where(2 * yes > delivered, WATER, 0))
    return classes.astype(np.uint8), delivered.astype(np.uint8)


def combine(extents: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Combine WaterExtents of one scene into one.

    A member does not deliver where it is not observed or where it excludes the pixel itself for want of sensitivity,
    unless every member does.

    All are (y, x) Dask arrays on one grid; the chunks of the first are those of the result.

    Returns:
        WaterExtent with two layers more: ``agreement`` float32, share of the delivering members that share the
        ensemble's class (NaN where none), and ``members`` uint8, how many delivered. ``excluded`` holds the bits that
        all members set.

    Raises:
        InputError: there is no member.
    """
    if not extents:
        raise InputError("An ensemble needs at least one member; none is given.")
    first = next(iter(extents.values()))
    chunks = first["water"].data.chunks
    classes = [_rechunked(extent["water"].data, chunks) for extent in extents.values()]
    likelihoods = [_rechunked(extent["likelihood"].data, chunks) for extent in extents.values()]
    excluded = [_rechunked(extent["excluded"].data, chunks) for extent in extents.values()]
    shared = excluded[0]
    for flags in excluded[1:]:
        shared = shared & flags
    able = [_where_able(mine, own, shared) for mine, own in zip(classes, excluded, strict=True)]
    number = len(able)
    water = da.map_blocks(_class, *able, dtype=np.uint8)
    layers = {
        "water": water,
        "likelihood": da.map_blocks(_mean, *able, *likelihoods, number=number, dtype=np.float32),
        "excluded": shared.astype(np.uint16),
        "agreement": da.map_blocks(_agreement, *able, dtype=np.float32),
        "members": da.map_blocks(_members, *able, dtype=np.uint8),
    }
    notes = [f"{name}: {note}" for name, extent in extents.items() for note in extent.attrs.get("notes", [])]
    variables = {name: (("y", "x"), layer, {"units": "1"}) for name, layer in layers.items()}
    made = [extent.attrs[MADE_BY] for extent in extents.values() if MADE_BY in extent.attrs]
    advisory = reduce(or_, (int(extent.attrs.get("advisory", 0)) for extent in extents.values()))
    shared_facts = {name: value for name, value in first.attrs.items() if name not in {MADE_BY, "advisory"}}
    attrs = {**shared_facts, "notes": notes, "ensemble": list(extents), MEMBERS: made, "advisory": advisory}
    return check_water_extent(xr.Dataset(variables, coords=first.coords, attrs=attrs))


def _rechunked(data: da.Array, chunks: tuple[tuple[int, ...], ...]) -> da.Array:
    """All members in the blocks of the first."""
    return da.asarray(data).rechunk(chunks)


def _where_able(classes: da.Array, own: da.Array, shared: da.Array) -> da.Array:
    """The member's classes, 255 where it alone excludes the pixel."""
    return da.where((own & ~shared) != 0, np.uint8(NOT_OBSERVED), classes)


def _class(*water: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Class of a block."""
    return vote(water)[0]


def _members(*water: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """How many delivered."""
    return vote(water)[1]


def _agreement(*water: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Share of the delivering members with the ensemble's class."""
    classes, delivered = vote(water)
    same = sum((member == classes).astype(np.int16) for member in water)
    share = np.asarray(same, dtype=np.float32) / np.maximum(delivered, 1)
    return np.where(delivered == 0, np.float32(np.nan), share).astype(np.float32)


def _mean(*blocks: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
    """Mean likelihood of the members that delivered."""
    water, likelihood = np.stack(blocks[:number]), np.stack(blocks[number:])
    delivered = (water <= WATER) & np.isfinite(likelihood)
    count = delivered.sum(axis=0)
    total = np.where(delivered, likelihood, 0.0).sum(axis=0)
    return np.where(count == 0, np.nan, total / np.maximum(count, 1)).astype(np.float32)


class EnsembleDetector:
    """See the module's docstring; the members are found by name when it is made."""

    name: ClassVar[str] = "ensemble"
    summary: ClassVar[str] = "Majority of several detectors, mean likelihood, agreement (as Copernicus GFM does)"
    options_type: ClassVar[type[Options]] = EnsembleOptions
    make: ClassVar[Callable[[str, dict[str, JsonValue] | None], Detector]]
    """How a member is made from its name and options: set by the registry, which knows them all."""

    def __init__(self, options: Options | None = None) -> None:
        """Make the members.

        Raises:
            InputError: no member, the ensemble itself as a member, or a member twice.
        """
        self.options = options if isinstance(options, EnsembleOptions) else EnsembleOptions()
        names = self.options.members
        if not names or self.name in names or len(set(names)) < len(names):
            raise InputError(f"Members of an ensemble are {names!r}; give each other detector's name at most once.")
        self.members = self._made()
        # What else a member needs it may lack: it then does not deliver. A network runs wherever a member has one.
        runs_network = any(Need.MODEL in member.needs for member in self.members.values())
        self.needs = frozenset({Need.MODEL}) if runs_network else frozenset()

    def _made(self) -> dict[str, Detector]:
        """The members by name."""
        return {name: type(self).make(name, self.options.parameters.get(name)) for name in self.options.members}

    def detect(self, observation: Observation) -> xr.Dataset:
        """WaterExtent of the observation: members whose needs are not met do not deliver, and the notes say so.

        Raises:
            InputError: no member's needs are met.
        """
        check_scene(observation.scene)
        extents, silent = {}, []
        for name, member in self.members.items():
            missing = sorted(need.value for need in member.needs if not observation.has(need))
            if missing:
                silent.append(f"{name} did not deliver: it needs {', '.join(missing)}.")
                continue
            try:
                extents[name] = detected(member, observation)
            except ContractError as error:
                silent.append(f"{name} did not deliver: {error}")
        if not extents:
            raise InputError("No member of the ensemble can work with this observation. " + " ".join(silent))
        combined = combine(extents)
        return combined.assign_attrs(notes=[*silent, *combined.attrs["notes"]])
