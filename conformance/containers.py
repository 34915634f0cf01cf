"""Judges safetensors, npy, npz and GGUF by their own libraries.

    python3 containers.py REWRITE FILE..

REWRITE is the example `rewrite` of modelsmith-format-weights. Each file is read by the format's library and by ours; ours
is written as safetensors, npz and GGUF, as far as the formats have the element types, and read back by the libraries.
Bytes, shapes and types of every tensor must be the same. Needs numpy, safetensors, torch and gguf.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy
from gguf import GGUFReader
from gguf.quants import dequantize


def read_safetensors(path):
    """Raw bytes by the header that the reference implementation accepts."""
    from safetensors import safe_open

    with safe_open(path, "np") as opened:
        names = set(opened.keys())
        meta = opened.metadata() or {}
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    out = {}
    for name, info in header.items():
        if name != "__metadata__":
            start, end = info["data_offsets"]
            out[name] = (info["dtype"], tuple(info["shape"]), data[8 + size + start : 8 + size + end])
    assert names == set(out)
    for alias, name in meta.items():
        if name in out and alias not in out:
            out[alias] = out[name]
    return out


NAMES = {"float32": "F32", "float64": "F64", "float16": "F16", "bool": "BOOL", "complex64": "C64", "complex128": "C128"}


def array(a):
    name = a.dtype.name
    name = NAMES.get(name, name.replace("uint", "U").replace("int", "I"))
    a = numpy.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).reshape(a.shape)
    return name, tuple(a.shape), a.tobytes()


def read_npz(path):
    with numpy.load(path, allow_pickle=True) as opened:
        return {name: array(a) for name, a in opened.items() if a.dtype != object}


def read_npy(path):
    return {path.stem: array(numpy.load(path))}


def read_gguf(path):
    out = {}
    for t in GGUFReader(path).tensors:
        shape = tuple(int(d) for d in reversed(t.shape))
        kind = t.tensor_type.name
        if kind in ("F32", "F64", "F16", "BF16", "I8", "I16", "I32", "I64"):
            out[t.name] = (kind, shape, t.data.tobytes())
        else:
            out[t.name] = ("F32", shape, dequantize(t.data, t.tensor_type).astype("<f4").tobytes())
    return out


READERS = {".safetensors": read_safetensors, ".npz": read_npz, ".npy": read_npy, ".gguf": read_gguf}


def differences(wanted, found):
    if list(wanted) != list(found) and set(wanted) != set(found):
        return f"names differ: {sorted(set(wanted) ^ set(found))[:5]}"
    for name, value in wanted.items():
        if value != found[name]:
            return f"{name}: {value[:2]} and {found[name][:2]}, {'other' if value[2] != found[name][2] else 'same'} bytes"
    return None


def main():
    rewrite, files = sys.argv[1], [pathlib.Path(f) for f in sys.argv[2:]]
    bad = done = 0
    for file in files:
        try:
            wanted = READERS[file.suffix](file)
        except Exception as e:  # the library refuses the file, so must we
            wanted = e
        for suffix in [".safetensors", ".npz", ".gguf"]:
            with tempfile.TemporaryDirectory() as folder:
                out = pathlib.Path(folder) / f"out{suffix}"
                run = subprocess.run([rewrite, str(file), str(out)], capture_output=True, text=True)
                if isinstance(wanted, Exception):
                    verdict = None if run.returncode else f"read, but the library says {wanted}"
                elif run.returncode:
                    said = (run.stdout + run.stderr).strip()
                    verdict = None if "cannot hold" in said or "--cast" in said else said
                    if verdict is None:
                        print(f"skip {file.name} as {suffix}: {said[:120]}")
                        continue
                else:
                    verdict = differences(wanted, READERS[suffix](out))
            done += 1
            bad += verdict is not None
            print(f"{'FAIL' if verdict else 'ok  '} {file.name} as {suffix} {verdict or ''}")
    print(f"{done} rewritten files, {bad} differ")
    sys.exit(bad != 0)


main()
