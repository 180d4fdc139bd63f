"""When the satellites pass: real orbit arithmetic of Sentinel-1A/C and Sentinel-2A/B/C over the simulated place.

The place is the Po plain near Pavia (9.2 E, 45.1 N), where ascending relative orbit 15 and descending relative orbit 66
of Sentinel-1 cross; the landscape there is made up.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pipeline_lib.model.acquisition import OrbitDirection
from pipeline_lib.options.world import WorldOptions

CYCLE = timedelta(days=12)
ORBITS_PER_CYCLE = 175
S1_ANCHORS = {
    OrbitDirection.ASCENDING: (datetime(2025, 10, 8, 17, 15, 2, 311681, tzinfo=timezone.utc), 61337, 15),
    OrbitDirection.DESCENDING: (datetime(2025, 10, 12, 5, 35, 41, 904127, tzinfo=timezone.utc), 61388, 66),
}
"""Sensing start, absolute orbit and relative orbit of one Sentinel-1A pass in each direction, continued in whole cycles
from the real acquisition S1A_IW_GRDH_1SDV_20191215T003835 (absolute orbit 30352, relative orbit 5)."""
S1C_ORBIT_LAG = 61162 - 4386
"""Sentinel-1A's absolute orbit number minus that of Sentinel-1C half a cycle later, so that relative orbit =
(absolute - 73) mod 175 + 1 for A and (absolute - 172) mod 175 + 1 for C."""
HEADING_DEG = {OrbitDirection.ASCENDING: 348.0, OrbitDirection.DESCENDING: 192.0}
"""Flight direction clockwise from north at 45 N."""


@dataclass(frozen=True)
class RadarSlice:
    """One product of a pass: what the archive keeps as one item."""

    number: int
    """Slice number in the datatake."""
    start: datetime
    end: datetime
    share: tuple[float, float]
    """Which part of the world's extent along the flight direction it holds, 0 to 1."""


@dataclass(frozen=True)
class RadarPass:
    """One Sentinel-1 pass over the world."""

    platform: str
    """``S1A`` or ``S1C``."""
    direction: OrbitDirection
    relative_orbit: int
    absolute_orbit: int
    datatake: int
    slices: tuple[RadarSlice, ...]
    swath: tuple[float, float] = (0.0, 1.0)
    """Which part of the world's extent across the flight direction is seen, near to far range."""
    windy: bool = False
    wet_snow: bool = False

    @property
    def start(self) -> datetime:
        """Start of sensing."""
        return self.slices[0].start

    @property
    def end(self) -> datetime:
        """End of sensing."""
        return self.slices[-1].end

    @property
    def pass_id(self) -> str:
        """``S1A_20251101T171502_R015_A``: platform, start, relative orbit, direction."""
        return (
            f"{self.platform}_{self.start:%Y%m%dT%H%M%S}_R{self.relative_orbit:03d}_{self.direction.value[0].upper()}"
        )


@dataclass(frozen=True)
class OpticalPass:
    """One Sentinel-2 overpass."""

    platform: str
    """``S2A``, ``S2B`` or ``S2C``."""
    when: datetime
    relative_orbit: int
    absolute_orbit: int
    cloud_cover: float
    """Share of the world to be under cloud."""

    @property
    def pass_id(self) -> str:
        """``S2B_20251103T101121_R065_D``."""
        return f"{self.platform}_{self.when:%Y%m%dT%H%M%S}_R{self.relative_orbit:03d}_D"


def radar_passes(options: WorldOptions) -> tuple[RadarPass, ...]:
    """Passes before the flood and four during it, in order of time.

    During the flood: descending S1C while it rises, ascending S1A at the peak in two slices, descending S1A on a windy
    morning, ascending S1C that sees only part of the world; wet snow lies on the hills on the last.
    """
    ascending, descending = OrbitDirection.ASCENDING, OrbitDirection.DESCENDING
    dry = options.radar.dry_passes_per_orbit
    passes = [_radar_pass(direction, half) for direction in (ascending, descending) for half in range(2 - dry, 2)]
    passes += [
        _radar_pass(descending, 3),
        _radar_pass(ascending, 4, cuts=(0.0, 0.46, 1.0)),
        _radar_pass(descending, 4, windy=True),
        _radar_pass(ascending, 5, swath=(0.38, 1.0), wet_snow=True),
    ]
    return tuple(sorted(passes, key=lambda radar_pass: radar_pass.start))


def _radar_pass(
    direction: OrbitDirection,
    half_cycles: int,
    *,
    cuts: tuple[float, ...] = (0.0, 1.0),
    swath: tuple[float, float] = (0.0, 1.0),
    windy: bool = False,
    wet_snow: bool = False,
) -> RadarPass:
    """The pass so many half cycles (6 days) after the anchor: Sentinel-1A on even ones, Sentinel-1C on odd ones."""
    start, orbit, relative = S1_ANCHORS[direction]
    start += half_cycles * CYCLE / 2
    is_a = half_cycles % 2 == 0
    absolute = orbit + (half_cycles // 2) * ORBITS_PER_CYCLE - (0 if is_a else S1C_ORBIT_LAG)
    length = timedelta(seconds=24.998)
    edges = range(len(cuts) - 1)
    begin = start - timedelta(seconds=12)
    return RadarPass(
        platform="S1A" if is_a else "S1C",
        direction=direction,
        relative_orbit=relative,
        absolute_orbit=absolute,
        datatake=int(absolute * 8.15) if is_a else int(absolute * 2.07),
        slices=tuple(
            RadarSlice(
                number=7 + index,
                start=begin + index * timedelta(seconds=25),
                end=begin + index * timedelta(seconds=25) + length,
                share=(cuts[index], cuts[index + 1]),
            )
            for index in edges
        ),
        swath=swath,
        windy=windy,
        wet_snow=wet_snow,
    )


def optical_passes(options: WorldOptions) -> tuple[OpticalPass, ...]:
    """Two overpasses before the flood and two during it, in order of time."""
    days = (("S2B", 10, 14, 45012), ("S2C", 10, 24, 5871), ("S2A", 11, 1, 53964), ("S2B", 11, 6, 45341))
    return tuple(
        OpticalPass(
            platform=platform,
            when=datetime(2025, month, day, 10, 21, 1, 24000, tzinfo=timezone.utc),
            relative_orbit=65,
            absolute_orbit=orbit,
            cloud_cover=cover,
        )
        for (platform, month, day, orbit), cover in zip(days, options.optical.cloud_cover, strict=True)
    )
