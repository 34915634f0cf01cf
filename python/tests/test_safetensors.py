"""The interface of the safetensors library: what its own tests expect, and files that it and this package exchange."""

import json
import struct

import numpy as np
import pytest

import modelsmith
from modelsmith.safetensors import SafetensorError, safe_open
from modelsmith.safetensors.numpy import load, load_file, save, save_file


def _file(header, payload):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + payload


def _one(dtype="I32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_bytes_are_those_of_the_library():
    zeros = np.zeros((2, 2), np.int32)
    wanted = struct.pack("<Q", 64) + b'{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}    ' + bytes(16)
    assert save({"test": zeros}) == wanted
    assert save({"test": zeros.astype(">i4")}) == wanted
    zeros[1, 1] = 1
    assert save({"test": zeros}) == wanted[:-4] + b"\1\0\0\0"


def test_the_order_is_by_type_and_name():
    a, b = np.zeros((2, 2), np.int32), np.ones((2, 2), np.float16)
    assert save({"b": b, "a": a}) == save({"a": a, "b": b})
    assert save({"x": a, "y": a}) == save({"y": a, "x": a})
    header = json.loads(_header(save({"b": b, "a": a})))
    assert header["a"]["data_offsets"] == [0, 16] and header["b"]["data_offsets"] == [16, 24]


def _header(data):
    (n,) = struct.unpack("<Q", data[:8])
    assert n % 8 == 0
    return data[8 : 8 + n]


def test_metadata(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path, metadata={"framework": "pt"})
    with safe_open(path, framework="np") as f:
        assert f.metadata() == {"framework": "pt"}
    save_file({"a": np.zeros(3, np.float32)}, path)
    with safe_open(path, framework="np") as f:
        assert f.metadata() is None
    with pytest.raises(modelsmith.UsageError, match="text by text"):
        save_file({"a": np.zeros(3, np.float32)}, path, metadata={"epoch": 3})


def test_round_trip_of_all_types():
    names = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    rng = np.random.default_rng(2)
    tensors = {n: rng.integers(0, 2, (3, 5)).astype(n) for n in [*names, "float16", "float32", "float64", "complex64"]}
    tensors["scalar"] = np.asarray(False)
    tensors["empty"] = np.zeros((0, 4), np.float32)
    tensors["across"] = np.arange(12.0).reshape(3, 4).T
    back = load(save(tensors))
    assert back.keys() == tensors.keys()
    for name, t in tensors.items():
        assert back[name].dtype == t.dtype and back[name].shape == t.shape and np.array_equal(back[name], t), name
        assert back[name].flags.writeable


def test_slices(tmp_path):
    a = np.random.default_rng(1).random((10, 5))
    save_file({"a": a}, tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="np", device="cpu") as f:
        s = f.get_slice("a")
        assert s.get_shape() == [10, 5] and s.get_dtype() == "F64"
        for at in (np.s_[:], (), np.s_[:2], np.s_[:, :2], np.s_[0, :2], np.s_[2:, 0], np.s_[2:, -1], np.s_[2:, -5], np.s_[-1]):
            assert np.array_equal(s[at], a[at]), at
        assert s[[]].shape == (0, 5)
        for at, said in (
            (np.s_[2:, -6], "Invalid index -6 for dimension 1 of size 5"),
            ([0, 1], "Non empty lists are not implemented"),
            (np.s_[2:, 20], "Error during slicing [2:, 20] with shape [10, 5]: index 20 out of bounds for tensor dimension #1 of size 5"),
            (np.s_[:20], "Error during slicing [:20] with shape [10, 5]: index 19 out of bounds for tensor dimension #0 of size 10"),
            (np.s_[:, :20], "Error during slicing [:, :20] with shape [10, 5]: index 19 out of bounds for tensor dimension #1 of size 5"),
        ):
            with pytest.raises(SafetensorError) as found:
                s[at]
            assert str(found.value) == said


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        safe_open("notafile", framework="np")
    assert str(found.value) == "No such file or directory: notafile"
    save_file({"a": np.zeros(2)}, tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="np") as f:
        assert f.keys() == f.offset_keys() == ["a"] and set(f.get_tensors()) == {"a"}
        with pytest.raises(SafetensorError, match="File does not contain tensor b"):
            f.get_tensor("b")
    with pytest.raises(SafetensorError, match="closed"):
        f.keys()
    with pytest.raises(SafetensorError):
        safe_open(tmp_path / "a.safetensors", framework="nonsense")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        struct.pack("<Q", 100) + b"{}",
        struct.pack("<Q", 1 << 40) + b"{}",
        _file(b"not json", b""),
        _file({"a": _one(offsets=(0, 12))}, bytes(12)),
        _file({"a": _one()}, bytes(12)),
        _file({"a": _one()}, bytes(20)),
        _file({"a": _one(dtype="nonsense")}, bytes(16)),
        _file({"a": _one(), "b": _one(offsets=(8, 24))}, bytes(24)),
        _file({"a": _one(shape=(1 << 40, 1 << 40))}, bytes(16)),
        _file({"a": _one(offsets=(16, 0))}, bytes(16)),
    ],
)
def test_damaged_files_are_refused(data, tmp_path):
    with pytest.raises(SafetensorError):
        load(data)
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(SafetensorError) as found:
        load_file(path)
    assert str(path) in str(found.value)


