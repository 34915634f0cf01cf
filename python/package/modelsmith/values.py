"""Values that ONNX Runtime's Python interface passes around: `OrtValue`, `OrtDevice`, `IOBinding`."""

import ctypes
import math

import numpy

from modelsmith.errors import UnsupportedError, UsageError

_ONNX = {
    "float32": "float", "float64": "double", "object": "string",
    "float8_e4m3fn": "float8e4m3fn", "float8_e4m3fnuz": "float8e4m3fnuz", "float8_e5m2": "float8e5m2",
    "float8_e5m2fnuz": "float8e5m2fnuz", "float8_e8m0fnu": "float8e8m0", "float4_e2m1fn": "float4e2m1",
}
# Numbers of TensorProto.DataType.
_ELEMENTS = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "object", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}


def _dtype(element_type):
    """The NumPy type of a NumPy type, of a number of `TensorProto.DataType`, or of a name."""
    name = _ELEMENTS.get(element_type, element_type) if isinstance(element_type, int) else element_type
    try:
        return numpy.dtype(name)
    except TypeError:
        import ml_dtypes

        return numpy.dtype(getattr(ml_dtypes, name))


def _on_cpu(device_type):
    name = device_type if isinstance(device_type, str) else "cpu"
    if name.lower() not in ("cpu", "cuda_pinned"):
        raise UnsupportedError(f"device {device_type}: values lie in the memory of the CPU here")


class OrtDevice:
    """Where a value lies: always the CPU."""

    def __init__(self, device_type="cpu", device_id=0):
        self._id = device_id

    @staticmethod
    def make(ort_device_name, device_id=0):
        """The device `cpu`."""
        _on_cpu(ort_device_name)
        return OrtDevice(ort_device_name, device_id)

    @staticmethod
    def cpu():
        """Its number in ONNX Runtime."""
        return 0

    @staticmethod
    def default_memory():
        """Its number in ONNX Runtime."""
        return 0

    def device_type(self):
        """`"cpu"`."""
        return "cpu"

    def device_id(self):
        """The number it was made with."""
        return self._id


class SparseTensor:
    """Not built: sparse results come as dense arrays."""

    def __init__(self, *_):
        raise UnsupportedError("sparse values are not built yet: results come as dense arrays")


