"""The interface `onnx.backend`: prepare a model, run it, or do both.

>>> import numpy
>>> from modelsmith import backend, datasets
>>> rep = backend.prepare(datasets.get_example("mul_1.onnx"), device="CPU")
>>> rep.run([numpy.ones((3, 2), dtype=numpy.float32)])[0].tolist()
[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
"""

from __future__ import annotations

from typing import Any

from modelsmith.session import InferenceSession


class BackendRep:
    """A model that was prepared."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    def run(self, inputs: Any, **kwargs: Any) -> list[Any]:
        """Outputs as a list, for a list of inputs in the order of the model, one input, or a dict."""
        names = [i.name for i in self._session.get_inputs()]
        if isinstance(inputs, dict):
            feed = inputs
        elif isinstance(inputs, (list, tuple)):
            feed = dict(zip(names, inputs, strict=True))
        else:
            feed = {names[0]: inputs}
        return self._session.run(None, feed)


class Backend:
    """Prepares and runs models."""

    @classmethod
    def is_compatible(cls, model: Any, device: str | None = None, **kwargs: Any) -> bool:
        """Whether the model can be prepared."""
        try:
            cls.prepare(model, device)
        except NotImplementedError:
            return False
        return device is None or cls.supports_device(device)

    @classmethod
    def is_opset_supported(cls, model: Any) -> tuple[bool, str]:
        """Every operator set is read: `(True, "")`."""
        return True, ""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True for CPUs."""
        return device.upper().startswith("CPU")

    @classmethod
    def prepare(cls, model: Any, device: str | None = None, **kwargs: Any) -> BackendRep:
        """A `BackendRep` of a path, bytes, a `ModelProto`, a session, or one that was prepared."""
        if isinstance(model, BackendRep):
            return model
        if isinstance(model, InferenceSession):
            return BackendRep(model)
        return BackendRep(InferenceSession(model, kwargs.get("sess_options")))

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str | None = None, **kwargs: Any) -> list[Any]:
        """Prepares and runs."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: Any, inputs: Any, device: str | None = None, outputs_info: Any = None, **kwargs: Any) -> list[Any]:
        """Runs one node of ONNX as a model of its own; needs the package `onnx`."""
        import numpy
        import onnx

        arrays = [numpy.asarray(i) for i in inputs]
        element = onnx.helper.np_dtype_to_tensor_dtype
        info = onnx.helper.make_tensor_value_info
        ins = [info(n, element(a.dtype), a.shape) for n, a in zip(node.input, arrays)]
        outs = [onnx.ValueInfoProto(name=n) for n in node.output]
        graph = onnx.helper.make_graph([node], "node", ins, outs)
        return cls.run_model(onnx.helper.make_model(graph), arrays)


is_compatible = Backend.is_compatible
is_opset_supported = Backend.is_opset_supported
prepare = Backend.prepare
run = Backend.run_model
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
