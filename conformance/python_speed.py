#!/usr/bin/env python3
"""Speed of the Python package beside what it stands in for, each pair in turns on one machine.

usage: python_speed.py BINARY ZOO

A call: a model of one node beside ONNX Runtime. Models: an engine run from Python beside `BINARY bench --interactive`. Files: load_file
and save_file beside the safetensors library, on 512 MiB. Needs the packages modelsmith, onnxruntime, onnx and safetensors.
"""
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy as library
from onnx import numpy_helper

import modelsmith
from modelsmith.safetensors import numpy as own


def seconds(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(rounds, works):
    """The median time of each, in seconds."""
    times = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: statistics.median(t) for name, t in times.items()}


def options(module, threads):
    made = module.SessionOptions()
    made.intra_op_num_threads = threads
    return made


def calls():
    path, x = modelsmith.datasets.get_example("sigmoid.onnx"), np.random.rand(3, 4, 5).astype(np.float32)
    for threads in (1, 2):
        works = {}
        for module in (modelsmith, onnxruntime):
            session = module.InferenceSession(path, options(module, threads), providers=["CPUExecutionProvider"])

            def work(run=session.run, feed={"x": x}):
                for _ in range(2000):
                    run(None, feed)

            works[module.__name__] = work
        found = {name: t / 2000 * 1e6 for name, t in in_turns(30, works).items()}
        print(f"a call, {threads} threads, in us: {found['modelsmith']:.2f}, ONNX Runtime {found['onnxruntime']:.2f}")


def models(binary, zoo, folder):
    for name in ("resnet50", "bert_base"):
        engine, data = os.path.join(folder, f"{name}.engine"), os.path.join(zoo, name, "test_data_set_0")
        modelsmith.build(os.path.join(zoo, name, "model.onnx"), engine, verify=False)
        for threads in (1, 2):
            command = [binary, "bench", engine, "--interactive", "--threads", str(threads), "--test-data", data]
            program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            program.stdout.readline()
            session = modelsmith.InferenceSession(engine, options(modelsmith, threads))
            files = sorted(glob.glob(f"{data}/input_*.pb"))
            arrays = [numpy_helper.to_array(onnx.TensorProto.FromString(open(f, "rb").read())) for f in files]
            feed = {i.name: a for i, a in zip(session.get_inputs(), arrays)}
            rust, python = [], []
            for _ in range(30):
                program.stdin.write("run 6\n")
                program.stdin.flush()
                rust += json.loads(program.stdout.readline())
                python += [seconds(lambda: session.run(None, feed)) * 1e3 for _ in range(6)]
            program.stdin.close()
            program.wait()
            a, b = statistics.median(rust), statistics.median(python)
            print(f"{name}, {threads} threads, in ms: bench {a:.2f}, from Python {b:.2f}, {b / a:.3f} times")


def files(folder):
    rng = np.random.default_rng(0)
    tensors = {f"layers.{i}.weight": rng.random((1024, 1024), dtype=np.float32) for i in range(128)}
    paths = {name: os.path.join(folder, f"{name}.safetensors") for name in ("own", "library")}
    own.save_file(tensors, paths["own"])
    library.save_file(tensors, paths["library"])
    works = {
        "load_file": lambda: own.load_file(paths["own"]),
        "the library's load_file": lambda: library.load_file(paths["own"]),
        "save_file": lambda: own.save_file(tensors, paths["own"]),
        "the library's save_file": lambda: library.save_file(tensors, paths["library"]),
    }
    for name, t in in_turns(9, works).items():
        print(f"{name}, 512 MiB: {t * 1e3:.0f} ms")
    with open(paths["own"], "rb") as a, open(paths["library"], "rb") as b:
        print("the files are", "equal" if a.read() == b.read() else "not equal")


def main():
    binary, zoo = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        calls()
        files(folder)
        models(binary, zoo, folder)


if __name__ == "__main__":
    main()
