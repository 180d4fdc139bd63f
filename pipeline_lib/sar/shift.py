"""A measured shift, and the pass moved by it."""

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from pipeline_lib.model import Record

MIN_SHIFT_PX = 0.5
MIN_CONFIDENCE = 0.9
MIN_BLOCKS = 4


class ShiftEstimate(Record):
    """Where a pass lies relative to a reference: ``pass(y + dy, x + dx)`` shows what ``reference(y, x)`` shows."""

    reference: str
    """Identifier of what the pass was compared with."""
    dy_px: float
    """Rows, positive downwards."""
    dx_px: float
    """Columns, positive to the right."""
    confidence: float
    """Share of bootstrap replicates of the blocks whose shift is within half a pixel of the estimate, 0 to 1."""
    spread_px: float
    """Median distance of the replicates from the estimate, pixels."""
    correlation: float
    """Height of the averaged correlation's peak, -1 to 1."""
    blocks: int
    """Blocks with enough unchanged, observed pixels."""
    corrected: bool = False
    """Whether the pass was moved by this shift."""

    @property
    def length_px(self) -> float:
        """Length of the shift."""
        return float(np.hypot(self.dy_px, self.dx_px))

    def is_sure(self, *, min_shift_px: float = MIN_SHIFT_PX) -> bool:
        """Whether the shift is large enough to matter and sure enough to be corrected."""
        return self.blocks >= MIN_BLOCKS and self.length_px > min_shift_px and self.confidence >= MIN_CONFIDENCE


def moved(scene: xr.Dataset, estimate: ShiftEstimate) -> xr.Dataset:
    """The pass moved onto its reference: bilinear in linear power, NaN left out, NaN where the nearest pixel is NaN.

    Args:
        scene: Scene (y, x); other variables with dims (y, x) are moved too, integers to the nearest pixel.
        estimate: of `pipeline_lib.sar.registration`.
    """
    layers = {
        name: _moved_layer(layer, estimate) for name, layer in scene.data_vars.items() if layer.dims == ("y", "x")
    }
    return scene.assign(layers)


def _moved_layer(layer: xr.DataArray, estimate: ShiftEstimate) -> xr.DataArray:
    data, order = layer.data, 1 if layer.dtype.kind == "f" else 0
    if isinstance(data, da.Array):
        depth = int(np.ceil(max(abs(estimate.dy_px), abs(estimate.dx_px)))) + 2
        result = data.map_overlap(
            _moved_array, depth=depth, boundary="none", dtype=data.dtype, meta=np.empty((0, 0), data.dtype),
            dy=estimate.dy_px, dx=estimate.dx_px, order=order,
        )  # fmt: skip
        return layer.copy(data=result.rechunk(data.chunks))
    return layer.copy(data=_moved_array(data, estimate.dy_px, estimate.dx_px, order))


def _moved_array(values: NDArray[np.float32], dy: float, dx: float, order: int) -> NDArray[np.float32]:
    """``values(y + dy, x + dx)``; NaN (or 0 for integers) beyond the edge."""
    if order == 0:
        return np.asarray(ndimage.shift(values, (-dy, -dx), order=0, mode="constant", cval=0))
    valid = np.isfinite(values)
    total = ndimage.shift(np.where(valid, values, 0.0).astype("f8"), (-dy, -dx), order=1, mode="constant", cval=0)
    weight = ndimage.shift(valid.astype("f8"), (-dy, -dx), order=1, mode="constant", cval=0)
    nearest = ndimage.shift(valid.astype("u1"), (-dy, -dx), order=0, mode="constant", cval=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(nearest > 0, total / weight, np.nan).astype(values.dtype)
