"""The interface of the safetensors library: `safe_open`, and `load_file`, `save_file`, `load` and `save` in the modules
`modelsmith.safetensors.numpy` and `modelsmith.safetensors.torch`. What is read may be a file of another format too.

>>> import numpy, os, tempfile
>>> from modelsmith.safetensors import safe_open
>>> from modelsmith.safetensors.numpy import save_file
>>> path = os.path.join(tempfile.mkdtemp(), "a.safetensors")
>>> save_file({"w": numpy.arange(6).reshape(2, 3)}, path)
>>> with safe_open(path, framework="np") as f:
...     f.keys(), f.get_slice("w")[:, 1].tolist()
(['w'], [1, 4])
"""

from __future__ import annotations

import importlib
import operator
import os
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from modelsmith.checkpoint import Checkpoint
from modelsmith.errors import ModelsmithError

# Element types of the format as NumPy and `ml_dtypes` call them, in the order in which the safetensors library lays out
# tensors: types of more bytes first.
_TYPES = {
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "C64": "complex64",
    "F32": "float32",
    "U32": "uint32",
    "I32": "int32",
    "BF16": "bfloat16",
    "F16": "float16",
    "U16": "uint16",
    "I16": "int16",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_CODES = {name: code for code, name in _TYPES.items()}
_ORDER = {name: i for i, name in enumerate(_CODES)}


class SafetensorError(ModelsmithError):
    """A file is damaged, or has no such tensor, or a slice lies outside of one."""

    kind = "damaged"
    exit_code = 3


def _open(source: Any) -> Checkpoint:
    if not isinstance(source, (bytes, bytearray, memoryview)) and not os.path.exists(source):
        raise FileNotFoundError(f"No such file or directory: {os.fspath(source)}")
    try:
        return Checkpoint(source)
    except ModelsmithError as e:
        place = {"file": e.file, "offset": e.offset, "tensor": e.tensor, "node": e.node}
        raise SafetensorError(str(e), e.message, place, e.help, e.findings) from e


def _framework(name: str) -> ModuleType:
    known = {"np": "numpy", "numpy": "numpy", "pt": "torch", "torch": "torch", "pytorch": "torch"}
    if name not in known:
        raise SafetensorError(f"framework {name}: np or pt is wanted")
    return importlib.import_module(f"modelsmith.safetensors.{known[name]}")


class safe_open:
    """A file of which tensors are read one by one; closed at the end of a `with`.

    `framework`: `np` for arrays, `pt` for tensors of PyTorch. `device`: where tensors of PyTorch go.
    """

    def __init__(self, filename: str | os.PathLike[str], framework: str, device: Any = "cpu", *, backend: str = "mmap") -> None:
        self._made = _framework(framework)
        self._device = device
        self._file: Checkpoint | None = _open(filename)

    def _checkpoint(self) -> Checkpoint:
        if self._file is None:
            raise SafetensorError("File is closed")
        return self._file

    def _known(self, name: str) -> Checkpoint:
        file = self._checkpoint()
        if name not in file:
            raise SafetensorError(f"File does not contain tensor {name}")
        return file

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file = None

    def keys(self) -> list[str]:
        """Names, sorted."""
        return sorted(self._checkpoint())

    def offset_keys(self) -> list[str]:
        """Names in the order of the file."""
        return list(self._checkpoint())

    def metadata(self) -> dict[str, str] | None:
        """The file's own dict of texts; `None` where it has none."""
        return self._checkpoint().metadata or None

    def get_tensor(self, name: str) -> Any:
        """The tensor `name`, with memory of its own."""
        return self._made._read(self._known(name), [name], self._device)[name]

    def get_tensors(self, names: Iterable[str] | None = None) -> dict[str, Any]:
        """A dict of all tensors, or of `names`."""
        file = self._checkpoint()
        found: dict[str, Any] = self._made._read(file, list(file) if names is None else list(names), self._device)
        return found

    def get_slice(self, name: str) -> Slice:
        """The tensor `name`, of which parts can be read: see `Slice`."""
        return Slice(self._known(name), name, self._made, self._device)


class Slice:
    """A tensor of which `slice[1:3, 0]` reads a part."""

    def __init__(self, file: Checkpoint, name: str, made: ModuleType, device: Any) -> None:
        self._file, self._name, self._made, self._device = file, name, made, device

    def get_shape(self) -> list[int]:
        """Sizes."""
        return list(self._file.shape(self._name))

    def get_dtype(self) -> str:
        """Element type as the format writes it, `F32`."""
        name = self._file.dtype(self._name)
        return _CODES.get(name, name)

    def __getitem__(self, at: Any) -> Any:
        at = at if isinstance(at, tuple) else (at,)
        shape = self._file.shape(self._name)
        if len(at) > len(shape):
            raise SafetensorError(f"Error during slicing {_text(at)} with shape {list(shape)}: more slicing indexes than dimensions")
        for axis, (i, size) in enumerate(zip(at, shape)):
            _inside(at, axis, i, size, shape)
        view = self._file._native.view(self._name, raw=self._made.RAW)
        part = view[tuple(slice(0, 0) if isinstance(i, list) else i for i in at)]
        return self._made._own(part, self._file.dtype(self._name), self._device)


def _inside(at: tuple[Any, ...], axis: int, i: Any, size: int, shape: tuple[int, ...]) -> None:
    """Raises where `i` lies outside of the axis."""

    def outside(index: int) -> SafetensorError:
        why = f"index {index} out of bounds for tensor dimension #{axis} of size {size}"
        return SafetensorError(f"Error during slicing {_text(at)} with shape {list(shape)}: {why}")

    if isinstance(i, list):
        if i:
            raise SafetensorError("Non empty lists are not implemented")
    elif isinstance(i, slice):
        for end in (i.start, i.stop):
            if end is not None and end > size:
                raise outside(end - 1 if end is i.stop else end)
    else:
        n = operator.index(i)
        if n < -size:
            raise SafetensorError(f"Invalid index {n} for dimension {axis} of size {size}")
        if n >= size:
            raise outside(n)


def _text(at: tuple[Any, ...]) -> str:
    def one(i: Any) -> str:
        if isinstance(i, slice):
            return f"{'' if i.start is None else i.start}:{'' if i.stop is None else i.stop}"
        return str(i)

    return f"[{', '.join(one(i) for i in at)}]"


def _ordered(dtypes: dict[str, str]) -> list[str]:
    """Names in the order in which the safetensors library writes them: by element type, then by name."""
    return sorted(dtypes, key=lambda name: (_ORDER.get(dtypes[name], len(_ORDER)), name))
