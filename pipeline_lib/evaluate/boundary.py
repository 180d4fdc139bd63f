"""Scores where water maps differ: at the water's edge.

Away from the edge nearly every pixel is easy. The band score repeats the confusion within a few pixels of the labelled
edge; the boundary F1 asks how much of each edge has the other within a tolerance.

References:
    Csurka, Larlus, Perronnin: What is a good evaluation measure for semantic segmentation?, BMVC 2013 (boundary F1);
    Kohli, Ladicky, Torr: Robust higher order potentials, IJCV 82, 2009 (trimap band).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.errors import GridMismatchError
from pipeline_lib.evaluate.scores import confusion
from pipeline_lib.model import Confusion, Record

BAND_PX = 5.0
TOLERANCE_PX = 2.0


class Boundary(Record):
    """Counts at the water's edge; two of them add."""

    band: Confusion
    """Confusion within `BAND_PX` pixels (Euclidean) of the labelled edge."""
    mapped_edge_pixels: int
    mapped_edge_matched: int
    """Mapped edge pixels with a labelled edge pixel within `TOLERANCE_PX`."""
    labelled_edge_pixels: int
    labelled_edge_matched: int

    def __add__(self, other: "Boundary") -> "Boundary":
        """Pool two."""
        return Boundary(
            band=self.band + other.band,
            mapped_edge_pixels=self.mapped_edge_pixels + other.mapped_edge_pixels,
            mapped_edge_matched=self.mapped_edge_matched + other.mapped_edge_matched,
            labelled_edge_pixels=self.labelled_edge_pixels + other.labelled_edge_pixels,
            labelled_edge_matched=self.labelled_edge_matched + other.labelled_edge_matched,
        )

    @property
    def f1(self) -> float | None:
        """Boundary F1, pooled; None where either edge has no pixel."""
        if not (self.mapped_edge_pixels and self.labelled_edge_pixels):
            return None
        precision = self.mapped_edge_matched / self.mapped_edge_pixels
        recall = self.labelled_edge_matched / self.labelled_edge_pixels
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_counts(predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Boundary:
    """Count one chip.

    An edge pixel is water with a dry 4-neighbour. Pixels valid on one side only belong to no edge: the border of the
    label is not a shore.

    Args:
        predicted: 0 dry, 1 water, any other code no answer; dims (y, x).
        truth: the same.

    Raises:
        GridMismatchError: the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise GridMismatchError(f"Map {predicted.shape} and label {truth.shape} must share one shape.")
    valid = (predicted <= 1) & (truth <= 1)
    mapped, labelled = _edge(predicted == 1, valid), _edge(truth == 1, valid)
    to_mapped, to_labelled = _distance(mapped), _distance(labelled)
    return Boundary(
        band=confusion(predicted, truth, valid=to_labelled <= BAND_PX),
        mapped_edge_pixels=int(mapped.sum()),
        mapped_edge_matched=int((to_labelled[mapped] <= TOLERANCE_PX).sum()),
        labelled_edge_pixels=int(labelled.sum()),
        labelled_edge_matched=int((to_mapped[labelled] <= TOLERANCE_PX).sum()),
    )


def _edge(water: NDArray[np.bool_], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    beside_dry = ndimage.binary_dilation(valid & ~water)
    edge: NDArray[np.bool_] = valid & water & beside_dry
    return edge


def _distance(edge: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels to the nearest edge pixel; infinite where there is no edge at all."""
    if not edge.any():
        return np.full(edge.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~edge)
    return distance
