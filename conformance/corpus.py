#!/usr/bin/env python3
"""Every ONNX file of a folder on the same random inputs in ONNX Runtime and in modelsmith.

usage: corpus.py BINARY FOLDER [--backend cpu,reference] [--deploy] [--table FILE.md] [--match TEXT]
ONNX Runtime is the judge: a file that it loads and runs must be inspected, run and agree (rtol 1e-3, atol 1e-5 of the
largest value of the output). A draw on which the judge's own outputs leave that tolerance when the inputs move by one
unit in the last place decides nothing and is drawn again. Files that come with inputs and outputs
(NAME__test_data_set_K__input_0.pb, NAME__io.npz) are compared with those too; outputs of an .npz, which may come from the
library that the model was exported from, are first brought to the type and rank that the graph declares. In a graph that
quantizes, a last bit decides to which step a value near the middle of two is rounded, and ONNX Runtime disagrees with
itself when it fuses such nodes or not: there an output may leave the tolerance in no more elements, and by no more, than
its session with optimisations leaves the one without. With --deploy, each file that ONNX Runtime
runs is also deployed with no options, and the share that ends with 0 is printed. conformance/corpus.toml lists what
cannot run, each with its reason; an unlisted failure, and a listed file that runs, make the exit code 1.
"""
import argparse, glob, os, shutil, subprocess, sys, tempfile, tomllib, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8,
         "tensor(uint16)": np.uint16, "tensor(uint32)": np.uint32, "tensor(uint64)": np.uint64, "tensor(bool)": np.bool_}


# For each attempt in turn: the size of a free first dimension, of every other free dimension of the first input and of the
# further inputs, and the bound of integers.
ATTEMPTS = [(1, 1, 1, 2), (2, 2, 2, 2), (8, 8, 8, 2), (512, 512, 512, 2), (1, 1, 1, 8), (2, 2, 2, 8), (8, 8, 8, 8), (2, 512, 2, 8), (1, 576, 1, 8), (1, 256, 1, 8)]


