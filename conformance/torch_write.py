#!/usr/bin/env python3
"""Judges the TorchScript archives that MODELSMITH writes by PyTorch.

usage: torch_write.py MODELSMITH FOLDER.. [--back] [--verify] [--keep FOLDER] [--only TEXT] [--rtol 1e-4]

Each FOLDER holds folders of ONNX models with data sets, as the ONNX project lays them out: `model.onnx` (and `raw.onnx`)
with `test_data_set_K`, `dynamic.onnx` with `dynamic_data_set_K`. Each model is converted to `.pt`, `torch.jit.load` runs it
on every set, and its outputs are held against those of the set: the largest difference over the largest value is at most
RTOL (or what a `tolerance.json` in the folder allows; 5e-3 for 16 bits), integers are equal. A model that is refused is tried again
with its small integer inputs, scales and regions as constants, as files in the field have them. With --back the archive is converted to ONNX again and ONNX Runtime runs that too. With --verify
MODELSMITH verifies as it converts. Printed are a line for each model, where there are fewer than 100, else those that
differ; the refusals by their reason; and sums. Exit code 1 when something differs or fails.
"""
import argparse, collections, glob, json, os, re, subprocess, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
import torch

from operators import value

rt.set_default_logger_severity(4)


def jobs(folders, only):
    """Models with their data sets."""
    for folder in folders:
        for path in sorted(glob.glob(f"{folder}/**/*.onnx", recursive=True)):
            at, name = os.path.split(path)
            kind = "dynamic" if name == "dynamic.onnx" else "test"
            sets = sorted(glob.glob(f"{at}/{kind}_data_set_*"))
            if sets and only in path:
                yield path, sets


def tensor(x):
    """A value of a data set as PyTorch takes it."""
    if isinstance(x, list):
        return [tensor(v) for v in x]
    x = np.array(x)
    if x.dtype.name == "bfloat16":
        return torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(x)


def flat(values):
    return [x for v in values for x in (flat(v) if isinstance(v, (list, tuple)) else [v])]


def array(x):
    x = x.detach()
    return (x.float() if x.dtype == torch.bfloat16 else x).numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def off(got, want):
    """The largest difference over the largest value; infinite where types, shapes or integers are others."""
    got, want = np.asarray(got), np.asarray(want)
    if want.dtype.name == "bfloat16":
        want = want.astype(np.float32)
    if got.shape != want.shape or got.dtype != want.dtype:
        return np.inf
    if got.dtype.kind != "f":
        return 0.0 if np.array_equal(got, want) else np.inf
    a, b = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return np.inf
    if not finite.any():
        return 0.0
    return float(np.abs(a[finite] - b[finite]).max() / max(np.abs(b[finite]).max(), 1e-6))


def folded(path, sets, to):
    """The model with small integer inputs, scales and regions as constants of the first set; None where it has none."""
    model = onnx.load(path)
    if any(v.type.WhichOneof("value") != "tensor_type" for v in [*model.graph.input, *model.graph.output]):
        return None, []
    names, given, _ = data(sets[0], model.graph)
    small = lambda n, v: isinstance(v, np.ndarray) and v.ndim < 2 and (v.dtype.kind == "i" or n in ("scales", "roi"))
    which = [i for i, (n, v) in enumerate(zip(names, given)) if i > 0 and small(n, v)]
    if not which or len(sets) > 1:
        return None, []
    for i in which:
        model.graph.initializer.append(onnx.numpy_helper.from_array(given[i], names[i]))
    kept = [v for v in model.graph.input if v.name not in {names[i] for i in which}]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    onnx.save(model, to)
    return to, which


def data(folder, graph):
    """Inputs and outputs of a set."""
    kind = lambda v: v.type.WhichOneof("value")
    weights = {i.name for i in graph.initializer}
    inputs = [v for v in graph.input if v.name not in weights]
    given = [value(f"{folder}/input_{i}.pb", kind(v)) for i, v in enumerate(inputs)]
    wanted = [value(f"{folder}/output_{i}.pb", kind(v)) for i, v in enumerate(graph.output)]
    return [v.name for v in inputs], given, wanted


