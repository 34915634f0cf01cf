"""Judges exported programs (.pt2) by PyTorch.

    python3 exports.py MODELSMITH [--keep FOLDER] [NAME..]

Each program of export_programs.py is exported and saved, as it is and decomposed into core operators; the archive is
converted to ONNX, which ONNX Runtime runs, and run by MODELSMITH itself. Both are held against what PyTorch gives for each of
the program's inputs. A program whose outputs are equal for all inputs proves nothing and is an error here. Exits 1 when
something differs.
"""

import argparse
import copy
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
from onnx import numpy_helper

from export_programs import LOOSE, ONLY, PROGRAMS

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)
KINDS = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": bool,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


def leaves(value):
    """Tensors and numbers of a structure, in order."""
    return [v for v in torch.utils._pytree.tree_leaves(value) if v is not None]


def arrays(values):
    plain = lambda v: np.array(v, dtype=np.float32 if isinstance(v, float) else None)
    return [v.detach().numpy() if isinstance(v, torch.Tensor) else plain(v) for v in values]


def close(ours, theirs, within):
    """True where both are alike within a share of the largest; integers within 1 where that is 1: after a rounding."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return False
    whole = ours.dtype.kind in "iub"
    step = float(within == 1) if whole else (1e-4 if within == 1 else within) * max(1.0, np.abs(theirs).max(initial=0))
    return np.allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=0, atol=step, equal_nan=True)


def data_set(folder, feed, wanted):
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, v) in enumerate(feed.items()):
        (folder / f"input_{i}.pb").write_bytes(numpy_helper.from_array(v, name).SerializeToString())
    for i, v in enumerate(wanted):
        (folder / f"output_{i}.pb").write_bytes(numpy_helper.from_array(v).SerializeToString())


def results(module, args):
    """What PyTorch gives, after it the inputs that it has written to, and its buffers by name."""
    given, own = copy.deepcopy(args), copy.deepcopy(module)
    made = leaves(own(*given))
    pairs = zip(leaves(given), leaves(args))
    written = [a for a, b in pairs if isinstance(a, torch.Tensor) and not torch.equal(a, b)]
    return arrays(made + written), {name: b.detach().numpy() for name, b in own.named_buffers()}


def judge(tool, archive, module, inputs, within):
    """What is wrong with an archive, in words; nothing where all agrees."""
    model = archive.with_suffix(".onnx")
    done = subprocess.run([tool, "convert", archive, model, "--verify", "no"], capture_output=True, text=True)
    if done.returncode:
        return [f"convert: exit {done.returncode}: {done.stderr.strip()[:400]}"]
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime throws its own kinds
        return [f"ONNX Runtime: {str(e)[:300]}"]
    wrong, all_results = [], []
    # A state is an input, and an output under the name with `_next`.
    ends = [o.name[:-5] for o in session.get_outputs() if o.name.endswith("_next")]
    begins = {n: b.detach().numpy() for n, b in module.named_buffers() if n in ends}
    wanted_inputs = [i for i in session.get_inputs() if i.name not in begins]
    for k, args in enumerate(inputs):
        wanted, buffers = results(module, args)
        wanted += [buffers[n] for n in ends]
        all_results.append(wanted)
        given = leaves(args)
        if len(given) != len(wanted_inputs):
            given = [v for v in given if isinstance(v, torch.Tensor)]
        feed = {i.name: np.asarray(v).astype(KINDS[i.type]) for i, v in zip(wanted_inputs, given)} | begins
        try:
            got = session.run(None, feed)
            alike = len(got) == len(wanted) and all(close(g, w, within) for g, w in zip(got, wanted))
            if not alike:
                wrong.append(f"input {k}: ONNX Runtime gives {got}, PyTorch {wanted}"[:500])
        except Exception as e:
            wrong.append(f"input {k}: ONNX Runtime: {str(e)[:300]}")
        data = archive.with_suffix(f".data-{k}")
        data_set(data, feed, wanted)
        options = ["--rtol", str(min(within, 0.1)), "--atol", str(within)]
        done = subprocess.run([tool, "run", archive, "--test-data", data, *options], capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"input {k}: run: exit {done.returncode}: {(done.stderr + done.stdout)[-400:]}")
    if all(len(r) == len(all_results[0]) and all(close(a, b, 1e-4) for a, b in zip(r, all_results[0])) for r in all_results):
        wrong.append("all inputs give the same")
    return wrong


def archives(name, folder):
    """The archives of a program with what they are judged by, or why there are none."""
    torch.manual_seed(0)
    module, example, free, inputs = PROGRAMS[name]()
    exported = torch.export.export(copy.deepcopy(module), copy.deepcopy(example), dynamic_shapes=free)
    for way in ONLY.get(name, ["exported", "decomposed"]):
        archive = folder / f"{way}.pt2"
        torch.export.save(exported if way == "exported" else exported.run_decompositions(), str(archive))
        yield way, archive, module, inputs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    names = a.names or list(PROGRAMS)
    failed = count = 0
    with tempfile.TemporaryDirectory() as private:
        for name in names:
            folder = (a.keep or pathlib.Path(private)) / name
            folder.mkdir(parents=True, exist_ok=True)
            try:
                for way, archive, module, inputs in archives(name, folder):
                    wrong = judge(a.tool, archive, module, inputs, 1 if "quantized" in name else LOOSE.get(name, 1e-4))
                    count, failed = count + 1, failed + bool(wrong)
                    print(f"{name} {way}: {'agrees' if not wrong else 'FAILS'}", *wrong, sep="\n    ", flush=True)
            except ModuleNotFoundError as e:
                print(f"{name}: left out, {e}")
            except Exception as e:
                count, failed = count + 1, failed + 1
                print(f"{name}: PyTorch does not export it: {str(e)[:300]}", flush=True)
    print(f"{count - failed} of {count} archives agree")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
