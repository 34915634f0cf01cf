"""Checkpoints read by Modelsmith against PyTorch itself, bit for bit.

    cargo build --release -p modelsmith-format-torch --examples
    python conformance/pytorch.py target/release/examples CORPUS

Compared are name, element type, shape and the CRC-32 of the dense bytes of every tensor: of each file below CORPUS in
pytorch_zip, pytorch_legacy and pytorch_tar, and of files made here, one for each recipe, in the containers of PyTorch.
Each file is then written anew, and what PyTorch loads from that (`weights_only=True, mmap=True`) is compared with what it
loads from the original: values, shapes, and which tensors share a storage. Nothing of the corpus folder `malicious` is
touched.
"""
import collections
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
import zlib

import numpy as np
import torch

warnings.filterwarnings("ignore")

NAMES = {
    torch.float32: "f32", torch.float64: "f64", torch.float16: "f16", torch.bfloat16: "bf16", torch.int64: "i64",
    torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8", torch.uint16: "u16", torch.uint32: "u32",
    torch.uint64: "u64", torch.bool: "bool", torch.complex64: "c64", torch.complex128: "c128",
    torch.float8_e4m3fn: "f8e4m3fn", torch.float8_e4m3fnuz: "f8e4m3fnuz", torch.float8_e5m2: "f8e5m2",
    torch.float8_e5m2fnuz: "f8e5m2fnuz", torch.float8_e8m0fnu: "f8e8m0",
}
NUMPY = {"f2": "f16", "f4": "f32", "f8": "f64", "b1": "bool", "c8": "c64", "c16": "c128"}


def entry(name, dtype, shape, data):
    return name or "tensor", dtype, list(shape), zlib.crc32(data)


def dense(name, t):
    t = t.detach()
    if t.dtype == torch.complex32:
        t = torch.view_as_real(t)
    flat = t.resolve_conj().resolve_neg().contiguous().reshape(-1)
    return entry(name, NAMES[t.dtype], t.shape, bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b"")


def join(path, key):
    return f"{path}.{key}" if path else str(key)


def tensor(t, path):
    """The parts that a tensor is stored as."""
    if t.is_nested:
        parts = [("values", t.values() if t.layout == torch.jagged else torch._nested_view_from_buffer and t._nested_tensor_size())]
        names = ["values", "sizes", "strides", "offsets"]
        values = [torch.cat([x.reshape(-1) for x in t.unbind()]), t._nested_tensor_size(), t._nested_tensor_strides(),
                  t._nested_tensor_storage_offsets()]
        return [dense(join(path, n), v) for n, v in zip(names, values)]
    if t.is_quantized:
        out = [dense(path, t.int_repr())]
        if t.qscheme() == torch.per_tensor_affine:
            scale, zero = torch.tensor(t.q_scale(), dtype=torch.float64), torch.tensor(t.q_zero_point())
        else:
            scale, zero = t.q_per_channel_scales(), t.q_per_channel_zero_points()
        return out + [dense(join(path, "scale"), scale), dense(join(path, "zero_point"), zero)]
    if t.layout == torch.sparse_coo:
        return [dense(join(path, "indices"), t._indices()), dense(join(path, "values"), t._values())]
    if t.layout in (torch.sparse_csr, torch.sparse_bsr):
        names, parts = ("compressed_indices", "plain_indices", "values"), (t.crow_indices(), t.col_indices(), t.values())
        return [dense(join(path, n), p) for n, p in zip(names, parts)]
    if t.layout in (torch.sparse_csc, torch.sparse_bsc):
        names, parts = ("compressed_indices", "plain_indices", "values"), (t.ccol_indices(), t.row_indices(), t.values())
        return [dense(join(path, n), p) for n, p in zip(names, parts)]
    return [] if t.is_meta else [dense(path, t)]


