"""What is remembered of each pixel while an event's passes go by, and how a pass changes it: compiled, pixel by pixel.

Two dozen planes change with a pass. As array operations each of them is read and written several times, with a mask and
an array of chosen values for every step; here all that belongs to a pixel is done at once.
"""

from typing import NamedTuple

import numba
import numpy as np

from pipeline_lib.errors import ContractError
from pipeline_lib.model import EXCLUDED, NOT_OBSERVED

UNKNOWN_HOURS = 65535
"""No such time: never flooded, or never seen."""
PERMANENT, SEASONAL = 1, 2
"""Codes of reference water."""


class Track(NamedTuple):
    """Planes (y, x); those of what was never seen keep what `nothing_seen` puts there."""

    seen: np.ndarray
    """bool, observed by any pass."""
    looks: np.ndarray
    """uint16, usable observations."""
    flooded: np.ndarray
    """uint16, of them flooded."""
    first: np.ndarray
    """uint16, hour of the first flooded observation."""
    last: np.ndarray
    """uint16, of the last."""
    newest: np.ndarray
    """uint16, of the newest usable observation."""
    peak: np.ndarray
    """uint16, of the likeliest flooded observation."""
    wet: np.ndarray
    """uint8, whether the newest usable observation was flooded."""
    before: np.ndarray
    """uint8, whether the one before it was."""
    whole: np.ndarray
    """float32, hours from flood to flood."""
    turning: np.ndarray
    """float32, hours in which the flood came or went."""
    best: np.ndarray
    """uint8, percent, likelihood of the likeliest usable observation."""
    best_flood: np.ndarray
    """uint8, of the likeliest flooded one."""
    latest: np.ndarray
    """uint8, of the newest usable one."""
    best_doubt: np.ndarray
    """uint8, percent, doubt of the likeliest usable observation; of equals the surest."""
    latest_doubt: np.ndarray
    """uint8, of the newest."""
    sum: np.ndarray
    """uint32, sum of likelihoods."""
    sum_undecided: np.ndarray
    """uint32, sum of probabilities of water as the doubts have them."""
    flags: np.ndarray
    """uint16, bits of exclusion of any pass."""
    reference: np.ndarray
    """uint8, reference water; permanent goes before seasonal, none and unknown."""
    water_untold: np.ndarray
    """bool, water that a pass saw where it could not tell flood."""
    any_class: np.ndarray
    """uint8, class of flood; open water goes before vegetation and town."""
    latest_class: np.ndarray
    """uint8, class at the newest usable observation."""


def nothing_seen(shape: tuple[int, ...]) -> Track:
    """Before the first pass."""
    unknown = {"first": UNKNOWN_HOURS, "last": UNKNOWN_HOURS, "newest": UNKNOWN_HOURS, "peak": UNKNOWN_HOURS}
    unknown |= {"before": NOT_OBSERVED, "best_doubt": NOT_OBSERVED, "reference": NOT_OBSERVED}
    types: dict[str, type[np.generic]] = dict.fromkeys(("looks", "flooded", "flags", *list(unknown)[:4]), np.uint16)
    types |= dict.fromkeys(("seen", "water_untold"), np.bool_) | dict.fromkeys(("whole", "turning"), np.float32)
    types |= dict.fromkeys(("sum", "sum_undecided"), np.uint32)
    return Track(*(np.full(shape, unknown.get(name, 0), types.get(name, np.uint8)) for name in Track._fields))


class Look(NamedTuple):
    """A pass as the kernel reads it: planes (y, x); those that it does not have are empty."""

    flood: np.ndarray
    water: np.ndarray
    reference: np.ndarray
    likelihood: np.ndarray
    uncertainty: np.ndarray
    exclusion: np.ndarray
    classes: np.ndarray


LOOK_LAYERS = (
    "flood_extent",
    "water_extent",
    "reference_water",
    "likelihood",
    "uncertainty",
    "exclusion",
    "flood_class",
)
"""Layers of a FloodMap that the event is made of, in the order of the fields of `Look`."""
_OPTIONAL = {"uncertainty", "flood_class"}


