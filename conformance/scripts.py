"""Judges TorchScript archives by PyTorch.

    python3 scripts.py MODELSMITH [--keep FOLDER] [--mutate] [NAME..]

Each program of script_programs.py is scripted and saved; the archive is converted to ONNX, which ONNX Runtime runs, and
run by MODELSMITH itself. Both are held against what PyTorch gives for each of the program's inputs. A program whose
outputs are equal for all inputs proves nothing and is an error here. What the inputs cover is printed; a branch of which
they take one way only is an error. With --mutate each branch of the converted model is replaced by one of its ways, once by
either: a copy that still agrees for all inputs is an error too. Exits 1 when something differs.
"""

import argparse
import linecache
import pathlib
import subprocess
import sys
import tempfile
import threading
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from script_coverage import frozen, ways
from script_programs import PROGRAMS

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)


def flat(value):
    """The tensors of a result, numbers as tensors."""
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in flat(v)]
    return [value.detach().numpy() if isinstance(value, torch.Tensor) else np.array(value)]


def close(ours, theirs):
    """True where both are alike within 1e-4 of the largest."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return False
    return np.allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=1e-4, atol=1e-5, equal_nan=True)


def fed(session, args):
    """The inputs of a session by name, in its element types."""
    kinds = {"tensor(int64)": np.int64, "tensor(bool)": bool, "tensor(float)": np.float32}
    values = [a.numpy() if isinstance(a, torch.Tensor) else np.array(a) for a in args]
    return {i.name: v.astype(kinds[i.type]) for i, v in zip(session.get_inputs(), values)}


def ranks(module, args):
    """Options that say how many dimensions each tensor has."""
    names = [a.name for a in module.forward.schema.arguments[1:]]
    tensors = [(n, a.dim()) for n, a in zip(names, args) if isinstance(a, torch.Tensor)]
    return [o for n, rank in tensors for o in ("--shape", f"{n}={'x'.join('?' * rank)}")]


def data_set(folder, feed, wanted):
    folder.mkdir(parents=True)
    for i, (name, v) in enumerate(feed.items()):
        (folder / f"input_{i}.pb").write_bytes(numpy_helper.from_array(v, name).SerializeToString())
    for i, v in enumerate(wanted):
        v = v.astype(np.float32) if v.dtype == np.float64 else v
        (folder / f"output_{i}.pb").write_bytes(numpy_helper.from_array(v).SerializeToString())


def covered(name):
    """What the inputs of a program cover, in words, and the branches of which they take one way only."""
    program, inputs = PROGRAMS[name]
    branches, seen, runs, loops = ways(program, inputs)
    counts = {k: sorted(v) for k, v in runs.items()}
    said = f"{len(inputs)} inputs, {len(seen)} of {2 * branches} ways"
    if loops:
        said += ", loops run " + "; ".join("/".join(map(str, v)) + " times" for v in counts.values())
    missing = {(f, i, way) for f, i, _ in seen for way in (True, False)} - seen
    return said, [f"branch {i} of {f} never goes {way}" for f, i, way in sorted(missing)]


def ended(session, feed, seconds=3):
    """The outputs of a run; one that does not end by itself is ended, and throws."""
    options = onnxruntime.RunOptions()
    timer = threading.Timer(seconds, lambda: setattr(options, "terminate", True))
    timer.start()
    try:
        return session.run(None, feed, options)
    finally:
        timer.cancel()


def mutants(model, feeds, results):
    """Branches of the converted model that could be replaced by one of their ways unseen."""
    alive = []
    for what, mutant in frozen(onnx.load(str(model))):
        try:
            session = onnxruntime.InferenceSession(mutant.SerializeToString(), providers=["CPUExecutionProvider"])
            same = all(
                all(map(close, ended(session, feed), wanted)) for feed, wanted in zip(feeds, results, strict=True)
            )
        except Exception:  # a way that fails or never ends is seen
            same = False
        if same:
            alive.append(f"unseen: {what}")
    return alive


def judge(tool, name, folder, mutate):
    """What is wrong with a program, in words; nothing where all agrees."""
    module, inputs = PROGRAMS[name]
    scripted = torch.jit.script(module)
    if not isinstance(scripted, torch.jit.ScriptModule):
        scripted = wrapped(scripted)
    archive, model = folder / f"{name}.pt", folder / f"{name}.onnx"
    torch.jit.save(scripted, str(archive))
    shapes = ranks(scripted, inputs[0])
    done = subprocess.run([tool, "convert", archive, model, "--verify", "no", *shapes], capture_output=True, text=True)
    if done.returncode:
        return [f"convert: exit {done.returncode}: {done.stderr.strip()[:300]}"]
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime throws its own kinds
        return [f"ONNX Runtime: {str(e)[:300]}"]
    wrong, results, feeds = [], [], []
    for k, args in enumerate(inputs):
        wanted = flat(scripted(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args]))
        results.append(wanted)
        feed = fed(session, args)
        feeds.append(feed)
        try:
            got = session.run(None, feed)
            if len(got) != len(wanted) or not all(map(close, got, wanted)):
                wrong.append(f"input {k}: ONNX Runtime gives {got}, PyTorch {wanted}"[:300])
        except Exception as e:
            wrong.append(f"input {k}: ONNX Runtime: {str(e)[:200]}")
        data = folder / f"{name}-{k}"
        data_set(data, feed, wanted)
        done = subprocess.run(
            [tool, "run", archive, "--test-data", data, "--rtol", "1e-4", "--atol", "1e-5", *shapes],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            wrong.append(f"input {k}: run: exit {done.returncode}: {(done.stderr + done.stdout)[-300:]}")
    if all(len(r) == len(results[0]) and all(map(close, r, results[0])) for r in results):
        wrong.append("all inputs give the same")
    if mutate and not wrong:
        wrong += mutants(model, feeds, results)
    return wrong


def wrapped(function):
    """A scripted function as the method `forward` of a module."""
    args = [a.name for a in function.schema.arguments]
    types = {"Tensor": "torch.Tensor"}
    typed = ", ".join(f"{a.name}: {types.get(str(a.type), str(a.type))}" for a in function.schema.arguments)
    return _module(function, typed, args)


def _module(function, typed, args):
    text = (
        "class Program(torch.nn.Module):\n"
        f"    def forward(self, {typed}):\n        return body({', '.join(args)})\n"
    )
    name = f"<program {function.name}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space = {"torch": torch, "body": function, "__name__": "program"}
    exec(compile(text, name, "exec"), space)
    return torch.jit.script(space["Program"]())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--mutate", action="store_true")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    names = a.names or list(PROGRAMS)
    failed = 0
    with tempfile.TemporaryDirectory() as private:
        for name in names:
            folder = (a.keep or pathlib.Path(private)) / name
            folder.mkdir(parents=True, exist_ok=True)
            said, missing = covered(name)
            wrong = judge(a.tool, name, folder, a.mutate) + missing
            failed += bool(wrong)
            print(f"{name}: {'agrees' if not wrong else 'FAILS'} ({said})", *wrong, sep="\n    ", flush=True)
    print(f"{len(names) - failed} of {len(names)} programs agree")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
