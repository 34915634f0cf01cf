"""Values that ONNX Runtime's Python interface passes around: `OrtValue`, `OrtDevice`, `IOBinding`."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from modelsmith.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from modelsmith.session import InferenceSession

Array = numpy.ndarray[Any, Any]

_ONNX = {
    "float32": "float",
    "float64": "double",
    "object": "string",
    "float8_e4m3fn": "float8e4m3fn",
    "float8_e4m3fnuz": "float8e4m3fnuz",
    "float8_e5m2": "float8e5m2",
    "float8_e5m2fnuz": "float8e5m2fnuz",
    "float8_e8m0fnu": "float8e8m0",
    "float4_e2m1fn": "float4e2m1",
}
# Numbers of TensorProto.DataType.
_ELEMENTS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "object",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
}


def _dtype(element_type: Any) -> numpy.dtype[Any]:
    """The NumPy type of a NumPy type, of a number of `TensorProto.DataType`, or of a name."""
    name: Any = _ELEMENTS.get(element_type, element_type) if isinstance(element_type, int) else element_type
    try:
        return numpy.dtype(name)
    except TypeError:
        import ml_dtypes

        return numpy.dtype(getattr(ml_dtypes, name))


def _on_cpu(device_type: Any) -> None:
    name = device_type if isinstance(device_type, str) else "cpu"
    if name.lower() not in ("cpu", "cuda_pinned"):
        raise UnsupportedError(f"device {device_type}: values lie in the memory of the CPU here")


class OrtDevice:
    """Where a value lies: always the CPU."""

    def __init__(self, device_type: Any = "cpu", device_id: int = 0) -> None:
        self._id = device_id

    @staticmethod
    def make(ort_device_name: Any, device_id: int = 0) -> OrtDevice:
        """The device `cpu`."""
        _on_cpu(ort_device_name)
        return OrtDevice(ort_device_name, device_id)

    @staticmethod
    def cpu() -> int:
        """Its number in ONNX Runtime."""
        return 0

    @staticmethod
    def default_memory() -> int:
        """Its number in ONNX Runtime."""
        return 0

    def device_type(self) -> str:
        """`"cpu"`."""
        return "cpu"

    def device_id(self) -> int:
        """The number it was made with."""
        return self._id


class SparseTensor:
    """Not built: sparse results come as dense arrays."""

    def __init__(self, *_: Any) -> None:
        raise UnsupportedError("sparse values are not built yet: results come as dense arrays")


class OrtValue:
    """A value with its type: an array, a list of values, or a dict.

    >>> import numpy, modelsmith
    >>> v = modelsmith.OrtValue.ortvalue_from_numpy(numpy.zeros((2, 3), dtype=numpy.float32))
    >>> v.data_type(), v.shape(), v.device_name()
    ('tensor(float)', [2, 3], 'cpu')
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(numpy_obj: Any, device_type: Any = "cpu", device_id: int = 0) -> OrtValue:
        """A value over the memory of an array."""
        _on_cpu(device_type)
        return OrtValue(numpy_obj if isinstance(numpy_obj, numpy.ndarray) else numpy.asarray(numpy_obj))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(data: Array, onnx_element_type: int) -> OrtValue:
        """As `ortvalue_from_numpy`, for an array whose bytes are elements of another type, by its number in
        `TensorProto.DataType`: 16 for bfloat16 in an array of uint16."""
        return OrtValue(data.view(_dtype(int(onnx_element_type))))

    @staticmethod
    def ortvalue_from_shape_and_type(shape: Sequence[int], element_type: Any, device_type: Any = "cpu", device_id: int = 0) -> OrtValue:
        """A tensor whose elements are not set yet."""
        _on_cpu(device_type)
        return OrtValue(numpy.empty(shape, dtype=_dtype(element_type)))

    @staticmethod
    def from_dlpack(data: Any, is_bool_tensor: bool = False) -> OrtValue:
        """A value over the memory of a tensor of another library."""
        array = numpy.from_dlpack(data)
        return OrtValue(array.view(numpy.bool_) if is_bool_tensor and array.dtype == numpy.uint8 else array)

    @property
    def _ortvalue(self) -> OrtValue:
        # Code for ONNX Runtime reaches through to the native value.
        return self

    def numpy(self) -> Array:
        """The array, without a copy."""
        return self._value

    def to_dlpack(self) -> Any:
        """A DLPack capsule over the same memory."""
        return self._value.__dlpack__()

    def __dlpack__(self, **options: Any) -> Any:
        return self._value.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._value.__dlpack_device__()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._value if dtype is None else self._value.astype(dtype)

    def update_inplace(self, np_arr: Array) -> None:
        """Copies the elements of an array of the same shape and type into this one."""
        if np_arr.shape != self._value.shape or np_arr.dtype != self._value.dtype:
            found = f"{np_arr.dtype}{list(np_arr.shape)}"
            raise UsageError(f"{self._value.dtype}{list(self._value.shape)} is wanted, {found} is given")
        self._value[...] = np_arr

    def shape(self) -> list[int]:
        """Sizes of a tensor."""
        return list(self._value.shape)

    def data_type(self) -> str:
        """`tensor(float)` and the like."""
        if isinstance(self._value, list):
            return f"seq({OrtValue(self._value[0]).data_type()})" if self._value else "seq()"
        if isinstance(self._value, dict):
            return "map"
        name = self._value.dtype.name
        return f"tensor({_ONNX.get(name, name)})"

    def element_type(self) -> int:
        """Its number in `TensorProto.DataType`."""
        name = self._value.dtype.name
        return next((n for n, known in _ELEMENTS.items() if known == name), 0)

    def device_name(self) -> str:
        """`"cpu"`."""
        return "cpu"

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._value.ctypes.data

    def tensor_size_in_bytes(self) -> int:
        """Bytes of all elements."""
        return self._value.nbytes

    def has_value(self) -> bool:
        """False for an optional that is absent."""
        return self._value is not None

    def is_tensor(self) -> bool:
        """True for arrays."""
        return isinstance(self._value, numpy.ndarray)

    def is_tensor_sequence(self) -> bool:
        """True for lists."""
        return isinstance(self._value, list)

    def is_sparse_tensor(self) -> bool:
        """False."""
        return False

    def __repr__(self) -> str:
        return f"OrtValue({self.data_type()})"


