"""Options of sessions and runs, under the names that ONNX Runtime's Python interface gives them.

What has no meaning here is accepted and kept, so that code written for that interface runs.
"""

from __future__ import annotations

import enum
import warnings
from typing import Any


class GraphOptimizationLevel(enum.IntEnum):
    """How much a graph is optimized before it runs. Anything but `ORT_DISABLE_ALL` is all: no pass changes results beyond
    the rounding that its documentation states."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    """Order of nodes that do not depend on each other: always sequential here, each on all threads."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    """Order of nodes; it makes no difference here."""

    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class SessionOptions:
    """How a session is made.

    `intra_op_num_threads`: threads of one run; 0 for as many as the process may use.
    `isa`: cap on the instruction set, `portable`, `avx2`, `avx512` or `amx`; empty for none.
    `no_fallback`: refuse a model of which some node has no kernel of its own.
    `graph_optimization_level`: `ORT_DISABLE_ALL` runs every node by itself on the reference implementation, which is slow
    and exact by construction.
    `enable_profiling`: each run adds the time of each of its steps to a file of Chrome's trace format, which
    `InferenceSession.end_profiling` writes and names.
    `optimized_model_filepath`: the simplified model is written there.
    """

    def __init__(self) -> None:
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.execution_order = ExecutionOrder.DEFAULT
        self.enable_profiling = False
        self.profile_file_prefix = "modelsmith_profile_"
        self.optimized_model_filepath = ""
        self.enable_cpu_mem_arena = True
        self.enable_mem_pattern = True
        self.enable_mem_reuse = True
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.use_deterministic_compute = False
        self.use_per_session_threads = True
        self.isa = ""
        self.no_fallback = False
        self._entries: dict[str, str] = {}
        self._sizes: dict[str, int] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Keeps an entry of ONNX Runtime's configuration; `session.intra_op.allow_spinning` and the like change nothing."""
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """An entry that was added."""
        if key not in self._entries:
            raise KeyError(key)
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        """Gives the dimension `name` a size that does not change: inputs of another size are refused."""
        self._sizes[name] = int(size)

    def add_free_dimension_override_by_denotation(self, denotation: str, size: int) -> None:
        """As by name, for dimensions that carry a denotation; none of a loaded model does here."""
        warnings.warn(f"the denotation {denotation} of a dimension is not read: nothing is fixed", stacklevel=2)

    def add_initializer(self, name: str, value: Any) -> None:
        """Weights from outside are not taken."""
        raise NotImplementedError(f"weight {name}: bind weights with `modelsmith convert --graph --weights`")

    def register_custom_ops_library(self, path: str) -> None:
        """Libraries of operators are not loaded: they run code. Operators are defined as functions instead."""
        from modelsmith.errors import UnsupportedError

        raise UnsupportedError(f"{path}: libraries of operators are not loaded; `convert(.., ops=FILE)` defines operators as functions")


class RunOptions:
    """How one run is made; kept so that code written for ONNX Runtime runs."""

    def __init__(self) -> None:
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.only_execute_path_to_fetches = False
        self.terminate = False
        self.training_mode = False
        self._entries: dict[str, str] = {}

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Keeps an entry."""
        self._entries[key] = value

    def get_run_config_entry(self, key: str) -> str:
        """An entry that was added."""
        return self._entries[key]


def set_default_logger_severity(level: int) -> None:
    """Nothing is logged here: problems are exceptions, remarks are warnings."""


def set_default_logger_verbosity(level: int) -> None:
    """Nothing is logged here."""


def set_seed(seed: int) -> None:
    """Operators that draw numbers draw them from the seed of their attribute; one without is drawn anew in each run."""


def enable_telemetry_events() -> None:
    """There is no telemetry, and none can be switched on."""


def disable_telemetry_events() -> None:
    """There is no telemetry."""
