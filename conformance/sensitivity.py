#!/usr/bin/env python3
"""Would the default comparison notice a weight that is 1 % off? Each weight tensor of each model is scaled by 1.01, alone, in ONNX Runtime.

usage: sensitivity.py ZOO_DIR TABLE.md [--only a,b]
The ratio is the largest |a - b| / (atol + rtol |b|) over all outputs and data sets, with rtol 1e-3 and atol 1e-5 of the largest
value: 1 is the tolerance itself. The table names every weight whose ratio is 10 or less.
"""
import argparse, glob, os, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import numpy_helper


def read(path):
    return numpy_helper.to_array(onnx.TensorProto.FromString(open(path, "rb").read()))


def load(path):
    """A session that takes the weights of the main graph as inputs, and their values."""
    model = onnx.load(path)
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    floats = {n: w for n, w in weights.items() if w.dtype == np.float32 and np.abs(w).max(initial=0) > 0}
    kept = [w for w in model.graph.initializer if w.name not in floats]
    for name, w in floats.items():
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, w.shape))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    options = rt.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return rt.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]), floats


def ratio(got, want):
    worst = 0.0
    for g, w in zip(got, want):
        if w.dtype.kind != "f":
            worst = max(worst, 0.0 if np.array_equal(g, w) else np.inf)
            continue
        if g.shape != w.shape:
            return np.inf
        if w.size:
            allowed = 1e-5 * np.abs(w).max() + 1e-3 * np.abs(w)
            worst = max(worst, float((np.abs(g - w) / np.maximum(allowed, 1e-30)).max()))
    return worst


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("zoo"); ap.add_argument("table"); ap.add_argument("--only")
    args = ap.parse_args()
    names = args.only.split(",") if args.only else sorted(os.listdir(args.zoo))
    rows, quiet = [], []
    for name in names:
        session, floats = load(f"{args.zoo}/{name}/model.onnx")
        inputs = [i.name for i in session.get_inputs() if i.name not in floats]
        feeds = []
        for folder in sorted(glob.glob(f"{args.zoo}/{name}/test_data_set_*")):
            feeds.append({n: read(f"{folder}/input_{k}.pb") for k, n in enumerate(inputs)})
        want = [session.run(None, {**floats, **f}) for f in feeds]
        below = []
        for weight, value in floats.items():
            changed = {**floats, weight: np.asarray(value * np.float32(1.01))}
            found = max(ratio(session.run(None, {**changed, **f}), w) for f, w in zip(feeds, want))
            if found <= 10:
                below.append((weight, value.shape, found))
        rows.append((name, len(floats), len(below)))
        quiet += [(name, *b) for b in below]
        print(rows[-1], flush=True)
    with open(args.table, "w") as out:
        out.write("# What the default comparison notices\n\nEach float weight tensor scaled by 1.01, alone, in ONNX Runtime (`conformance/sensitivity.py`). ")
        out.write("A ratio of 1 is the default tolerance; the second table names the tensors that move no output by more than ten times it.\n\n")
        out.write("| model | weight tensors | ratio 10 or less |\n|---|---:|---:|\n" + "".join(f"| {n} | {a} | {b} |\n" for n, a, b in rows))
        out.write("\n| model | weight | shape | ratio |\n|---|---|---|---:|\n" + "".join(f"| {m} | `{w}` | {list(s)} | {r:.2f} |\n" for m, w, s, r in quiet))


main()
