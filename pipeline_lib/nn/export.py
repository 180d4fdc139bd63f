"""Export to ONNX by torch's exporter, and static int8 quantisation of the result."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline_lib.atomic import whole_file
from pipeline_lib.errors import ModelError

OPSET = 18
EXPORT_SIDE_STRIDES = 8
"""Side of the example image, in coarsest strides."""


def export_onnx(network: nn.Module, bands: int, path: Path, *, stride_px: int) -> Path:
    """Write the network as ONNX with dynamic batch, height and width.

    Networks without global context hold no shape anywhere, so that an export for one size serves all once its input
    and output are declared free; the others are traced with symbolic sizes, which takes minutes.

    Raises:
        ModelError: the exporter is not installed.
    """
    side = max(EXPORT_SIDE_STRIDES * stride_px, 64)
    example = torch.zeros(2, bands, side, side)
    network = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    shape_free = bool(getattr(network, "receptive_is_local", False))
    options: dict[str, Any] = {} if shape_free else {"dynamic_shapes": (_free_sizes(stride_px),)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                str(path),
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=["logits"],
                external_data=False,
                verbose=False,
                **options,
            )
        if shape_free:
            _declare_free(path)
    except ImportError as error:
        raise ModelError("ONNX export needs the packages onnx and onnxscript: install overbank[fast].") from error
    return path


def _free_sizes(stride_px: int) -> dict[int, Any]:
    rows, columns = (torch.export.Dim(name, min=1, max=8192 // stride_px) for name in ("rows", "columns"))
    return {0: torch.export.Dim("batch", min=1, max=1024), 2: stride_px * rows, 3: stride_px * columns}


def _declare_free(path: Path) -> None:
    """Replace the example's sizes by names in the declared input and output, and forget sizes in between."""
    import onnx  # noqa: PLC0415

    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


class _Calibration:
    """Feeds real tiles to the quantiser, one at a time."""

    def __init__(self, tiles: NDArray[np.float32]) -> None:
        self.rest: Iterator[dict[str, NDArray[np.float32]]] = iter([{"image": tile[None]} for tile in tiles])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next batch, or None at the end."""
        return next(self.rest, None)


def quantize_onnx(source: Path, target: Path, tiles: NDArray[np.float32]) -> Path:
    """Static int8 quantisation: QDQ nodes, weights per channel, activations calibrated on real tiles.

    Args:
        source: fp32 ONNX.
        target: where the int8 ONNX goes.
        tiles: ``(tile, band, y, x)`` in network units, water among them.

    Raises:
        ModelError: ONNX Runtime is not installed, or no tiles are given.
    """
    if len(tiles) == 0:
        raise ModelError("int8 quantisation needs real tiles to calibrate on; got none.")
    try:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static  # noqa: PLC0415
        from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415
    except ImportError as error:
        raise ModelError("int8 quantisation needs onnx and onnxruntime: install overbank[fast].") from error
    prepared = target.with_name(f".{target.name}.prepared.onnx")
    reader: Any = _Calibration(tiles)
    try:
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        with whole_file(target) as partial:
            quantize_static(
                str(prepared),
                str(partial),
                reader,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )
    finally:
        prepared.unlink(missing_ok=True)
    return target
