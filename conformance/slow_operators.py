#!/usr/bin/env python3
"""The operators that ONNX Runtime spends its time on, each alone, in ONNX Runtime and here.

usage: slow_operators.py BINARY FOLDER_OR_MODEL.. [--table FILE.md] [--share 0.01] [--only OP,..] [--no-typical]
Each .onnx below the folders is run by ONNX Runtime with its profiler and without graph optimization, on inputs that BINARY
draws. For each operator that takes more than `share` of the model's time, its slowest node is cut out with the values that
reached it, its constants kept as initializers, and both sides run it on one thread: the median of many runs, inputs and
outputs in memory on both sides. `typical` adds operators of detection heads, attention, signals and indexing at sizes that
models have. The ratio is our time to ONNX Runtime's; `reference` marks a node that no native kernel took. Exit code 1
when a ratio is above 5.
"""
import argparse, collections, glob, json, os, subprocess, sys, tempfile, time, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import TensorProto as T, helper, numpy_helper

SECONDS = 0.4
SMALL = 20e-6


def session(model, optimize=False, profile=None):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    level = rt.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return rt.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def drawn(binary, path, work):
    """Inputs that the binary draws for a model, by name; None where it cannot."""
    done = subprocess.run([binary, "run", path, "--save-inputs", work, "--quiet"], capture_output=True, text=True, timeout=120)
    if done.returncode:
        return None
    names = {f[:-4]: f for f in os.listdir(work) if f.endswith(".npy")}
    clean = lambda n: "".join("_" if c in "/\\:" else c for c in n)
    inputs = [i.name for i in session(path).get_inputs()]
    return {n: np.load(f"{work}/{names[clean(n)]}", allow_pickle=True) for n in inputs if clean(n) in names}


def hot(path, feeds, share, work):
    """Nodes of the main graph, the slowest of each operator that takes more than its share: (operator, name, share)."""
    s = session(path, profile=f"{work}/p")
    for _ in range(5):
        s.run(None, feeds)
    times, kinds = collections.Counter(), {}
    for event in json.load(open(s.end_profiling())):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"][: -len("_kernel_time")]
            times[name] += event["dur"]
            kinds[name] = event["args"]["op_name"]
    total, by = sum(times.values()) or 1, collections.Counter()
    for name, t in times.items():
        by[kinds[name]] += t
    for op, t in by.items():
        if t > share * total:
            slowest = max((n for n in times if kinds[n] == op), key=times.get)
            yield op, slowest, t / total


def alone(model, node, feeds):
    """`node` as a model of its own with the values that reach it; None where they are not tensors."""
    constants = {t.name: t for t in model.graph.initializer}
    for n in model.graph.node:
        if n.op_type == "Constant" and n.attribute and n.attribute[0].name == "value":
            constants[n.output[0]] = n.attribute[0].t
    wanted = [i for i in dict.fromkeys(node.input) if i and i not in constants]
    values = dict(feeds)
    missing = [i for i in wanted if i not in values]
    results = [o for o in node.output if o]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=n) for n in dict.fromkeys([*missing, *results]))
    s = session(probe.SerializeToString())
    names = [o.name for o in s.get_outputs()]
    values.update(zip(names, s.run(names, feeds)))
    if any(not isinstance(values[n], np.ndarray) for n in [*wanted, *results]):
        return None
    # What follows from constants alone is a constant of the model: neither side computes it in a run.
    free = set(feeds)
    for n in model.graph.node:
        inner = {i for a in n.attribute if a.type == onnx.AttributeProto.GRAPH for m in a.g.node for i in m.input}
        if n.op_type.startswith(("Random", "Bernoulli", "Multinomial")) or free & (inner | set(n.input)):
            free.update(n.output)
    for n in [w for w in wanted if w not in free]:
        constants[n] = numpy_helper.from_array(values[n])
    wanted = [w for w in wanted if w in free]
    info = lambda n: helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(values[n].dtype) if values[n].dtype.kind not in "OU" else T.STRING, values[n].shape)
    weights = []
    for n in dict.fromkeys(i for i in node.input if i in constants):
        weights.append(onnx.TensorProto())
        weights[-1].CopyFrom(constants[n])
        weights[-1].name = n
    graph = helper.make_graph([node], "one", [info(n) for n in wanted], [info(n) for n in results], weights)
    return helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions, ir_version=model.ir_version), [values[n] for n in wanted]


def median(run):
    times, end = [], time.time() + SECONDS
    while time.time() < end or len(times) < 3:
        t = time.perf_counter()
        run()
        times.append(time.perf_counter() - t)
    return float(np.median(times))


