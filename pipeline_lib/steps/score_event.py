"""Score a mapped event against the truth of a simulated world, pass by pass and pooled."""

import json
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from rasterio.enums import Resampling

from pipeline_lib.atomic import write_atomically
from pipeline_lib.evaluate.scores import Scores, confusion, score
from pipeline_lib.model import NOT_OBSERVED, Confusion, MappingPlan, Record
from pipeline_lib.steps.map_event import MappedPass
from pipeline_lib.steps.workspace import Workspace, workspace_of
from pipeline_lib.world.inundation import Truth
from pipeline_lib.world.truth import flood_of, open_land, truth_for, truth_layer

SCHEMA = "overbank-event-scores/1"


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

    schema_id: str = SCHEMA
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


def event_scores_text(out: Path, event_id: str) -> str:
    """The scores of an event that was mapped into ``out`` against a truth, as a table for the terminal."""
    path = _path(workspace_of(out, event_id))
    if not path.exists():
        return "Not scored: the map is older than the wish for scores (--again maps anew)."
    rows = EventScores.model_validate_json(path.read_text(encoding="utf-8")).rows()
    shown = [["against the simulated truth", *list(rows[0])[1:]], *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in shown) for column in range(len(shown[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(cells))
        for cells in (list(zip(line, widths, strict=True)) for line in shown)
    )


def score_event(plan: MappingPlan, mapped: list[MappedPass], truth: str, workspace: Workspace) -> EventScores:
    """Score every mapped pass and write ``scores.json`` into the workspace.

    Raises:
        InputError: ``truth`` is not a simulated world.
        UnknownNameError: the world never saw one of the passes.
    """
    passes, open_counts, all_counts = [], [], []
    for one in mapped:
        flood = workspace.store.open(one.flood)
        counts, agreement = compare_with_truth(flood, Path(truth), one.planned.acquisition.acquisition_id)
        open_counts.append(counts[0])
        all_counts.append(counts[1])
        passes.append(
            PassScores(
                acquisition_id=one.planned.acquisition.acquisition_id,
                flood_open_land=score(counts[0]),
                flood_anywhere=score(counts[1]),
                not_observed_agreement=agreement,
            )
        )
    scores = EventScores(
        event_id=plan.event.event_id,
        passes=tuple(passes),
        pooled_flood_open_land=score(sum(open_counts[1:], open_counts[0])),
        pooled_flood_anywhere=score(sum(all_counts[1:], all_counts[0])),
    )
    write_atomically(_path(workspace), json.dumps(scores.model_dump(mode="json"), indent=1))
    return scores


def compare_with_truth(
    flood: xr.Dataset, world: Path, acquisition_id: str
) -> tuple[tuple[Confusion, Confusion], float]:
    """Confusions on open land and anywhere, and the agreement on what was observed, for one pass.

    Args:
        flood: a FloodMap of the pass, dims (y, x), with its CRS.
        world: folder of the simulated world.
        acquisition_id: of the pass.
    """
    extent = flood["flood_extent"].load()
    truth = truth_for(world, acquisition_id)
    flooded = _onto(flood_of(truth).astype("uint8"), extent)
    standing_out = np.isin(_onto(truth, extent), (Truth.FLOODED_VEGETATION, Truth.FLOODED_TOWN))
    land = _onto(open_land(world).astype("uint8"), extent) == 1
    seen = _onto(truth_layer(world, "observed", acquisition_id), extent) == 1
    mapped, wet = extent.to_numpy(), np.where(seen, flooded, NOT_OBSERVED)
    on_open_land = confusion(mapped, wet, valid=land & ~standing_out)
    anywhere = confusion(mapped, wet)
    return (on_open_land, anywhere), float(np.mean((mapped != NOT_OBSERVED) == seen))


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


def _path(workspace: Workspace) -> Path:
    """Where the scores of an event live."""
    return workspace.plan_path.with_name("scores.json")
