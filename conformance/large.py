#!/usr/bin/env python3
"""Converts a model of more than 2 GiB and holds the result against the original in ONNX Runtime.

usage: large.py BINARY FOLDER [--attributes] [--gigabytes G]

The weights lie in two external files, one tensor with an offset, one without. With --attributes they are values of Constant nodes.
Takes three times the size of the model on disk, in FOLDER, and removes it.
"""
import argparse, os, shutil, subprocess, sys, time

import numpy as np
import onnx
from onnx import helper as h

F = onnx.TensorProto.FLOAT


def external(name, shape, location, offset):
    t = onnx.TensorProto(name=name, data_type=F, dims=shape, data_location=1)
    t.external_data.add(key="location", value=location)
    if offset:
        t.external_data.add(key="offset", value=str(offset))
    return t


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("binary")
    ap.add_argument("folder")
    ap.add_argument("--attributes", action="store_true")
    ap.add_argument("--gigabytes", type=float, default=2.4)
    args = ap.parse_args()
    import onnxruntime as ort

    here = os.path.join(args.folder, "large-model")
    shutil.rmtree(here, ignore_errors=True)
    os.makedirs(os.path.join(here, "out"))
    try:
        wide, layers = 4096, max(2, int(args.gigabytes * 2**30 / (4096 * 4096 * 4)))
        weights, at = [], {"a.bin": 128, "b.bin": 0}
        rng = np.random.default_rng(0)
        files = {n: open(os.path.join(here, n), "wb") for n in at}
        files["a.bin"].write(b"\0" * 128)
        row = (rng.standard_normal((wide, wide)) / 64).astype("f4")
        for i in range(layers):
            name = "a.bin" if i % 2 else "b.bin"
            row[0, 0] = i / 4096
            files[name].write(row.tobytes())
            weights.append(external(f"w{i}", [wide, wide], name, at[name]))
            if not at[name] and name == "b.bin":
                weights[-1].external_data.add(key="length", value=str(row.nbytes))
            at[name] += row.nbytes
        [f.close() for f in files.values()]
        nodes = [h.make_node("MatMul", ["x" if not i else f"t{i - 1}", f"w{i}"], [f"t{i}"]) for i in range(layers)]
        if args.attributes:
            for i, w in enumerate(weights):
                c = h.make_node("Constant", [], [f"w{i}"])
                c.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(w)
                nodes.insert(i, c)
        info = lambda n: h.make_tensor_value_info(n, F, ["N", wide])
        graph = h.make_graph(nodes, "large", [info("x")], [info(f"t{layers - 1}")], [] if args.attributes else weights)
        source, out = os.path.join(here, "m.onnx"), os.path.join(here, "out", "n.onnx")
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), source)
        begun = time.time()
        done = subprocess.run(["/usr/bin/time", "-f", "%M", args.binary, "convert", source, out, "--verify", "no"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        took, peak = time.time() - begun, int(done.stderr.strip().splitlines()[-1]) // 1024
        onnx.checker.check_model(out)
        sizes = {n: os.path.getsize(os.path.join(here, "out", n)) for n in os.listdir(os.path.join(here, "out"))}
        x = rng.standard_normal((2, wide)).astype("f4")
        results = [ort.InferenceSession(p, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0] for p in (source, out)] if not args.attributes else None
        if results is not None:
            equal = np.array_equal(*results)
        else:
            tensors = lambda p: [(p, a.t) for n in onnx.load(p, load_external_data=False).graph.node for a in n.attribute if n.op_type == "Constant"]

            def data(p, t):
                entries = {e.key: e.value for e in t.external_data}
                path = os.path.join(os.path.dirname(p), entries["location"])
                return np.memmap(path, "<f4", "r", int(entries.get("offset", 0)), tuple(t.dims))

            pairs = list(zip(tensors(source), tensors(out)))
            equal = len(pairs) == layers and all(np.array_equal(data(*a), data(*b)) for a, b in pairs)
        print(f"{layers} layers, {sum(at.values()) / 2**30:.2f} GiB: {took:.1f} s, peak {peak} MiB; {sizes}; equal: {equal}")
        return int(not equal)
    finally:
        shutil.rmtree(here, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
