"""Opens AI models, proves what it converts, and compiles them into fast engines.

Run a model, in any format that is known or as an engine:

>>> import numpy, modelsmith
>>> session = modelsmith.InferenceSession(modelsmith.datasets.get_example("sigmoid.onnx"))
>>> x = numpy.zeros((3, 4, 5), dtype=numpy.float32)
>>> [y] = session.run(None, {"x": x})
>>> float(y[0, 0, 0])
0.5

What is imported from here is loaded when it is first used, so that the command line starts at once.
"""

import importlib

_WHERE = {
    "modelsmith.values": ["IOBinding", "OrtDevice", "OrtValue", "SparseTensor"],
    "modelsmith.session": [
        "InferenceSession",
        "ModelMetadata",
        "NodeArg",
        "get_all_providers",
        "get_available_providers",
        "get_build_info",
        "get_device",
        "get_version_string",
    ],
    "modelsmith.options": [
        "ExecutionMode",
        "ExecutionOrder",
        "GraphOptimizationLevel",
        "RunOptions",
        "SessionOptions",
        "disable_telemetry_events",
        "enable_telemetry_events",
        "set_default_logger_severity",
        "set_default_logger_verbosity",
        "set_seed",
    ],
    "modelsmith.model": ["Model", "load"],
    "modelsmith.checkpoint": ["Checkpoint", "load_file", "safe_open", "save_file"],
    "modelsmith.comparison": ["Comparison", "compare"],
    "modelsmith.functions": [
        "Report",
        "VerificationError",
        "bench",
        "build",
        "check",
        "convert",
        "diff",
        "inspect",
        "optimize",
        "quantize",
        "scan",
        "simplify",
    ],
    "modelsmith.progress": ["set_progress"],
    "modelsmith.errors": [
        "DamagedError",
        "FaultError",
        "FileError",
        "ModelsmithError",
        "NotFoundError",
        "UnsupportedError",
        "UsageError",
    ],
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}
_SUBMODULES = ["backend", "capi", "datasets", "errors", "safetensors"]

__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"modelsmith.{name}")
    elif name == "__version__":
        value = importlib.import_module("modelsmith._modelsmith").__version__
    else:
        raise AttributeError(f"module 'modelsmith' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__, *_SUBMODULES, "__version__"})
