#!/usr/bin/env python3
"""What `check --target` says beside what the runtime does, and what `convert --target` makes of models that do not load.

usage: targets.py MODELSMITH FOLDER... [--target NAME] [--cache FILE.json] [--convert] [--list]
MODELSMITH is the program; a FOLDER holds cases (NAME/model.onnx with test_data_set_0) or .onnx files at any depth. --target is
onnxruntime-1.31 (default) or openvino-2026.4, in the version that Python imports. A model loads when a session is created
(ONNX Runtime, CPU) or when it is read and compiled for CPU (OpenVINO). Prints a table of prediction against fact; --list adds the
models of each wrong corner with the reason of the runtime or the first gap. With --convert, every model that does not load is
converted; counted is which load then, and which give the recorded outputs of their case. --cache keeps what the runtime said.
Exit code 1 when a prediction for ONNX Runtime is wrong. Needs `base|peers` of setup.sh.
"""
import argparse, collections, glob, json, os, subprocess, sys, tempfile, warnings
import concurrent.futures as futures
import concurrent.futures.process as process

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper


def loader(target):
    """load(path) -> object that runs; raises when the model does not load."""
    if target.startswith("onnxruntime"):
        import onnxruntime as rt

        rt.set_default_logger_severity(4)

        def load(path):
            return rt.InferenceSession(path, providers=["CPUExecutionProvider"])

        return load
    import openvino as ov

    core = ov.Core()
    return lambda path: core.compile_model(core.read_model(path), "CPU")


LOAD = {}


def first_line(e):
    text = str(e).strip()
    for key in ("No conversion rule found for operations:", "with a message:", "Error Unrecognized", "NOT_IMPLEMENTED"):
        if key in text:
            return text[text.index(key) :][:300].replace("\n", " ")
    return text[:300].replace("\n", " ")


def loads(target, path):
    """None, or why it does not load."""
    if target not in LOAD:
        LOAD[target] = loader(target)
    try:
        LOAD[target](path)
        return None
    except Exception as e:
        return first_line(e) or type(e).__name__


def facts(target, models, cache):
    """{path: None or reason}; a crash of the runtime is a reason."""
    known = json.load(open(cache)) if cache and os.path.exists(cache) else {}
    left = [m for m in models if m not in known]
    while left:
        with process.ProcessPoolExecutor(1) as pool:
            for m in list(left):
                try:
                    known[m] = pool.submit(loads, target, m).result(timeout=300)
                    left.remove(m)
                except (process.BrokenProcessPool, futures.TimeoutError):
                    known[m] = "the runtime crashed"
                    left.remove(m)
                    break
    if cache:
        json.dump(known, open(cache, "w"))
    return {m: known[m] for m in models}


def predict(program, target, path):
    done = subprocess.run([program, "check", path, "--target", target, "--json", "--quiet"], capture_output=True, text=True)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return None, [{"reason": f"exit {done.returncode}: {done.stderr.strip()[:200]}", "operator": "", "code": ""}]
    if "loads" not in said:
        return None, [{"reason": str(said.get("message"))[:200], "operator": "", "code": ""}]
    return said["loads"], said["gaps"]


def value(path, kind):
    data = open(path, "rb").read()
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        o = onnx.OptionalProto.FromString(data)
        return numpy_helper.to_optional(o)
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def agree(got, want, rtol, atol):
    if isinstance(want, list):
        return isinstance(got, (list, tuple)) and len(got) == len(want) and all(agree(g, w, rtol, atol) for g, w in zip(got, want))
    if want is None:
        return got is None
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return False
    if want.dtype.kind in "fc" or want.dtype.kind == "V":
        f = lambda x: x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
        return np.allclose(f(got), f(want), rtol=rtol, atol=atol, equal_nan=True)
    return np.array_equal(got.astype(want.dtype) if want.dtype.kind in "iub" else got, want)