def look_of(layers: dict[str, np.ndarray | None]) -> Look:
    """A pass's layers by name; ``uncertainty`` and ``flood_class`` may be missing.

    Arrays are (y, x) in the types of a FloodMap.

    Raises:
        ContractError: another layer is missing.
    """
    planes = []
    for name in LOOK_LAYERS:
        plane = layers[name]
        if plane is None:
            if name not in _OPTIONAL:
                raise ContractError(f"The FloodMap has no {name}; expected the layers of `derive_flood`.")
            plane = np.empty((0, 0), np.uint8)
        planes.append(np.ascontiguousarray(plane, np.uint16 if name == "exclusion" else np.uint8))
    return Look(*planes)


@numba.njit(cache=True, nogil=True)
def see(track: Track, hour: int, look: Look) -> None:
    """Take the next pass in, at a whole hour."""
    has_doubt, has_classes = look.uncertainty.size > 0, look.classes.size > 0
    for y in range(look.flood.shape[0]):
        for x in range(look.flood.shape[1]):
            flood = look.flood[y, x]
            track.flags[y, x] |= look.exclusion[y, x]
            if flood != NOT_OBSERVED:
                track.seen[y, x] = True
            if flood == EXCLUDED and look.water[y, x] == 1:
                track.water_untold[y, x] = True
            _refer(track, y, x, look.reference[y, x])
            if flood >= EXCLUDED:
                continue
            percent = int(look.likelihood[y, x])
            # Bytes as the products have them: what is beyond 100 wraps.
            own = int(look.uncertainty[y, x]) if has_doubt else min(percent, (100 - percent) & 255)
            wet = flood == 1
            _time(track, y, x, hour, wet)
            if wet and (track.flooded[y, x] == 0 or percent > track.best_flood[y, x]):
                track.peak[y, x], track.best_flood[y, x] = hour, percent
            _weigh(track, y, x, percent, own)
            track.looks[y, x] += 1
            kind = 0
            if wet:
                track.flooded[y, x] += 1
                kind = int(look.classes[y, x]) if has_classes else 2
                if track.any_class[y, x] == 0 or kind < track.any_class[y, x]:
                    track.any_class[y, x] = kind
            track.latest_class[y, x] = kind


@numba.njit(cache=True, nogil=True)
def _refer(track: Track, y: int, x: int, reference: int) -> None:
    """Reference water of the pass, where it says more than what is known."""
    if _rank(reference) > _rank(track.reference[y, x]):
        track.reference[y, x] = reference


@numba.njit(cache=True, nogil=True)
def _rank(reference: int) -> int:
    """Which reference water goes before which: permanent, seasonal, none, unknown."""
    if reference == PERMANENT:
        return 4
    if reference == SEASONAL:
        return 3
    return 2 if reference == 0 else 1


@numba.njit(cache=True, nogil=True)
def _time(track: Track, y: int, x: int, hour: int, wet: bool) -> None:
    """First, last, duration and the state at the newest usable observation."""
    if track.looks[y, x] > 0:
        gap = np.float32(hour) - np.float32(track.newest[y, x])
        if wet != (track.wet[y, x] == 1):
            track.turning[y, x] += gap
        elif wet:
            track.whole[y, x] += gap
    if wet:
        if track.flooded[y, x] == 0:
            track.first[y, x] = hour
        track.last[y, x] = hour
    track.before[y, x] = track.wet[y, x]
    track.wet[y, x] = 1 if wet else 0
    track.newest[y, x] = hour


@numba.njit(cache=True, nogil=True)
def _weigh(track: Track, y: int, x: int, percent: int, own: int) -> None:
    """Likelihood and doubt of the newest look, of the likeliest, and their sums."""
    best = track.best[y, x]
    if percent > best or (percent == best and own < track.best_doubt[y, x]):
        track.best[y, x], track.best_doubt[y, x] = percent, own
    track.latest[y, x], track.latest_doubt[y, x] = percent, own
    track.sum[y, x] += np.uint32(percent)
    track.sum_undecided[y, x] += np.uint32((100 - own) & 255 if percent >= 50 else own)


