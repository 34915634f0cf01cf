#!/usr/bin/env python3
"""Models taken to other opsets, run there, beside what they computed before.

usage: opsets.py BINARY FOLDER... [--opsets 28,13,7] [--table FILE.md] [--match TEXT] [--runs N]
A folder holds cases of the ONNX project (NAME/model.onnx with test_data_set_K and tolerance.json) or `.onnx` files. Each
model is converted to each opset, and what comes out must import that opset and compute the same: the expected outputs of a
case within its tolerance, by the reference and, where it loads the file, by ONNX Runtime; of a file, what ONNX Runtime
computes of the original on random inputs. A refusal must name a node, a reason and the nearest opset that can say the
model. `--opsets` may say `X-Y`: up or down to X first, then to Y. Exit code 1 when something differs or a refusal is vague.
"""
import argparse, collections, concurrent.futures, glob, json, os, re, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from corpus import draw, tolerance
from onnx import numpy_helper

# Newest opset that this ONNX Runtime loads.
LOADS = 26


def say(text):
    """The last thing that a program said."""
    return (text.strip().splitlines() or ["nothing"])[-1].strip()


def converted(binary, path, opset, out):
    done = subprocess.run([binary, "convert", path, out, "--opset", str(opset), "--verify", "no"], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def session(path):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = rt.GraphOptimizationLevel.ORT_DISABLE_ALL
    return rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def read(path, info):
    data = open(path, "rb").read()
    if info.type.WhichOneof("value") != "tensor_type":
        raise ValueError("no tensor")
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def peer_case(case, path):
    """None when ONNX Runtime, which must run the case as it is, agrees with it after conversion; else why not."""
    model = onnx.load(f"{case}/model.onnx")
    data = f"{case}/test_data_set_0"
    try:
        feed = {i.name: read(f"{data}/input_{k}.pb", i) for k, i in enumerate(model.graph.input)}
        before = session(f"{case}/model.onnx").run(None, feed)
    except Exception:
        return "", None
    try:
        after = session(path).run(None, feed)
    except Exception as error:
        return "refuses", say(str(error))[:120]
    return "runs", close(before, after)


def close(before, after):
    for k, (b, a) in enumerate(zip(before, after)):
        if isinstance(b, list):
            why = close(b, a) if len(b) == len(a) else "another length"
            if why:
                return f"output {k}: {why}"
            continue
        b, a = np.asarray(b), np.asarray(a)
        if b.shape != a.shape or b.dtype != a.dtype:
            return f"output {k}: {a.dtype}{list(a.shape)} instead of {b.dtype}{list(b.shape)}"
        if b.dtype.kind in "fc":
            loose = 1e-2 if b.dtype.itemsize == 2 else 1e-3
            if not np.allclose(a, b, rtol=loose, atol=max(loose * 1e-2 * float(np.abs(b[np.isfinite(b)]).max(initial=0)), 1e-7), equal_nan=True):
                return f"output {k} by {np.nanmax(np.abs(a.astype(float) - b.astype(float))):g}"
        elif not np.array_equal(a, b):
            return f"output {k}: other integers, booleans or strings"
    return None


def by_reference(binary, case, path):
    bounds = json.load(open(f"{case}/tolerance.json"))
    for data in sorted(glob.glob(f"{case}/test_data_set_*")):
        command = [binary, "run", path, "--backend", "reference", "--test-data", data, "--rtol", str(bounds["rtol"]), "--atol", str(bounds["atol"])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return say(done.stdout + done.stderr)[:160]
    return None


def imported(path):
    return max([o.version for o in onnx.load(path, load_external_data=False).opset_import if o.domain in ("", "ai.onnx")], default=0)


def refusal(text):
    """Whether a refusal names a node, gives a reason and an opset that can."""
    return bool(re.search(r"\(node [^)]+\)", text)) and ("nearest" in text or "no opset can" in text)


def judge_case(binary, case, way, folder):
    """(outcome, what was said) of one case on one way."""
    path = f"{case}/model.onnx"
    for step, opset in enumerate(way):
        out = os.path.join(folder, f"{os.path.basename(case)}.{step}.onnx")
        code, text = converted(binary, path, opset, out)
        if code:
            return ("refused" if refusal(text) else "vague"), " ".join(text.split())[-300:]
        path = out
    if imported(path) not in (0, way[-1]):
        return "differs", f"the file imports opset {imported(path)}"
    why = by_reference(binary, case, path)
    if why:
        # A case that fails as it is says nothing of the conversion.
        return ("differs", why) if by_reference(binary, case, f"{case}/model.onnx") is None else ("fails anyway", why)
    if way[-1] <= LOADS:
        ran, why = peer_case(case, path)
        if why:
            return ("differs" if ran == "runs" else "not loaded"), f"ONNX Runtime: {why}"
        return ("equal, in ONNX Runtime too" if ran else "equal"), ""
    return "equal", ""


def judge_file(binary, file, way, folder):
    path = file
    for step, opset in enumerate(way):
        out = os.path.join(folder, f"{os.path.basename(file)}.{step}.onnx")
        code, text = converted(binary, path, opset, out)
        if code:
            return ("refused" if refusal(text) else "vague"), " ".join(text.split())[-300:]
        path = out
    try:
        first = session(file)
    except Exception as error:
        return "not loaded", f"ONNX Runtime, before: {say(str(error))[:120]}"
    if way[-1] > LOADS:
        return "written", ""
    for attempt in range(10):
        rng = np.random.default_rng(0)
        try:
            feed = {i.name: draw(rng, i, attempt, k > 0) for k, i in enumerate(first.get_inputs())}
            before = first.run(None, feed)
        except Exception:
            continue
        try:
            after = session(path).run(None, feed)
        except Exception as error:
            return "not loaded", f"ONNX Runtime: {say(str(error))[:160]}"
        for k, (b, a) in enumerate(zip(before, after)):
            if isinstance(b, np.ndarray) and b.dtype.kind == "f" and not np.allclose(a, b, rtol=1e-3, atol=tolerance(before), equal_nan=True):
                return "differs", f"output {k} by {np.nanmax(np.abs(a - b)):g}"
            if isinstance(b, np.ndarray) and b.dtype.kind not in "f" and not np.array_equal(a, b):
                return "differs", f"output {k}: other integers, booleans or strings"
        return "equal, in ONNX Runtime too", ""
    return "no inputs", ""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("folders", nargs="+"); ap.add_argument("--opsets", default="28,13,7")
    ap.add_argument("--table"); ap.add_argument("--match", default=""); ap.add_argument("--runs", type=int, default=2)
    args = ap.parse_args()
    jobs = []
    for folder in args.folders:
        cases = sorted(glob.glob(f"{folder}/*/tolerance.json"))
        found = [(judge_case, os.path.dirname(c)) for c in cases]
        found += [(judge_file, f) for f in sorted(glob.glob(f"{folder}/**/*.onnx", recursive=True))] if not cases else []
        for way in args.opsets.split(","):
            jobs += [(judge, p, way) for judge, p in found if args.match in os.path.basename(p)]
    counts, said = collections.defaultdict(collections.Counter), []
    with tempfile.TemporaryDirectory() as top, concurrent.futures.ThreadPoolExecutor(args.runs) as pool:
        def one(job):
            judge, path, way = job
            with tempfile.TemporaryDirectory(dir=top) as folder:
                return judge(args.binary, path, [int(n) for n in way.split("-")], folder)
        for (_, path, way), (outcome, text) in zip(jobs, pool.map(one, jobs)):
            counts[way][outcome] += 1
            if outcome not in ("equal", "equal, in ONNX Runtime too", "written"):
                said.append(f"{way} {os.path.basename(path)} {outcome}: {text}")
                print(said[-1], flush=True)
    for way, c in counts.items():
        print(f"opset {way}: " + ", ".join(f"{n} {o}" for o, n in c.most_common()))
    if args.table:
        with open(args.table, "w") as f:
            f.write("\n".join(said) + "\n")
    sys.exit(any(c["differs"] or c["vague"] for c in counts.values()) or not jobs)


if __name__ == "__main__":
    main()
