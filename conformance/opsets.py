#!/usr/bin/env python3
"""Models taken to other opsets, run there, beside what they computed before.

usage: opsets.py BINARY FOLDER... [--opsets 28,13,7] [--table FILE] [--page FILE.md] [--match TEXT] [--runs N]
A folder holds cases of the ONNX project (NAME/model.onnx with test_data_set_K and tolerance.json) or `.onnx` files. Each
model is converted to each opset, and what comes out must import that opset and compute the same: the expected outputs of a
case within its tolerance, by the reference and, where it loads the file, by ONNX Runtime; of a file, what ONNX Runtime
computes of the original on random inputs, or the cpu backend where it loads one of the two not. A refusal must name a node, a reason and the nearest opset that can say the
model. `--page` writes the counts and the reasons of refusals between the marks of a page. `--opsets` may say `X-Y`: up or down to X first, then to Y. Exit code 1 when something differs or a refusal is vague.
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
        wanted = [read(f"{data}/output_{k}.pb", o) for k, o in enumerate(model.graph.output)]
    except Exception:
        return "", None
    if close(wanted, before):
        # It does not run the case as the case says; what it makes of it elsewhere judges nothing.
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
        if code == 3:
            return "not readable", " ".join(text.split())[-200:]
        if code:
            return ("refused" if refusal(text) else "vague"), " ".join(text.split())[-400:]
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


def by_ourselves(binary, file, path):
    """The outcome of a comparison that the binary makes itself, on inputs that it draws."""
    done = subprocess.run([binary, "compare", file, path, "--samples", "1", "--quiet"], capture_output=True, text=True)
    said = " ".join((done.stdout + done.stderr).split())[-200:]
    return {0: ("equal", ""), 1: ("inconclusive" if "inconclusive" in said else "differs", said)}.get(done.returncode, ("does not run", said))


# What a refusal says, as the page groups it.
REASONS = [(r"has no decomposition", "the operator is younger than the opset, and has no decomposition"),
           (r"begins at opset", "the operator is younger, and its decomposition does not say this node"),
           (r"takes no \S+ at opset", "an element type that the operator took later"),
           (r"has no attribute", "an attribute that came later, at a value that is not its default"),
           (r"has at most", "an operand or output that came later"),
           (r"computed at run time", "an operand computed at run time, which was an attribute"),
           (r"does not broadcast", "operands that the older form does not broadcast"),
           (r"training before", "training"),
           (r"allowzero", "sizes that may be 0, beside allowzero"),
           (r"which \S+ cannot hold", "operands of two types, which were of one"),
           (r"only the last axis|steps other|unequal parts", "an axis, a step or parts that the older form does not have"),
           (r"unknown (rank|shape|type|size)", "the older form needs a rank, size or type that is not known")]


def reason(text):
    return next((name for pattern, name in REASONS if re.search(pattern, text)), "a mode or value that came later")


def page(path, counts, refused):
    """Writes the two tables between the marks of a page."""
    kinds = ["equal, in ONNX Runtime too", "equal", "refused", "differs", "vague"]
    rows = ["| Models | To opset | Models | kept, judged by ONNX Runtime | kept, judged here | refused | broken | others |", "|---|---:|---:|---:|---:|---:|---:|---|"]
    for (label, way), c in counts.items():
        others = ", ".join(f"{n} {o}" for o, n in c.most_common() if o not in kinds)
        cells = [c[kinds[0]], c["equal"], c["refused"], c["differs"] + c["vague"]]
        rows.append(f"| {label} | {way} | {sum(c.values()):,} | " + " | ".join(f"{n:,}" for n in cells) + f" | {others} |")
    ways = list(dict.fromkeys(way for _, way in counts))
    rows += ["", "| Refused because | " + " | ".join(f"to {w}" for w in ways) + " |", "|---|" + "---:|" * len(ways)]
    for name, _ in sum(refused.values(), collections.Counter()).most_common():
        rows.append(f"| {name} | " + " | ".join(str(refused[w][name]) for w in ways) + " |")
    text, filled = open(path).read(), "\n".join(rows)
    text = re.sub(r"(<!-- table -->\n).*?(\n<!-- end -->)", lambda m: m[1] + filled + m[2], text, flags=re.S)
    open(path, "w").write(text)


def judge_file(binary, file, way, folder):
    path = file
    for step, opset in enumerate(way):
        out = os.path.join(folder, f"{os.path.basename(file)}.{step}.onnx")
        code, text = converted(binary, path, opset, out)
        if code == 3:
            return "not readable", " ".join(text.split())[-200:]
        if code:
            return ("refused" if refusal(text) else "vague"), " ".join(text.split())[-400:]
        path = out
    try:
        first = session(file)
    except Exception:
        return by_ourselves(binary, file, path)
    if way[-1] > LOADS:
        return by_ourselves(binary, file, path)
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
            outcome, why = by_ourselves(binary, file, path)
            return outcome, why or f"ONNX Runtime: {say(str(error))[:160]}"
        for k, (b, a) in enumerate(zip(before, after)):
            if isinstance(b, np.ndarray) and b.dtype.kind == "f" and not np.allclose(a, b, rtol=1e-3, atol=tolerance(before), equal_nan=True):
                return "differs", f"output {k} by {np.nanmax(np.abs(a - b)):g}"
            if isinstance(b, np.ndarray) and b.dtype.kind not in "f" and not np.array_equal(a, b):
                return "differs", f"output {k}: other integers, booleans or strings"
        return "equal, in ONNX Runtime too", ""
    return by_ourselves(binary, file, path)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("binary"); ap.add_argument("folders", nargs="+"); ap.add_argument("--opsets", default="28,13,7")
    ap.add_argument("--table"); ap.add_argument("--page"); ap.add_argument("--match", default=""); ap.add_argument("--runs", type=int, default=2)
    args = ap.parse_args()
    jobs = []
    for folder in args.folders:
        cases = sorted(glob.glob(f"{folder}/*/tolerance.json"))
        found = [(judge_case, os.path.dirname(c)) for c in cases]
        found += [(judge_file, f) for f in sorted(glob.glob(f"{folder}/**/*.onnx", recursive=True))] if not cases else []
        for way in args.opsets.split(","):
            label = f"{os.path.basename(folder.rstrip('/'))}"
            jobs += [(judge, p, way, label) for judge, p in found if args.match in os.path.basename(p)]
    counts, refused, said = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter), []
    with tempfile.TemporaryDirectory() as top, concurrent.futures.ThreadPoolExecutor(args.runs) as pool:
        def one(job):
            judge, path, way, _ = job
            with tempfile.TemporaryDirectory(dir=top) as folder:
                return judge(args.binary, path, [int(n) for n in way.split("-")], folder)
        for (_, path, way, label), (outcome, text) in zip(jobs, pool.map(one, jobs)):
            counts[label, way][outcome] += 1
            if outcome == "refused":
                refused[way][reason(text)] += 1
            if outcome not in ("equal", "equal, in ONNX Runtime too", "written"):
                said.append(f"{way} {os.path.basename(path)} {outcome}: {text}")
                print(said[-1], flush=True)
    for (label, way), c in counts.items():
        print(f"{label} to opset {way}: " + ", ".join(f"{n} {o}" for o, n in c.most_common()))
    if args.page:
        page(args.page, counts, refused)
    if args.table:
        with open(args.table, "w") as f:
            f.write("\n".join(said) + "\n")
    sys.exit(any(c["differs"] or c["vague"] for c in counts.values()) or not jobs)


if __name__ == "__main__":
    main()
