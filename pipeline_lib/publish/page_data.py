"""The pictures of an event's page, as coarse as its weight allows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline_lib.flood.track import UNKNOWN_HOURS
from pipeline_lib.model import Grid
from pipeline_lib.options.publish import PublishOptions
from pipeline_lib.publish.figures import hours_since
from pipeline_lib.publish.heap import give_back_memory
from pipeline_lib.publish.pictures import (
    Canvas,
    canvas_of,
    coarse_classes,
    coarse_measure,
    colour_uri,
    grey,
    photo_uri,
    placed,
    png_uri,
)
from pipeline_lib.publish.preview import coarse_backscatter, coarse_factor, coarse_power

NEVER = 255
SMALLEST_PX = 256
PAINTERS = 2
"""Passes drawn at the same time."""
STEPS = 250
"""Values of an 8-bit picture that a number may take."""
FLOOD_CLASSES = (2, 3, 4)
SHOWN_FIRST = {"state": (1, 2, 3), "reference_water": (0, 1, 2), "optical_water": (0, 1)}
"""Codes of a layer that a coarse pixel shows before others: what was flooded, what is known."""


@dataclass(frozen=True, kw_only=True)
class Imagery:
    """Pictures, and where they lie."""

    canvas: Canvas
    metres: float
    """Ground size of a coarse pixel."""
    classes: np.ndarray
    """Event's flood classes, coarse, on the event's own grid."""
    backdrop: np.ndarray | None
    """Newest radar picture, grey, on the same grid; None where there is none."""
    passes: list[dict[str, str | None]]
    """For each pass data URIs ``classes``, ``likelihood``, ``radar`` and ``before``."""
    event: dict[str, str]
    """Data URIs of the event's layers."""
    units: dict[str, float]
    """What one step of a number layer means: ``duration`` and ``age`` in hours, ``depth`` in centimetres."""

    @property
    def weight(self) -> int:
        """Bytes of all pictures as they stand in the page; a picture that is used twice counts once."""
        uris = {uri for one in self.passes for uri in one.values() if uri} | set(self.event.values())
        return sum(map(len, uris))


def draw_imagery(
    event: xr.Dataset, passes: Sequence[tuple[xr.Dataset, xr.Dataset]], grid: Grid, options: PublishOptions
) -> Imagery:
    """Draw the pictures, coarser and coarser until they fit into the page.

    Args:
        event: what `pipeline_lib.flood.mosaic` returns.
        passes: Scene and FloodMap of each, oldest first.
        grid: of all of them.
        options: ``preview_px`` and ``page_max_mib``.
    """
    longest = options.preview_px
    while True:
        imagery = _draw(event, passes, grid, coarse_factor(grid.shape, longest))
        if imagery.weight <= options.page_max_mib * 2**20 or longest <= SMALLEST_PX:
            return imagery
        longest = max(round(longest * 0.75), SMALLEST_PX)


def _draw(event: xr.Dataset, passes: Sequence[tuple[xr.Dataset, xr.Dataset]], grid: Grid, factor: int) -> Imagery:
    """All pictures at one coarseness."""
    canvas = canvas_of(grid, factor)
    classes = coarse_classes(event["flood_class"], factor, FLOOD_CLASSES)
    with ThreadPoolExecutor(PAINTERS) as pool:
        drawn = list(pool.map(lambda one: _draw_pass(one[0], one[1], grid, canvas, factor), passes))
    units: dict[str, float] = {}
    layers = {"classes": _picture(classes, canvas)}
    for name in ("state", "reference_water"):
        layers[name] = _picture(coarse_classes(event[name], factor, SHOWN_FIRST[name]), canvas)
    layers["likelihood"] = _picture(coarse_measure(event["likelihood"], factor, NEVER), canvas)
    for name, values in _numbers(event, factor, units).items():
        layers[name] = _picture(values, canvas)
    layers |= _optical(event, canvas, factor)
    return Imagery(
        canvas=canvas,
        metres=canvas.metres,
        classes=classes,
        backdrop=_newest([level for level, _ in drawn]),
        passes=[pictures for _, pictures in drawn],
        event=layers,
        units=units,
    )


