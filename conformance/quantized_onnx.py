#!/usr/bin/env python3
"""Models that ONNX Runtime's own tools quantized to 8 bits, run by ONNX Runtime and here.

usage: quantized_onnx.py BINARY ZOO [--threads 1] [--work DIR]
Of mobilenet_v2 and resnet50 below ZOO static quantization makes a model of QLinear operators (`qop`) and one of QuantizeLinear and
DequantizeLinear around float operators (`qdq`), weights i8 by channel; of bert_base and lstm dynamic quantization makes one of
MatMulInteger and its like (`dynamic`). Prints each model's shortest run of eight on both sides, the largest difference of an
output and the largest value beside it; and for a measure of how far rounding alone carries, the difference of ONNX Runtime with
its graph optimizations from ONNX Runtime without. Exit code 1 where a `qop` model is not equal bit by bit. Needs onnx and onnxruntime.
"""
import argparse, json, os, subprocess, sys, tempfile, time

import numpy as np
import onnxruntime as rt
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

LEVELS = rt.GraphOptimizationLevel


def session(path, threads, level=LEVELS.ORT_ENABLE_ALL):
    options = rt.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.graph_optimization_level = threads, 4, level
    return rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def drawn(inputs, seed):
    rng = np.random.default_rng(seed)
    shape = lambda i: [d if isinstance(d, int) else 1 for d in i.shape]
    ids = lambda i: rng.integers(0, 2 if "mask" in i.name else 1000, shape(i)).astype(np.int64)
    return {i.name: rng.standard_normal(shape(i)).astype(np.float32) if "float" in i.type else ids(i) for i in inputs}


class Calibration(CalibrationDataReader):
    def __init__(self, path):
        inputs = session(path, 1).get_inputs()
        self.feeds = iter([drawn(inputs, seed) for seed in range(4)])

    def get_next(self):
        return next(self.feeds, None)


def models(zoo, work):
    for name in ("mobilenet_v2", "resnet50"):
        for kind, form in (("qop", QuantFormat.QOperator), ("qdq", QuantFormat.QDQ)):
            source, path = f"{zoo}/{name}/model.onnx", f"{work}/{name}_{kind}.onnx"
            quantize_static(source, path, Calibration(source), quant_format=form, per_channel=True, weight_type=QuantType.QInt8)
            yield f"{name} {kind}", path
    for name in ("bert_base", "lstm"):
        quantize_dynamic(f"{zoo}/{name}/model.onnx", f"{work}/{name}.onnx", weight_type=QuantType.QInt8)
        yield f"{name} dynamic", f"{work}/{name}.onnx"


def ours(binary, path, feed, names, threads, work):
    """Outputs, and the shortest run in milliseconds."""
    folder = tempfile.mkdtemp(dir=work)
    clean = lambda n: "".join("_" if c in "/\\:" else c for c in n)
    inputs = []
    for name, value in feed.items():
        np.save(f"{folder}/{clean(name)}.npy", value)
        inputs += ["--input", f"{name}={folder}/{clean(name)}.npy"]
    run = [binary, "run", path, *inputs, "--threads", str(threads), "--output-dir", f"{folder}/out", "--quiet"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    bench = [binary, "bench", path, *inputs, "--threads", str(threads), "--iters", "8", "--json", "--quiet"]
    report = json.loads(subprocess.run(bench, check=True, capture_output=True, text=True).stdout)
    return [np.load(f"{folder}/out/{clean(n)}.npy") for n in names], report["latency"]["min"]


def apart(a, b):
    return max(float(np.abs(x.astype(np.float64) - y).max()) for x, y in zip(a, b))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"), ap.add_argument("zoo"), ap.add_argument("--threads", type=int, default=1), ap.add_argument("--work")
    args = ap.parse_args()
    work, wrong = args.work or tempfile.mkdtemp(), 0
    print("| model | ONNX Runtime ms | here ms | difference | ONNX Runtime's own | largest value |\n|---|---:|---:|---:|---:|---:|")
    for name, path in models(args.zoo, work):
        s = session(path, args.threads)
        feed, names, times = drawn(s.get_inputs(), 5), [o.name for o in s.get_outputs()], []
        for _ in range(8):
            start = time.perf_counter()
            want = s.run(names, feed)
            times.append((time.perf_counter() - start) * 1e3)
        plain = session(path, args.threads, LEVELS.ORT_DISABLE_ALL).run(names, feed)
        got, ms = ours(args.binary, path, feed, names, args.threads, work)
        wrong += name.endswith("qop") and apart(got, want) != 0
        most = max(float(np.abs(w).max()) for w in want)
        print(f"| {name} | {min(times):.1f} | {ms:.1f} | {apart(got, want):.2g} | {apart(plain, want):.2g} | {most:.2g} |", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