def judge(tool, path, sets, folder, options, source=None, gone=()):
    """("agrees" | "differs" | "refused" | "failed", sets that agree, largest difference, why)"""
    if source is None:
        found = judge(tool, path, sets, folder, options, path)
        if found[0] == "refused":
            constant, gone = folded(path, sets, os.path.join(folder, "folded.onnx"))
            again = judge(tool, path, sets, folder, options, constant, gone) if constant else found
            found = found if again[0] == "refused" else again
        return found
    allowed = options.rtol
    tolerance = os.path.join(os.path.dirname(path), "tolerance.json")
    if os.path.exists(tolerance):
        allowed = max(allowed, json.load(open(tolerance))["rtol"])
    archive = os.path.join(folder, re.sub(r"\W+", "_", path) + ".pt")
    verify = [] if options.verify else ["--verify", "no"]
    done = subprocess.run([tool, "convert", source, archive, *verify], capture_output=True, text=True)
    if done.returncode == 5:
        return "refused", 0, 0, done.stderr
    if done.returncode:
        return "failed", 0, 0, f"convert: exit {done.returncode}: {(done.stderr + done.stdout).strip()[-400:]}"
    try:
        module = torch.jit.load(archive)
    except Exception as e:
        return "failed", 0, 0, f"torch.jit.load: {str(e).strip()[-400:]}"
    session = None
    if options.back:
        back = archive[:-3] + ".onnx"
        done = subprocess.run([tool, "convert", archive, back, "--verify", "no"], capture_output=True, text=True)
        if done.returncode:
            return "failed", 0, 0, f"back to ONNX: exit {done.returncode}: {done.stderr.strip()[-400:]}"
        try:
            session = rt.InferenceSession(back, providers=["CPUExecutionProvider"])
        except Exception as e:
            return "failed", 0, 0, f"ONNX Runtime: {str(e)[:300]}"
    graph = onnx.load(path, load_external_data=False).graph
    agree, worst, why = 0, 0.0, ""
    for one in sets:
        names, given, wanted = data(one, graph)
        names = [n for i, n in enumerate(names) if i not in gone]
        given = [v for i, v in enumerate(given) if i not in gone]
        half = any(np.asarray(w).dtype.name in ("float16", "bfloat16") for w in flat(wanted))
        limit = max(allowed, 5e-3 if half else 0)
        try:
            with torch.no_grad():
                runs = [[array(x) for x in flat([module(*map(tensor, given))])]]
            if session:
                runs.append(flat(session.run(None, dict(zip(names, given)))))
        except Exception as e:
            why = why or f"{os.path.basename(one)}: {str(e).strip()[-400:]}"
            worst = np.inf
            continue
        wanted = flat(wanted)
        found = max([off(g, w) for got in runs for g, w in zip(got, wanted)] or [0.0])
        found = found if all(len(got) == len(wanted) for got in runs) else np.inf
        worst = max(worst, found)
        agree += found <= limit
        if found > limit and not why:
            why = f"{os.path.basename(one)}: by {found:g}: " + ", ".join(f"{g.dtype}{list(g.shape)}" for g in runs[0])
    if not options.keep:
        size = os.path.getsize(archive)
        os.remove(archive)
    else:
        size = os.path.getsize(archive)
    kind = "agrees" if agree == len(sets) else "differs"
    return kind, agree, worst, why or f"{size / 1e6:.1f} MB"


def reasons(text):
    """Operators and reasons of a refusal."""
    return re.findall(r"\(?(\w+)\)?(?:#\d+)?: (.+)", text.split("nodes:", 1)[-1].split("help:")[0]) or [("", text.strip()[:200])]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tool")
    p.add_argument("folders", nargs="+")
    p.add_argument("--back", action="store_true")
    p.add_argument("--verify", action="store_true")
    p.add_argument("--keep")
    p.add_argument("--only", default="")
    p.add_argument("--rtol", type=float, default=1e-4)
    options = p.parse_args()
    torch.set_num_threads(2)
    sums, refused = collections.Counter(), collections.Counter()
    work = list(jobs(options.folders, options.only))
    with tempfile.TemporaryDirectory() as scratch:
        for path, sets in work:
            kind, agree, worst, why = judge(options.tool, path, sets, options.keep or scratch, options)
            sums[kind] += 1
            sums["sets"] += len(sets) if kind != "refused" else 0
            sums["agreeing sets"] += agree
            if kind == "refused":
                refused.update({f"{op}: {reason}" for op, reason in reasons(why)})
            if len(work) < 100 or kind in ("differs", "failed"):
                name = "/".join(path.split("/")[-2:])
                print(f"{name:<48} {kind:<8} {agree:>2} of {len(sets):<2} {worst:9.1e}  {' '.join(why.split())[:300]}", flush=True)
    for reason, count in refused.most_common():
        print(f"refused {count:>4}  {reason}")
    print(", ".join(f"{v} {k}" for k, v in sums.items()))
    raise SystemExit(1 if sums["differs"] or sums["failed"] else 0)


if __name__ == "__main__":
    main()
