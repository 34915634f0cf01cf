#!/usr/bin/env python3
"""Frees shapes that an exporter wrote down, and holds the result against the original in ONNX Runtime.

usage: baked.py BINARY [MODEL...]

Without models a few are made: attention heads, a classifier, masks and position tables, each with sizes written down in shapes though
its inputs have free dimensions. For each, `BINARY check --fix` writes a model that must equal the original at the sizes that were
written down, and that ONNX Runtime must run at others, with one result for a row alone and among others. Exit code 1 when not.
"""
import os, re, subprocess, sys, tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper as h, numpy_helper

F = onnx.TensorProto.FLOAT
ort.set_default_logger_severity(4)


def model(nodes, inputs, outputs, weights):
    info = lambda pairs: [h.make_tensor_value_info(n, F, s) for n, s in pairs.items()]
    init = [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()]
    return h.make_model(h.make_graph(nodes, "main", info(inputs), info(outputs), init), opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def models():
    r = np.random.default_rng(3)
    w = lambda *s: r.standard_normal(s).astype("f4")
    n = h.make_node
    yield "attention heads, batch 2, sequence 7", model(
        [n("MatMul", ["x", "wq"], ["q"]), n("MatMul", ["x", "wk"], ["k"]), n("MatMul", ["x", "wv"], ["v"])]
        + [n("Reshape", [a, "heads"], [a + "r"]) for a in "qkv"]
        + [n("Transpose", [a + "r"], [a + "t"], perm=[0, 2, 1, 3]) for a in "qv"]
        + [n("Transpose", ["kr"], ["kt"], perm=[0, 2, 3, 1]), n("MatMul", ["qt", "kt"], ["s"]), n("Softmax", ["s"], ["p"], axis=-1),
           n("MatMul", ["p", "vt"], ["c"]), n("Transpose", ["c"], ["ct"], perm=[0, 2, 1, 3]), n("Reshape", ["ct", "flat"], ["y"])],
        {"x": ["N", "S", 12]}, {"y": [2, 7, 12]},
        {"wq": w(12, 12), "wk": w(12, 12), "wv": w(12, 12), "heads": np.array([2, 7, 3, 4]), "flat": np.array([2, 7, 12])})
    yield "classifier, batch 1", model(
        [n("Conv", ["x", "w"], ["c"]), n("Relu", ["c"], ["a"]), n("GlobalAveragePool", ["a"], ["p"]), n("Reshape", ["p", "s"], ["f"]), n("Gemm", ["f", "g"], ["y"])],
        {"x": ["batch", 3, 8, 8]}, {"y": [1, 5]}, {"w": w(6, 3, 3, 3), "s": np.array([1, 6]), "g": w(6, 5)})
    yield "rows and batch merged, batch 4", model(
        [n("Reshape", ["x", "rows"], ["a"]), n("MatMul", ["a", "w"], ["b"]), n("Reshape", ["b", "back"], ["y"])],
        {"x": ["N", 5, 8]}, {"y": [4, 5, 3]}, {"rows": np.array([20, 8]), "w": w(8, 3), "back": np.array([4, 5, 3])})
    yield "a mask made for batch 3", model(
        [n("ConstantOfShape", ["s"], ["ones"], value=numpy_helper.from_array(np.array([0.5], "f4"))), n("Mul", ["x", "ones"], ["y"])],
        {"x": ["N", 6]}, {"y": [3, 6]}, {"s": np.array([3, 6])})
    yield "a table of positions spread to batch 2", model(
        [n("Expand", ["table", "s"], ["t"]), n("Add", ["x", "t"], ["y"])],
        {"x": ["N", 4, 6]}, {"y": [2, 4, 6]}, {"table": w(1, 4, 6), "s": np.array([2, 4, 6])})
    yield "-1 for a row that takes the batch in", model(
        [n("Reshape", ["x", "s"], ["f"]), n("MatMul", ["f", "w"], ["y"])],
        {"x": ["N", 3, 4]}, {"y": ["N", 2]}, {"s": np.array([1, -1]), "w": w(12, 2)})


def main():
    binary, failed = sys.argv[1], 0
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "m.onnx"), os.path.join(folder, "fixed.onnx")
        cases = [(p, onnx.load(p)) for p in sys.argv[2:]] or models()
        for name, m in cases:
            onnx.save(m, source)
            done = subprocess.run([binary, "check", source, "--fix", out], capture_output=True, text=True)
            said = re.search(r"written down: (.*); run", done.stdout)
            try:
                assert done.returncode == 0, done.stdout + done.stderr
                onnx.checker.check_model(out, full_check=True)
                sizes = {k: int(v) for k, v in re.findall(r"(\w+) = (\d+)", said.group(1))}
                load = lambda p: ort.InferenceSession(p, providers=["CPUExecutionProvider"])
                before, after = load(source), load(out)
                r = np.random.default_rng(5)

                def feed(by):
                    shape = lambda i: [d if isinstance(d, int) else sizes.get(d, 1) + by for d in i.shape]
                    return {i.name: r.standard_normal(shape(i)).astype("f4") for i in after.get_inputs()}

                fed = feed(0)
                same = all(np.array_equal(a, b) for a, b in zip(before.run(None, fed), after.run(None, fed)))
                larger = feed(2)
                whole = after.run(None, larger)[0]
                first = after.run(None, {k: v[:1] for k, v in larger.items()})[0]
                alone = np.abs(whole[:1] - first).max() <= 1e-5 * np.abs(whole).max()
                assert same and alone, f"same {same}, rows alone {alone}"
                print(f"{name}: equal at {said.group(1)}; ONNX Runtime runs it at others: {list(whole.shape)}")
            except Exception as e:
                failed += 1
                print(f"{name}: BAD: {e}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