def flat(o, path=""):
    if isinstance(o, torch.Tensor):
        return tensor(o, path)
    if isinstance(o, torch.nn.Module):
        out = []
        for members in (o._parameters, o._buffers, o._modules):
            for key, value in members.items():
                out += flat(value, join(path, key))
        return out
    if isinstance(o, np.ndarray):
        code = o.dtype.str[1:]
        data = np.ascontiguousarray(o.astype(o.dtype.newbyteorder("<")))
        return [entry(path, NUMPY.get(code, code[0] + str(8 * int(code[1:]))), o.shape, data.tobytes())]
    if isinstance(o, (dict, collections.abc.Mapping)):
        return [x for k, v in o.items() for x in flat(v, join(path, ",".join(map(str, k)) if isinstance(k, tuple) else k))]
    if isinstance(o, (list, tuple)):
        return [x for k, v in enumerate(o) for x in flat(v, join(path, k))]
    return []


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU())
        self.head = torch.nn.Linear(3, 4)
        self.tied = torch.nn.Linear(3, 4)
        self.tied.weight = self.head.weight
        self.register_buffer("scale", torch.arange(5.0))


def cases():
    """Name and object, one for each recipe."""
    base = torch.arange(24, dtype=torch.float32)
    yield "views", {"all": base, "part": base[3:9], "t": base.reshape(4, 6).t(), "strided": base[::5], "row": base.view(4, 6)[1],
                    "expanded": torch.tensor([1.0, 2.0]).expand(3, 2), "empty": base[:0], "scalar": base[7]}
    yield "tied", collections.OrderedDict(a=base, b=base, c=base.view(2, 12))
    for dtype in NAMES:
        raw = torch.arange(64, dtype=torch.uint8).repeat(2)
        yield f"dtype_{dtype}", {"x": (raw % 2).view(torch.bool) if dtype == torch.bool else raw.view(dtype)}
    yield "complex32", {"x": torch.arange(8, dtype=torch.float16).view(torch.complex32)[1:]}
    yield "parameter", {"p": torch.nn.Parameter(base.view(4, 6)), "b": torch.nn.Buffer(base)}
    x = torch.randn(3, 4)
    for q in (torch.qint8, torch.quint8, torch.qint32):
        yield f"per_tensor_{q}", {"q": torch.quantize_per_tensor(x, 0.1, 3, q)}
        yield f"per_channel_{q}", {"q": torch.quantize_per_channel(x, torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2]), 0, q)}
    eye = torch.eye(4)
    yield "coo", {"s": eye.to_sparse()}
    for layout in ("csr", "csc"):
        yield layout, {"s": getattr(eye, f"to_sparse_{layout}")()}
    yield "bsr", {"s": eye.to_sparse_bsr((2, 2))}
    yield "nested", {"n": torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)])}
    yield "meta", {"m": torch.zeros(3, 2, device="meta"), "x": base}
    yield "conj", {"c": torch.randn(3, dtype=torch.complex64).conj().resolve_conj()}
    yield "numpy", {"a": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
                    "big": np.arange(4, dtype=">f4"), "s": np.float32(1.5), "b": np.array([True, False]), "h": np.float16([1, 2]),
                    "c": np.arange(3).astype(np.complex64)}
    yield "plain", {"size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float16, "set": {1, 2}, "n": None,
                    "deep": [{"x": base}, (base[1:], "text", 2**70)], 3: base, (1, 2): base, "dd": collections.defaultdict(list, a=[base])}
    yield "module", Net()
    net = Net()
    opt = torch.optim.Adam(net.parameters())
    net.head(net.conv(torch.randn(2, 2, 5, 5)).mean((2, 3))).sum().backward()
    opt.step()
    yield "training", {"model": net.state_dict(), "optimizer": opt.state_dict(), "epoch": 7, "lr": 1e-3}
    yield "tensor", base.view(4, 6)
    yield "list", [base, base[2:]]


