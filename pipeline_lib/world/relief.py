"""The ground: a meandering river in a flat valley between fractal hills, dissected by its own tributaries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter

from pipeline_lib.options.world import WorldOptions
from pipeline_lib.world.drainage import accumulation, drain, height_above_nearest_drainage
from pipeline_lib.world.noise import Field, fractal, smooth

PIXEL_M = 10.0
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Relief:
    """Shape of the land; every array (y, x), metres."""

    elevation_m: Field
    """Bare ground; the river's bed is the water surface at bankfull."""
    river: Mask
    """The main river at its usual stage."""
    stream: Mask
    """Tributaries, carved but too narrow to be seen as water."""
    oxbow: Mask
    """Cut-off meanders, which hold lakes and wetland."""
    hand_m: Field
    """Height above the river it drains to; 0 or less in the river."""
    spill_m: Field
    """Lowest stage, as height above the river, at which flood water finds its way here; never below ``hand_m``."""
    distance_m: Field
    """Distance to the river's centre line."""


def make_relief(options: WorldOptions, rng: np.random.Generator) -> Relief:
    """Build the ground and its drainage.

    References:
        Langbein & Leopold 1966 (sine-generated meanders), USGS Prof. Paper 422-H; Rennó et al. 2008 (HAND).
    """
    size = options.size
    frame = _Frame.draw(options, rng)
    path = _meander(frame, rng)
    distance = _distance_to(path, size)
    oxbow = _oxbows(frame, distance, rng)
    ground = _valley(options, frame, distance, rng)
    river = distance <= frame.river_px / 2
    ground[oxbow] -= 1.6
    ground[river] = (frame.fall(size) - 0.5)[river]
    ground, stream = _carve_tributaries(ground, river, frame)
    tree = drain(ground, _outlet(river, frame))
    hand = height_above_nearest_drainage(ground, tree, river, smooth_px=size / 90)
    hand[river] = np.minimum(hand[river], 0)
    return Relief(
        elevation_m=ground,
        river=river,
        stream=stream & ~river,
        oxbow=oxbow & ~river,
        hand_m=hand,
        spill_m=drain(hand, river).filled,
        distance_m=distance * np.float32(PIXEL_M),
    )


@dataclass(frozen=True)
class _Frame:
    """The valley's axis: unit vector downstream in (x right, y down) pixels, and its sizes in pixels."""

    size: int
    along: tuple[float, float]
    river_px: float
    floodplain_px: float
    slope: float = 4e-4

    @classmethod
    def draw(cls, options: WorldOptions, rng: np.random.Generator) -> "_Frame":
        """A valley along one of the map's axes, up to 26 degrees askew."""
        angle = rng.uniform(-0.45, 0.45) + rng.integers(4) * np.pi / 2
        return cls(
            size=options.size,
            along=(float(np.cos(angle)), float(np.sin(angle))),
            river_px=float(np.clip(0.011 * options.size, 4.5, 16) * rng.uniform(0.85, 1.2)),
            floodplain_px=options.floodplain_share * options.size,
        )

    def place(self, along: Field, across: Field) -> tuple[Field, Field]:
        """Valley coordinates (pixels from the world's centre) to rows and columns."""
        (ax, ay), middle = self.along, self.size / 2
        return middle + along * ay + across * ax, middle + along * ax - across * ay

    def fall(self, size: int) -> Field:
        """Elevation of the valley floor along the axis, metres: 0 to a few metres, falling downstream."""
        rows, columns = np.indices((size, size), dtype=np.float32)
        downstream = (columns - size / 2) * self.along[0] + (rows - size / 2) * self.along[1]
        return np.asarray(60 + (0.71 * size - downstream) * PIXEL_M * self.slope, dtype=np.float32)


def _meander(frame: _Frame, rng: np.random.Generator, *, wander: float = 1.0) -> tuple[Field, Field]:
    """Rows and columns of a sine-generated curve along the valley, with wavelengths that vary."""
    length, step = 3.2 * frame.size, 0.5
    s = np.arange(0, length, step)
    wavelength = rng.uniform(9.5, 12.5) * frame.river_px * 1.6
    phase = 2 * np.pi * np.cumsum(step / (wavelength * np.exp(0.25 * _drift(s, wavelength * 2, rng))))
    swing = wander * (1.25 + 0.3 * _drift(s, wavelength * 1.5, rng)) * np.sin(phase + rng.uniform(0, 6.28))
    swing += 0.25 * _drift(s, wavelength, rng)
    along, across = np.cumsum(np.cos(swing)) * step, np.cumsum(np.sin(swing)) * step
    kernel = max(int(2.2 * wavelength / step), 3)
    trend = np.convolve(np.pad(across, kernel, mode="edge"), np.ones(kernel) / kernel, mode="same")[kernel:-kernel]
    limit = 0.55 * frame.floodplain_px
    across = across - trend + limit * 0.6 * _drift(s, frame.size * 0.5, rng)
    across = limit * np.tanh(across / limit)
    return frame.place((along - 0.75 * frame.size).astype(np.float32), across.astype(np.float32))


