#!/usr/bin/env python3
"""`modelsmith optimize` beside onnxsim and onnxslim on the zoo's raw exports: nodes left, time, and whether the result still holds.

usage: simplify.py BINARY ZOO_DIR [--models a,b] [--table FILE.md]
Nodes are counted in the main graph and all subgraphs, Constant nodes included. The result must keep opset, domains and
signature, pass the full checker, and give ONNX Runtime the same outputs. Exit 1 when it does not, when a model ends with more
nodes than the better of the two, or takes longer than onnxsim with its check.
"""
import argparse, glob, os, subprocess, sys, tempfile, time, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import numpy_helper


def nodes(graph):
    return sum(1 + sum(nodes(a.g) for a in n.attribute if a.type == onnx.AttributeProto.GRAPH) for n in graph.node)


def signature(model):
    weights = {w.name for w in model.graph.initializer}
    ports = [[(v.name, v.type.SerializeToString()) for v in vs if v.name not in weights] for vs in (model.graph.input, model.graph.output)]
    return ports, sorted((o.domain, o.version) for o in model.opset_import)


def outputs(path, folder):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    session = rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    read = lambda k: numpy_helper.to_array(onnx.TensorProto.FromString(open(f"{folder}/input_{k}.pb", "rb").read()))
    return session.run(None, {i.name: read(k) for k, i in enumerate(session.get_inputs())})


def same(a, b):
    for x, y in zip(a, b):
        if x.shape != y.shape or x.dtype != y.dtype:
            return False
        if x.dtype.kind == "f":
            if not np.allclose(x, y, rtol=1e-3, atol=1e-5 * max(np.abs(y).max(initial=0), 1e-30)):
                return False
        elif not np.array_equal(x, y):
            return False
    return len(a) == len(b)


def peer(code, path, out):
    t = time.time()
    done = subprocess.run([sys.executable, "-c", code, path, out], capture_output=True, text=True)
    return (nodes(onnx.load(out).graph) if done.returncode == 0 else None), time.time() - t


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("zoo"); ap.add_argument("--models"); ap.add_argument("--table")
    args = ap.parse_args()
    names = args.models.split(",") if args.models else sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(f"{args.zoo}/*/raw.onnx"))
    sim = "import sys,onnx,onnxsim; m,ok=onnxsim.simplify(onnx.load(sys.argv[1]),check_n=3); assert ok; onnx.save(m,sys.argv[2])"
    slim = "import sys,onnx,onnxslim; onnx.save(onnxslim.slim(onnx.load(sys.argv[1])),sys.argv[2])"
    lines, bad = ["| model | before | onnxsim | onnxslim | modelsmith | onnxsim s | modelsmith s | holds |", "|---|---:|---:|---:|---:|---:|---:|---|"], 0
    for name in names:
        path, work = f"{args.zoo}/{name}/raw.onnx", tempfile.mkdtemp()
        before = onnx.load(path)
        a, a_s = peer(sim, path, f"{work}/sim.onnx")
        b, _ = peer(slim, path, f"{work}/slim.onnx")
        t = time.time()
        done = subprocess.run([args.binary, "optimize", path, f"{work}/ours.onnx"], capture_output=True, text=True)
        ours_s = time.time() - t
        if done.returncode:
            lines.append(f"| {name} | {nodes(before.graph)} | {a} | {b} | exit {done.returncode} | {a_s:.1f} | {ours_s:.1f} | {done.stderr.strip()[-80:]} |")
            bad += 1
        else:
            after = onnx.load(f"{work}/ours.onnx")
            n, why = nodes(after.graph), []
            if signature(before) != signature(after):
                why.append("signature or opset")
            try:
                onnx.checker.check_model(f"{work}/ours.onnx", full_check=True)
            except Exception as error:
                why.append("checker: " + str(error).splitlines()[0][:60])
            for folder in sorted(glob.glob(f"{args.zoo}/{name}/test_data_set_*")):
                if not same(outputs(f"{work}/ours.onnx", folder), outputs(path, folder)):
                    why.append("outputs of " + os.path.basename(folder))
            if n > min(x for x in (a, b, 10**9) if x is not None):
                why.append("more nodes")
            if a is not None and ours_s > a_s:
                why.append("slower")
            bad += bool(why)
            lines.append(f"| {name} | {nodes(before.graph)} | {a} | {b} | {n} | {a_s:.1f} | {ours_s:.1f} | {', '.join(why) or 'yes'} |")
        print(lines[-1], flush=True)
    if args.table:
        open(args.table, "w").write("\n".join(lines) + "\n")
    sys.exit(1 if bad else 0)


main()