class IOBinding:
    """Inputs and outputs of a session, bound to memory of the caller.

    >>> import numpy, modelsmith
    >>> session = modelsmith.InferenceSession(modelsmith.datasets.get_example("mul_1.onnx"))
    >>> binding = session.io_binding()
    >>> binding.bind_cpu_input("X", numpy.ones((3, 2), dtype=numpy.float32))
    >>> binding.bind_output("Y")
    >>> session.run_with_iobinding(binding)
    >>> binding.copy_outputs_to_cpu()[0].tolist()
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    """

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self._inputs: dict[str, Any] = {}
        self._targets: dict[str, Array | None] = {}
        self._outputs: list[Any] = []

    def bind_cpu_input(self, name: str, arr_on_cpu: Any) -> None:
        """Binds an array; its elements at the time of a run are what is fed."""
        self._inputs[name] = arr_on_cpu

    def bind_input(self, name: str, device_type: Any, device_id: int, element_type: Any, shape: Sequence[int], buffer_ptr: int) -> None:
        """Binds memory by its address; the caller keeps it alive."""
        _on_cpu(device_type)
        self._inputs[name] = _at_address(buffer_ptr, shape, _dtype(element_type))

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Binds an `OrtValue`."""
        self._inputs[name] = ortvalue._value

    def bind_output(
        self,
        name: str,
        device_type: Any = "cpu",
        device_id: int = 0,
        element_type: Any = None,
        shape: Sequence[int] | None = None,
        buffer_ptr: int | None = None,
    ) -> None:
        """Binds an output: to memory by its address, or, without one, to an array that each run makes."""
        _on_cpu(device_type)
        self._targets[name] = None if buffer_ptr is None else _at_address(buffer_ptr, shape or (), _dtype(element_type))

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Binds an output to the memory of an `OrtValue`."""
        self._targets[name] = ortvalue._value

    def synchronize_inputs(self) -> None:
        """Nothing is to be waited for on a CPU."""

    def synchronize_outputs(self) -> None:
        """Nothing is to be waited for on a CPU."""

    def clear_binding_inputs(self) -> None:
        """Forgets the inputs."""
        self._inputs = {}

    def clear_binding_outputs(self) -> None:
        """Forgets the outputs."""
        self._targets, self._outputs = {}, []

    def get_outputs(self) -> list[OrtValue]:
        """Results of the latest run as `OrtValue`s, in the order in which they were bound."""
        return [OrtValue(v) for v in self._outputs]

    def get_outputs_as_ortvaluevector(self) -> list[OrtValue]:
        """As `get_outputs`."""
        return self.get_outputs()

    def copy_outputs_to_cpu(self) -> list[Any]:
        """Results of the latest run as arrays."""
        return list(self._outputs)

    def _run(self, session: InferenceSession) -> None:
        names = list(self._targets)
        if not names:
            raise UsageError("no output is bound: call bind_output for each that is wanted")
        self._outputs = []
        for name, made in zip(names, session.run(names, self._inputs)):
            target = self._targets[name]
            if target is None:
                self._outputs.append(made)
                continue
            if target.shape != made.shape or target.dtype != made.dtype:
                bound, found = f"{target.dtype}{list(target.shape)}", f"{made.dtype}{list(made.shape)}"
                raise UsageError(f"output {name} is {found}; what is bound to it is {bound}")
            target[...] = made
            self._outputs.append(target)


def _at_address(address: int, shape: Sequence[int], dtype: numpy.dtype[Any]) -> Array:
    """An array over memory of the caller."""
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return numpy.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * size).from_address(int(address))
    return numpy.frombuffer(memoryview(memory), dtype=dtype).reshape(shape)
