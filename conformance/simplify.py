#!/usr/bin/env python3
"""`modelsmith optimize` beside onnxsim and onnxslim: nodes left, time, peak memory, and whether the result still holds.

usage: simplify.py BINARY PATH.. [--models a,b] [--inputs 5] [--shapes 2] [--table FILE.md] [--json FILE] [--alone]

A PATH is an .onnx file, a folder of folders that hold raw.onnx (and test_data_set_*/input_K.pb), or a folder of .onnx files.
Nodes are counted in the main graph and all subgraphs, Constant nodes included. Every tool runs as a program of its own, Python and
imports included; time is wall-clock, memory the largest resident set of the process, as GNU time gives it. onnxsim runs with
check_n=3, as optimize verifies on three samples; onnxslim checks nothing by default, and stands beside optimize --no-verify.
A model with free sizes is judged at several shapes, and at each on several inputs, by ONNX Runtime on the original and on the
result; the result must also keep opset, domains and signature and pass the full checker. A star marks a result that took away
inputs which a caller may override (initializers that are inputs, from IR version 4 on), and the number in brackets is what
`optimize --also fix-initializers` leaves, which takes them away too. Exit 1 when it does not, when a model
ends with more nodes than the better of the two, takes longer or needs more memory than its counterpart. Needs onnxsim and
onnxslim beside onnx and onnxruntime.
"""
import argparse, glob, json, os, subprocess, sys, tempfile, time, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import TensorProto, helper, numpy_helper

SIM = """import sys,json,onnx,onnxsim
shapes=json.loads(sys.argv[3])
m,ok=onnxsim.simplify(onnx.load(sys.argv[1]),check_n=3,test_input_shapes=shapes or None); assert ok; onnx.save(m,sys.argv[2])"""
SLIM = "import sys,onnx,onnxslim; onnx.save(onnxslim.slim(onnx.load(sys.argv[1])),sys.argv[2])"
SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 128, 224, 256, 320, 640)


