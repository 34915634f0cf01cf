"""Sweeps models of torchvision and transformers, and front ends of sound, through Modelsmith.

    python3 torch_sweep.py MODELSMITH [NAME..] [--forms traced,scripted,exported] [--state FILE] [--table FILE.md] [--jobs N]

Each model of torch_models.py and torch_sound.py is traced, scripted where PyTorch can, and exported. The archive is converted with no option
given to ONNX, which ONNX Runtime runs, and built into one engine. Both are held against what PyTorch gives for the archive
at two shapes and three seeds, by the measure of torch_judge.py. Outputs that hardly differ between seeds prove nothing and
fail. A shape that PyTorch itself refuses for an archive is left out and said.

Every model has a process and a folder of its own, which goes when it ends. With --state each row is kept in FILE as soon as
it is there, and one that the same program has judged by the same scripts is not judged again. Exits 1 when less than 95 % agree.
"""

import argparse
import concurrent.futures
import copy
import hashlib
import json
import multiprocessing
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

import torch_judge

SEEDS, SHAPES = (0, 1, 2), (0, 1)
# Seconds that one step of the tool may take.
LIMIT = 150
# Seconds that a model in one form may take in all: what is beyond is PyTorch's, as each step of the tool has its own limit.
WHOLE = 900
FORMS = ("traced", "scripted", "exported")
ROW = {"verdict": "agrees", "why": "", "said": [], "missing": [], "refused": []}


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


def arrays(value, form):
    """The results of a run; those of a scripted detector in the order of its fields' names, as the others give them."""
    if form == "scripted" and isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], dict):
        found = value[1][0]
        value = [found[k] for k in sorted(found)]
    return [x.detach().numpy() for x in flat(value)]


def references(case, module, given, form):
    """(shape, seed, inputs, outputs) as PyTorch gives them, and what it refuses."""
    import torch

    sets, refused = [], []
    for shape in SHAPES:
        for seed in SEEDS:
            args = case.inputs(shape, seed)
            try:
                with torch.no_grad():
                    outputs = arrays(module(*given(copied(args))), form)
            except Exception as e:  # an archive's own guards, and whatever a frozen shape leads to
                refused.append(f"shape {shape}: {str(e).strip().splitlines()[-1][:120]}")
                break
            sets.append((shape, seed, [a.numpy() for a in args], outputs))
    return sets, refused


class Judge:
    """Holds results against those of PyTorch, and against float64 where that is asked for."""

    def __init__(self, case, module, given, form, limits):
        self.case, self.module, self.given, self.form, self.limits = case, module, given, form, limits
        self.exact, self.said = {}, []

    def float64(self, shape, seed):
        """What PyTorch gives in float64; None where the archive cannot be evaluated so."""
        import torch

        if (shape, seed) not in self.exact:
            args = tuple(a.double() if a.is_floating_point() else a for a in self.case.inputs(shape, seed))
            try:
                with torch.no_grad():
                    made = arrays(copy.deepcopy(self.module).double()(*self.given(args)), self.form)
            except Exception:  # a trace holds constants in float32
                made = None
            self.exact[shape, seed] = made
        return self.exact[shape, seed]

    def wrong(self, runtime, one, got, names):
        """What is wrong with the results `got`, called `names`, of a set; what is to be said of it is kept."""
        shape, seed, _, outputs = one
        if self.case.fields:
            if self.form == "scripted":
                got = [got[i] for i in sorted(range(len(names)), key=lambda i: names[i].rsplit(".")[-1])]
            wrong, said = torch_judge.detections(got, outputs, self.case.fields, *self.limits)
        else:
            wrong, said = torch_judge.apart(got, outputs)
            if wrong and len(got) == len(outputs):
                wrong, said = torch_judge.apart(got, outputs, self.float64(shape, seed))
        if said:
            self.said.append(f"{runtime}, shape {shape}, seed {seed}: {said}")
        return f"{runtime}: shape {shape}, seed {seed}: {wrong}" if wrong else ""


def constant(sets):
    """True where the first output hardly differs between seeds."""
    for shape in SHAPES:
        first = [s[3][0] for s in sets if s[0] == shape and s[3]]
        if len(first) > 1 and all(a.shape == first[0].shape for a in first):
            largest = max((float(np.abs(a).max()) for a in first if a.size), default=0.0)
            apart = max((float(np.abs(a - first[0]).max()) for a in first[1:] if a.size), default=0.0)
            if apart <= 1e-3 * largest or largest == 0:
                return True
    return False


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


