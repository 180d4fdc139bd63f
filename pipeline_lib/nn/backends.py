"""What runs the network: torch on CUDA, torch on the CPU, OpenVINO or ONNX Runtime; chosen by what the machine has."""

import importlib.util
import sys
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline_lib.errors import ModelError, UnknownNameError
from pipeline_lib.nn.losses import water_logit
from pipeline_lib.nn.model_folder import INT8, ONNX, Model

Tiles = NDArray[np.float32]


class OutOfMemory(Exception):  # noqa: N818 - a condition that is handled, not an error that is shown
    """The device has no room for this batch; the caller halves it."""


class Backend(Protocol):
    """Runs batches of tiles."""

    name: str

    def odds(self, tiles: Tiles) -> Tiles:
        """Log-odds ``(tile, y, x)`` of ``(tile, band, y, x)`` in network units without NaN.

        Raises:
            OutOfMemory: the batch is too large for the device.
        """
        ...


class TorchCpu:
    """Torch on the CPU, channels last, which is 1.3 to 2 times faster than the default order."""

    name = "torch-cpu"

    def __init__(self, model: Model, threads: int) -> None:
        """``threads`` of 0 leaves torch's choice."""
        self.network = model.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.threads = threads

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`."""
        if self.threads and torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            batch = torch.from_numpy(tiles).contiguous(memory_format=torch.channels_last)
            return np.ascontiguousarray(water_logit(self.network(batch)).numpy())


class TorchCuda:
    """Torch on a GPU: channels last, half precision, pinned asynchronous copies; compiled where asked for.

    Tiles alone travel to the device, so that no scene has to fit in its memory.
    """

    name = "torch-cuda"

    def __init__(self, model: Model, *, compiled: bool = False) -> None:
        """Move the network to the device.

        Raises:
            ModelError: there is no CUDA device.
        """
        if not torch.cuda.is_available():
            raise ModelError("The backend torch-cuda was demanded, but torch finds no CUDA device on this machine.")
        network: Any = model.network().half().to(device="cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: Callable[..., Any] = torch.compile(network) if compiled else network

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`."""
        try:
            with torch.inference_mode():
                host = torch.from_numpy(tiles).pin_memory()
                batch = host.to("cuda", non_blocking=True).half().contiguous(memory_format=torch.channels_last)
                return np.asarray(water_logit(self.network(batch)).float().cpu().numpy())
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error)) from error


class OpenVino:
    """OpenVINO on the CPU, fp32 or int8."""

    def __init__(self, model: Model, threads: int, *, int8: bool = False) -> None:
        """Compile for the shape of the first batch it sees.

        Raises:
            ModelError: OpenVINO is not installed.
        """
        _no_openvino_telemetry()
        try:
            import openvino  # noqa: PLC0415
        except ImportError as error:
            raise ModelError("The backend openvino needs the package openvino: install overbank[fast].") from error
        self.name = "openvino-int8" if int8 else "openvino"
        self.core = openvino.Core()
        self.graph = self.core.read_model(model.onnx(int8=int8))
        self.settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            self.settings["INFERENCE_NUM_THREADS"] = threads
        self.compiled: dict[tuple[int, ...], Any] = {}

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`; one request per thread that calls."""
        shape = tuple(tiles.shape)
        if shape not in self.compiled:
            graph = self.graph.clone()
            graph.reshape({graph.inputs[0]: list(shape)})
            self.compiled[shape] = self.core.compile_model(graph, "CPU", self.settings)
        result = self.compiled[shape].create_infer_request().infer([tiles])
        logits = next(iter(result.values()))
        return np.ascontiguousarray(logits[:, 1] - logits[:, 0])


