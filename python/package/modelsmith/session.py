"""Sessions: a model that is ready to run, with the interface of ONNX Runtime's Python package.

>>> import numpy, modelsmith
>>> session = modelsmith.InferenceSession(modelsmith.datasets.get_example("mul_1.onnx"))
>>> [(i.name, i.type, i.shape) for i in session.get_inputs()]
[('X', 'tensor(float)', [3, 2])]
>>> [y] = session.run(["Y"], {"X": numpy.ones((3, 2), dtype=numpy.float32)})
>>> y.tolist()
[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from modelsmith import _modelsmith
from modelsmith.errors import UsageError, _must_exist
from modelsmith.options import GraphOptimizationLevel, RunOptions, SessionOptions
from modelsmith.values import IOBinding, OrtValue

PROVIDER = "CPUExecutionProvider"


def get_available_providers() -> list[str]:
    """The one provider that there is: `["CPUExecutionProvider"]`."""
    return [PROVIDER]


def get_all_providers() -> list[str]:
    """As `get_available_providers`."""
    return [PROVIDER]


def get_device() -> str:
    """`"CPU"`."""
    return "CPU"


def get_version_string() -> str:
    """The version of this package."""
    return _modelsmith.__version__


def get_build_info() -> str:
    """Version and machine."""
    import platform

    return f"modelsmith {_modelsmith.__version__}, {platform.machine()}"


class NodeArg:
    """An input or output: `name`, `type` such as `tensor(float)`, and `shape`, a list of numbers, of names of free
    dimensions, and of `None` where nothing is known."""

    __slots__ = ("name", "type", "shape")

    def __init__(self, name: str, type: str, shape: list[int | str | None]) -> None:
        self.name, self.type, self.shape = name, type, shape

    def __repr__(self) -> str:
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape!r})"

    __str__ = __repr__


class ModelMetadata:
    """What the model file says of itself: `producer_name`, `graph_name`, `graph_description`, `domain`, `description`,
    `version` and the dict `custom_metadata_map`."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.producer_name: str = meta["producer_name"]
        self.graph_name: str = meta["graph_name"]
        self.graph_description = ""
        self.description: str = meta["description"]
        self.domain: str = meta["domain"]
        self.version: int = meta["version"]
        self.custom_metadata_map: dict[str, str] = meta["custom_metadata_map"]

    def __repr__(self) -> str:
        return f"ModelMetadata({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


def _model_of(source: Any, sizes: dict[str, list[int | None]] | None = None) -> _modelsmith.Model:
    """The native model of a path, of the bytes of a file, of a `modelsmith.Model` or of an ONNX `ModelProto`."""
    native: _modelsmith.Model | None = getattr(source, "_native", None)
    if native is not None:
        return native
    if hasattr(source, "SerializeToString"):
        return _modelsmith.Model.from_bytes("model.onnx", source.SerializeToString())
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _modelsmith.Model.from_bytes("model.onnx", bytes(source))
    if isinstance(source, (str, os.PathLike)):
        _must_exist(source)
        return _modelsmith.Model.open(source, sizes)
    raise TypeError(f"a path, bytes or a model is wanted, not {type(source).__name__}")


def _warn_of_providers(providers: Sequence[Any] | None) -> None:
    names = [p if isinstance(p, str) else p[0] for p in providers or []]
    unknown = [n for n in names if n != PROVIDER]
    if unknown:
        text = f"{', '.join(unknown)}: there is no such provider here, {PROVIDER} runs the model"
        warnings.warn(text, UserWarning, stacklevel=4)


