"""Checkpoints: named weights without a graph, and the functions of the safetensors library.

>>> import numpy, modelsmith, tempfile, os
>>> path = os.path.join(tempfile.mkdtemp(), "a.safetensors")
>>> modelsmith.save_file({"w": numpy.ones((2, 3), dtype=numpy.float32)}, path, metadata={"by": "hand"})
>>> ck = modelsmith.load(path)
>>> ck["w"].shape, ck.metadata
((2, 3), {'by': 'hand'})
"""

import json
import os
from collections.abc import Mapping

from modelsmith import _modelsmith
from modelsmith.errors import _must_exist


class Checkpoint(Mapping):
    """Named weights of a file of any format, as a mapping from names to arrays. Nothing is read before it is asked for;
    where the file has the elements as an array has them, the array shows the file's own bytes and may not be written.

    bfloat16 and the eight-bit floats need `ml_dtypes`.

    `source`: a path, the path of a folder, or the bytes of a file.
    """

    def __init__(self, source):
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._native = _modelsmith.Checkpoint.from_bytes("memory", bytes(source))
            return
        _must_exist(source)
        self._native = _modelsmith.Checkpoint.open(source)

    def __getitem__(self, name):
        return self._native.view(name)

    def __iter__(self):
        return iter(self._native.keys())

    def __len__(self):
        return len(self._native)

    def __contains__(self, name):
        return isinstance(name, str) and name in self._native

    @property
    def path(self):
        """The file, as text."""
        return str(self._native.path)

    @property
    def format(self):
        """Its format, for people."""
        return self._native.format

    @property
    def metadata(self):
        """What the file says of itself: a dict of texts."""
        return self._native.metadata()

    def dtype(self, name):
        """Element type of a tensor, as NumPy or `ml_dtypes` calls it, without reading the tensor."""
        return self._native.info(name)[0]

    def shape(self, name):
        """Shape of a tensor, without reading it."""
        return tuple(self._native.info(name)[1])

    def read(self, names=None):
        """A dict of arrays with memory of their own, read by several threads; of all tensors, or of `names`."""
        names = list(self) if names is None else list(names)
        return dict(zip(names, self._native.read(names)))

    def inspect(self):
        """What it holds, as the document of `modelsmith inspect --json`."""
        return json.loads(self._native.inspect())

    def __repr__(self):
        return f"<Checkpoint {self.path}: {self.format}, {len(self)} tensors>"

    def _repr_html_(self):
        from modelsmith._html import checkpoint

        return checkpoint(self)


def load_file(filename):
    """The tensors of a file as a dict of arrays, as `safetensors.numpy.load_file`; files of other formats too.

    Raises `FileNotFoundError`, and `SafetensorError` where the file is damaged.
    """
    from modelsmith.safetensors import numpy

    return numpy.load_file(filename)


def save_file(tensor_dict, filename, metadata=None):
    """Writes a dict of arrays as a safetensors file, as `safetensors.numpy.save_file` does."""
    from modelsmith.safetensors import numpy

    numpy.save_file(tensor_dict, filename, metadata)


def safe_open(filename, framework="np", device="cpu"):
    """As `safetensors.safe_open`: a file of which tensors are read one by one."""
    from modelsmith.safetensors import safe_open

    return safe_open(os.fspath(filename), framework, device)