class OnnxRuntime:
    """ONNX Runtime on the CPU, fp32 or int8."""

    def __init__(self, model: Model, threads: int, *, int8: bool = False) -> None:
        """Open a session.

        Raises:
            ModelError: ONNX Runtime is not installed.
        """
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError as error:
            raise ModelError("The backend onnxruntime needs onnxruntime: install overbank[fast].") from error
        onnxruntime.disable_telemetry_events()
        self.name = "onnxruntime-int8" if int8 else "onnxruntime"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads:
            options.intra_op_num_threads = threads
        path = str(model.onnx(int8=int8))
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`."""
        logits = self.session.run(None, {self.session.get_inputs()[0].name: tiles})[0]
        return np.ascontiguousarray(logits[:, 1] - logits[:, 0])


BACKENDS = ("torch-cuda", "torch-cpu", "openvino", "openvino-int8", "onnxruntime", "onnxruntime-int8")
SHORT = {"cuda": "torch-cuda", "gpu": "torch-cuda", "cpu": "torch-cpu", "torch": "torch-cpu"}


def choose_backend(model: Model) -> str:
    """The fastest backend this machine has for this model.

    A GPU first; then OpenVINO, in int8 where the model brings it; ONNX Runtime; and torch, which is always there.
    """
    if torch.cuda.is_available():
        return "torch-cuda"
    has_onnx, has_int8 = ((model.folder / name).is_file() for name in (ONNX, INT8))
    if importlib.util.find_spec("openvino") and has_onnx:
        return "openvino-int8" if has_int8 else "openvino"
    if importlib.util.find_spec("onnxruntime") and has_onnx:
        return "onnxruntime-int8" if has_int8 else "onnxruntime"
    return "torch-cpu"


class Thinned:
    """One draw of Monte Carlo dropout: a torch backend that works with the units that a seed leaves in.

    Every tile meets the same draw, so that whole channels (the U-Net's, FCN's and PSPNet's dropout) are in or out for
    the scene as a whole, however it is cut into tiles.

    References: Gal & Ghahramani 2016, section 3.
    """

    def __init__(self, inner: TorchCpu | TorchCuda, draw: int) -> None:
        """Let dropout work in ``inner`` with the seed ``draw``.

        Raises:
            ModelError: the network has no dropout.
        """
        layers = [m for m in cast("nn.Module", inner.network).modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
        working = [layer.train() for layer in layers if layer.p > 0]
        if not working:
            raise ModelError(
                "dropout_draws samples the network's dropout, and this model was trained without any: every draw would "
                "be the same. Train with `network: {dropout: 0.2}`, or name other models in `members`."
            )
        self.name, self._inner, self._draw = inner.name, inner, draw

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`; tile by tile, since torch's generator is one for the process."""
        found = []
        for tile in tiles:
            with _GENERATOR:
                torch.manual_seed(self._draw)
                found.append(self._inner.odds(tile[None]))
        return np.concatenate(found)


_GENERATOR = Lock()


def open_backend(model: Model, name: str = "auto", *, threads: int = 0, draw: int | None = None) -> Backend:
    """Open a backend by name; ``auto`` chooses, ``cuda`` and ``cpu`` are short for torch's two.

    With a ``draw`` of Monte Carlo dropout ``auto`` chooses between torch's two: the others carry no dropout.

    Raises:
        UnknownNameError: no such backend.
        ModelError: the machine or the model does not have what it needs.
    """
    if draw is not None:
        inner = open_backend(model, _torch_backend(name), threads=threads)
        return Thinned(cast("TorchCpu | TorchCuda", inner), draw)
    name = choose_backend(model) if name == "auto" else SHORT.get(name, name)
    if name == "torch-cuda":
        return TorchCuda(model)
    if name == "torch-cpu":
        return TorchCpu(model, threads)
    if name in {"openvino", "openvino-int8"}:
        return OpenVino(model, threads, int8=name.endswith("int8"))
    if name in {"onnxruntime", "onnxruntime-int8"}:
        return OnnxRuntime(model, threads, int8=name.endswith("int8"))
    raise UnknownNameError("backend", name, ("auto", *BACKENDS))


def _torch_backend(name: str) -> str:
    """Which of torch's two backends a name means."""
    wanted = SHORT.get(name, name)
    if wanted == "auto":
        wanted = "torch-cuda" if torch.cuda.is_available() else "torch-cpu"
    if wanted not in {"torch-cuda", "torch-cpu"}:
        raise ModelError(
            f"dropout_draws needs the backend cpu, cuda or auto, not {name}: only torch can leave units out."
        )
    return wanted


def _no_openvino_telemetry() -> None:
    """OpenVINO's converter reports home through a package of its own; hide it, and OpenVINO falls back to its stub."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
