"""Checkpoints: named weights without a graph, and the functions of the safetensors library.

>>> import numpy, modelsmith, tempfile, os
>>> path = os.path.join(tempfile.mkdtemp(), "a.safetensors")
>>> modelsmith.save_file({"w": numpy.ones((2, 3), dtype=numpy.float32)}, path, metadata={"by": "hand"})
>>> ck = modelsmith.load(path)
>>> ck["w"].shape, ck.metadata
((2, 3), {'by': 'hand'})
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelsmith import _modelsmith
from modelsmith.errors import _must_exist

if TYPE_CHECKING:
    from numpy import ndarray

    from modelsmith import safetensors

    Array = ndarray[Any, Any]
    Path = str | os.PathLike[str]


class Checkpoint(Mapping[str, "Array"]):
    """Named weights of a file of any format, as a mapping from names to arrays. Nothing is read before it is asked for;
    where the file has the elements as an array has them, the array shows the file's own bytes and may not be written.

    bfloat16 and the eight-bit floats need `ml_dtypes`.

    `source`: a path, the path of a folder, or the bytes of a file.
    """

    def __init__(self, source: Path | bytes | bytearray | memoryview) -> None:
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._native = _modelsmith.Checkpoint.from_bytes("memory", bytes(source))
            return
        _must_exist(source)
        self._native = _modelsmith.Checkpoint.open(source)

    @classmethod
    def _of(cls, native: _modelsmith.Checkpoint) -> Checkpoint:
        made = cls.__new__(cls)
        made._native = native
        return made

    def __getitem__(self, name: str) -> Array:
        view: Array = self._native.view(name)
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(self._native.keys())

    def __len__(self) -> int:
        return len(self._native)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._native

    @property
    def path(self) -> str:
        """The file, as text."""
        return str(self._native.path)

    @property
    def format(self) -> str:
        """Its format, for people."""
        return self._native.format

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself: a dict of texts."""
        return self._native.metadata()

    def dtype(self, name: str) -> str:
        """Element type of a tensor, as NumPy or `ml_dtypes` calls it, without reading the tensor."""
        return self._native.info(name)[0]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        return tuple(self._native.info(name)[1])

    def read(self, names: Iterable[str] | None = None) -> dict[str, Array]:
        """A dict of arrays with memory of their own, read by several threads; of all tensors, or of `names`."""
        names = list(self) if names is None else list(names)
        return dict(zip(names, self._native.read(names)))

    def inspect(self) -> dict[str, Any]:
        """What it holds, as the document of `modelsmith inspect --json`."""
        return json.loads(self._native.inspect())

    def __repr__(self) -> str:
        return f"<Checkpoint {self.path}: {self.format}, {len(self)} tensors>"

    def _repr_html_(self) -> str:
        from modelsmith._html import checkpoint

        return checkpoint(self)


def load_file(filename: Path) -> dict[str, Array]:
    """The tensors of a file as a dict of arrays, as `safetensors.numpy.load_file`; files of other formats too.

    Raises `FileNotFoundError`, and `SafetensorError` where the file is damaged.
    """
    from modelsmith.safetensors import numpy

    return numpy.load_file(filename)


def save_file(tensor_dict: dict[str, Array], filename: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes a dict of arrays as a safetensors file, as `safetensors.numpy.save_file` does."""
    from modelsmith.safetensors import numpy

    numpy.save_file(tensor_dict, filename, metadata)


def safe_open(filename: Path, framework: str = "np", device: str = "cpu") -> safetensors.safe_open:
    """As `safetensors.safe_open`: a file of which tensors are read one by one."""
    from modelsmith.safetensors import safe_open

    return safe_open(os.fspath(filename), framework, device)
