"""Models and what they hold."""

import json

from modelsmith import _modelsmith
from modelsmith.checkpoint import Checkpoint
from modelsmith.errors import UnsupportedError, _must_exist
from modelsmith.session import InferenceSession, NodeArg, _model_of


def load(path, shapes=None):
    """Opens a file of any format that is known: a `Model` where it holds a graph, a `Checkpoint` where it holds weights
    alone.

    `path`: the file, or a folder with a checkpoint.
    `shapes`: a dict from input names to shapes, for formats that do not say of how many dimensions inputs are; `None`
    leaves a dimension free.

    Raises `NotFoundError`, `DamagedError` or `UnsupportedError`.

    >>> import modelsmith
    >>> model = modelsmith.load(modelsmith.datasets.get_example("mul_1.onnx"))
    >>> model.format, model.inputs[0].shape
    ('ONNX', [3, 2])
    """
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

    def __init__(self, source, shapes=None):
        self._native = _model_of(source, shapes)

    @classmethod
    def _of(cls, native):
        made = cls.__new__(cls)
        made._native = native
        return made

    @property
    def path(self):
        """The file, as text."""
        return str(self._native.path)

    @property
    def format(self):
        """Its format, for people."""
        return self._native.format

    @property
    def is_engine(self):
        """True for an engine."""
        return self._native.is_engine

    @property
    def inputs(self):
        """The inputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._native.inputs]

    @property
    def outputs(self):
        """The outputs as a list of `NodeArg`."""
        return [NodeArg(*p) for p in self._native.outputs]

    @property
    def metadata(self):
        """What the file says of itself: a dict with `producer_name`, `description`, `custom_metadata_map` and others."""
        return self._native.meta()

    @property
    def weights(self):
        """The weights by name, as a `Checkpoint`."""
        return Checkpoint(self.path)

    def inspect(self):
        """What it holds, as the document of `modelsmith inspect --json`."""
        return json.loads(self._native.inspect())

    def text(self):
        """The graph as text."""
        return self._native.text()

    def session(self, sess_options=None):
        """An `InferenceSession` of it."""
        return InferenceSession(self, sess_options)

    def __repr__(self):
        return f"<Model {self.path}: {self.format}, {len(self.inputs)} inputs, {len(self.outputs)} outputs>"

    def _repr_html_(self):
        from modelsmith._html import model

        return model(self.inspect())