class OrtValue:
    """A value with its type: an array, a list of values, or a dict.

    >>> import numpy, modelsmith
    >>> v = modelsmith.OrtValue.ortvalue_from_numpy(numpy.zeros((2, 3), dtype=numpy.float32))
    >>> v.data_type(), v.shape(), v.device_name()
    ('tensor(float)', [2, 3], 'cpu')
    """

    __slots__ = ("_value",)

    def __init__(self, value):
        self._value = value

    @staticmethod
    def ortvalue_from_numpy(numpy_obj, device_type="cpu", device_id=0):
        """A value over the memory of an array."""
        _on_cpu(device_type)
        return OrtValue(numpy_obj if isinstance(numpy_obj, numpy.ndarray) else numpy.asarray(numpy_obj))

    @staticmethod
    def ortvalue_from_numpy_with_onnx_type(data, onnx_element_type):
        """As `ortvalue_from_numpy`, for an array whose bytes are elements of another type, by its number in
        `TensorProto.DataType`: 16 for bfloat16 in an array of uint16."""
        return OrtValue(data.view(_dtype(int(onnx_element_type))))

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        """A tensor whose elements are not set yet."""
        _on_cpu(device_type)
        return OrtValue(numpy.empty(shape, dtype=_dtype(element_type)))

    @staticmethod
    def from_dlpack(data, is_bool_tensor=False):
        """A value over the memory of a tensor of another library."""
        array = numpy.from_dlpack(data)
        return OrtValue(array.view(numpy.bool_) if is_bool_tensor and array.dtype == numpy.uint8 else array)

    @property
    def _ortvalue(self):
        # Code for ONNX Runtime reaches through to the native value.
        return self

    def numpy(self):
        """The array, without a copy."""
        return self._value

    def to_dlpack(self):
        """A DLPack capsule over the same memory."""
        return self._value.__dlpack__()

    def __dlpack__(self, **options):
        return self._value.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._value.__dlpack_device__()

    def __array__(self, dtype=None, copy=None):
        return self._value if dtype is None else self._value.astype(dtype)

    def update_inplace(self, np_arr):
        """Copies the elements of an array of the same shape and type into this one."""
        if np_arr.shape != self._value.shape or np_arr.dtype != self._value.dtype:
            found = f"{np_arr.dtype}{list(np_arr.shape)}"
            raise UsageError(f"{self._value.dtype}{list(self._value.shape)} is wanted, {found} is given")
        self._value[...] = np_arr

    def shape(self):
        """Sizes of a tensor."""
        return list(self._value.shape)

    def data_type(self):
        """`tensor(float)` and the like."""
        if isinstance(self._value, list):
            return f"seq({OrtValue(self._value[0]).data_type()})" if self._value else "seq()"
        if isinstance(self._value, dict):
            return "map"
        name = self._value.dtype.name
        return f"tensor({_ONNX.get(name, name)})"

    def element_type(self):
        """Its number in `TensorProto.DataType`."""
        name = self._value.dtype.name
        return next((n for n, known in _ELEMENTS.items() if known == name), 0)

    def device_name(self):
        """`"cpu"`."""
        return "cpu"

    def data_ptr(self):
        """Address of the first element."""
        return self._value.ctypes.data

    def tensor_size_in_bytes(self):
        """Bytes of all elements."""
        return self._value.nbytes

    def has_value(self):
        """False for an optional that is absent."""
        return self._value is not None

    def is_tensor(self):
        """True for arrays."""
        return isinstance(self._value, numpy.ndarray)

    def is_tensor_sequence(self):
        """True for lists."""
        return isinstance(self._value, list)

    def is_sparse_tensor(self):
        """False."""
        return False

    def __repr__(self):
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

    def __init__(self, session):
        self._session = session
        self._inputs = {}
        self._targets = {}
        self._outputs = []

    def bind_cpu_input(self, name, arr_on_cpu):
        """Binds an array; its elements at the time of a run are what is fed."""
        self._inputs[name] = arr_on_cpu

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        """Binds memory by its address; the caller keeps it alive."""
        _on_cpu(device_type)
        self._inputs[name] = _at_address(buffer_ptr, shape, _dtype(element_type))

    def bind_ortvalue_input(self, name, ortvalue):
        """Binds an `OrtValue`."""
        self._inputs[name] = ortvalue._value

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None):
        """Binds an output: to memory by its address, or, without one, to an array that each run makes."""
        _on_cpu(device_type)
        self._targets[name] = None if buffer_ptr is None else _at_address(buffer_ptr, shape, _dtype(element_type))

    def bind_ortvalue_output(self, name, ortvalue):
        """Binds an output to the memory of an `OrtValue`."""
        self._targets[name] = ortvalue._value

    def synchronize_inputs(self):
        """Nothing is to be waited for on a CPU."""

    def synchronize_outputs(self):
        """Nothing is to be waited for on a CPU."""

    def clear_binding_inputs(self):
        """Forgets the inputs."""
        self._inputs = {}

    def clear_binding_outputs(self):
        """Forgets the outputs."""
        self._targets, self._outputs = {}, []

    def get_outputs(self):
        """Results of the latest run as `OrtValue`s, in the order in which they were bound."""
        return [OrtValue(v) for v in self._outputs]

    def get_outputs_as_ortvaluevector(self):
        """As `get_outputs`."""
        return self.get_outputs()

    def copy_outputs_to_cpu(self):
        """Results of the latest run as arrays."""
        return list(self._outputs)

    def _run(self, session):
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


def _at_address(address, shape, dtype):
    """An array over memory of the caller."""
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return numpy.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * size).from_address(int(address))
    return numpy.frombuffer(memory, dtype=dtype).reshape(shape)
