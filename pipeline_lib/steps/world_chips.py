"""Chips of simulated worlds: passes under varied conditions with exact labels, in a model's network units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pipeline_lib.nn.chips import LabelledChip
from pipeline_lib.nn.inputs import InputContract
from pipeline_lib.nn.labels import IGNORE
from pipeline_lib.options.train import DataOptions
from pipeline_lib.options.world import WorldOptions
from pipeline_lib.steps.network_units import cut, network_units, reflectance_units
from pipeline_lib.world.calendar import RadarPass, radar_passes
from pipeline_lib.world.inundation import Truth, inundate
from pipeline_lib.world.optical import BANDS as WORLD_OPTICAL
from pipeline_lib.world.optical import OpticalScene
from pipeline_lib.world.radar import Land, RadarScene, observe
from pipeline_lib.world.simulate import World, make_land, optical_scenes

HIDDEN_CLASSES = (0, 1, 3, 8, 9, 10)
"""Sen2Cor: no data, saturated, cloud shadow, cloud of medium and high probability, cirrus."""
FIRST_WORLD_SEED = 100_000
"""Seeds of training worlds start here; worlds for evaluation use small seeds, so that none is ever shared."""
SNOW_SHARE = 0.3
"""How often wet snow darkens the hills, on any training pass, flooded or not."""


@dataclass(frozen=True)
class Look:
    """One radar scene to learn from, and what was there before it on its orbit."""

    number: int
    scene: RadarScene
    past: tuple[RadarScene, ...]


def world_chips(data: DataOptions, contract: InputContract, bands: Sequence[str]) -> Iterator[LabelledChip]:
    """Passes of domain-randomised worlds, one group per world."""
    for number in range(data.worlds):
        seed = FIRST_WORLD_SEED + number
        options = WorldOptions.randomised(seed, size=data.world_size_px)
        land = make_land(options)
        optical = tuple(optical_scenes(options, land)) if any(name in WORLD_OPTICAL for name in bands) else ()
        for look in varied_looks(options, land, data):
            image, lag = world_image(look.scene, look.past, optical, contract, bands)
            label = world_label(look.scene, before=contract.needs_history)
            chip_id, group = f"world{seed}/{look.number}", f"world{seed}"
            yield from cut(image, label, chip_id=chip_id, group=group, event=group, lag_days=lag)


def varied_looks(options: WorldOptions, land: Land, data: DataOptions) -> Iterator[Look]:
    """The flood's passes and the last two before it, each with wind and wet snow drawn anew.

    The calendar gives wind to one pass and snow to another; a model that saw it alone would learn that snow comes
    with the fourth pass. Where ``data.wind_db`` is given, each windy pass has a wind of its own: the same water under
    one wind alone would leave a model that knows some winds and not those between. The past is a random handful of
    the dry passes, as archives have one or five.
    """
    rng = np.random.default_rng([options.seed, 5])
    passes = list(enumerate(radar_passes(options)))
    dry = [(k, one) for k, one in passes if one.start <= options.flood_start]
    seen = {k: _scene(options, land, one, k, rng) for k, one in dry[:-2]}
    for number, one in [*dry[-2:], *passes[len(dry) :]]:
        varied = replace(one, windy=rng.random() < data.wind_share, wet_snow=rng.random() < SNOW_SHARE)
        mates = [seen[k] for k, other in dry[:-2] if other.direction == one.direction]
        kept = rng.permutation(len(mates))[: rng.integers(1, len(mates) + 1)]
        windy = options if data.wind_db is None else _under_wind(options, rng.uniform(*data.wind_db))
        yield Look(number, _scene(windy, land, varied, number, rng), tuple(mates[k] for k in kept))


def _under_wind(options: WorldOptions, wind_db: float) -> WorldOptions:
    return options.model_copy(update={"radar": options.radar.model_copy(update={"wind_db": wind_db})})


def _scene(
    options: WorldOptions, land: Land, radar_pass: RadarPass, number: int, rng: np.random.Generator
) -> RadarScene:
    flood = inundate(options, land.relief, land.cover, radar_pass.start)
    return observe(
        options, land, radar_pass, flood, np.random.default_rng([options.seed, 4, number, int(rng.integers(99))])
    )


def learning_passes(world: World) -> list[tuple[int, RadarScene]]:
    """The passes during the flood, and the last one before it."""
    flooded = [(k, scene) for k, scene in enumerate(world.radar) if scene.radar_pass.start > world.options.flood_start]
    first = flooded[0][0]
    return [(first - 1, world.radar[first - 1]), *flooded]


def world_label(scene: RadarScene, *, before: bool) -> NDArray[np.uint8]:
    """0 dry, 1 water, 255 where this radar view cannot tell.

    Reference water and open flood are water. Flooded vegetation is bright: water for a model that sees the time
    before, unknown otherwise. Flooded town is unknown. Where there is no echo at all nothing is learned.

    uint8 (y, x).
    """
    truth = scene.inundation.truth
    label = np.full(truth.shape, IGNORE, np.uint8)
    label[truth == Truth.DRY] = 0
    label[(truth == Truth.REFERENCE_WATER) | (truth == Truth.OPEN_FLOOD)] = 1
    if before:
        label[truth == Truth.FLOODED_VEGETATION] = 1
    label[~scene.observed] = IGNORE
    return label


def world_image(
    scene: RadarScene,
    past: Sequence[RadarScene],
    optical: Sequence[OpticalScene],
    contract: InputContract,
    bands: Sequence[str],
) -> tuple[NDArray[np.float32], float]:
    """``(band, y, x)`` network units of one pass, and the lag in days of the nearest optical date."""
    now = radar_dataset([scene]).isel(time=0)
    radar = network_units(contract, now, radar_dataset(past) if past else None)
    nearest, lag = _nearest_optical(optical, scene)
    rows = []
    for name in bands:
        if name in contract.names:
            rows.append(radar[contract.names.index(name)])
        elif nearest is not None and name in WORLD_OPTICAL:
            rows.append(optical_units(nearest, name))
        else:
            rows.append(np.full(radar.shape[1:], np.nan, np.float32))
    return np.stack(rows), lag


def past_of(world: World, scene: RadarScene) -> tuple[RadarScene, ...]:
    """Passes of the same orbit before the scene and before the flood."""
    before = min(scene.radar_pass.start, world.options.flood_start)
    mine = scene.radar_pass.direction
    return tuple(
        other for other in world.radar if other.radar_pass.direction == mine and other.radar_pass.start < before
    )


def radar_dataset(scenes: Sequence[RadarScene]) -> xr.Dataset:
    """Passes as a dataset ``(time, y, x)`` in linear power."""
    dims = ("time", "y", "x")
    return xr.Dataset(
        {
            "vv": (dims, np.stack([scene.vv for scene in scenes])),
            "vh": (dims, np.stack([scene.vh for scene in scenes])),
        }
    )


def optical_units(scene: OpticalScene, band: str) -> NDArray[np.float32]:
    """Reflectance as network units, NaN where the processor's scene classes say cloud, shadow or no data.

    float32 (y, x), on the radar's grid.
    """
    reflectance = scene.reflectance((band,))[0]
    rows, columns = reflectance.shape
    classes = scene.scene_class.repeat(2, axis=0).repeat(2, axis=1)[:rows, :columns]
    hidden = np.isin(classes, HIDDEN_CLASSES)
    return reflectance_units(reflectance, hidden)


def _nearest_optical(optical: Sequence[OpticalScene], scene: RadarScene) -> tuple[OpticalScene | None, float]:
    best, lag = None, float("inf")
    for one in optical:
        days = abs((one.optical_pass.when - scene.radar_pass.start).total_seconds()) / 86400
        if days < lag:
            best, lag = one, days
    return best, (0.0 if best is None else lag)