def _drift(s: NDArray[np.float64], scale: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth random function of path length with unit variance and the given scale."""
    knots = int(np.ceil(s[-1] / scale)) + 3
    return np.asarray(np.interp(s / scale, np.arange(knots), np.clip(rng.standard_normal(knots), -1.8, 1.8)))


def _distance_to(path: tuple[Field, Field], size: int) -> Field:
    """Distance of every pixel to a path, pixels; the path may leave the map."""
    rows, columns = (np.round(part).astype(int) for part in path)
    inside = (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    empty = np.ones((size, size), bool)
    empty[rows[inside], columns[inside]] = False
    return np.asarray(distance_transform_edt(empty), dtype=np.float32)


def _oxbows(frame: _Frame, distance: Field, rng: np.random.Generator) -> Mask:
    """Pieces of older courses of the river, away from today's."""
    former = _distance_to(_meander(frame, rng, wander=1.25), frame.size)
    kept = smooth((frame.size, frame.size), rng, sigma_px=frame.floodplain_px * 0.12) > 0.75
    return np.asarray(
        (former <= frame.river_px * 0.42) & kept & (distance > 1.3 * frame.river_px) & (distance < frame.floodplain_px)
    )


def _valley(options: WorldOptions, frame: _Frame, distance: Field, rng: np.random.Generator) -> Field:
    """Floodplain with natural levees and faint relief, and hills that steepen towards the world's rim."""
    shape, size = distance.shape, frame.size
    width = frame.floodplain_px * (1 + 0.28 * fractal(shape, rng, beta=3.8)).clip(0.45, 1.8)
    relative = distance / width
    levee = 0.4 * np.exp(-(((distance - 0.9 * frame.river_px) / (1.4 * frame.river_px)) ** 2))
    plain = 0.25 + levee + 1.35 * np.minimum(relative, 1.2) ** 1.7
    plain += 0.6 * fractal(shape, rng, beta=4.4, largest_px=size / 4)
    rise = np.clip((relative - 0.92) / 1.5, 0, 1)
    ridged = 1 - np.abs(fractal(shape, rng, beta=4.2, largest_px=size / 2.2)).clip(0, 2) / 2
    relief_m = options.relief_m * min(1.0, size / 1152) ** 0.75
    hills = relief_m * rise**1.6 * (0.15 + 0.85 * ridged**2)
    hills += 0.012 * relief_m * rise * fractal(shape, rng, beta=3.6, largest_px=70)
    rocky = np.clip(smooth(shape, rng, sigma_px=size / 22) - 0.7, 0, 0.4) / 0.4
    terrace = 3.0 * _ease(np.clip((relative - 0.95) / 0.08, 0, 1))
    hills = _scarps(hills.astype(np.float32), relief_m, rocky.astype(np.float32))
    return np.asarray(frame.fall(size) + plain + terrace + hills, dtype=np.float32)


def _scarps(hills: Field, relief_m: float, rocky: Field) -> Field:
    """Turn rocky high ground into steps, whose fronts fold over and cast shadow in the radar's view."""
    step = relief_m / 4
    fraction = np.mod(hills / step, 1)
    stepped = (np.floor(hills / step) + np.clip((fraction - 0.5) / 0.2 + 0.5, 0, 1)) * step
    blend = rocky * np.clip((hills - 0.2 * relief_m) / (0.1 * relief_m), 0, 1)
    return np.asarray(hills * (1 - blend) + stepped * blend, dtype=np.float32)


def _ease(t: Field) -> Field:
    """Smoothstep of a field in [0, 1]."""
    return t * t * (3 - 2 * t)


def _outlet(river: Mask, frame: _Frame) -> Mask:
    """The river's cells at the downstream end of the map."""
    rows, columns = np.nonzero(river)
    downstream = columns * frame.along[0] + rows * frame.along[1]
    last = downstream.argmax()
    outlet = np.zeros_like(river)
    outlet[rows[last], columns[last]] = True
    return outlet


def _carve_tributaries(ground: Field, river: Mask, frame: _Frame) -> tuple[Field, Mask]:
    """Lower the ground along lines of large flow accumulation, so that the hills are dissected."""
    area = accumulation(drain(ground, _outlet(river, frame)))
    stream = (area > (frame.size / 14) ** 2) & ~river
    depth = np.where(stream, np.log10(np.maximum(area, 1)) * 0.7, 0).astype(np.float32)
    slopes = np.clip(gaussian_filter(ground, 3) - frame.fall(frame.size), 0, None)
    depth *= 0.12 + np.minimum(slopes / 16, 4.5)
    carved = gaussian_filter(maximum_filter(depth, 3), 1.3)
    return np.asarray(ground - carved, dtype=np.float32), np.asarray(stream)