def swapped(path):
    """The zip checkpoint at `path` as a big-endian machine would write it; types of one width only."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as a, zipfile.ZipFile(out, "w") as b:
        for name in a.namelist():
            data = a.read(name)
            if name.endswith("/byteorder"):
                data = b"big"
            if "/data/" in name:
                data = np.frombuffer(data, "<u4").astype(">u4").tobytes()
            b.writestr(name, data)
    return out.getvalue()


def deflated(path):
    out = io.BytesIO()
    with zipfile.ZipFile(path) as a, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as b:
        for name in a.namelist():
            b.writestr(name, a.read(name))
    return out.getvalue()


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def made(folder):
    """Files made here, with the object that PyTorch reads from each."""
    for name, o in cases():
        zipped = os.path.join(folder, name + ".pt")
        torch.save(o, zipped)
        yield zipped, o
        if name not in ("meta", "nested"):
            try:
                legacy = os.path.join(folder, name + ".legacy.pt")
                torch.save(o, legacy, _use_new_zipfile_serialization=False)
                yield legacy, o
            except Exception as e:
                print(f"  legacy of {name}: PyTorch cannot write it: {e}")
        if name in ("views", "plain", "module", "numpy"):
            for protocol in (3, 4, 5):
                path = os.path.join(folder, f"{name}.{protocol}.pt")
                torch.save(o, path, pickle_protocol=protocol)
                yield path, o
        if name in ("views", "training"):
            yield write(folder, name + ".deflated.pt", deflated(zipped)), o
    base = torch.arange(24, dtype=torch.float32)
    o = {"a": base, "t": base.view(4, 6).t(), "i": torch.arange(5, dtype=torch.int32)}
    torch.save(o, os.path.join(folder, "order.pt"))
    yield write(folder, "order.big.pt", swapped(os.path.join(folder, "order.pt"))), o
    torch.serialization.set_crc32_options(False)
    torch.save(o, os.path.join(folder, "nocrc.pt"))
    torch.serialization.set_crc32_options(True)
    yield os.path.join(folder, "nocrc.pt"), o
    yield tar(folder), {"w": torch.arange(6.0).view(2, 3), "v": torch.arange(2.0, 5.0)}
    plain = {"x": np.arange(5.0), "y": [1, 2]}
    for protocol in range(6):
        yield write(folder, f"bare{protocol}.pkl", pickle.dumps(plain, protocol)), plain


def tar(folder):
    """A tar checkpoint of the first releases: two tensors over one storage, the second through a storage view."""
    def pack(*objects):
        return b"".join(pickle.dumps(o, 2) for o in objects)
    storages = pack(1, (100, "cpu", torch.FloatStorage)) + struct.pack("<q6f", 6, *range(6)) + pack([(200, 100, 2, 3)])
    def listed(key, storage, shape, stride, offset):
        n = len(shape)
        return pack((key, storage, torch.FloatTensor)) + struct.pack(f"<i4x{n}q{n}qq", n, *shape, *stride, offset)
    tensors = pack(2) + listed(1, 100, [2, 3], [3, 1], 0) + listed(2, 200, [3], [1], 0)
    class Key:
        def __init__(self, key):
            self.key = key
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 2)
    pickler.persistent_id = lambda o: o.key if isinstance(o, Key) else None
    pickler.dump(collections.OrderedDict(w=Key("1"), v=Key("2")))
    members = {"sys_info": pack({"little_endian": True}), "pickle": out.getvalue(), "tensors": tensors, "storages": storages}
    path = os.path.join(folder, "old.tar")
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    # PyTorch itself must read it the same.
    torch.load(path, weights_only=False)
    return path


def old_tar(path):
    """A tar checkpoint whose pickle names storages in plain tuples: PyTorch reads it no more, so it is done here."""
    with tarfile.open(path) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    storages, stream = {}, io.BytesIO(members["storages"])
    for _ in range(pickle.load(stream)):
        key, _, kind = pickle.load(stream)
        count, = struct.unpack("<q", stream.read(8))
        dtype = kind.dtype
        storages[key] = torch.frombuffer(bytearray(stream.read(count * dtype.itemsize)), dtype=dtype)

    def rebuild(storage, offset, size, stride, *_):
        return torch.as_strided(storages[storage[2]], size, stride, offset)

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return rebuild if name == "_rebuild_tensor_v2" else super().find_class(module, name)

    return Unpickler(io.BytesIO(members["pickle"])).load()


def corpus(root):
    for kind in ("pytorch_zip", "pytorch_legacy", "pytorch_tar"):
        folder = os.path.join(root, kind)
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            try:
                if kind == "pytorch_tar":
                    o = old_tar(path)
                else:
                    o = torch.load(path, weights_only=True, map_location="cpu")
            except Exception as e:
                print(f"  {kind}/{name}: PyTorch cannot read it: {str(e).splitlines()[0][:100]}")
                continue
            yield path, o


def sharing(o, seen):
    """Numbers of the storages of plain tensors in order: equal lists share alike."""
    out = []
    if isinstance(o, torch.Tensor):
        if not (o.is_nested or o.is_quantized or o.is_meta or o.layout != torch.strided) and o.numel():
            out.append(seen.setdefault(o.untyped_storage().data_ptr(), len(seen)))
    elif isinstance(o, torch.nn.Module):
        out = sharing(o.state_dict(), seen)
    elif isinstance(o, dict):
        out = [x for v in o.values() for x in sharing(v, seen)]
    elif isinstance(o, (list, tuple)):
        out = [x for v in o for x in sharing(v, seen)]
    return out


def aligned(path):
    """Checks checksums, and that data begin at multiples of 64."""
    with zipfile.ZipFile(path) as z, open(path, "rb") as f:
        assert z.testzip() is None
        for info in z.infolist():
            f.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", f.read(4))
            assert (info.header_offset + 30 + name + extra) % 64 == 0, info.filename


def rewritten(binary, path, o, want):
    """What is wrong with the file written anew from `path`; nothing where it may be refused."""
    out = path + ".anew.pt" if path.startswith(tempfile.gettempdir()) else os.path.join(tempfile.gettempdir(), "anew.pt")
    run = subprocess.run([binary, path, out], capture_output=True, text=True)
    if run.returncode:
        return None if run.returncode == 5 and ("meta" in path or "plain" in path) else run.stderr
    try:
        aligned(out)
        nested = "nested" in os.path.basename(path)
        back = torch.load(out, weights_only=not nested, mmap=not nested)
        have = flat(back)
        if sorted(have) != sorted(map(tuple, want)):
            return f"{sorted(have)} instead of {sorted(want)}"
        if not any(isinstance(x, np.ndarray) for x in (o.values() if isinstance(o, dict) else [])):
            if sharing(back, {}) != sharing(o, {}):
                return f"storages are shared as {sharing(back, {})} instead of {sharing(o, {})}"
        first = open(out, "rb").read()
        subprocess.run([binary, path, out], check=True, capture_output=True)
        if open(out, "rb").read() != first:
            return "written twice, the bytes differ"
    finally:
        os.remove(out)
    return None


def main():
    examples, root = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        files = [(path, o, flat(o)) for path, o in [*corpus(root), *made(folder)]]
        dump = os.path.join(examples, "dump_checkpoint")
        run = subprocess.run([dump, *(p for p, _, _ in files)], capture_output=True, text=True, check=True)
        lines = run.stdout.splitlines()
        assert len(lines) == len(files)
        bad = tensors = 0
        for (path, o, want), line in zip(files, lines):
            got = json.loads(line)
            have = [(t["name"], t["dtype"], t["shape"], t["crc"]) for t in got.get("tensors", [])]
            tensors += len(want)
            if "error" in got or sorted(have) != sorted(map(tuple, want)):
                bad += 1
                print(f"READ DIFFERS {os.path.basename(path)}: {got.get('error', '')}")
                print("   wanted", [t for t in want if t not in have])
                print("   got   ", [t for t in have if t not in want])
            wrong = rewritten(os.path.join(examples, "rewrite_checkpoint"), path, o, want)
            if wrong:
                bad += 1
                print(f"WRITTEN DIFFERS {os.path.basename(path)}: {wrong}")
    print(f"{len(files)} files, {tensors} tensors compared with PyTorch {torch.__version__}, read and written: {bad} differ")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