class InferenceSession:
    """A model that is ready to run; any number of threads may run it at once.

    `path_or_bytes`: a model file of any format, an engine, the bytes of a file, a `modelsmith.Model` or an ONNX
    `ModelProto`.
    `sess_options`: a `SessionOptions`.
    `providers`, `provider_options`: names of ONNX Runtime's providers; those that are not known here are left out with a
    warning.

    Raises `NotFoundError`, `DamagedError` or `UnsupportedError`.
    """

    def __init__(
        self,
        path_or_bytes: Any,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[str, Any]]] | None = None,
        provider_options: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        options = sess_options if sess_options is not None else SessionOptions()
        _warn_of_providers(providers)
        for known in ("disabled_optimizers", "enable_fallback"):
            kwargs.pop(known, None)
        if kwargs:
            raise TypeError(f"InferenceSession takes no {', '.join(sorted(kwargs))}")
        model = _model_of(path_or_bytes)
        if options._sizes:
            model = model.with_sizes(options._sizes)
        if options.optimized_model_filepath:
            self._write_optimized(model, options.optimized_model_filepath)
        self._options = options
        self._session = _modelsmith.Session(
            model,
            threads=options.intra_op_num_threads,
            isa=options.isa,
            no_fallback=options.no_fallback,
            reference_only=options.graph_optimization_level == GraphOptimizationLevel.ORT_DISABLE_ALL,
        )
        self._run = self._session.run
        self._events: list[dict[str, Any]] | None = [] if options.enable_profiling else None
        self._begun = time.time_ns()
        self._model_path = str(model.path)

    @staticmethod
    def _write_optimized(model: _modelsmith.Model, path: str) -> None:
        from modelsmith.functions import optimize

        optimize(model, path, verify=False)

    @property
    def _native(self) -> _modelsmith.Model:
        return self._session.model

    def run(self, output_names: Sequence[str] | None, input_feed: dict[str, Any], run_options: RunOptions | None = None) -> list[Any]:
        """Runs once.

        `output_names`: the outputs wanted, in this order; `None` or an empty list for all.
        `input_feed`: a dict from the name of each input to an array, or to anything that gives its memory by DLPack or
        that `numpy.asarray` takes; a list of them for a sequence, a dict for a map.
        Returns a list of arrays, lists (of sequences) and dicts (of maps).

        Raises `UsageError` where a name, an element type or a shape is wrong.
        """
        if type(input_feed) is not dict:
            input_feed = dict(input_feed)
        for value in input_feed.values():
            if type(value) is OrtValue:
                input_feed = {k: v._value if type(v) is OrtValue else v for k, v in input_feed.items()}
                break
        if isinstance(output_names, str):
            raise UsageError(f"a list of names is wanted: [{output_names!r}]")
        if self._events is not None:
            return self._profile(output_names or None, input_feed)
        return self._run(output_names or None, input_feed)

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: dict[str, Any],
        callback: Callable[[list[Any], Any, str], object],
        user_data: Any = None,
        run_options: RunOptions | None = None,
    ) -> None:
        """Runs on a thread of its own; `callback(results, user_data, error)` is called at the end, with an empty text as
        error where there is none."""
        import threading

        def work() -> None:
            try:
                results, error = self.run(output_names, input_feed), ""
            except Exception as e:  # the caller is told what it was
                results, error = [], str(e)
            callback(results, user_data, error)

        threading.Thread(target=work, daemon=True).start()

    def run_with_ort_values(
        self,
        output_names: Sequence[str] | None,
        input_dict_ort_values: dict[str, OrtValue],
        run_options: RunOptions | None = None,
    ) -> list[OrtValue]:
        """As `run`, from and to `OrtValue`s."""
        return [OrtValue(v) for v in self.run(output_names, input_dict_ort_values, run_options)]

    def run_with_ortvaluevector(
        self,
        run_options: RunOptions | None,
        feed_names: Sequence[str],
        feeds: Sequence[OrtValue],
        fetch_names: Sequence[str],
        fetches: list[OrtValue],
        fetch_devices: Sequence[Any],
    ) -> None:
        """As `run`, with lists; what is fetched is appended to `fetches`."""
        fetches.extend(self.run_with_ort_values(fetch_names, dict(zip(feed_names, feeds))))

    def io_binding(self) -> IOBinding:
        """An `IOBinding` for this session."""
        return IOBinding(self)

    def run_with_iobinding(self, iobinding: IOBinding, run_options: RunOptions | None = None) -> None:
        """Runs once with what is bound."""
        iobinding._run(self)

    def get_inputs(self) -> list[NodeArg]:
        """The inputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._session.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """The outputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._session.outputs]

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Weights that could be given as inputs: none, since weights are packed when a session is made."""
        return []

    def get_modelmeta(self) -> ModelMetadata:
        """The `ModelMetadata`."""
        return ModelMetadata(self._session.model.meta())

    def get_session_options(self) -> SessionOptions:
        """The `SessionOptions` it was made with."""
        return self._options

    def get_providers(self) -> list[str]:
        """`["CPUExecutionProvider"]`."""
        return [PROVIDER]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """No options: `{"CPUExecutionProvider": {}}`."""
        return {PROVIDER: {}}

    def set_providers(self, providers: Sequence[Any] | None = None, provider_options: Any = None) -> None:
        """Changes nothing; those that are not known here are left out with a warning."""
        _warn_of_providers(providers)

    def disable_fallback(self) -> None:
        """Changes nothing: there is one provider."""

    def enable_fallback(self) -> None:
        """Changes nothing: there is one provider."""

    def get_profiling_start_time_ns(self) -> int:
        """Nanoseconds since 1970 at which the session was made."""
        return self._begun

    def end_profiling(self) -> str:
        """Writes the times of all steps so far in Chrome's trace format and returns the name of the file.

        Raises `UsageError` where `SessionOptions.enable_profiling` was not set.
        """
        if self._events is None:
            raise UsageError("profiling is off: set enable_profiling of the session's options")
        name = f"{self._options.profile_file_prefix}{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
        with open(name, "w", encoding="utf-8") as file:
            json.dump(self._events, file)
        self._events = None
        return name

    def _profile(self, names: Sequence[str] | None, feed: dict[str, Any]) -> list[Any]:
        events = self._events if self._events is not None else []
        at = begun = (time.time_ns() - self._begun) / 1e3
        made, steps = self._session.profile(names, feed)
        event: dict[str, Any] = {"ph": "X", "pid": os.getpid(), "tid": 0}
        for s in json.loads(steps):
            args = {"kernel": s["kernel"], "reference": s["reference"], "flops": s["flops"], "bytes": s["bytes"]}
            events.append({**event, "cat": "Node", "name": s["step"], "ts": at, "dur": s["ns"] / 1e3, "args": args})
            at += s["ns"] / 1e3
        events.append({**event, "cat": "Session", "name": "model_run", "ts": begun, "dur": at - begun, "args": {}})
        return made

    def __repr__(self) -> str:
        level, threads = self._session.level
        return f"<InferenceSession of {self._model_path}, {level} kernels, {threads} threads>"

    def __reduce__(self) -> tuple[Any, ...]:
        if not os.path.exists(self._model_path):
            raise TypeError("a session made of bytes cannot be pickled: make it from a file")
        return _again, (self._model_path, vars(self._options))


def _again(path: str, options: dict[str, Any]) -> InferenceSession:
    made = SessionOptions()
    vars(made).update(options)
    return InferenceSession(path, made)
