#!/usr/bin/env python3
"""GRU layers in engines beside ONNX Runtime, on every instruction set level.

    recurrent.py BINARY [--levels portable,avx2,avx512,amx]

Makes GRU models of several sizes: each direction, the reset gate before and after the product, with and without bias,
lengths of sequences and a first state, sizes fixed and free. ONNX Runtime's results are test data for
`run --no-fallback --test-data`, so that a layer without a native kernel counts as a failure. Ends with 1 where one fails.
"""
import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as rt
from onnx import TensorProto, helper, numpy_helper

SIZES = [(1, 1, 3, 5), (7, 2, 16, 8), (5, 3, 33, 12), (12, 4, 64, 40), (3, 9, 100, 10)]


def model(rng, size, direction, linear, bias, lengths, initial, free):
    """A model, and its inputs by name."""
    steps, batch, hidden, width = size
    d = 2 if direction == "bidirectional" else 1
    floats = lambda *shape: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
    weights = {"W": floats(d, 3 * hidden, width), "R": floats(d, 3 * hidden, hidden)}
    if bias:
        weights["B"] = floats(d, 6 * hidden)
    inputs = {"X": floats(steps, batch, width)}
    if lengths:
        # ONNX Runtime leaves the last state of a sequence without steps undefined.
        inputs["lens"] = rng.integers(1, steps + 1, batch).astype(np.int32)
        inputs["lens"][0] = steps
    if initial:
        inputs["h0"] = floats(d, batch, hidden)
    names = ["X", "W", "R", "B" if bias else "", "lens" if lengths else "", "h0" if initial else ""]
    node = helper.make_node("GRU", names, ["Y", "Y_h"], hidden_size=hidden, direction=direction,
                            linear_before_reset=linear)
    dims = {"X": ["t", "b", width], "lens": ["b"], "h0": [d, "b", hidden]}
    kind = lambda a: TensorProto.INT32 if a.dtype == np.int32 else TensorProto.FLOAT
    given = [helper.make_tensor_value_info(k, kind(v), dims[k] if free else v.shape) for k, v in inputs.items()]
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("Y", "Y_h")]
    graph = helper.make_graph([node], "gru", given, made, [numpy_helper.from_array(v, k) for k, v in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=9), inputs


def write(folder, made, inputs):
    onnx.save(made, folder / "model.onnx")
    outputs = rt.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"]).run(None, inputs)
    for kind, values in (("input", inputs.values()), ("output", outputs)):
        for i, value in enumerate(values):
            (folder / f"{kind}_{i}.pb").write_bytes(numpy_helper.from_array(value).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--levels", default="portable,avx2,avx512,amx")
    given = parser.parse_args()
    rng = np.random.default_rng(5)
    runs = failed = 0
    options = itertools.product(["forward", "reverse", "bidirectional"], [0, 1], *[[False, True]] * 4)
    for (i, option), size in itertools.product(enumerate(options), SIZES):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            made, inputs = model(rng, size, *option)
            write(folder, made, inputs)
            for level in given.levels.split(","):
                command = [given.binary, "run", folder / "model.onnx", "--test-data", folder, "--isa", level,
                           "--threads", str(1 + i % 2), "--no-fallback", "--rtol", "1e-4", "--atol", "1e-5"]
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                runs += 1
                if done.returncode != 0:
                    failed += 1
                    print(f"{size} {option} {level}: {(done.stdout + done.stderr).strip()[-300:]}", flush=True)
    print(f"{runs} runs, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