def _optical(event: xr.Dataset, canvas: Canvas, factor: int) -> dict[str, str]:
    """What Sentinel-2 saw before the event, where it did."""
    if "true_colour" not in event:
        return {}
    colour = [coarse_measure(band, factor, 0) for band in event["true_colour"]]
    water = coarse_classes(event["optical_water"], factor, SHOWN_FIRST["optical_water"])
    return {
        "optical_water": _picture(water, canvas),
        "true_colour": colour_uri(np.stack([placed(band.astype(np.uint8), canvas, 0) for band in colour])),
    }


def _draw_pass(
    scene: xr.Dataset, flood: xr.Dataset, grid: Grid, canvas: Canvas, factor: int
) -> tuple[np.ndarray, dict[str, str | None]]:
    """Coarse backscatter of a pass in dB, and its pictures."""
    give_back_memory()
    level = coarse_backscatter(scene, factor).values
    classes = coarse_classes(flood["flood_class"], factor, FLOOD_CLASSES)
    likelihood = coarse_measure(flood["likelihood"], factor, NEVER)
    return level, {
        "classes": _picture(classes, canvas),
        "likelihood": _picture(likelihood, canvas),
        "radar": _photo(level, canvas),
        "before": _photo(_before(flood, factor, grid), canvas) if "before_db" in flood else None,
    }


def _numbers(event: xr.Dataset, factor: int, units: dict[str, float]) -> dict[str, np.ndarray]:
    """Layers of numbers in 8 bits: dates as the number of the pass, spans in steps."""
    hours = [round(hours_since(event.attrs["epoch"], time)) for time in event.attrs["pass_times"]]
    every = np.arange(UNKNOWN_HOURS + 1)
    step_of = np.abs(every[:, np.newaxis] - np.array(hours)).argmin(axis=1)
    code_of = np.where(every == UNKNOWN_HOURS, NEVER, np.minimum(step_of, STEPS)).astype(np.uint8)
    layers = {}
    for name in ("first_seen", "last_seen", "peak_date"):
        passes = xr.apply_ufunc(code_of.take, event[name], dask="parallelized", output_dtypes=[np.uint8])
        layers[name] = coarse_classes(passes, factor, range(len(hours)))
    for name in ("duration", "duration_uncertainty", "age", "depth", "observations"):
        if name not in event:
            continue
        coarse = coarse_measure(event[name], factor, UNKNOWN_HOURS)
        known = coarse != UNKNOWN_HOURS
        largest = int(coarse[known].max()) if known.any() else 0
        units[name] = max(-(-largest // STEPS), 1)
        layers[name] = np.where(known, np.rint(coarse / units[name]), NEVER).astype(np.uint8)
    return layers


def _before(flood: xr.Dataset, factor: int, grid: Grid) -> np.ndarray:
    """The stored mean of the passes before, brought to the picture's coarseness (it is stored at least as fine)."""
    stored = flood["before_db"]
    step = int(stored.attrs.get("factor", coarse_factor(grid.shape)))
    power = 10 ** (stored.values / 10)
    if factor % step == 0:
        coarse = coarse_power(power, factor // step)
    else:
        rows, columns = (-(-size // factor) for size in grid.shape)
        take = [
            np.minimum(np.arange(count) * factor // step, size - 1)
            for count, size in zip((rows, columns), power.shape, strict=True)
        ]
        coarse = power[np.ix_(*take)]
    with np.errstate(divide="ignore"):
        decibel: np.ndarray = 10 * np.log10(coarse)
    return decibel.astype(np.float32)


def _newest(levels: list[np.ndarray]) -> np.ndarray | None:
    """The newest radar value of each pixel, grey."""
    if not levels:
        return None
    newest = levels[0]
    for level in levels[1:]:
        newest = np.where(np.isfinite(level), level, newest)
    return grey(newest)


def _picture(values: np.ndarray, canvas: Canvas) -> str:
    """8-bit values on the page's plane."""
    return png_uri(placed(values.astype(np.uint8), canvas, NEVER))


def _photo(decibel: np.ndarray, canvas: Canvas) -> str:
    """A radar picture on the page's plane."""
    return photo_uri(grey(placed(decibel.astype(np.float32), canvas, np.nan)))