def draw(rng, info, attempt, further):
    """A value for one input, `further` unless it is the first; later attempts use other free dimensions and integers."""
    first, own, others, bound = ATTEMPTS[attempt]
    size = lambda k, d: d if isinstance(d, int) and d >= 0 else first if k == 0 else others if further else own
    shape = [size(k, d) for k, d in enumerate(info.shape or [])]
    if info.type == "tensor(string)":
        return np.array(["monday", "tuesday", "Wednesday"] * (int(np.prod(shape)) // 3 + 1), dtype=object)[: int(np.prod(shape))].reshape(shape)
    if info.type not in KINDS:
        return None
    kind = KINDS[info.type]
    if np.issubdtype(kind, np.floating):
        return rng.standard_normal(shape).astype(kind)
    if kind is np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if info.name == "sr":
        return np.full(shape, 16000, dtype=kind)
    return rng.integers(0, bound, shape).astype(kind)


def tolerance(outputs):
    """The absolute tolerance: 1e-5 of the largest finite value of the floating-point outputs, at least 1e-7."""
    real = [o for o in outputs if isinstance(o, np.ndarray) and o.dtype.kind == "f" and o.size and np.isfinite(o).all()]
    return max([1e-7] + [1e-5 * float(np.abs(o).max()) for o in real])


def steady(session, feed, outputs):
    """Whether the judge's outputs stay within the tolerance when each float input moves by one unit in the last place."""
    rng = np.random.default_rng(1)
    nudge = lambda v: np.nextafter(v, np.where(rng.random(v.shape) < 0.5, -np.inf, np.inf).astype(v.dtype)).astype(v.dtype)
    moved = session.run(None, {k: nudge(v) if v.dtype.kind == "f" else v for k, v in feed.items()})
    real = [(a, b) for a, b in zip(outputs, moved) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    atol = tolerance(outputs)
    return all(a.shape == b.shape and np.allclose(b, a, rtol=1e-3, atol=atol, equal_nan=True) for a, b in real)


def session_of(path, optimised=True):
    import onnxruntime as rt

    options = rt.SessionOptions()
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = rt.GraphOptimizationLevel.ORT_DISABLE_ALL
    return rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def judge(path):
    """(inputs, outputs) by ONNX Runtime, or the reason why it has none."""
    try:
        session = session_of(path)
    except Exception as error:
        return None, "not loaded by ONNX Runtime: " + str(error).splitlines()[0][:100]
    kept, last = None, ""
    for attempt in range(len(ATTEMPTS)):
        rng = np.random.default_rng(attempt)
        feed = {i.name: draw(rng, i, attempt, k > 0) for k, i in enumerate(session.get_inputs())}
        if any(v is None for v in feed.values()):
            return None, "inputs that are not tensors: not run here"
        try:
            outputs = session.run(None, feed)
        except Exception as error:
            last = str(error).splitlines()[0][:100]
            continue
        kept = kept or (list(feed.values()), outputs)
        finite = all(np.isfinite(o).all() for o in outputs if isinstance(o, np.ndarray) and o.dtype.kind == "f")
        if finite and steady(session, feed, outputs):
            return (list(feed.values()), outputs), None
    return (kept, None) if kept else (None, "not run by ONNX Runtime: " + last)


def save(folder, kind, values):
    for k, v in enumerate(values):
        if isinstance(v, list):
            if v and isinstance(v[0], dict):
                return False  # maps have no test-data form
            proto = numpy_helper.from_list([np.asarray(x) for x in v])
        else:
            proto = numpy_helper.from_array(np.asarray(v))
        open(f"{folder}/{kind}_{k}.pb", "wb").write(proto.SerializeToString())
    return True


def call(args):
    done = subprocess.run(args, capture_output=True, text=True, timeout=120)
    lines = [x for x in (done.stderr + done.stdout).splitlines() if x.strip()]
    return done.returncode, (lines[-1][:140] if lines else "")


def recorded(path):
    """Folders of inputs and outputs that came with the file, written as test data."""
    stem = path[: -len(".onnx")]
    base = stem[: -len("__model")] if stem.endswith("__model") else stem
    sets = {}
    for pb in glob.glob(glob.escape(base) + "__test_data_set_*__*.pb"):
        k, name = pb[len(base) + 2 :].split("__")
        sets.setdefault(k, {})[name] = open(pb, "rb").read()
    for k, files in sorted(sets.items()):
        if any(n.startswith("output_") for n in files):
            folder = tempfile.mkdtemp()
            for name, data in files.items():
                open(f"{folder}/{name}", "wb").write(data)
            yield k, folder
    if os.path.exists(base + "__io.npz"):
        data = np.load(base + "__io.npz", allow_pickle=False)
        graph = onnx.load(path, load_external_data=False).graph
        weights = {w.name for w in graph.initializer}
        inputs = [i.name for i in graph.input if i.name not in weights]
        outputs = [o.name for o in graph.output]
        if all(n in data for n in inputs + outputs):
            folder = tempfile.mkdtemp()
            save(folder, "input", [data[n] for n in inputs])
            save(folder, "output", [declared(data[o.name], o) for o in graph.output])
            yield "io.npz", folder


def declared(value, info):
    """A recorded output in the element type and rank of the graph's output, where its elements allow that."""
    tensor = info.type.tensor_type
    if tensor.elem_type and value.dtype.kind == "f":
        value = value.astype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
    return value.reshape(shape) if len(shape) != value.ndim and shape.count(-1) < 2 else value


def apart(got, want):
    """(elements of `got` outside the tolerance, largest difference)"""
    off = np.abs(got.astype(np.float64) - want.astype(np.float64))
    return int((off > tolerance([want]) + 1e-3 * np.abs(want)).sum()), float(off.max(initial=0))


def within_doubt(binary, path, folder, inputs, outputs, backend):
    """Whether a quantizing model's outputs lie as close to the unoptimised judge as the judge's own, see above."""
    model = onnx.load(path, load_external_data=False)
    if not any(n.op_type == "QuantizeLinear" for n in model.graph.node):
        return False
    session = session_of(path, optimised=False)
    plain = session.run(None, {i.name: v for i, v in zip(session.get_inputs(), inputs)})
    kept = tempfile.mkdtemp()
    call([binary, "run", path, "--inputs", folder, "--backend", backend, "--output-dir", kept])
    for info, judged, want in zip(session.get_outputs(), outputs, plain):
        file = f"{kept}/{info.name.replace('/', '_')}.npy"
        if not os.path.exists(file):
            return False
        (ours, by), (open_, far) = apart(np.load(file), want), apart(judged, want)
        if ours > open_ or by > far * (1 + 1e-6):
            return False
    return True


def deploy(binary, path):
    """The exit code of `deploy` with no options, and its last line."""
    folder = tempfile.mkdtemp()
    try:
        return call([binary, "deploy", path, "-o", folder + "/out"])
    finally:
        shutil.rmtree(folder)


def check(binary, path, backends, deployed):
    """(what failed or None, outcome); appends (file, exit code, last line) to `deployed` where that is a list."""
    code, text = call([binary, "inspect", path])
    if code != 0:
        return "inspect", f"exit {code}: {text}"
    runs = [(k, d, ["--rtol", "1e-3", "--atol", "1e-5"]) for k, d in recorded(path)]
    found, why = judge(path)
    if found:
        folder = tempfile.mkdtemp()
        if save(folder, "input", found[0]) and save(folder, "output", found[1]):
            runs.append(("ONNX Runtime", folder, ["--rtol", "1e-3", "--atol", str(tolerance(found[1]))]))
        else:
            why = "outputs are maps, which test data cannot hold"
    if found and deployed is not None:
        deployed.append((os.path.basename(path), *deploy(binary, path)))
    for what, folder, bounds in runs:
        for backend in backends:
            code, text = call([binary, "run", path, "--test-data", folder, "--backend", backend] + bounds)
            if code != 0 and not (what == "ONNX Runtime" and within_doubt(binary, path, folder, *found, backend)):
                return f"{what} on {backend}", f"exit {code}: {text}"
    return (None, "agrees with " + " and ".join(w for w, _, _ in runs)) if runs else (None, "inspected; " + why)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("folder"); ap.add_argument("--backend", default="cpu,reference")
    ap.add_argument("--deploy", action="store_true"); ap.add_argument("--table"); ap.add_argument("--match", default="")
    args = ap.parse_args()
    listed = tomllib.load(open(f"{HERE}/corpus.toml", "rb"))["failures"] if os.path.exists(f"{HERE}/corpus.toml") else {}
    rows, wrong, deployed = [], 0, [] if args.deploy else None
    for path in sorted(p for p in glob.glob(f"{args.folder}/*.onnx") if args.match in p):
        name = os.path.basename(path)
        try:
            where, outcome = check(args.binary, path, args.backend.split(","), deployed)
        except subprocess.TimeoutExpired:
            where, outcome = "run", "over 120 s"
        if where and name in listed:
            outcome = f"{where}: {listed[name]}"
        elif where or name in listed:
            wrong += 1
            outcome = f"FAILED {where}: {outcome}" if where else "runs, but is listed as a failure"
        rows.append((name, outcome))
        print(f"{name}: {outcome}", flush=True)
    if args.table:
        with open(args.table, "w") as out:
            out.write("| file | outcome |\n|---|---|\n" + "".join(f"| {n} | {o} |\n" for n, o in rows))
    if deployed:
        for name, code, text in deployed:
            if code != 0:
                print(f"deploy of {name}: exit {code}: {text}")
        print(f"deploy: {sum(code == 0 for _, code, _ in deployed)} of {len(deployed)} files that ONNX Runtime runs end with 0")
    print(f"{len(rows) - wrong} passed, {wrong} failed")
    sys.exit(1 if wrong or not rows else 0)


if __name__ == "__main__":
    main()
