"""What runs an exported network: OpenVINO on a CPU, ONNX Runtime on a GPU.

Both take a batch of float32 (batch, size, size, channels) and give float32 (batch, size, size, 1). On a CPU, ONNX
Runtime starts sooner and OpenVINO predicts faster; ``tests/benchmarks/prediction.py`` holds them against each other.
"""

import logging
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.errors import IchflowError

log = logging.getLogger(__name__)

Images = NDArray[np.float32]
GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class Engine(ABC):
    """A network that is loaded.

    Attributes
    ----------
    metadata
        Text by name, as the file carries it.
    """

    metadata: dict[str, str]

    @abstractmethod
    def __call__(self, images: Images) -> Images:
        """Run the network on one batch."""


class OpenVino(Engine):
    """OpenVINO on the CPU.

    Parameters
    ----------
    path
        An ONNX file.
    threads
        How many the network may use; each predicts slices of its own.
    precision
        ``float32``, or ``bfloat16`` where the CPU has it: several times as fast, and up to some hundredths away.
    """

    def __init__(self, path: str | Path, threads: int, precision: str = "float32") -> None:
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise _unreadable(path, error) from None
        self.metadata = model.get_rt_info("framework").value if model.has_rt_info("framework") else {}
        # A shape that is known beforehand makes a faster network
        shape = model.inputs[0].partial_shape
        shape[0] = 1
        model.reshape(shape)
        hints = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads}
        # Left alone, OpenVINO computes in bfloat16 where the CPU has it
        hints["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[precision]
        self._queue = openvino.AsyncInferQueue(core.compile_model(model, "CPU", hints))

    def __call__(self, images: Images) -> Images:
        """Run the network slice by slice, as many at a time as there are threads."""
        found: list[Any] = [None] * len(images)

        def keep(request: Any, place: int) -> None:
            found[place] = request.get_output_tensor().data.copy()

        self._queue.set_callback(keep)
        for place, image in enumerate(images):
            self._queue.start_async({0: np.ascontiguousarray(image[None])}, place)
        self._queue.wait_all()
        return np.concatenate(found)


class OnnxRuntime(Engine):
    """ONNX Runtime, on the first provider that works.

    Attributes
    ----------
    provider
        Name of the one that does.

    Parameters
    ----------
    path
        An ONNX file.
    threads
        How many the network may use on a CPU.
    providers
        Names of execution providers, the best first.
    """

    def __init__(self, path: str | Path, threads: int, providers: tuple[str, ...] = (GPU, CPU)) -> None:
        import onnxruntime

        if GPU in providers and GPU in onnxruntime.get_available_providers():
            onnxruntime.preload_dlls()  # NVIDIA's libraries, which TensorFlow brought as packages
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
        except Exception as error:  # its errors have no class in common but this one
            raise _unreadable(path, error) from None
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.provider: str = self._session.get_providers()[0]
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: Images) -> Images:
        """Run the network on the whole batch."""
        return self._session.run(None, {self._input: np.ascontiguousarray(images)})[0]


def load(path: str | Path, threads: int, precision: str = "float32") -> Engine:
    """Load an ONNX file into the engine that is fastest here; ``precision`` is that of a CPU.

    Raises
    ------
    IchflowError
        The file is absent or no ONNX model.
    """
    if _has_gpu():
        engine = OnnxRuntime(path, threads)
        if engine.provider == GPU:
            return engine
        log.warning("ONNX Runtime cannot use the GPU of this machine; the lines above say why. The CPU predicts")
    return OpenVino(path, threads, precision)


def _has_gpu() -> bool:
    """Whether there is an NVIDIA GPU and an ONNX Runtime that can use it, asked without a slow import."""
    if not Path("/proc/driver/nvidia/gpus").is_dir() or find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    return GPU in onnxruntime.get_available_providers()


def _unreadable(path: str | Path, error: Exception) -> IchflowError:
    reason = str(error).strip().splitlines()[0]
    return IchflowError(f"{path}: no readable ONNX model ({reason}); expected one made by 'export'")
