"""The names of the package, for type checkers: they are loaded when they are first used."""

from modelsmith import (
    backend as backend,
)
from modelsmith import (
    capi as capi,
)
from modelsmith import (
    datasets as datasets,
)
from modelsmith import (
    errors as errors,
)
from modelsmith import (
    safetensors as safetensors,
)
from modelsmith.checkpoint import (
    Checkpoint as Checkpoint,
)
from modelsmith.checkpoint import (
    load_file as load_file,
)
from modelsmith.checkpoint import (
    safe_open as safe_open,
)
from modelsmith.checkpoint import (
    save_file as save_file,
)
from modelsmith.comparison import (
    Comparison as Comparison,
)
from modelsmith.comparison import (
    compare as compare,
)
from modelsmith.errors import (
    DamagedError as DamagedError,
)
from modelsmith.errors import (
    FaultError as FaultError,
)
from modelsmith.errors import (
    FileError as FileError,
)
from modelsmith.errors import (
    ModelsmithError as ModelsmithError,
)
from modelsmith.errors import (
    NotFoundError as NotFoundError,
)
from modelsmith.errors import (
    UnsupportedError as UnsupportedError,
)
from modelsmith.errors import (
    UsageError as UsageError,
)
from modelsmith.functions import (
    Report as Report,
)
from modelsmith.functions import (
    VerificationError as VerificationError,
)
from modelsmith.functions import (
    bench as bench,
)
from modelsmith.functions import (
    build as build,
)
from modelsmith.functions import (
    check as check,
)
from modelsmith.functions import (
    convert as convert,
)
from modelsmith.functions import (
    diff as diff,
)
from modelsmith.functions import (
    inspect as inspect,
)
from modelsmith.functions import (
    optimize as optimize,
)
from modelsmith.functions import (
    scan as scan,
)
from modelsmith.functions import (
    simplify as simplify,
)
from modelsmith.model import (
    Model as Model,
)
from modelsmith.model import (
    load as load,
)
from modelsmith.options import (
    ExecutionMode as ExecutionMode,
)
from modelsmith.options import (
    ExecutionOrder as ExecutionOrder,
)
from modelsmith.options import (
    GraphOptimizationLevel as GraphOptimizationLevel,
)
from modelsmith.options import (
    RunOptions as RunOptions,
)
from modelsmith.options import (
    SessionOptions as SessionOptions,
)
from modelsmith.options import (
    disable_telemetry_events as disable_telemetry_events,
)
from modelsmith.options import (
    enable_telemetry_events as enable_telemetry_events,
)
from modelsmith.options import (
    set_default_logger_severity as set_default_logger_severity,
)
from modelsmith.options import (
    set_default_logger_verbosity as set_default_logger_verbosity,
)
from modelsmith.options import (
    set_seed as set_seed,
)
from modelsmith.progress import (
    set_progress as set_progress,
)
from modelsmith.session import (
    InferenceSession as InferenceSession,
)
from modelsmith.session import (
    ModelMetadata as ModelMetadata,
)
from modelsmith.session import (
    NodeArg as NodeArg,
)
from modelsmith.session import (
    get_all_providers as get_all_providers,
)
from modelsmith.session import (
    get_available_providers as get_available_providers,
)
from modelsmith.session import (
    get_build_info as get_build_info,
)
from modelsmith.session import (
    get_device as get_device,
)
from modelsmith.session import (
    get_version_string as get_version_string,
)
from modelsmith.values import (
    IOBinding as IOBinding,
)
from modelsmith.values import (
    OrtDevice as OrtDevice,
)
from modelsmith.values import (
    OrtValue as OrtValue,
)
from modelsmith.values import (
    SparseTensor as SparseTensor,
)

__version__: str
