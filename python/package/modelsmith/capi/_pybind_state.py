"""The native module of ONNX Runtime, as far as code for it reaches there."""

from modelsmith.capi.onnxruntime_pybind11_state import *  # noqa: F403
from modelsmith.options import RunOptions as RunOptions, SessionOptions as SessionOptions
