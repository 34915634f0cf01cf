"""Comparisons: whether two models give the same, and who says so.

>>> import modelsmith, numpy
>>> path = modelsmith.datasets.get_example("mul_1.onnx")
>>> weights = numpy.float32([[1, 2], [3, 4], [5, 6]])
>>> found = modelsmith.compare(lambda X: X * weights, path)
>>> found.verdict, found.judge
('agree', 'independent function <lambda>')
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from modelsmith import _modelsmith, _torch
from modelsmith.errors import UsageError
from modelsmith.session import InferenceSession, _model_of


class Comparison(dict[str, Any]):
    """What a comparison found, as the document of `modelsmith compare --json`: a dict, and a table in a notebook.

    `verdict`: `agree`, `differ`, or `inconclusive` where outputs hardly change between samples. True in conditions only
    where they agree. `witness`: inputs of the first sample that differs, where they were drawn.
    """

    def __init__(self, fields: dict[str, Any], witness: dict[str, Any] | None = None) -> None:
        super().__init__(fields)
        self.witness = witness

    @property
    def verdict(self) -> str:
        """`agree`, `differ` or `inconclusive`."""
        return str(self["verdict"])

    @property
    def judge(self) -> str:
        """Who computed independently of this program: `independent NAME`, or `self` where nobody did."""
        return str(self["judge"])

    @property
    def reason(self) -> str:
        """Why, in one sentence."""
        return str(self["reason"])

    def __bool__(self) -> bool:
        return self.verdict == "agree"

    def __repr__(self) -> str:
        return f"<Comparison: {self.verdict}: {self.reason}; judge: {self.judge}>"

    def _repr_html_(self) -> str:
        from modelsmith._html import comparison

        return comparison(self)


class _Side:
    """One side: a model of ours, a function that runs something else, or both."""

    def __init__(self, model: _modelsmith.Model | None, judge: Any) -> None:
        self.model, self.judge = model, judge


def _side(what: Any, runner: str | None) -> _Side:
    """What `compare` was given, as a side."""
    if isinstance(what, InferenceSession):
        return _Side(what._native, runner or "cpu")
    if getattr(what, "_native", None) is not None or hasattr(what, "SerializeToString"):
        return _Side(_model_of(what), runner or "cpu")
    if isinstance(what, (str, os.PathLike, bytes, bytearray, memoryview)):
        return _Side(_model_of(what), runner or "cpu")
    if _torch.is_module(what):
        return _Side(None, (f"PyTorch {type(what).__name__}", _evaluated(what)))
    if hasattr(what, "run") and hasattr(what, "get_inputs"):
        return _Side(None, (_session_name(what), lambda feed: what.run(None, feed)))
    if callable(what):
        name = getattr(what, "__name__", type(what).__name__)
        return _Side(None, (f"function {name}", _called(what)))
    raise TypeError(f"a path, model, session, module or function is wanted, not {type(what).__name__}")


def _session_name(session: Any) -> str:
    module = type(session).__module__.split(".")[0]
    return "ONNX Runtime" if module == "onnxruntime" else f"{module}.{type(session).__name__}"


def _called(function: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """`function` as one of a dict: by names where its parameters have those of the inputs, else by position."""
    import inspect

    parameters: Mapping[str, inspect.Parameter] = {}
    only: list[str] = []
    try:
        parameters = inspect.signature(function).parameters
        several = any(p.kind == p.VAR_POSITIONAL for p in parameters.values())
        only = list(parameters) if len(parameters) == 1 and not several else []
    except (TypeError, ValueError):
        pass  # a function of another language has no signature: its inputs come by position

    def call(feed: dict[str, Any]) -> Any:
        if parameters and all(name in parameters for name in feed):
            return _numpy(function(**feed))
        if only and len(feed) != 1:
            return _numpy(function(dict(feed)))
        return _numpy(function(*feed.values()))

    return call


def _evaluated(module: Any) -> Callable[[dict[str, Any]], Any]:
    """A module as a function of a dict of arrays, evaluated as it is used: without gradients and in its mode `eval`."""

    def call(feed: dict[str, Any]) -> Any:
        with _torch.evaluating(module):
            return _numpy(module(*_torch.tensors([numpy.array(v) for v in feed.values()])))

    return call


def _numpy(made: Any) -> Any:
    """Arrays of what a function gave: tensors of PyTorch, tuples, dicts and objects with fields."""
    if isinstance(made, dict) or (hasattr(made, "keys") and hasattr(made, "__getitem__")):
        made = [made[k] for k in made.keys()] if not isinstance(made, dict) else list(made.values())
    if isinstance(made, (list, tuple)):
        out: list[Any] = []
        for item in made:
            if item is not None:
                found = _numpy(item)
                out += found if isinstance(found, list) else [found]
        return out
    if hasattr(made, "detach"):
        made = made.detach().cpu()
        made = made.float() if str(made.dtype) == "torch.bfloat16" else made
        return made.numpy()
    return numpy.asarray(made)


def _samples(inputs: Any) -> list[dict[str, Any]] | None:
    if inputs is None:
        return None
    return [inputs] if isinstance(inputs, dict) else list(inputs)


def compare(
    a: Any,
    b: Any,
    inputs: dict[str, Any] | Iterable[dict[str, Any]] | None = None,
    *,
    samples: int = 10,
    rtol: float | None = None,
    atol: float | dict[str, float] | None = None,
    metric: str | None = None,
    seed: int = 0,
    shapes: dict[str, Any] | None = None,
    dims: dict[str, int] | None = None,
    map_outputs: dict[str, str] | None = None,
    layers: bool = False,
    a_runner: str | None = None,
    b_runner: str | None = None,
    threads: int = 0,
    isa: str = "",
) -> Comparison:
    """Runs `a`, the original, and `b` on the same inputs and says whether they agree.

    `a`, `b`: each a path, bytes, a `Model`, an ONNX `ModelProto`, an `InferenceSession` (of this package, or of ONNX
    Runtime), a `torch.nn.Module`, or a function of arrays. Modules get inputs by position, in the order of the other side.
    `inputs`: a dict of arrays or a list of such; drawn where it is not given, from what the model says of its inputs.
    `samples`: how many are drawn. `rtol`, `atol`, `metric`: what counts as agreement; `atol` may be a dict by output.
    `map_outputs`: a dict from outputs of `a` to those of `b`. `layers`: also values on the way.
    `a_runner`, `b_runner`: `cpu`, `reference` or `exec:COMMAND`, for sides that are models.

    Returns a `Comparison`, which says which judge was independent.
    """
    left, right = _side(a, a_runner), _side(b, b_runner)
    known = left.model if left.model is not None else right.model
    sets = _samples(inputs)
    if known is None:
        known = _signature(left, right, sets)
    bounds = {} if atol is None else atol if isinstance(atol, dict) else {"": atol}
    options = {
        "inputs": sets,
        "samples": samples,
        "rtol": rtol,
        "atol": [f"{k}={v}" if k else str(v) for k, v in bounds.items()],
        "metric": metric,
        "seed": seed,
        "shapes": shapes,
        "dims": dims,
        "map_outputs": list((map_outputs or {}).items()),
        "layers": bool(layers),
        "threads": threads,
        "isa": isa,
    }
    models = (left.model if left.model is not None else known, right.model if right.model is not None else known)
    text, witness = _modelsmith.compare(*models, left.judge, right.judge, options)
    return Comparison(json.loads(text), witness)


def _signature(left: _Side, right: _Side, sets: list[dict[str, Any]] | None) -> _modelsmith.Model:
    """A model for two sides that are none: inputs as given, outputs as the first side makes them."""
    if not sets:
        raise UsageError("no side is a model that says what its inputs are: give inputs=")
    made = left.judge[1](dict(sets[0]))
    made = made if isinstance(made, list) else [made]
    outputs = {f"output_{i}": v for i, v in enumerate(made)}
    return _modelsmith.Model.of_values(left.judge[0], sets[0], outputs)
