"""Sweeps models of torchvision and transformers through Modelsmith.

    python3 torch_sweep.py MODELSMITH [--forms traced,scripted,exported] [--json FILE] [--jobs N] [NAME..]

Each model of torch_models.py is traced, scripted where PyTorch can, and exported. The archive is converted with no option
given to ONNX, which ONNX Runtime runs, and built into one engine. Both are held against what PyTorch gives for the archive
at two shapes and three seeds: within 1e-4 of the largest value of an output, integers exactly. Outputs that hardly
differ between seeds prove nothing and fail. A shape that PyTorch itself refuses for an archive is left out and said.

Every model has a process and a folder of its own, which goes when it ends. Exits 1 when less than 95 % agree.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile
import warnings

SEEDS, SHAPES = (0, 1, 2), (0, 1)
TOLERANCE = 1e-4
# Seconds that one step of the tool may take.
LIMIT = 100
FORMS = ("traced", "scripted")
ROW = {"verdict": "agrees", "why": "", "missing": [], "refused": []}


def flat(value):
    """The tensors of a result in order."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in flat(v)]
    return [] if value is None else [value]


def copied(value):
    if isinstance(value, (tuple, list)):
        return type(value)(copied(v) for v in value)
    return value.clone()


def traced(case, module, path):
    import torch
    from torch_models import Detector

    module = Detector(module) if case.group == "detection" else module
    made = torch.jit.trace(module, case.inputs(0, 0), check_trace=False, strict=False)
    torch.jit.save(made, str(path))
    return torch.jit.load(str(path)), lambda args: args


def scripted(case, module, path):
    import torch

    if case.group == "transformers":
        raise NotImplementedError("its source is no TorchScript")
    torch.jit.save(torch.jit.script(module), str(path))
    # A detector takes a list of images.
    given = (lambda args: ([args[0]],)) if case.group == "detection" else (lambda args: args)
    return torch.jit.load(str(path)), given


def exported(case, module, path):
    import torch
    from torch_models import Detector

    module = Detector(module) if case.group == "detection" else module
    free = tuple({axis: torch.export.Dim.AUTO for axis in axes} for axes in case.free)
    example = case.inputs(1, 0)
    shapes = {"args": free[: len(example)]} if varying(module) else free[: len(example)]
    program = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
    torch.export.save(program, str(path))
    return torch.export.load(str(path)).module(), lambda args: args


def varying(module):
    """True where `forward` takes any number of arguments."""
    import inspect

    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def references(case, module, given):
    """(shape, seed, inputs, outputs) as PyTorch gives them, and what it refuses."""
    import torch

    sets, refused = [], []
    for shape in SHAPES:
        for seed in SEEDS:
            args = case.inputs(shape, seed)
            try:
                with torch.no_grad():
                    outputs = [x.detach().numpy() for x in flat(module(*given(copied(args))))]
            except Exception as e:  # an archive's own guards, and whatever a frozen shape leads to
                refused.append(f"shape {shape}: {str(e).strip().splitlines()[-1][:120]}")
                break
            sets.append((shape, seed, [a.numpy() for a in args], outputs))
    return sets, refused


def constant(sets):
    """True where the first output hardly differs between seeds."""
    import numpy as np

    for shape in SHAPES:
        first = [s[3][0] for s in sets if s[0] == shape and s[3]]
        if len(first) > 1 and all(a.shape == first[0].shape for a in first):
            largest = max((float(np.abs(a).max()) for a in first if a.size), default=0.0)
            apart = max((float(np.abs(a - first[0]).max()) for a in first[1:] if a.size), default=0.0)
            if apart <= 1e-3 * largest or largest == 0:
                return True
    return False


def apart(ours, theirs):
    """What is wrong with outputs, in words; nothing where they agree."""
    import numpy as np

    if len(ours) != len(theirs):
        return f"{len(ours)} outputs, PyTorch gives {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        a = np.asarray(a)
        if a.shape != b.shape:
            return f"output {i} is {a.shape}, PyTorch gives {b.shape}"
        if not a.size:
            continue
        if b.dtype.kind in "biu":
            if (a != b).any():
                return f"output {i}: {int((a != b).sum())} of {a.size} integers differ"
            continue
        a, b = a.astype(np.float64), b.astype(np.float64)
        largest = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        if not np.allclose(a, b, rtol=0, atol=TOLERANCE * max(largest, 1e-6), equal_nan=True):
            return f"output {i} is {np.nanmax(np.abs(a - b)) / max(largest, 1e-30):.1e} of the largest off"
    return ""