def under_onnxruntime(model, sets, judge):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as e:
        return f"ONNX Runtime: {str(e)[:300]}"
    names = [i.name for i in session.get_inputs()]
    for one in sets:
        shape, seed, inputs, _ = one
        if len(names) != len(inputs):
            return f"ONNX Runtime: the inputs are {names}, PyTorch takes {len(inputs)}"
        try:
            got = session.run(None, dict(zip(names, inputs)))
        except Exception as e:
            return f"ONNX Runtime: shape {shape}, seed {seed}: {str(e)[:300]}"
        wrong = judge.wrong("ONNX Runtime", one, got, [o.name for o in session.get_outputs()])
        if wrong:
            return wrong
    return ""


def under_our_runner(modelsmith, archive, sets, folder, judge):
    engine = folder / "model.engine"
    code, said = tool([modelsmith, "build", archive, "-o", engine, "--no-verify"])
    if code:
        return f"our runner: build: exit {code}: {said.strip()[-300:]}"
    code, said = tool([modelsmith, "inspect", archive, "--json"])
    try:
        names = [v["name"] for v in json.loads(said)["models"][0]["inputs"]]
    except (ValueError, KeyError):
        return f"our runner: inspect: exit {code}: {said.strip()[-200:]}"
    for one in sets:
        shape, seed, inputs, _ = one
        given, made = folder / "given", folder / "made"
        for place in (given, made):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        options = []
        for i, (name, value) in enumerate(zip(names, inputs)):
            np.save(given / f"{i}.npy", value)
            options += ["--input", f"{name}={given / f'{i}.npy'}"]
        code, said = tool([modelsmith, "run", engine, "--output-dir", made, "--json", *options])
        if code:
            return f"our runner: shape {shape}, seed {seed}: run: exit {code}: {said.strip()[-300:]}"
        order = [v["name"] for v in json.loads(said)["outputs"]]
        place = lambda name: made / (name.translate(str.maketrans("/\\:", "___")) + ".npy")
        wrong = judge.wrong("our runner", one, [np.load(place(name)) for name in order], order)
        if wrong:
            return wrong
    return ""


def judged(modelsmith, name, form, folder, module):
    """A row of the table; `module` is the model in Python."""
    from torch_models import MODELS

    case = MODELS[name]
    row = {"model": name, "group": case.group, "form": form, **ROW}
    archive, model = folder / f"{name}.{'pt2' if form == 'exported' else 'pt'}", folder / f"{name}.onnx"
    try:
        made = copy.deepcopy(module)
        heads = getattr(made, "roi_heads", made)
        limits = [getattr(heads, k, 0.0) for k in ("score_thresh", "nms_thresh")]
        module, given = {"traced": traced, "scripted": scripted, "exported": exported}[form](case, made, archive)
    except Exception as e:
        lines = str(e).strip().splitlines() or [repr(e)]
        return row | {"verdict": "not made", "why": f"PyTorch: {lines[0][:160]}"}
    sets, row["refused"] = references(case, module, given, form)
    if not sets:
        return row | {"verdict": "not made", "why": f"PyTorch refuses its own archive: {row['refused'][0]}"}
    if constant(sets):
        return row | {"verdict": "proves nothing", "why": "the outputs hardly differ between seeds"}
    code, said = tool([modelsmith, "convert", archive, model, "--verify", "no", "--json"])
    row["missing"] = [] if code else missing(said)
    if code:
        return row | {"verdict": "not converted", "why": f"exit {code}: {said.strip()[-400:]}"}
    judge = Judge(case, module, given, form, limits)
    wrong = under_onnxruntime(model, sets, judge)
    wrong = wrong or under_our_runner(modelsmith, archive, sets, folder, judge)
    return row | {"said": judge.said, **({"verdict": "differs", "why": wrong} if wrong else {})}


def one(modelsmith, name, forms, pipe):
    """All forms of one model, each row as soon as it is there."""
    warnings.filterwarnings("ignore")
    from torch_models import MODELS

    module = MODELS[name].make() if forms else None
    for form in forms:
        with tempfile.TemporaryDirectory() as private:
            pipe.send(judged(modelsmith, name, form, pathlib.Path(private), module))


