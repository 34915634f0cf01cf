#!/usr/bin/env python3
"""The error of each zoo model against an evaluation in float64, beside ONNX Runtime's.

usage: float64_error.py BINARY ZOO_DIR [--models a,b] [--isa amx,avx512,avx2] [--inputs 3] [--table FILE.md]
The float64 evaluation is the model's TorchScript in double, run by PyTorch; where that holds constants in float32, the ONNX graph in
double, run by the onnx package's reference evaluator. Inputs are those of the data sets, and drawn ones of
the same shapes and ranges. An error is the largest difference over the largest output. Exit 1 where ours is above both 1e-6 and
twice ONNX Runtime's.
"""
import argparse, glob, os, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
import torch
from onnx import numpy_helper


def recorded(folder):
    for data in sorted(glob.glob(f"{folder}/test_data_set_*")):
        files = sorted(glob.glob(f"{data}/input_*.pb"), key=lambda f: int(f.rsplit("_", 1)[1][:-3]))
        yield [numpy_helper.to_array(onnx.TensorProto.FromString(open(f, "rb").read())) for f in files]


def drawn(like, rng):
    """Values in the order of magnitude of the recorded ones; masks stay."""
    for x in like:
        if x.dtype.kind == "f":
            yield (rng.standard_normal(x.shape) * max(float(x.std()), 1e-3) + float(x.mean())).astype(x.dtype)
        elif x.size and x.max() > 1:
            yield rng.integers(0, int(x.max()) + 1, x.shape, dtype=x.dtype)
        else:
            yield x


def flat(result):
    if isinstance(result, torch.Tensor):
        return [result.detach().numpy()]
    if isinstance(result, (int, float, bool)):
        return [np.asarray(result)]
    if isinstance(result, dict):
        result = result.values()
    return [a for r in result for a in flat(r)]


def exact(folder, sets):
    module = torch.jit.load(f"{folder}/scripted.pt").double().eval()
    with torch.no_grad():
        for inputs in sets:
            given = [torch.from_numpy(x.astype(np.float64) if x.dtype.kind == "f" else x.copy()) for x in inputs]
            yield flat(module(*given))


def widen(tensor):
    if tensor.data_type == onnx.TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def widen_graph(graph):
    for w in graph.initializer:
        widen(w)
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                widen(a.t)
            elif a.type == onnx.AttributeProto.GRAPH:
                widen_graph(a.g)
            elif node.op_type == "Cast" and a.name == "to" and a.i == onnx.TensorProto.FLOAT:
                a.i = onnx.TensorProto.DOUBLE


def exact_graph(path, sets):
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    widen_graph(model.graph)
    evaluator = ReferenceEvaluator(model)
    for inputs in sets:
        given = [x.astype(np.float64) if x.dtype == np.float32 else x for x in inputs]
        yield [np.asarray(r) for r in evaluator.run(None, dict(zip(evaluator.input_names, given)))]


def peer(path, sets):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    session = rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    for inputs in sets:
        yield session.run(None, dict(zip(names, inputs)))


def ours(binary, path, sets, isa):
    model = onnx.load(path, load_external_data=False).graph
    weights = {w.name for w in model.initializer}
    names = [i.name for i in model.input if i.name not in weights]
    outputs = [o.name for o in model.output]
    with tempfile.TemporaryDirectory() as room:
        engine = f"{room}/model.engine"
        subprocess.run([binary, "build", path, "-o", engine, "--isa", isa, "-q"], check=True, capture_output=True)
        for inputs in sets:
            given = []
            for k, (name, x) in enumerate(zip(names, inputs)):
                np.save(f"{room}/{k}.npy", x)
                given += ["--input", f"{name}={room}/{k}.npy"]
            subprocess.run([binary, "run", engine, "--isa", isa, "--output-dir", f"{room}/out", "-q", *given], check=True, capture_output=True)
            yield [np.load(f"{room}/out/{o}.npy") for o in outputs]


def error(got, want):
    """Outputs of numbers only, each against its own largest value."""
    worst = 0.0
    for g, w in zip(got, want):
        if w.dtype.kind == "f" and w.size:
            worst = max(worst, float(np.max(np.abs(g.astype(np.float64) - w)) / max(float(np.max(np.abs(w))), 1e-30)))
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("zoo"); ap.add_argument("--models"); ap.add_argument("--table")
    ap.add_argument("--isa", default="amx,avx512,avx2"); ap.add_argument("--inputs", type=int, default=3)
    args = ap.parse_args()
    torch.set_num_threads(2)
    levels = args.isa.split(",")
    names = args.models.split(",") if args.models else sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(f"{args.zoo}/*/model.onnx"))
    lines = ["| model | ONNX Runtime | " + " | ".join(levels) + " |", "|" + "---|" * (len(levels) + 2)]
    failed = False
    for name in names:
        folder, rng = f"{args.zoo}/{name}", np.random.default_rng(7)
        sets = list(recorded(folder))[: args.inputs]
        while len(sets) < args.inputs:
            sets.append(list(drawn(sets[0], rng)))
        try:
            want = list(exact(folder, sets))
        except Exception:
            want = list(exact_graph(f"{folder}/model.onnx", sets))
        worst = lambda results: max(error(g, w) for g, w in zip(results, want))
        other = worst(peer(f"{folder}/model.onnx", sets))
        own = [worst(ours(args.binary, f"{folder}/model.onnx", sets, isa)) for isa in levels]
        failed |= max(own) > max(1e-6, 2 * other)
        lines.append(f"| {name} | {other:.1e} | " + " | ".join(f"{e:.1e}" for e in own) + " |")
        print(lines[-1], flush=True)
    if args.table:
        open(args.table, "w").write("\n".join(lines) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
