#!/usr/bin/env python3
"""Builds engines of models whose operators are the user's own, and holds them against ONNX Runtime.

usage: custom_ops.py BINARY

Three models use operators of domains that nobody knows: a fused activation, a normalisation, and a plugin as an exporter writes
one, with attributes of several kinds. `BINARY build --ops` gets their definitions in ONNX's text form. ONNX Runtime gets the same
models with the same definitions as functions inside. Exit code 1 when results differ, or a model builds without definitions.
"""
import os, subprocess, sys, tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper as h, numpy_helper, parser

OPS = """
# definitions for all three
<domain: "acme.fused", opset_import: ["" : 17]>
BiasSwish <beta: float = 1.0> (x, bias) => (y)
{
  b = Constant <value_float: float = @beta> ()
  s = Add (x, bias)
  scaled = Mul (s, b)
  gate = Sigmoid (scaled)
  y = Mul (s, gate)
}
<domain: "acme.norm", opset_import: ["" : 18]>
ScaleNorm <axis, epsilon: float = 1e-5> (float[N, "C"] x, g) => (y, scale)
{
  axes = Constant <value_ints: ints = @axis> ()
  eps = Constant <value_float: float = @epsilon> ()
  two = Constant <value = float {2.0}> ()
  square = Pow (x, two)
  mean = ReduceMean <keepdims = 1> (square, axes)
  safe = Add (mean, eps)
  scale = Sqrt (safe)
  unit = Div (x, scale)
  y = Mul (unit, g)
}
<domain: "torch.plugins", opset_import: ["" : 17, "acme.fused" : 1]>
windowed_attention <window, mode: string = "reflect", gain: float = 0.5> (x, pads, w) => (y)
{
  padded = Pad <mode: string = @mode> (x, pads)
  bias = Constant <value = float[1] {0.25}> ()
  conv = Conv <kernel_shape: ints = @window> (padded, w)
  act = acme.fused.BiasSwish <beta: float = @gain> (conv, bias)
  y = Softmax <axis = -1> (act)
}
"""


def value(name, shape):
    return h.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def model(nodes, inputs, outputs, weights, domains, opset):
    rng = np.random.default_rng(len(nodes))
    init = [numpy_helper.from_array(rng.standard_normal(s).astype("f4") if not isinstance(s, np.ndarray) else s, n) for n, s in weights.items()]
    imports = [h.make_opsetid("", opset)] + [h.make_opsetid(d, 1) for d in domains]
    return h.make_model(h.make_graph(nodes, "main", inputs, outputs, init), opset_imports=imports, ir_version=10)


def models():
    yield "fused activation", model(
        [h.make_node("MatMul", ["x", "w"], ["m"]), h.make_node("BiasSwish", ["m", "b"], ["y"], domain="acme.fused", beta=1.702, name="act")],
        [value("x", ["N", 16])], [value("y", ["N", 8])], {"w": (16, 8), "b": (8,)}, ["acme.fused"], 17), {"x": (5, 16)}
    yield "normalisation", model(
        [h.make_node("ScaleNorm", ["x", "g"], ["n", "scale"], domain="acme.norm", axis=[-1], name="norm1"),
         h.make_node("ScaleNorm", ["n", "g"], ["y", ""], domain="acme.norm", axis=[-1], epsilon=0.1, name="norm2")],
        [value("x", ["N", 12])], [value("y", ["N", 12]), value("scale", ["N", 1])], {"g": (12,)}, ["acme.norm"], 18), {"x": (4, 12)}
    yield "plugin", model(
        [h.make_node("windowed_attention", ["x", "pads", "w"], ["y"], domain="torch.plugins", window=[3, 3], gain=2.0, name="plugin")],
        [value("x", ["N", 3, 9, 9])], [value("y", ["N", 4, 9, 9])],
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], "i8"), "w": (4, 3, 3, 3)}, ["torch.plugins"], 17), {"x": (2, 3, 9, 9)}


def functions():
    """Each definition alone, as onnx.parser takes them."""
    text = "\n".join(line for line in OPS.splitlines() if not line.startswith("#"))
    return [parser.parse_function("<domain" + part) for part in text.split("<domain")[1:]]


def judged(m, feeds):
    full = onnx.ModelProto()
    full.CopyFrom(m)
    by_name = {(f.domain, f.name): f for f in functions()}
    left = [(n.domain, n.op_type) for n in m.graph.node]
    while left:
        f = by_name.pop(left.pop(), None)
        if f is not None:
            full.functions.append(f)
            left += [(n.domain, n.op_type) for n in f.node]
    have = {o.domain for o in full.opset_import}
    full.opset_import.extend(h.make_opsetid(d, 1) for d in {f.domain for f in full.functions} - have)
    onnx.checker.check_model(full)
    return ort.InferenceSession(full.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def main():
    binary, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        with open(at("ops.txt"), "w", encoding="utf-8") as f:
            f.write(OPS)
        for name, m, shapes in models():
            onnx.save(m, at("m.onnx"))
            rng = np.random.default_rng(7)
            feeds = {n: rng.standard_normal(s).astype("f4") for n, s in shapes.items()}
            wanted = judged(m, feeds)
            bare = subprocess.run([binary, "build", at("m.onnx"), "-o", at("bare.engine")], capture_output=True, text=True)
            built = subprocess.run([binary, "build", at("m.onnx"), "--ops", at("ops.txt"), "-o", at("m.engine")], capture_output=True, text=True)
            worst = float("nan")
            if built.returncode == 0:
                given = []
                for n, v in feeds.items():
                    np.save(at(n + ".npy"), v)
                    given += ["--input", f"{n}={at(n + '.npy')}"]
                ran = subprocess.run([binary, "run", at("m.engine"), "--output-dir", at("out"), *given], capture_output=True, text=True)
                if ran.returncode == 0:
                    ours = [np.load(os.path.join(at("out"), o.name + ".npy")) for o in m.graph.output]
                    worst = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(ours, wanted))
                else:
                    print(ran.stderr)
            else:
                print(built.stdout, built.stderr)
            good = worst < 1e-5 and bare.returncode == 5
            failed += not good
            print(f"{name}: largest difference to ONNX Runtime {worst:.1e} of the largest value; without definitions exit {bare.returncode}; {'good' if good else 'BAD'}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
