"""The names of the package, for type checkers: they are loaded when they are first used."""

from modelsmith import (
    backend as backend,
    capi as capi,
    datasets as datasets,
    errors as errors,
    safetensors as safetensors,
)
from modelsmith.checkpoint import (
    Checkpoint as Checkpoint,
    load_file as load_file,
    safe_open as safe_open,
    save_file as save_file,
)
from modelsmith.comparison import (
    Comparison as Comparison,
    compare as compare,
)
from modelsmith.errors import (
    DamagedError as DamagedError,
    FaultError as FaultError,
    FileError as FileError,
    ModelsmithError as ModelsmithError,
    NotFoundError as NotFoundError,
    UnsupportedError as UnsupportedError,
    UsageError as UsageError,
)
from modelsmith.functions import (
    Report as Report,
    VerificationError as VerificationError,
    bench as bench,
    build as build,
    check as check,
    convert as convert,
    diff as diff,
    inspect as inspect,
    optimize as optimize,
    quantize as quantize,
    scan as scan,
    simplify as simplify,
)
from modelsmith.model import (
    Model as Model,
    load as load,
)
from modelsmith.options import (
    ExecutionMode as ExecutionMode,
    ExecutionOrder as ExecutionOrder,
    GraphOptimizationLevel as GraphOptimizationLevel,
    RunOptions as RunOptions,
    SessionOptions as SessionOptions,
    disable_telemetry_events as disable_telemetry_events,
    enable_telemetry_events as enable_telemetry_events,
    set_default_logger_severity as set_default_logger_severity,
    set_default_logger_verbosity as set_default_logger_verbosity,
    set_seed as set_seed,
)
from modelsmith.progress import (
    set_progress as set_progress,
)
from modelsmith.session import (
    InferenceSession as InferenceSession,
    ModelMetadata as ModelMetadata,
    NodeArg as NodeArg,
    get_all_providers as get_all_providers,
    get_available_providers as get_available_providers,
    get_build_info as get_build_info,
    get_device as get_device,
    get_version_string as get_version_string,
)
from modelsmith.values import (
    IOBinding as IOBinding,
    OrtDevice as OrtDevice,
    OrtValue as OrtValue,
    SparseTensor as SparseTensor,
)

__version__: str
