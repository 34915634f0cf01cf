"""The exceptions of ONNX Runtime by their names there, as those of this package."""

from modelsmith.errors import (  # noqa: F401
    DamagedError as InvalidGraph,
    DamagedError as InvalidProtobuf,
    FaultError as EngineError,
    FaultError as RuntimeException,
    ModelsmithError as Fail,
    NotFoundError as NoSuchFile,
    UnsupportedError as NotImplemented,
    UsageError as InvalidArgument,
)
from modelsmith.session import ModelMetadata, NodeArg  # noqa: F401
from modelsmith.values import OrtDevice, OrtValue  # noqa: F401
