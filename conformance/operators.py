#!/usr/bin/env python3
"""The samples of operators in ONNX Runtime, beside what the reference makes of them.

usage: operators.py FOLDER [--verbose]
FOLDER is what `cargo run -p modelsmith-format-onnx --example operator_cases -- FOLDER 25 NAME...` wrote: a name is an
operator (`Conv`, `com.microsoft.QLinearAdd`) or a domain. Floats agree within rtol 1e-3 and 1e-5 of the largest value
(rtol 1e-2 and 2e-3 for 16 bits), integers of quantized results within one step, for runtimes fuse the steps of a
quantized operator and round ties otherwise; everything else exactly. Per operator: cases that agree, that differ, and
that ONNX Runtime refuses (no kernel for a type, stricter checks), with the first reason. Exit code 1 when a case differs.
"""
import argparse, collections, glob, os, sys, warnings
import concurrent.futures.process as process

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import numpy_helper

STEP = ("QLinear", "QuantizeLinear", "QAttention", "QGemm")


def value(path, kind):
    data = open(path, "rb").read()
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def difference(op, got, want):
    """Why two results differ; None when they agree."""
    if isinstance(want, list):
        return next((d for d in (difference(op, g, w) for g, w in zip(got, want)) if d), None)
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} against {want.dtype}{list(want.shape)}"
    if want.dtype.kind == "f":
        rtol, atol = (1e-2, 2e-3) if want.dtype.itemsize == 2 else (1e-3, 1e-5)
        finite = np.abs(want[np.isfinite(want)])
        atol *= float(finite.max()) if finite.size else 1
        if not np.allclose(got, want, rtol=rtol, atol=max(atol, 1e-7), equal_nan=True):
            return f"by {np.nanmax(np.abs(got.astype(float) - want.astype(float))):g}"
    elif any(s in op for s in STEP) and want.dtype.kind in "iu":
        off = np.abs(got.astype(np.int64) - want.astype(np.int64))
        if off.max(initial=0) > 1:
            return f"by {off.max()} steps"
    elif not np.array_equal(got, want):
        return "integers, booleans or strings are others"
    return None


def run(folder, op):
    """("agrees" | "differs" | "refused", why)"""
    options = rt.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = rt.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = onnx.load(f"{folder}/model.onnx")
    try:
        session = rt.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
        data = f"{folder}/test_data_set_0"
        kinds = lambda infos: [i.type.WhichOneof("value") for i in infos]
        feed = [value(f"{data}/input_{k}.pb", t) for k, t in enumerate(kinds(model.graph.input))]
        got = session.run(None, {i.name: v for i, v in zip(session.get_inputs(), feed)})
    except Exception as error:
        return "refused", str(error).splitlines()[0][:120]
    for k, (g, t) in enumerate(zip(got, kinds(model.graph.output))):
        why = difference(op, g, value(f"{data}/output_{k}.pb", t))
        if why:
            return "differs", f"output {k} {why}"
    return "agrees", ""


def outcomes(folders):
    """(folder, operator, outcome, why) of each, run in another process, for ONNX Runtime may crash."""
    pool = process.ProcessPoolExecutor(1)
    for folder in folders:
        op = os.path.basename(folder).rsplit("_", 1)[0]
        try:
            yield folder, op, *pool.submit(run, folder, op).result()
        except process.BrokenProcessPool:
            pool.shutdown()
            pool = process.ProcessPoolExecutor(1)
            yield folder, op, "refused", "ONNX Runtime crashes"
    pool.shutdown()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder"); ap.add_argument("--verbose", action="store_true")
    args = ap.parse_args()
    counts, first = collections.defaultdict(collections.Counter), {}
    for folder, op, outcome, why in outcomes(sorted(glob.glob(f"{args.folder}/*_*"))):
        counts[op][outcome] += 1
        if why and (args.verbose or (op, outcome) not in first):
            first[op, outcome] = why
            if args.verbose:
                print(f"{os.path.basename(folder)} {outcome}: {why}")
    print(f"{'operator':44}{'agree':>7}{'differ':>8}{'refused':>9}")
    for op, c in sorted(counts.items()):
        why = "; ".join(first[op, o] for o in ("differs", "refused") if (op, o) in first)
        print(f"{op:44}{c['agrees']:>7}{c['differs']:>8}{c['refused']:>9}  {why}")
    sys.exit(1 if any(c["differs"] for c in counts.values()) or not counts else 0)


if __name__ == "__main__":
    main()
