"""Models and what they hold."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from modelsmith import _modelsmith, _torch
from modelsmith.checkpoint import Checkpoint
from modelsmith.errors import UnsupportedError, _must_exist
from modelsmith.options import SessionOptions
from modelsmith.session import InferenceSession, NodeArg, _model_of


def load(
    path: str | os.PathLike[str] | bytes | Any,
    shapes: dict[str, list[int | None]] | None = None,
    example_inputs: Any = None,
    dynamic_shapes: Any = None,
) -> Model | Checkpoint:
    """Opens a file of any format that is known: a `Model` where it holds a graph, a `Checkpoint` where it holds weights
    alone.

    `path`: the file, a folder with a checkpoint, the bytes of a file, an ONNX `ModelProto`, or a `torch.nn.Module`, which is
    exported with the PyTorch that is installed by running it once on `example_inputs`, with `dynamic_shapes` as
    `torch.export` takes them.
    `shapes`: a dict from input names to shapes, for formats that do not say of how many dimensions inputs are; `None`
    leaves a dimension free.

    Raises `NotFoundError`, `DamagedError` or `UnsupportedError`.

    >>> import modelsmith
    >>> model = modelsmith.load(modelsmith.datasets.get_example("mul_1.onnx"))
    >>> model.format, model.inputs[0].shape
    ('ONNX', [3, 2])
    """
    if _torch.is_module(path):
        with tempfile.TemporaryDirectory(prefix="modelsmith-") as folder:
            # What is mapped stays when its name goes.
            return Model(_torch.export(path, example_inputs, folder, dynamic_shapes), shapes)
    if hasattr(path, "SerializeToString") or isinstance(path, (bytes, bytearray, memoryview)):
        return Model(path)
    _must_exist(path)
    try:
        return Model(path, shapes)
    except UnsupportedError as not_a_model:
        try:
            return Checkpoint(path)
        except UnsupportedError:
            raise not_a_model from None


class Model:
    """A graph with its weights, or an engine.

    `source`: a path, the bytes of a file, or an ONNX `ModelProto`.
    """

    def __init__(self, source: Any, shapes: dict[str, list[int | None]] | None = None) -> None:
        self._native = _model_of(source, shapes)

    @classmethod
    def _of(cls, native: _modelsmith.Model) -> Model:
        made = cls.__new__(cls)
        made._native = native
        return made

    @property
    def path(self) -> str:
        """The file, as text."""
        return str(self._native.path)

    @property
    def format(self) -> str:
        """Its format, for people."""
        return self._native.format

    @property
    def is_engine(self) -> bool:
        """True for an engine."""
        return self._native.is_engine

    @property
    def inputs(self) -> list[NodeArg]:
        """The inputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._native.inputs]

    @property
    def outputs(self) -> list[NodeArg]:
        """The outputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._native.outputs]

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of itself: a dict with `producer_name`, `description`, `custom_metadata_map` and others."""
        return self._native.meta()

    @property
    def weights(self) -> Checkpoint:
        """The weights by name, as a `Checkpoint`."""
        return Checkpoint._of(self._native.checkpoint())

    def inspect(self) -> dict[str, Any]:
        """What it holds, as the document of `modelsmith inspect --json`."""
        return json.loads(self._native.inspect())

    def text(self) -> str:
        """The graph as text."""
        return self._native.text()

    def session(self, sess_options: SessionOptions | None = None) -> InferenceSession:
        """An `InferenceSession` of it."""
        return InferenceSession(self, sess_options)

    def __repr__(self) -> str:
        return f"<Model {self.path}: {self.format}, {len(self.inputs)} inputs, {len(self.outputs)} outputs>"

    def _repr_html_(self) -> str:
        from modelsmith._html import model

        return model(self.inspect())
