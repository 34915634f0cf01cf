"""The native module of ONNX Runtime, as far as code for it reaches there."""

from modelsmith.capi.onnxruntime_pybind11_state import *  # noqa: F401,F403
from modelsmith.capi.onnxruntime_pybind11_state import (  # noqa: F401
    Fail,
    InvalidArgument,
    ModelMetadata,
    NodeArg,
    OrtDevice,
    OrtValue,
)
from modelsmith.options import RunOptions, SessionOptions  # noqa: F401