def nodes(graph):
    subgraphs = lambda a: [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs
    return sum(1 + sum(nodes(g) for a in n.attribute for g in subgraphs(a)) for n in graph.node)


def load(path):
    return onnx.load(path, load_external_data=False)


def signature(model):
    weights = {w.name for w in model.graph.initializer}
    ports = [[(v.name, v.type.SerializeToString()) for v in vs if v.name not in weights] for vs in (model.graph.input, model.graph.output)]
    return ports, sorted((o.domain, o.version) for o in model.opset_import)


def overridable(model):
    """Names of inputs that are initializers too: from IR version 4 on, defaults that a caller may override."""
    weights = {w.name for w in model.graph.initializer}
    return sorted(v.name for v in model.graph.input if v.name in weights) if model.ir_version >= 4 else []


def measured(command, limit=900):
    """Exit code, seconds, peak MiB and standard error of a program. GNU time starts it: what this script holds itself would count
    as the peak of a direct child."""
    with tempfile.TemporaryDirectory() as work:
        start = time.time()
        full = ["timeout", "-k", "1", str(limit), "time", "-q", "-f", "%M", "-o", f"{work}/peak", *command]
        done = subprocess.run(full, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        seconds = time.time() - start
        peak = open(f"{work}/peak").read().split() if os.path.exists(f"{work}/peak") else []
    return done.returncode, seconds, int(peak[-1]) / 1024 if peak else float("nan"), done.stderr.strip()


def session(path):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    return rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def recorded(path):
    """Inputs beside a model, by position."""
    read = lambda p: numpy_helper.to_array(TensorProto.FromString(open(p, "rb").read()))
    stem = path[: -len("model.onnx")] if path.endswith("model.onnx") else None
    where = glob.glob(f"{os.path.dirname(path)}/test_data_set_0/input_*.pb") or (glob.glob(f"{stem}test_data_set_0__input_*.pb") if stem else [])
    try:
        return [read(p) for p in sorted(where, key=lambda p: int(p.split("_")[-1][:-3]))]
    except Exception:
        return []


def shapes_of(ports, data, choice):
    """A shape for each input: free sizes from the recorded inputs, or all `choice`; None where the rank is not known."""
    out = []
    for k, port in enumerate(ports):
        tensor = port.type.tensor_type
        if not port.type.HasField("tensor_type") or not tensor.HasField("shape"):
            return None if k >= len(data) or choice is not None else [list(d.shape) for d in data]
        dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim]
        given = data[k].shape if k < len(data) and len(data[k].shape) == len(dims) else dims
        out.append([d if d is not None else (given[i] if choice is None else choice) for i, d in enumerate(dims)])
    return None if any(d is None for s in out for d in s) else out


def draw(ports, shapes, data, seed):
    rng, feed = np.random.default_rng(seed), {}
    for k, (port, shape) in enumerate(zip(ports, shapes)):
        kind = port.type.tensor_type.elem_type
        if kind == TensorProto.STRING:
            feed[port.name] = np.array(["a", "b"])[rng.integers(0, 2, shape)].astype(object)
            continue
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        low, high = (int(data[k].min()), int(data[k].max()) + 1) if k < len(data) and data[k].size and dtype.kind in "iu" else (0, 2)
        x = rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(low, max(high, low + 1), shape)
        feed[port.name] = np.asarray(x).astype(dtype)
    return feed


def same(a, b):
    for x, y in zip(a, b):
        if isinstance(x, list) or isinstance(x, dict):
            if str(x) != str(y):
                return False
            continue
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if x.dtype.kind == "f":
            if not np.allclose(x, y, rtol=1e-3, atol=1e-5 * max(np.abs(y[np.isfinite(y)]).max(initial=0), 1e-30), equal_nan=True):
                return False
        elif not np.array_equal(x, y):
            return False
    return len(a) == len(b)


def judge(path, result, ports, data, inputs, shapes):
    """Runs the original and the result in ONNX Runtime: runs made, shapes used, what is wrong."""
    try:
        original = session(path)
    except Exception as error:
        return 0, 0, "ONNX Runtime does not load the original"
    ours = session(result)
    runs, used = 0, []
    for choice in [None, *SIZES]:
        sizes = shapes_of(ports, data, choice)
        if sizes is None or sizes in used or len(used) == shapes:
            continue
        made = []
        for seed in range(inputs):
            feed = draw(ports, sizes, data, seed)
            if seed == 0 and choice is None and len(data) == len(ports):
                feed = {p.name: d for p, d in zip(ports, data)}
            try:
                wanted = original.run(None, feed)
            except Exception:
                break
            made.append((feed, wanted))
        if len(made) < inputs:
            continue
        used.append(sizes)
        for feed, wanted in made:
            if not same(ours.run(None, feed), wanted):
                if not same(original.run(None, feed), wanted):
                    return runs, len(used), "random"
                return runs, len(used), f"outputs differ at {sizes}"
            runs += 1
    return runs, len(used), "" if runs else "no inputs were found on which the original runs"


def find(paths, chosen):
    out = []
    for path in paths:
        if path.endswith(".onnx"):
            out.append((os.path.basename(path)[:-5], path))
            continue
        raw = sorted(glob.glob(f"{path}/*/raw.onnx"))
        out += [(os.path.basename(os.path.dirname(p)), p) for p in raw] or [(os.path.basename(p)[:-5], p) for p in sorted(glob.glob(f"{path}/*.onnx"))]
    return [(n, p) for n, p in out if not chosen or n in chosen]


def measure(name, path, binary, work, args):
    model = load(path)
    weights = {w.name for w in model.graph.initializer}
    ports, data = [p for p in model.graph.input if p.name not in weights], recorded(path)
    free = [d for p in ports for d in p.type.tensor_type.shape.dim if not d.dim_value]
    test = {p.name: s for p, s in zip(ports, shapes_of(ports, data, None) or shapes_of(ports, data, 2) or [])} if free else {}
    row, why = {"model": name, "before": nodes(model.graph)}, []
    commands = {
        "sim": [sys.executable, "-c", SIM, path, f"{work}/sim.onnx", json.dumps(test)],
        "slim": [sys.executable, "-c", SLIM, path, f"{work}/slim.onnx"],
        "plain": [binary, "optimize", path, f"{work}/plain.onnx", "--no-verify"],
        "ours": [binary, "optimize", path, f"{work}/ours.onnx"],
    }
    if overridable(model):
        commands["fixed"] = [*commands["plain"], "--also", "fix-initializers"]
        commands["fixed"][3] = f"{work}/fixed.onnx"
    if args.alone:
        row.update({t: {"nodes": None, "s": 0.0, "mib": 0.0} for t in ("sim", "slim")})
        commands = {t: c for t, c in commands.items() if t not in row}
    for tool, command in commands.items():
        code, seconds, mib, text = measured(command)
        done = code == 0 and os.path.exists(f"{work}/{tool}.onnx")
        row[tool] = {"nodes": nodes(load(f"{work}/{tool}.onnx").graph) if done else None, "s": seconds, "mib": mib}
        row[tool]["kept"] = not done or overridable(model) == overridable(load(f"{work}/{tool}.onnx"))
        if not done:
            row[tool]["error"] = (text.splitlines() or [f"exit {code}"])[-1][:120]
    if row["ours"]["nodes"] is None:
        # A model on which nothing can be run is written without verification, or refused, and that is said.
        why.append("not verified: " + row["ours"]["error"])
        row["ours"].update(nodes=row["plain"]["nodes"])
        os.path.exists(f"{work}/plain.onnx") and os.replace(f"{work}/plain.onnx", f"{work}/ours.onnx")
    if row["ours"]["nodes"] is not None:
        if signature(model) != signature(load(f"{work}/ours.onnx")):
            why.append("signature or opset")
        wrong = fault(f"{work}/ours.onnx")
        if wrong and not fault(path):
            why.append("checker: " + wrong)
        for tool in ("fixed", "ours") if "fixed" in row else ("ours",):
            row["runs"], row["shapes"], wrong = judge(path, f"{work}/{tool}.onnx", ports, data, args.inputs, args.shapes)
            wrong and why.append(wrong)
    compare(row, why)
    row["why"] = why
    return row


def fault(path):
    """What the full checker says of a file."""
    try:
        onnx.checker.check_model(path, full_check=True)
        return ""
    except Exception as error:
        return str(error).splitlines()[0][:60]


def compare(row, why):
    """Where a counterpart is better."""
    counts = lambda kept: [row[t]["nodes"] for t in ("sim", "slim") if row[t]["nodes"] is not None and row[t]["kept"] == kept]
    ours, fixed = row["ours"]["nodes"], row.get("fixed", row["ours"])["nodes"]
    # Who takes the overridable inputs away stands beside the result that does so too.
    if ours is None or ours > min(counts(True), default=10**9) or fixed is None or fixed > min(counts(False), default=10**9):
        why.append("more nodes")
    for ours, theirs in (("ours", "sim"), ("plain", "slim")):
        if row[theirs]["nodes"] is not None:
            row[ours]["s"] > row[theirs]["s"] and why.append(f"slower than onnx{theirs}")
            row[ours]["mib"] > row[theirs]["mib"] and why.append(f"more memory than onnx{theirs}")


HEAD = ["model", "nodes before", "onnxsim", "onnxslim", "ours", "s: onnxsim", "ours", "s: onnxslim", "ours unverified", "MiB: onnxsim", "ours", "MiB: onnxslim", "ours unverified", "runs × shapes", "holds"]
TOOLS = ("sim", "ours", "slim", "plain")


def line(row):
    show = lambda n: "-" if n is None else str(n)
    cell = lambda tool, key, form: form.format(row[tool][key]) if row[tool]["nodes"] is not None or tool in ("ours", "plain") else "-"
    count = lambda t: show(row[t]["nodes"]) + ("" if row[t].get("kept", True) or row[t]["nodes"] is None else "*")
    cells = [row["model"], show(row["before"])] + [count(t) for t in ("sim", "slim", "ours")]
    cells[-1] += f" ({count('fixed')})" if "fixed" in row else ""
    cells += [cell(t, "s", "{:.2f}") for t in TOOLS] + [cell(t, "mib", "{:.0f}") for t in TOOLS]
    return "| " + " | ".join(cells + [f"{row.get('runs', 0)} × {row.get('shapes', 0)}", ", ".join(row["why"]) or "yes"]) + " |"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("paths", nargs="+"); ap.add_argument("--models")
    ap.add_argument("--inputs", type=int, default=5); ap.add_argument("--shapes", type=int, default=2)
    ap.add_argument("--alone", action="store_true", help="without the peers: only whether the results hold")
    ap.add_argument("--table"); ap.add_argument("--json")
    args = ap.parse_args()
    rows, lines = [], ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * 13 + "---|"]
    for name, path in find(args.paths, set(args.models.split(",")) if args.models else None):
        with tempfile.TemporaryDirectory() as work:
            try:
                rows.append(measure(name, path, os.path.abspath(args.binary), work, args))
            except Exception as error:
                blank = {"nodes": None, "s": 0.0, "mib": 0.0}
                rows.append({"model": name, "before": None, **{t: blank for t in TOOLS}, "why": [f"not measured: {str(error).splitlines()[0][:100]}"]})
        lines.append(line(rows[-1]))
        print(lines[-1], flush=True)
    args.table and open(args.table, "w").write("\n".join(lines) + "\n")
    args.json and json.dump(rows, open(args.json, "w"), indent=1)
    sys.exit(1 if any(r["why"] for r in rows) else 0)


main()