def ours(binary, model, feeds, work, isa):
    """(seconds, whether the reference runs it), or a reason."""
    onnx.save(model, f"{work}/m.onnx")
    os.makedirs(f"{work}/d", exist_ok=True)
    for k, v in enumerate(feeds):
        open(f"{work}/d/input_{k}.pb", "wb").write(numpy_helper.from_array(v).SerializeToString())
    want = session(model.SerializeToString()).run(None, {i.name: v for i, v in zip(model.graph.input, feeds)})
    for k, v in enumerate(want):
        open(f"{work}/d/output_{k}.pb", "wb").write(numpy_helper.from_array(np.asarray(v)).SerializeToString())
    command = [binary, "bench", f"{work}/m.onnx", "--interactive", "--test-data", f"{work}/d", "--threads", "1", *isa]
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ready = p.stdout.readline()
    if not ready:
        return f"exit {p.wait()}: " + " ".join(p.stderr.read().split())[:160]
    ready, times, end = json.loads(ready), [], time.time() + SECONDS
    while time.time() < end or len(times) < 3:
        p.stdin.write("run 3\n"), p.stdin.flush()
        times += json.loads(p.stdout.readline())
    p.stdin.close(), p.wait()
    native = subprocess.run([binary, "run", f"{work}/m.onnx", "--no-fallback", "--quiet", "--inputs", f"{work}/d"], capture_output=True)
    return float(np.median(times)) / 1e3, native.returncode == 5, ready["maxerr"]


