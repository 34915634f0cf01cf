"""`load_file`, `save_file`, `load` and `save` for tensors of PyTorch, which must be installed."""

from __future__ import annotations

import os
from typing import Any

import torch

from modelsmith.checkpoint import Checkpoint
from modelsmith.safetensors import SafetensorError, _open
from modelsmith.safetensors.numpy import _bytes, _write

RAW = True
_NAMES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.int8: "int8",
    torch.uint8: "uint8",
    torch.bool: "bool",
    torch.complex64: "complex64",
}
for _name, _dtype in (
    ("uint16", "uint16"),
    ("uint32", "uint32"),
    ("uint64", "uint64"),
    ("float8_e4m3fn", "float8_e4m3fn"),
    ("float8_e5m2", "float8_e5m2"),
    ("float8_e8m0fnu", "float8_e8m0fnu"),
):
    if hasattr(torch, _dtype):
        _NAMES[getattr(torch, _dtype)] = _name
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
# NumPy has none of these: their bits travel as unsigned integers, for which PyTorch has signed ones everywhere.
_BITS = {"bfloat16": (torch.int16, "uint16")}
_BITS.update({name: (torch.uint8, "uint8") for name in _DTYPES if name.startswith("float8")})


def _own(part: Any, dtype: str, device: Any) -> torch.Tensor:
    return _tensor(part.copy(), dtype).to(device)


def _tensor(array: Any, dtype: str) -> torch.Tensor:
    if dtype == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    made = torch.from_numpy(array)
    return made.view(_DTYPES[dtype]) if dtype in _BITS else made


def _read(file: Checkpoint, names: list[str], device: Any) -> dict[str, torch.Tensor]:
    arrays = file._native.read(names, raw=True)
    return {name: _tensor(a, file.dtype(name)).to(device) for name, a in zip(names, arrays)}


def _array(name: str, tensor: torch.Tensor, dtype: str) -> Any:
    if not tensor.is_contiguous():
        why = "call .contiguous() on it before it is saved"
        raise ValueError(f"You are trying to save a non contiguous tensor: `{name}`: {why}")
    tensor = tensor.detach().cpu()
    if dtype not in _BITS:
        return tensor.numpy()
    signed, unsigned = _BITS[dtype]
    return tensor.view(signed).numpy().view(unsigned), dtype


def load_file(filename: str | os.PathLike[str], device: Any = "cpu", *, backend: str = "mmap") -> dict[str, torch.Tensor]:
    """A dict of the tensors of a file on `device`.

    Raises `FileNotFoundError`, and `SafetensorError` where the file is damaged.
    """
    file = _open(filename)
    return _read(file, list(file), device)


def load(data: bytes) -> dict[str, torch.Tensor]:
    """As `load_file`, for the bytes of a file."""
    file = _open(data)
    return _read(file, list(file), "cpu")


def save_file(tensors: dict[str, torch.Tensor], filename: str | os.PathLike[str], metadata: dict[str, str] | None = None) -> None:
    """Writes a dict of tensors. `metadata` is a dict of texts.

    Raises `RuntimeError` where tensors share memory, `ValueError` where one is not contiguous.
    """
    _refuse_shared(tensors)
    dtypes = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise SafetensorError(f"tensor {name}: the format has no element type {tensor.dtype}")
        dtypes[name] = _NAMES[tensor.dtype]
    _write({name: _array(name, t, dtypes[name]) for name, t in tensors.items()}, dtypes, filename, metadata)


def save(tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """As `save_file`; returns the bytes."""
    return _bytes(save_file, tensors, metadata)


def _refuse_shared(tensors: dict[str, torch.Tensor]) -> None:
    """Two names for one memory would be two tensors when the file is read."""
    seen: dict[Any, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel() == 0 or tensor.device.type == "meta":
            continue
        seen.setdefault((tensor.device, tensor.untyped_storage().data_ptr()), []).append(name)
    shared = [names for names in seen.values() if len(names) > 1]
    if shared:
        raise RuntimeError(f"Some tensors share memory, this will lead to duplicate memory on disk: {shared}")