def right(target, path, case):
    """None when the converted model gives the outputs of its case, or why not."""
    if target not in LOAD:
        LOAD[target] = loader(target)
    try:
        session = LOAD[target](path)
    except Exception as e:
        return "loads", first_line(e)
    model = onnx.load(f"{case}/model.onnx", load_external_data=False)
    data = f"{case}/test_data_set_0"
    weights = {i.name for i in model.graph.initializer}
    ins = [i for i in model.graph.input if i.name not in weights]
    tol = json.load(open(f"{case}/tolerance.json")) if os.path.exists(f"{case}/tolerance.json") else {}
    rtol, atol = tol.get("rtol", 1e-3), tol.get("atol", 1e-7)
    try:
        feeds = {i.name: value(f"{data}/input_{k}.pb", i.type.WhichOneof("value")) for k, i in enumerate(ins)}
        want = [value(f"{data}/output_{k}.pb", o.type.WhichOneof("value")) for k, o in enumerate(model.graph.output)]
        if target.startswith("onnxruntime"):
            there = {i.name for i in session.get_inputs()}
            got = session.run(None, {k: v for k, v in feeds.items() if k in there and v is not None})
        else:
            done = session({i: feeds[i.any_name] for i in session.inputs})
            got = [done[o] for o in session.outputs]
    except Exception as e:
        return "runs", first_line(e)
    same = all(agree(g, w, rtol, max(atol, 1e-7)) for g, w in zip(got, want))
    return (None, "") if same else ("differs", "")


def convert(program, target, refused):
    """What becomes of models that do not load."""
    count, lines = collections.Counter(), []
    pool = process.ProcessPoolExecutor(1)
    with tempfile.TemporaryDirectory() as folder:
        for path in refused:
            out = f"{folder}/out.onnx"
            if os.path.exists(out):
                os.remove(out)
            done = subprocess.run(
                [program, "convert", path, out, "--target", target, "--gaps", "none", "--json", "--quiet"],
                capture_output=True, text=True, timeout=600,
            )
            if done.returncode != 0:
                try:
                    said = json.loads(done.stdout)
                    gaps = said.get("target", {}).get("gaps", [])
                    why = "; ".join(sorted({f"{g['operator']} {g['reason']}" for g in gaps}))[:200] or said.get("message", "")
                except ValueError:
                    why = done.stderr.strip()[:200]
                count["not said" if done.returncode == 1 else f"exit {done.returncode}"] += 1
                lines.append((path, f"exit {done.returncode}", why))
                continue
            try:
                state, why = pool.submit(right, target, out, os.path.dirname(path)).result(timeout=300)
            except (process.BrokenProcessPool, futures.TimeoutError):
                pool = process.ProcessPoolExecutor(1)
                state, why = "runs", "the runtime crashed"
            word = {None: "loads and gives the outputs", "loads": "still does not load", "runs": "loads, does not run", "differs": "loads, gives other outputs"}[state]
            count[word] += 1
            if state:
                lines.append((path, word, why))
    return count, lines


def main():
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("program")
    a.add_argument("folders", nargs="+")
    a.add_argument("--target", default="onnxruntime-1.31")
    a.add_argument("--cache")
    a.add_argument("--convert", action="store_true")
    a.add_argument("--list", action="store_true")
    a = a.parse_args()
    models = sorted({os.path.realpath(m) for f in a.folders for m in glob.glob(f"{f}/**/*.onnx", recursive=True)})
    fact = facts(a.target, models, a.cache)
    corner = collections.defaultdict(list)
    with futures.ThreadPoolExecutor(4) as pool:
        predicted = list(pool.map(lambda m: predict(a.program, a.target, m), models))
    for m, (said, gaps) in zip(models, predicted):
        if said is None:
            corner["not read", fact[m] is None].append((m, gaps[0]["reason"]))
            continue
        why = fact[m] if said else "; ".join(f"{g['operator']} {g['reason']}" for g in gaps)
        corner[said, fact[m] is None].append((m, why))
    print(f"{a.target}: {len(models)} models\n\n| said \\ is | loads | does not load |\n|---|--:|--:|")
    for said, name in ((True, "loads"), (False, "does not load"), ("not read", "not read by us")):
        print(f"| {name} | {len(corner[said, True])} | {len(corner[said, False])} |")
    wrong = len(corner[True, False]) + len(corner[False, True])
    if a.list:
        for key, title in (((True, False), "said to load, does not"), ((False, True), "said not to load, does"), (("not read", True), "not read, loads")):
            print(f"\n{title}:")
            for m, why in corner[key]:
                print(f"  {'/'.join(m.split('/')[-3:-1])}: {why}")
    if a.convert:
        refused = [m for m in models if fact[m] is not None and os.path.exists(f"{os.path.dirname(m)}/test_data_set_0")]
        count, lines = convert(a.program, a.target, refused)
        print(f"\n{len(refused)} cases do not load as they are; after `convert --target {a.target}`:\n")
        for word, n in count.most_common():
            print(f"  {n:5} {word}")
        if a.list:
            for m, word, why in lines:
                print(f"  {os.path.basename(os.path.dirname(m))}: {word}: {why}")
    return 1 if wrong and a.target.startswith("onnxruntime") else 0


if __name__ == "__main__":
    sys.exit(main())
