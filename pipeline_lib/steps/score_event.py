"""Score a published event against the truth of the simulated world it was mapped from, pass by pass and pooled."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray
import xarray as xr
from rasterio.enums import Resampling

from pipeline_lib.evaluate.scores import Scores, confusion, score
from pipeline_lib.model import NOT_OBSERVED, Confusion, Record
from pipeline_lib.publish.records import need_record
from pipeline_lib.publish.versions import version_folder
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.truth import flood_of, open_land, truth_for, truth_layer


class PassScores(Record):
    """One pass against the truth of its moment."""

    acquisition_id: str
    flood_open_land: Scores
    """``flood_extent`` against open flood, where radar can see one: no forest, reed, town, layover or shadow, and
    not where plants or houses stand out of the water, which is flood but no open water."""
    flood_anywhere: Scores
    """``flood_extent`` against flood of every kind, everywhere the map answers."""
    not_observed_agreement: float
    """Share of pixels on which map and truth agree whether the pass saw them."""


class EventScores(Record):
    """A mapped event against the truth."""

    event_id: str
    passes: tuple[PassScores, ...]
    pooled_flood_open_land: Scores
    """Pixels of all passes in one confusion."""
    pooled_flood_anywhere: Scores

    def rows(self) -> list[dict[str, str]]:
        """One row a pass and one pooled, for a table."""
        rows = [
            _row(one.acquisition_id, one.flood_open_land, one.flood_anywhere, one.not_observed_agreement)
            for one in self.passes
        ]
        agreement = float(np.mean([one.not_observed_agreement for one in self.passes]))
        return [*rows, _row("pooled", self.pooled_flood_open_land, self.pooled_flood_anywhere, agreement)]


def scores_text(scores: EventScores) -> str:
    """The scores as a table for the terminal."""
    rows = scores.rows()
    shown = [["against the simulated truth", *list(rows[0])[1:]], *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in shown) for column in range(len(shown[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in shown)
    )


def score_event(out: Path, event_id: str, world: Path) -> EventScores:
    """Score every pass of the current version of an event, as its readers see it.

    Args:
        out: folder of published events.
        event_id: which.
        world: folder of the simulated world.

    Raises:
        UnknownNameError: nothing of the event is published, or the world never saw one of its passes.
        InputError: ``world`` is not a simulated world.
    """
    record = need_record(out, event_id)
    passes = version_folder(out / event_id, record.version) / "passes"
    floods = {identity: _raster(passes / identity / "flood_extent.tif") for identity in record.passes}
    return score_floods(event_id, floods, world)


def score_floods(event_id: str, floods: Mapping[str, xr.DataArray], world: Path) -> EventScores:
    """Score ``flood_extent`` of passes by their acquisition, dims (y, x) with their CRS.

    Raises:
        InputError: ``world`` is not a simulated world.
        UnknownNameError: the world never saw one of the passes.
    """
    passes, open_counts, all_counts = [], [], []
    for identity, extent in floods.items():
        counts, agreement = compare_with_truth(extent, world, identity)
        open_counts.append(counts[0])
        all_counts.append(counts[1])
        passes.append(
            PassScores(
                acquisition_id=identity,
                flood_open_land=score(counts[0]),
                flood_anywhere=score(counts[1]),
                not_observed_agreement=agreement,
            )
        )
    return EventScores(
        event_id=event_id,
        passes=tuple(passes),
        pooled_flood_open_land=score(sum(open_counts[1:], open_counts[0])),
        pooled_flood_anywhere=score(sum(all_counts[1:], all_counts[0])),
    )


def compare_with_truth(
    extent: xr.DataArray, world: Path, acquisition_id: str
) -> tuple[tuple[Confusion, Confusion], float]:
    """Confusions on open land and anywhere, and the agreement on what was observed, for one pass.

    Args:
        extent: ``flood_extent`` of the pass, uint8 (y, x), with its CRS.
        world: folder of the simulated world.
        acquisition_id: of the pass.
    """
    extent = extent.load()
    truth = truth_for(world, acquisition_id)
    flooded = _onto(flood_of(truth).astype("uint8"), extent)
    standing_out = np.isin(_onto(truth, extent), (Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN))
    land = _onto(open_land(world).astype("uint8"), extent) == 1
    seen = _onto(truth_layer(world, "observed", acquisition_id), extent) == 1
    mapped, wet = extent.to_numpy(), np.where(seen, flooded, NOT_OBSERVED)
    on_open_land = confusion(mapped, wet, valid=land & ~standing_out)
    anywhere = confusion(mapped, wet)
    return (on_open_land, anywhere), float(np.mean((mapped != NOT_OBSERVED) == seen))


def _raster(path: Path) -> xr.DataArray:
    """A published layer."""
    opened: Any = rioxarray.open_rasterio(path)
    layer: xr.DataArray = opened.squeeze("band", drop=True)
    return layer


def _onto(layer: xr.DataArray, like: xr.DataArray) -> np.ndarray:
    """A truth layer on the event's grid, nearest neighbour; 255 beyond the world."""
    filled = layer.rio.write_nodata(NOT_OBSERVED)
    values: np.ndarray = filled.rio.reproject_match(like, resampling=Resampling.nearest).to_numpy()
    return values


def _row(name: str, open_land_scores: Scores, anywhere: Scores, agreement: float) -> dict[str, str]:
    """A table row; undefined scores are said as such."""

    def text(value: float | None) -> str:
        """Three decimals."""
        return "undefined" if value is None else f"{value:.3f}"

    return {
        "pass": name,
        "flood IoU, open land": text(open_land_scores.water_iou),
        "precision": text(open_land_scores.water_precision),
        "recall": text(open_land_scores.water_recall),
        "flood IoU, anywhere": text(anywhere.water_iou),
        "not-observed agreement": text(agreement),
    }