def swept(modelsmith, name, forms):
    """The rows of one model, made by a process of its own."""
    from torch_models import MODELS

    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=one, args=(modelsmith, name, forms, there))
    process.start()
    there.close()
    rows = []
    try:
        while len(rows) < len(forms) and here.poll(WHOLE):
            rows.append(here.recv())
    except EOFError:
        pass
    process.join(1)
    late = process.is_alive()
    if late:
        process.kill()
        process.join()
    for form in forms[len(rows) :]:
        why = f"PyTorch: more than {WHOLE} s" if late else str(process.exitcode)
        verdict = "not made" if late else "crashed"
        rows.append({"model": name, "group": MODELS[name].group, "form": form, **ROW, "verdict": verdict, "why": why})
    return rows


def agreeing(rows):
    made = [r for r in rows if r["verdict"] != "not made"]
    return sum(r["verdict"] == "agrees" for r in made), len(made)


def table(rows):
    """The rows as a page of documentation."""
    good, made = agreeing(rows)
    lines = ["# PyTorch models swept", ""]
    lines += ["Written by `conformance/torch_sweep.py`: models of torchvision and transformers and front ends of sound, with random weights, converted", "with no option given; ONNX Runtime and our engine held against PyTorch at two shapes and three seeds."]
    lines += ["", f"{good} of {made} archives agree ({100 * good / max(made, 1):.1f} %).", ""]
    lines += ["| group | form | agrees | of | not made by PyTorch |", "|---|---|---|---|---|"]
    for group, form in sorted({(r["group"], r["form"]) for r in rows}):
        part = [r for r in rows if (r["group"], r["form"]) == (group, form)]
        good, made = agreeing(part)
        lines.append(f"| {group} | {form} | {good} | {made} | {len(part) - made} |")
    plain = lambda text: " ".join(text.split()).replace("|", "\\|")[:300]
    parts = {
        "Do not agree": [(r, [r["why"], *r["missing"]]) for r in rows if r["verdict"] not in ("agrees", "not made")],
        "Agree, and this is to be said": [(r, r["said"]) for r in rows if r["verdict"] == "agrees" and r["said"]],
        "Shapes that PyTorch refuses for its own archive": [(r, r["refused"]) for r in rows if r["refused"]],
        "Archives that PyTorch does not make": [(r, [r["why"]]) for r in rows if r["verdict"] == "not made"],
    }
    for title, found in parts.items():
        if found and title.startswith("Archives"):
            lines += ["", f"## {title}", ""]
            reasons = sorted({(r["form"], plain(w[0])) for r, w in found})
            for form, why in reasons:
                names = [r["model"] for r, w in found if (r["form"], plain(w[0])) == (form, why)]
                lines.append(f"* {form}, {len(names)}: {why} ({', '.join(names)})")
        elif found:
            lines += ["", f"## {title}", ""]
            lines += [f"* {r['model']}, {r['form']}: {plain('; '.join(why))}" for r, why in found]
    return "\n".join(lines) + "\n"


def digest(program):
    """What a row was judged by: the program and these scripts."""
    here = pathlib.Path(__file__).parent
    files = [pathlib.Path(program), *(here / f"{n}.py" for n in ("torch_sweep", "torch_judge", "torch_models", "torch_sound"))]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def kept(state, key):
    """Rows that are there already, by model and form."""
    if not state or not state.exists():
        return {}
    rows = [json.loads(line) for line in state.read_text().splitlines() if line.strip()]
    return {(r["model"], r["form"]): r for r in rows if r.get("by") == key}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--state", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    forms = a.forms.split(",")
    import torch
    from torch_models import MODELS

    # Before the first fork no thread may have begun.
    torch.set_num_threads(1)
    key = digest(a.tool)
    have = kept(a.state, key)
    names = a.names or list(MODELS)
    began = time.monotonic()

    def swept_rest(name):
        return swept(a.tool, name, [f for f in forms if (name, f) not in have])

    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for made in pool.map(swept_rest, names):
            for r in made:
                have[r["model"], r["form"]] = r
                why = f": {r['why']}" if r["why"] else ""
                print(f"{r['model']} {r['form']}: {r['verdict']}{why}", *r["missing"], *r["said"], sep="\n    ", flush=True)
                if a.state:
                    with a.state.open("a") as f:
                        f.write(json.dumps(r | {"by": key}) + "\n")
    rows = [have[name, form] for name in names for form in forms]
    page = table(rows)
    print("", page, f"{time.monotonic() - began:.0f} s", sep="\n")
    if a.table:
        a.table.write_text(page)
    good, made = agreeing(rows)
    return int(good < 0.95 * made)


if __name__ == "__main__":
    sys.exit(main())
