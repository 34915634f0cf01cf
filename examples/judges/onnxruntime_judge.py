"""Run an ONNX model in ONNX Runtime, as an independent judge of results.

    pip install numpy onnxruntime
    python onnxruntime_judge.py MODEL.onnx IN.npz OUT.npz

IN.npz holds one array per graph input, under its name; OUT.npz gets one array per graph output, under its name. In
Modelsmith the judge of `compare` is named by the command without the last two arguments:

    modelsmith compare A.onnx B.onnx --b-runner "exec:python3 onnxruntime_judge.py B.onnx"

A graph input that IN.npz lacks is an error unless an initializer gives its default. Arrays of element types that
numpy lacks (bfloat16, 8-bit floats, 4-bit integers) are not passed by this script.
"""

import argparse
import sys

import numpy as np
import onnxruntime


def session(path, threads, optimize):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser(description="Run an ONNX model in ONNX Runtime on arrays of a .npz file.")
    parser.add_argument("--threads", type=int, default=0, help="threads; 0 leaves the choice to ONNX Runtime")
    parser.add_argument("--optimize", action="store_true", help="let ONNX Runtime rewrite the graph first")
    parser.add_argument("model", help="ONNX file")
    parser.add_argument("inputs", help=".npz file to read")
    parser.add_argument("outputs", help=".npz file to write")
    args = parser.parse_args()

    run = session(args.model, args.threads, args.optimize)
    with np.load(args.inputs, allow_pickle=False) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    known = [i.name for i in run.get_inputs()]
    missing = [name for name in known if name not in given]
    if missing:
        sys.exit(f"{args.inputs} lacks {', '.join(missing)}; it holds {', '.join(given) or 'nothing'}")
    overridable = {i.name for i in run.get_overridable_initializers()}
    feeds = {name: array for name, array in given.items() if name in known or name in overridable}
    names = [o.name for o in run.get_outputs()]
    results = run.run(names, feeds)
    plain = {}
    for name, value in zip(names, results):
        if not isinstance(value, np.ndarray):
            sys.exit(f"output {name} is a {type(value).__name__}, which a .npz file cannot hold")
        plain[name] = value
    with open(args.outputs, "wb") as file:
        np.savez(file, **plain)


if __name__ == "__main__":
    main()
