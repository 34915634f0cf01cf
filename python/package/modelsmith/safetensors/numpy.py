"""`load_file`, `save_file`, `load` and `save` for arrays of NumPy; bfloat16 and the eight-bit floats as types of `ml_dtypes`.

>>> import numpy
>>> from modelsmith.safetensors.numpy import load, save
>>> load(save({"w": numpy.float32([1, 2])}))["w"].tolist()
[1.0, 2.0]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelsmith import _modelsmith
from modelsmith.checkpoint import Checkpoint
from modelsmith.safetensors import _TYPES, SafetensorError, _open, _ordered

if TYPE_CHECKING:
    from numpy import ndarray

    Array = ndarray[Any, Any]
    Path = str | os.PathLike[str]

RAW = False


def _read(file: Checkpoint, names: list[str], device: Any) -> dict[str, Array]:
    return dict(zip(names, file._native.read(names)))


def _own(part: Array, dtype: str, device: Any) -> Array:
    return part.copy()


def _write(tensors: dict[str, Any], dtypes: dict[str, str], path: Path, metadata: dict[str, str] | None) -> None:
    for name, dtype in dtypes.items():
        if dtype not in _TYPES.values():
            raise SafetensorError(f"tensor {name}: the format has no element type {dtype}")
    ordered = {name: tensors[name] for name in _ordered(dtypes)}
    _modelsmith.save_tensors(ordered, path, metadata, "safetensors")


def _bytes(write: Callable[..., None], tensors: dict[str, Any], metadata: dict[str, str] | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tensors.safetensors")
        write(tensors, path, metadata)
        with open(path, "rb") as file:
            return file.read()


def load_file(filename: Path, *, backend: str = "mmap") -> dict[str, Array]:
    """A dict of the arrays of a file, each with memory of its own.

    Raises `FileNotFoundError`, and `SafetensorError` where the file is damaged.
    """
    file = _open(filename)
    return _read(file, list(file), "cpu")


def load(data: bytes) -> dict[str, Array]:
    """As `load_file`, for the bytes of a file."""
    file = _open(data)
    return _read(file, list(file), "cpu")


def save_file(tensor_dict: dict[str, Array], filename: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes a dict of arrays. `metadata` is a dict of texts. The file takes its name when it is complete."""
    _write(tensor_dict, {name: a.dtype.name for name, a in tensor_dict.items()}, filename, metadata)


def save(tensor_dict: dict[str, Array], metadata: dict[str, str] | None = None) -> bytes:
    """As `save_file`; returns the bytes."""
    return _bytes(save_file, tensor_dict, metadata)
