"""The exceptions of ONNX Runtime by their names there, as those of this package."""

from modelsmith import errors, session, values

InvalidGraph = InvalidProtobuf = errors.DamagedError
EngineError = RuntimeException = errors.FaultError
Fail = errors.ModelsmithError
NoSuchFile = errors.NotFoundError
NotImplemented = errors.UnsupportedError
InvalidArgument = errors.UsageError
ModelMetadata, NodeArg = session.ModelMetadata, session.NodeArg
OrtDevice, OrtValue = values.OrtDevice, values.OrtValue