def test_files_travel_both_ways(tmp_path):
    library = pytest.importorskip("safetensors")
    numpy_part = pytest.importorskip("safetensors.numpy")
    assert library.__version__
    rng = np.random.default_rng(3)
    types = ["float32", "float16", "int64", "uint8", "int8", "float64", "bool"]
    tensors = {f"layer.{i}.{n}": rng.integers(0, 2, (i + 1, 7)).astype(n) for i, n in enumerate(types * 3)}
    assert save(tensors) == numpy_part.save(tensors)
    assert save(tensors, {"k": "v"}) == numpy_part.save(tensors, {"k": "v"})
    save_file(tensors, tmp_path / "ours.safetensors")
    numpy_part.save_file(tensors, tmp_path / "theirs.safetensors")
    for read, name in ((numpy_part.load_file, "ours"), (load_file, "theirs")):
        back = read(tmp_path / f"{name}.safetensors")
        assert back.keys() == tensors.keys()
        assert all(np.array_equal(back[k], t) and back[k].dtype == t.dtype for k, t in tensors.items())


def test_tensors_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from modelsmith.safetensors import torch as ours

    theirs = pytest.importorskip("safetensors.torch")
    tensors = {str(d): torch.arange(6).reshape(2, 3).to(d) for d in ours._NAMES}
    ours.save_file(tensors, tmp_path / "a.safetensors")
    assert ours.save(tensors) == theirs.save(tensors)
    for back in (ours.load_file(tmp_path / "a.safetensors"), theirs.load_file(tmp_path / "a.safetensors")):
        assert back.keys() == tensors.keys()
        for k, t in tensors.items():
            assert back[k].dtype == t.dtype and torch.equal(back[k].view(torch.uint8), t.view(torch.uint8)), k
    with safe_open(tmp_path / "a.safetensors", framework="pt") as f:
        assert torch.equal(f.get_slice("torch.bfloat16")[1], tensors["torch.bfloat16"][1])
        assert f.get_tensor("torch.int64").dtype == torch.int64
    x = torch.zeros(4)
    with pytest.raises(RuntimeError, match="share memory"):
        ours.save_file({"a": x, "b": x}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="non contiguous"):
        ours.save_file({"a": torch.zeros(3, 4).T}, tmp_path / "b.safetensors")


def test_a_checkpoint_is_a_mapping_of_views(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {"w": np.arange(4096, dtype=np.float32).reshape(64, 64), "b": np.ones(64, np.float32)}
    save_file(tensors, path)
    ck = modelsmith.load(path)
    assert isinstance(ck, modelsmith.Checkpoint) and dict(ck).keys() == tensors.keys() and len(ck) == 2
    assert ck.dtype("w") == "float32" and ck.shape("w") == (64, 64) and "w" in ck and "x" not in ck
    assert np.array_equal(ck["w"], tensors["w"]) and not ck["w"].flags.writeable
    assert ck["w"].ctypes.data == ck["w"].ctypes.data
    with pytest.raises(KeyError):
        ck["x"]
    own = ck.read(["w"])["w"]
    own[:] = 0
    assert ck["w"][0, 1] == 1


def test_types_that_numpy_does_not_have(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    path = tmp_path / "a.safetensors"
    tensors = {n: np.arange(8).astype(getattr(ml_dtypes, n)) for n in ("bfloat16", "float8_e4m3fn", "float8_e5m2")}
    save_file(tensors, path)
    ck = modelsmith.Checkpoint(path)
    for name, t in tensors.items():
        assert ck[name].dtype == t.dtype and np.array_equal(ck[name].astype(np.float32), t.astype(np.float32))