def typical():
    """(what, model, inputs): operators that heads and front ends spend their time on, at usual sizes."""
    rng = np.random.default_rng(0)
    f = lambda *s: rng.standard_normal(s).astype(np.float32)
    u = lambda *s: rng.random(s, dtype=np.float32)
    i64 = lambda *v: np.array(v, np.int64)

    def one(op, inputs, outputs=1, constants=(), opset=18, **attributes):
        names = [f"x{k}" for k in range(len(inputs))]
        kept = {k: numpy_helper.from_array(inputs[k], names[k]) for k in constants}
        node = helper.make_node(op, [n if v is not None else "" for n, v in zip(names, inputs)], [f"y{k}" for k in range(outputs)], **attributes)
        info = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, (n, v) in enumerate(zip(names, inputs)) if v is not None and k not in kept]
        out = [onnx.ValueInfoProto(name=n) for n in node.output]
        model = helper.make_model(helper.make_graph([node], "one", info, out, list(kept.values())), opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        return op, model, [v for k, v in enumerate(inputs) if v is not None and k not in kept]

    corners = u(1, 8732, 2) * 0.9
    boxes = np.concatenate([corners, corners + u(1, 8732, 2) * 0.1], -1)
    rois = np.concatenate([u(300, 2) * 20, u(300, 2) * 20 + 20], -1) * 10
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 56), np.linspace(-1, 1, 56)), -1)[None].astype(np.float32)
    ids = rng.integers(0, 30000, (4, 128))
    x4, img = f(1, 64, 56, 56), f(1, 3, 224, 224)
    yield one("NonMaxSuppression", [boxes, u(1, 20, 8732) ** 6, i64(100), np.float32([0.5]), np.float32([0.05])], constants=(2, 3, 4))
    yield one("TopK", [f(1, 100000), i64(300)], 2, (1,))
    yield one("TopK", [f(64, 1000), i64(5)], 2, (1,))
    yield one("RoiAlign", [f(1, 256, 50, 50), rois.astype(np.float32), np.zeros(300, np.int64)], output_height=7, output_width=7, sampling_ratio=2, spatial_scale=0.1)
    yield one("GridSample", [f(1, 64, 56, 56), np.repeat(grid, 1, 0)], mode="linear", opset=20)
    yield one("Einsum", [f(8, 12, 64, 64), f(8, 12, 64, 64)], equation="bhid,bhjd->bhij")
    yield one("Einsum", [f(8, 64, 12, 64), f(12, 64, 256)], equation="bshd,hde->bse")
    yield one("Attention", [f(1, 12, 1, 64), f(1, 12, 1, 64), f(1, 12, 1, 64), None, f(1, 12, 511, 64), f(1, 12, 511, 64)], 3, opset=23)
    yield one("DFT", [f(1, 100, 400, 1), None, np.int64(2)], opset=20, constants=(2,), onesided=1)
    yield one("DFT", [f(16, 512, 1), None, np.int64(1)], opset=20, constants=(2,), onesided=1)
    yield one("STFT", [f(1, 16000, 1), np.int64(160), np.hanning(400).astype(np.float32), np.int64(400)], constants=(1, 2, 3), onesided=1)
    yield one("Gather", [f(30000, 768), ids], constants=(0,))
    yield one("GatherElements", [f(64, 1000), rng.integers(0, 1000, (64, 100))], axis=1)
    yield one("GatherND", [f(64, 56, 56), rng.integers(0, 56, (2000, 3))])
    yield one("ScatterND", [f(1000, 64), rng.integers(0, 1000, (200, 1)), f(200, 64)])
    yield one("ScatterElements", [f(64, 1000), rng.integers(0, 1000, (64, 100)), f(64, 100)], axis=1, reduction="none")
    yield one("NonZero", [(u(64, 1000) > 0.9)])
    yield one("Where", [u(1, 12, 128, 128) > 0.5, f(1, 12, 128, 128), f(1, 1, 1, 128)])
    yield one("CumSum", [f(64, 1000), i64(1)], constants=(1,))
    yield one("CumSum", [rng.integers(0, 2, (4, 512)), i64(1)], constants=(1,))
    yield one("OneHot", [ids, i64(256), np.float32([0, 1])], constants=(1, 2))
    yield one("ArgMax", [f(1, 21, 224, 224)], axis=1, keepdims=0)
    yield one("ArgMax", [f(8, 30000)], axis=-1)
    yield one("Resize", [x4, None, np.float32([1, 1, 2, 2])], constants=(2,), mode="linear", coordinate_transformation_mode="half_pixel")
    yield one("Resize", [x4, None, np.float32([1, 1, 2, 2])], constants=(2,), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield one("Resize", [img, None, np.float32([1, 1, 0.5, 0.5])], constants=(2,), mode="cubic")
    yield one("Pad", [x4, i64(0, 0, 3, 3, 0, 0, 3, 3)], constants=(1,), mode="reflect")
    yield one("Tile", [f(1, 64, 28, 28), i64(4, 1, 1, 1)], constants=(1,))
    yield one("Expand", [f(1, 12, 1, 64), i64(8, 12, 128, 64)], constants=(1,))
    yield one("Cast", [rng.integers(0, 256, (1, 3, 224, 224)).astype(np.uint8)], to=T.FLOAT)
    yield one("Cast", [x4], to=T.FLOAT16)
    yield one("Equal", [ids, ids[:1]])
    yield one("Less", [ids, ids[:1]])
    yield one("And", [u(4, 512, 512) > 0.5, u(4, 512, 512) > 0.5])
    yield one("Mul", [rng.integers(0, 9, (4, 512, 64)), rng.integers(0, 9, (4, 512, 64))])
    yield one("ReduceMax", [f(64, 56, 56), i64(1, 2)], constants=(1,))
    yield one("ReduceL2", [f(64, 1000), i64(1)], constants=(1,))
    yield one("ReduceSumSquare", [f(64, 1000), i64(1)], constants=(1,))
    yield one("ReduceProd", [f(64, 1000), i64(1)], constants=(1,))
    yield one("LogSoftmax", [f(64, 1000)], axis=-1)
    yield one("InstanceNormalization", [x4, f(64), f(64)], constants=(1, 2))
    yield one("GroupNormalization", [x4, f(64), f(64)], constants=(1, 2), num_groups=8, opset=21)
    yield one("LRN", [f(1, 96, 55, 55)], size=5)
    yield one("ConvTranspose", [f(1, 64, 28, 28), f(64, 32, 4, 4)], constants=(1,), strides=[2, 2], pads=[1, 1, 1, 1])
    yield one("MaxPool", [f(1, 64, 112, 112)], 2, kernel_shape=[3, 3], strides=[2, 2])
    yield one("LpPool", [x4], kernel_shape=[2, 2], strides=[2, 2])
    yield one("DepthToSpace", [f(1, 64, 56, 56)], blocksize=2)
    yield one("SpaceToDepth", [img], blocksize=2)
    yield one("Trilu", [f(1, 12, 128, 128)], upper=0)
    yield one("Split", [f(1, 128, 2304)], 3, axis=2, num_outputs=3)
    yield one("Unique", [rng.integers(0, 1000, 10000)], 1)
    yield one("MatMulInteger", [rng.integers(0, 255, (128, 768)).astype(np.uint8), rng.integers(-128, 127, (768, 768)).astype(np.int8)], constants=(1,))
    yield one("QuantizeLinear", [x4, np.float32(0.05), np.uint8(128)], constants=(1, 2))
    yield one("DequantizeLinear", [rng.integers(0, 255, (1, 64, 56, 56)).astype(np.uint8), np.float32(0.05), np.uint8(128)], constants=(1, 2))
    yield one("DynamicQuantizeLinear", [f(128, 768)], 3)
    q = lambda *s: rng.integers(0, 255, s).astype(np.uint8)
    yield one("QLinearConv", [q(1, 64, 28, 28), np.float32(0.02), np.uint8(128), rng.integers(-128, 127, (64, 64, 3, 3)).astype(np.int8), np.float32(0.01), np.int8(0), np.float32(0.1), np.uint8(128)], constants=range(1, 8), pads=[1, 1, 1, 1])
    yield one("QLinearMatMul", [q(128, 768), np.float32(0.02), np.uint8(128), rng.integers(-128, 127, (768, 768)).astype(np.int8), np.float32(0.01), np.int8(0), np.float32(0.1), np.uint8(128)], constants=range(1, 8))
    for op in ["Erf", "Tanh", "Sigmoid", "Exp", "Log", "Sqrt", "Floor", "Round", "Sign", "Sin", "Cos", "Atan", "Softplus", "Mish", "Celu", "Selu", "HardSwish", "Shrink", "IsNaN", "Neg"]:
        yield one(op, [abs(x4) + 0.1 if op in ("Log", "Sqrt") else x4], opset=18)
    yield one("Pow", [abs(x4), np.float32(1.7)], constants=(1,))
    yield one("Mod", [rng.integers(0, 99, (4, 512)), i64(7)], constants=(1,))
    yield one("PRelu", [x4, f(64, 1, 1)], constants=(1,))
    yield one("Gelu", [f(1, 128, 3072)], opset=20)
    yield one("LSTM", [f(50, 1, 64), 0.1 * f(1, 512, 64), 0.1 * f(1, 512, 128), f(1, 1024)], 3, (1, 2, 3), hidden_size=128)
    yield one("GRU", [f(50, 1, 64), 0.1 * f(1, 384, 64), 0.1 * f(1, 384, 128), f(1, 768)], 2, (1, 2, 3), hidden_size=128)


def rows_of_model(binary, path, share, only):
    with tempfile.TemporaryDirectory() as work:
        try:
            feeds = drawn(binary, path, work)
            if feeds is None:
                return
            model = onnx.load(path)
            by_name = {n.name: n for n in model.graph.node if n.name}
            for op, name, part in hot(path, feeds, share, work):
                node = by_name.get(name)
                if node is None or (only and op not in only):
                    continue
                cut = alone(model, node, feeds)
                if cut:
                    yield op, os.path.basename(os.path.dirname(path)) if os.path.basename(path) == "model.onnx" else os.path.basename(path), part, *cut
        except Exception as error:
            print(f"{path}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("paths", nargs="*"); ap.add_argument("--table"); ap.add_argument("--share", type=float, default=0.01)
    ap.add_argument("--only"); ap.add_argument("--no-typical", action="store_true"); ap.add_argument("--isa")
    args = ap.parse_args()
    only = set(args.only.split(",")) if args.only else None
    isa = ["--isa", args.isa] if args.isa else []
    files = [f for p in args.paths for f in ([p] if p.endswith(".onnx") else sorted(glob.glob(f"{p}/**/*.onnx", recursive=True)))]
    jobs = [] if args.no_typical else [(op, "typical", None, m, f) for op, m, f in typical() if not only or op in only]
    rows, seen = [], set()
    jobs = (j for js in [jobs, *(rows_of_model(args.binary, f, args.share, only) for f in files)] for j in js)
    for op, where, part, model, feeds in jobs:
        sizes = " ".join("x".join(map(str, v.shape)) or "scalar" for v in feeds)
        key = (op, sizes, tuple(tuple(t.dims) for t in model.graph.initializer))
        if key in seen:
            continue
        seen.add(key)
        with tempfile.TemporaryDirectory() as work:
            try:
                s = session(model.SerializeToString(), optimize=True)
                named = {i.name: v for i, v in zip(model.graph.input, feeds)}
                theirs = median(lambda: s.run(None, named))
                got = ours(args.binary, model, feeds, work, isa)
            except Exception as error:
                got, theirs = f"{type(error).__name__}: {str(error)[:100]}", float("nan")
        rows.append((op, where, sizes, part, theirs, got))
        ratio = got[0] / theirs if isinstance(got, tuple) else float("nan")
        print(f"{op:26} {where[:40]:40} {sizes[:44]:44} {theirs * 1e6:10.1f} " + (f"{got[0] * 1e6:10.1f} {ratio:7.2f} {'reference' if got[1] else ''} {got[2]:.1e}" if isinstance(got, tuple) else got), flush=True)
    timed = [r for r in rows if isinstance(r[5], tuple)]
    timed.sort(key=lambda r: -r[5][0] / r[4])
    if args.table:
        lines = ["| operator | where | inputs | ONNX Runtime us | here us | ratio | |", "|---|---|---|---:|---:|---:|---|"]
        lines += [f"| {o} | {w} | {s} | {t * 1e6:.0f} | {g[0] * 1e6:.0f} | {g[0] / t:.2f} | {'reference' if g[1] else ''} |" for o, w, s, _, t, g in timed]
        open(args.table, "w").write("\n".join(lines) + "\n")
    slow = [r for r in timed if r[5][0] > 5 * r[4] and r[5][0] > SMALL]
    print(f"{len(timed)} timed, {len(slow)} above 5, {sum(r[5][0] > 2 * r[4] for r in timed)} above 2, {len(rows) - len(timed)} not timed")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
