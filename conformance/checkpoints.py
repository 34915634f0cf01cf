#!/usr/bin/env python3
"""Every tensor of the corpus's checkpoints beside what the format's own library reads.

usage: checkpoints.py check BINARY CORPUS [--match TEXT] [--table FILE.md]
       checkpoints.py record CORPUS
`record` asks PyTorch, safetensors, gguf and numpy for the name, type, shape and CRC-32 of each tensor and writes them to
checkpoints.json beside this file; it unpickles files of the corpus, so trust them first. `check` holds the program against that record and needs Python alone. A file that its
own library does not load is listed with the reason, and must be read by the program all the same.
"""
import glob, json, os, subprocess, sys, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
RECORD = os.path.join(HERE, "checkpoints.json")
FOLDERS = ["pytorch_zip", "pytorch_legacy", "pytorch_tar", "safetensors", "gguf", "npy", "io"]
# Names of element types in this program.
NAMES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "int16": "i16", "int32": "i32",
         "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "bool": "bool", "complex64": "complex64",
         "complex128": "complex128", "float8_e4m3fn": "f8e4m3fn", "float8_e5m2": "f8e5m2"}
# Read in part, with the reason.
PARTLY = {"io/spotify__basic-pitch__model_output.npz": "its member is an array of Python objects, which is listed, not read"}


def files(corpus):
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(corpus, folder, "*"))):
            if folder != "io" or path.endswith((".npy", ".npz")):
                yield f"{folder}/{os.path.basename(path)}", path


def of_array(a):
    import numpy as np

    a = np.ascontiguousarray(a)
    return [NAMES[a.dtype.name], list(a.shape), zlib.crc32(a.astype(a.dtype.newbyteorder("<")).tobytes())]


def of_tensor(t):
    import torch

    t = t.detach().cpu().contiguous()
    name = str(t.dtype).removeprefix("torch.")
    shape = list(t.shape)
    raw = t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""
    return [NAMES[name], shape, zlib.crc32(raw)]


def flat(value, prefix, out):
    """Tensors of nested containers under dotted names."""
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        out[prefix] = of_tensor(value)
    elif isinstance(value, np.ndarray) and value.dtype.name in NAMES:
        out[prefix] = of_array(value)
    elif isinstance(value, torch.nn.Module):
        flat(value.state_dict(), prefix, out)
    elif isinstance(value, dict):
        for k, v in value.items():
            flat(v, f"{prefix}.{k}" if prefix else str(k), out)
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            flat(v, f"{prefix}.{i}" if prefix else str(i), out)


def tensors(name, path):
    if name.startswith("pytorch"):
        import torch

        out = {}
        # PyTorch reads tar archives with its whole unpickler only.
        flat(torch.load(path, map_location="cpu", weights_only=not name.startswith("pytorch_tar")), "", out)
        return out
    if name.startswith("safetensors"):
        from safetensors import safe_open

        with safe_open(path, "pt") as f:
            return {k: of_tensor(f.get_tensor(k)) for k in f.keys()}
    if name.startswith("gguf"):
        import gguf

        out = {}
        for t in gguf.GGUFReader(path).tensors:
            a = t.data if t.tensor_type in (0, 1) else gguf.quants.dequantize(t.data, t.tensor_type)
            kind = t.tensor_type.name if t.tensor_type not in (0, 1) else NAMES[a.dtype.name]
            out[t.name] = [kind, [int(d) for d in reversed(t.shape)], zlib.crc32(a.tobytes())]
        return out
    import numpy as np

    a = np.load(path, allow_pickle=True, encoding="latin1")
    out = {}
    for k, v in [(k, a[k]) for k in a.files] if hasattr(a, "files") else [("", a)]:
        flat(v.item() if v.dtype == object and v.ndim == 0 else v, k, out)
    return out


def record(corpus):
    out = {}
    for name, path in files(corpus):
        try:
            out[name] = {"tensors": tensors(name, path)}
        except Exception as e:
            out[name] = {"not_loaded": f"{type(e).__name__}: {str(e).splitlines()[0][:160] if str(e) else ''}"}
        print(name, len(out[name].get("tensors", [])), out[name].get("not_loaded", ""))
    with open(RECORD, "w") as f:
        f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")


def judge(binary, name, path, wanted):
    run = subprocess.run([binary, "inspect", path, "--verify", "--json", "--quiet"], capture_output=True, text=True)
    if run.returncode:
        return f"exit {run.returncode}: {run.stderr.strip().splitlines()[-1] if run.stderr.strip() else ''}"
    checkpoints = json.loads(run.stdout).get("checkpoints", [])
    if not checkpoints:
        return "read as a model"
    got = {t["name"]: [t["dtype"], t["shape"], t["crc32"]] for c in checkpoints for t in c.get("tensor_list", [])}
    if "tensors" not in wanted or name in PARTLY:
        return None
    expected = wanted["tensors"]
    if list(expected) == [""]:
        expected, got = list(expected.values()), list(got.values())
        return None if expected == got else f"{got} instead of {expected}"
    for t, v in expected.items():
        if got.get(t) != v:
            return f"tensor {t}: {got.get(t)} instead of {v}"
    return None


def check(binary, corpus, match, table):
    recorded = json.load(open(RECORD))
    rows, failed = [], 0
    for name, path in files(corpus):
        if match not in name:
            continue
        wanted = recorded.get(name, {"not_loaded": "not recorded"})
        said = judge(binary, name, path, wanted)
        failed += said is not None
        count = len(wanted.get("tensors", []))
        good = PARTLY[name] if name in PARTLY else f"{count} tensors equal" if "tensors" in wanted else f"read; its own library does not load it ({wanted['not_loaded']})"
        rows.append((name, said or good))
        print(f"{'FAILED ' if said else ''}{name}: {said or good}")
    if table:
        with open(table, "w") as f:
            f.write("| file | beside its own library |\n|---|---|\n" + "".join(f"| {n} | {r} |\n" for n, r in rows))
    print(f"{len(rows) - failed} as expected, {failed} failed")
    return 1 if failed else 0


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2])
    elif sys.argv[1:2] == ["check"]:
        sys.exit(check(sys.argv[2], sys.argv[3], option("--match"), option("--table")))
    else:
        sys.exit(__doc__)