class Layers(NamedTuple):
    """An event's layers, as `pipeline_lib.flood.event.EVENT_OUTPUTS` names and types them."""

    flood_extent: np.ndarray
    water_extent: np.ndarray
    reference_water: np.ndarray
    likelihood: np.ndarray
    uncertainty: np.ndarray
    exclusion: np.ndarray
    flood_class: np.ndarray
    observations: np.ndarray
    flood_observations: np.ndarray
    first_seen: np.ndarray
    last_seen: np.ndarray
    peak_date: np.ndarray
    duration: np.ndarray
    duration_uncertainty: np.ndarray
    age: np.ndarray
    state: np.ndarray


LATEST, MAXIMUM, COUNT = 0, 1, 2
"""Rules by which an event's extent is made, see `pipeline_lib.flood.event`."""
NEVER, NEW, STILL, RECEDED = 0, 1, 2, 3
"""Codes of ``state``."""


@numba.njit(cache=True, nogil=True)
def conclude(track: Track, newest_hour: int, rule: int, out: Layers) -> None:
    """Write the event's layers of what was remembered (those that are planes of the track are left as they are)."""
    for y in range(track.looks.shape[0]):
        for x in range(track.looks.shape[1]):
            flooded, looks = int(track.flooded[y, x]), int(track.looks[y, x])
            reference = 0 if flooded > 0 else int(track.reference[y, x])
            is_reference = reference in (PERMANENT, SEASONAL)
            out.reference_water[y, x] = reference
            _measure_time(track, y, x, out)
            if looks == 0:
                untold = EXCLUDED if track.seen[y, x] else NOT_OBSERVED
                out.flood_extent[y, x] = out.flood_class[y, x] = out.state[y, x] = untold
                out.water_extent[y, x] = 1 if track.water_untold[y, x] else untold
                out.likelihood[y, x] = out.uncertainty[y, x] = NOT_OBSERVED
                out.exclusion[y, x] = track.flags[y, x]
                out.age[y, x] = UNKNOWN_HOURS
                continue
            now = track.wet[y, x] == 1
            wet = now if rule == LATEST else flooded > 0 if rule == MAXIMUM else 2 * flooded >= looks
            kind = int(track.latest_class[y, x] if rule == LATEST else track.any_class[y, x]) if wet else is_reference
            out.flood_extent[y, x], out.flood_class[y, x] = wet, kind
            out.water_extent[y, x] = wet or is_reference
            out.exclusion[y, x] = 0
            out.age[y, x] = newest_hour - int(track.newest[y, x])
            if now:
                out.state[y, x] = STILL if track.before[y, x] == 1 else NEW
            else:
                out.state[y, x] = RECEDED if flooded > 0 else NEVER
            _judge(track, y, x, rule, out)


@numba.njit(cache=True, nogil=True)
def _measure_time(track: Track, y: int, x: int, out: Layers) -> None:
    """Hours under flood and half the gaps in which it came or went; unknown where never flooded."""
    if track.flooded[y, x] == 0:
        out.duration[y, x] = out.duration_uncertainty[y, x] = UNKNOWN_HOURS
        return
    half, limit = track.turning[y, x] / np.float32(2), np.float32(UNKNOWN_HOURS - 1)
    out.duration[y, x] = int(min(np.rint(track.whole[y, x] + half), limit))
    out.duration_uncertainty[y, x] = int(min(np.rint(half), limit))


@numba.njit(cache=True, nogil=True)
def _judge(track: Track, y: int, x: int, rule: int, out: Layers) -> None:
    """Likelihood and uncertainty, percent, of the look that the rule follows."""
    if rule == LATEST:
        out.likelihood[y, x], out.uncertainty[y, x] = track.latest[y, x], track.latest_doubt[y, x]
    elif rule == MAXIMUM:
        out.likelihood[y, x], out.uncertainty[y, x] = track.best[y, x], track.best_doubt[y, x]
    else:
        looks = float(track.looks[y, x])
        undecided = int(np.rint(track.sum_undecided[y, x] / looks))
        out.likelihood[y, x] = int(np.rint(track.sum[y, x] / looks))
        out.uncertainty[y, x] = min(undecided, (100 - undecided) & 255)