def tool(command):
    """Exit code, and what was said: on standard output where all went well, else on standard error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return -1, f"more than {LIMIT} s"
    return done.returncode, done.stderr if done.returncode or not done.stdout else done.stdout


def missing(said):
    """What the tool says of operators that it left as they are."""
    found = [f for f in json.loads(said).get("findings", []) if f.get("code") == "torch.operator"]
    return sorted({f["message"][:160] for f in found})[:4]


def under_onnxruntime(model, sets):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as e:
        return str(e)[:300]
    names = [i.name for i in session.get_inputs()]
    for shape, seed, inputs, outputs in sets:
        if len(names) != len(inputs):
            return f"the inputs are {names}, PyTorch takes {len(inputs)}"
        try:
            got = session.run(None, dict(zip(names, inputs)))
        except Exception as e:
            return f"shape {shape}, seed {seed}: {str(e)[:300]}"
        wrong = apart(got, outputs)
        if wrong:
            return f"shape {shape}, seed {seed}: {wrong}"
    return ""


def under_our_runner(modelsmith, archive, sets, folder):
    import numpy as np

    engine = folder / "model.engine"
    code, said = tool([modelsmith, "build", archive, "-o", engine, "--no-verify"])
    if code:
        return f"build: exit {code}: {said.strip()[-300:]}"
    code, said = tool([modelsmith, "inspect", archive, "--json"])
    try:
        names = [v["name"] for v in json.loads(said)["models"][0]["inputs"]]
    except (ValueError, KeyError):
        return f"inspect: exit {code}: {said.strip()[-200:]}"
    for shape, seed, inputs, outputs in sets:
        given, made = folder / "given", folder / "made"
        for place in (given, made):
            subprocess.run(["rm", "-rf", place], check=True)
            place.mkdir()
        options = []
        for i, (name, value) in enumerate(zip(names, inputs)):
            np.save(given / f"{i}.npy", value)
            options += ["--input", f"{name}={given / f'{i}.npy'}"]
        code, said = tool([modelsmith, "run", engine, "--output-dir", made, "--json", *options])
        if code:
            return f"shape {shape}, seed {seed}: run: exit {code}: {said.strip()[-300:]}"
        order = [v["name"] for v in json.loads(said)["outputs"]]
        place = lambda name: made / (name.translate(str.maketrans("/\\:", "___")) + ".npy")
        wrong = apart([np.load(place(name)) for name in order], outputs)
        if wrong:
            return f"shape {shape}, seed {seed}: {wrong}"
    return ""


def judge(modelsmith, name, form, folder):
    """A row of the table."""
    from torch_models import MODELS

    case = MODELS[name]
    row = {"model": name, "group": case.group, "form": form, **ROW}
    archive, model = folder / f"{name}.{'pt2' if form == 'exported' else 'pt'}", folder / f"{name}.onnx"
    try:
        module, given = {"traced": traced, "scripted": scripted, "exported": exported}[form](case, case.make(), archive)
    except Exception as e:
        lines = str(e).strip().splitlines() or [repr(e)]
        return row | {"verdict": "not made", "why": f"PyTorch: {lines[0][:160]}"}
    sets, row["refused"] = references(case, module, given)
    del module
    if not sets:
        return row | {"verdict": "not made", "why": f"PyTorch refuses its own archive: {row['refused'][0]}"}
    if constant(sets):
        return row | {"verdict": "proves nothing", "why": "the outputs hardly differ between seeds"}
    code, said = tool([modelsmith, "convert", archive, model, "--verify", "no", "--json"])
    row["missing"] = [] if code else missing(said)
    if code:
        return row | {"verdict": "not converted", "why": f"exit {code}: {said.strip()[-400:]}"}
    wrong = under_onnxruntime(model, sets)
    if wrong:
        return row | {"verdict": "differs", "why": f"ONNX Runtime: {wrong}"}
    wrong = under_our_runner(modelsmith, archive, sets, folder)
    if wrong:
        return row | {"verdict": "differs", "why": f"our runner: {wrong}"}
    return row


def one(modelsmith, name, forms, pipe):
    """All forms of one model, each row as soon as it is there."""
    warnings.filterwarnings("ignore")
    for form in forms:
        with tempfile.TemporaryDirectory() as private:
            pipe.send(judge(modelsmith, name, form, pathlib.Path(private)))


def swept(modelsmith, name, forms):
    """The rows of one model, made by a process of its own."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=one, args=(modelsmith, name, forms, there))
    process.start()
    there.close()
    rows = []
    try:
        while len(rows) < len(forms):
            rows.append(here.recv())
    except EOFError:
        pass
    process.join()
    for form in forms[len(rows) :]:
        rows.append({"model": name, "group": "", "form": form, **ROW, "verdict": "crashed", "why": str(process.exitcode)})
    return rows


def report(rows):
    """Prints what failed and a table of counts; the share that agrees."""
    for r in rows:
        if r["verdict"] not in ("agrees", "not made"):
            print(f"{r['model']} ({r['form']}): {r['verdict']}: {r['why']}", *r["missing"], sep="\n    ")
    print("\n| group | form | agrees | of | not made by PyTorch |\n|---|---|---|---|---|")
    for group, form in sorted({(r["group"], r["form"]) for r in rows}):
        part = [r for r in rows if (r["group"], r["form"]) == (group, form)]
        made = [r for r in part if r["verdict"] != "not made"]
        good = sum(r["verdict"] == "agrees" for r in made)
        print(f"| {group} | {form} | {good} | {len(made)} | {len(part) - len(made)} |")
    made = [r for r in rows if r["verdict"] != "not made"]
    good = sum(r["verdict"] == "agrees" for r in made)
    print(f"\n{good} of {len(made)} archives agree; PyTorch cannot make {len(rows) - len(made)}")
    return good / max(len(made), 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    forms = a.forms.split(",")
    import torch
    from torch_models import MODELS

    # Before the first fork no thread may have begun.
    torch.set_num_threads(1)
    rows = []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for made in pool.map(lambda name: swept(a.tool, name, forms), a.names or list(MODELS)):
            rows += made
            print(*(f"{r['model']} {r['form']}: {r['verdict']}" for r in made), sep="\n", flush=True)
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(report(rows) < 0.95)


if __name__ == "__main__":
    sys.exit(main())
