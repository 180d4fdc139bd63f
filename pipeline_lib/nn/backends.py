"""What runs the network: torch on CUDA, torch on the CPU, OpenVINO or ONNX Runtime; chosen by what the machine has."""

import importlib.util
import sys
import threading
from typing import Any

import numpy as np

from pipeline_lib.errors import ModelError, UnknownNameError
from pipeline_lib.nn.gpu import cuda_devices
from pipeline_lib.nn.model_folder import INT8, ONNX, WEIGHTS, Model
from pipeline_lib.nn.tiles import Backend, Tiles

KEPT_SHAPES = 2
"""Shapes of tiles that a network stays compiled for: each takes some 100 MiB."""


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
        self.requests: dict[tuple[int, ...], Any] = {}
        self._one_at_a_time = threading.Lock()

    def odds(self, tiles: Tiles) -> Tiles:
        """See `Backend`; callers wait for each other.

        A compiled network has memory for one request, which runs on all its threads: a second one would wait inside,
        and at first compile the same again.
        """
        with self._one_at_a_time:
            logits = next(iter(self._request(tuple(tiles.shape)).infer([tiles], share_inputs=True).values()))
            return np.ascontiguousarray(logits[:, 1] - logits[:, 0])

    def _request(self, shape: tuple[int, ...]) -> Any:
        if shape not in self.requests:
            graph = self.graph.clone()
            graph.reshape({graph.inputs[0]: list(shape)})
            while len(self.requests) >= KEPT_SHAPES:
                self.requests.pop(next(iter(self.requests)))
            self.requests[shape] = self.core.compile_model(graph, "CPU", self.settings).create_infer_request()
        return self.requests[shape]


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
RUNS = {"torch-cuda": WEIGHTS, "torch-cpu": WEIGHTS} | {
    f"{engine}{kind}": file for engine in ("openvino", "onnxruntime") for kind, file in (("", ONNX), ("-int8", INT8))
}
"""The file of a model folder that each backend runs."""


def choose_backend(model: Model) -> str:
    """The fastest backend this machine has for this model.

    A GPU first; then OpenVINO, in int8 where the model brings it; ONNX Runtime; and torch, which is always there.
    """
    if cuda_devices():
        return "torch-cuda"
    has_onnx, has_int8 = ((model.folder / name).is_file() for name in (ONNX, INT8))
    if importlib.util.find_spec("openvino") and has_onnx:
        return "openvino-int8" if has_int8 else "openvino"
    if importlib.util.find_spec("onnxruntime") and has_onnx:
        return "onnxruntime-int8" if has_int8 else "onnxruntime"
    return "torch-cpu"


def resolved(model: Model, name: str = "auto", *, drawn: bool = False) -> str:
    """The full name of the backend that `open_backend` opens for a model here.

    Args:
        model: to be run.
        name: as `open_backend` takes it.
        drawn: whether it is opened for a draw of Monte Carlo dropout, which torch alone carries.
    """
    name = SHORT.get(name, name)
    if name != "auto":
        return name
    return ("torch-cuda" if cuda_devices() else "torch-cpu") if drawn else choose_backend(model)


def open_backend(model: Model, name: str = "auto", *, threads: int = 0, draw: int | None = None) -> Backend:
    """Open a backend by name; ``auto`` chooses, ``cuda`` and ``cpu`` are short for torch's two.

    With a ``draw`` of Monte Carlo dropout ``auto`` chooses between torch's two: the others carry no dropout.

    Raises:
        UnknownNameError: no such backend.
        ModelError: the machine or the model does not have what it needs, or the model is a teacher.
    """
    if model.card.teacher_bands:
        raise ModelError(
            f"{model.card.name} is a teacher: it sees {', '.join(model.card.teacher_bands)}, which no radar scene has. "
            "It can be scored on a label set with optical images (overbank evaluate); map with its student."
        )
    name = resolved(model, name, drawn=draw is not None)
    if draw is not None or name in {"torch-cuda", "torch-cpu"}:
        from pipeline_lib.nn.torch_backends import open_torch  # noqa: PLC0415 - slow to import, and rarely needed

        return open_torch(model, name, threads=threads, draw=draw)
    if name in {"openvino", "openvino-int8"}:
        return OpenVino(model, threads, int8=name.endswith("int8"))
    if name in {"onnxruntime", "onnxruntime-int8"}:
        return OnnxRuntime(model, threads, int8=name.endswith("int8"))
    raise UnknownNameError("backend", name, ("auto", *BACKENDS))


def _no_openvino_telemetry() -> None:
    """OpenVINO's converter reports home through a package of its own; hide it, and OpenVINO falls back to its stub."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
