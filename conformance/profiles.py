#!/usr/bin/env python3
"""Makes the profiles of other runtimes, crates/targets/profiles/NAME.toml, from what the runtimes say of themselves.

usage: profiles.py onnxruntime|openvino|opencv OUT.toml
       profiles.py tensorrt OPERATORS.md VERSION OUT.toml
       profiles.py coreml CONVERTER_FOLDER OUT.toml
       profiles.py onnx2tf PACKAGE_FOLDER VERSION OUT.toml
       profiles.py table FOLDER

The first three describe the package that Python imports (PYTHONPATH=FOLDER chooses another, an unpacked wheel):
* onnxruntime: the kernels that the CPU provider registers, with versions and types, as the library lists them. What has no
  kernel is tried as a model of one node, which finds operators that are made of others.
* openvino, opencv: models of one node, an operator, version and element type each, built from the schemas of the onnx
  package: whether the importer knows the operator, and which types it then takes. No model of a test suite is used.
tensorrt reads docs/operators.md of onnx/onnx-tensorrt, coreml the table in onnx_coreml/_operators_nd.py of onnx/onnx-coreml, onnx2tf
the names in onnx2tf/ops. table prints the table of docs/targets.md. Needs `base|peers` of setup.sh; the packages that it describes must be there. docs/targets.md has the grammar.
"""
import ast, collections, json, os, re, sys, warnings

warnings.filterwarnings("ignore")
import onnx
from onnx import TensorProto as T, helper

from profile_file import Table, short, today, write
from profile_probe import bare, functions_load, names_only, places, probe, schemas, tried, weights_beside

def onnxruntime(out):
    import onnxruntime as rt
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    rt.set_default_logger_severity(4)

    def loads(model):
        try:
            rt.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            return "ok"
        except Exception as e:
            return "absent" if "NOT_IMPLEMENTED" in str(e) else "other"

    def plain(op, opset, domain="", ir=8):
        node = helper.make_node(op, ["x"], ["y"], domain=domain)
        x, y = (helper.make_tensor_value_info(n, T.FLOAT, [1]) for n in "xy")
        imports = [helper.make_opsetid("", 17)] if domain else []
        imports.append(helper.make_opsetid(domain, opset))
        return helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=imports, ir_version=ir)

    newest = {"": max(v for v in range(1, 60) if loads(plain("Relu", v)) == "ok")}
    newest["ai.onnx.ml"] = max(v for v in range(1, 30) if loads(plain("Normalizer", v, "ai.onnx.ml")) == "ok")
    ir = max(v for v in range(3, 40) if loads(plain("Relu", 13, ir=v)) == "ok")
    table = Table()
    known = collections.defaultdict(list)
    for s in state.get_all_operator_schema():
        known[s.domain, s.name].append(s)
    kernels = [k for k in state.get_all_opkernel_def() if k.provider == "CPUExecutionProvider"]
    has = set()
    for k in kernels:
        first, last = k.version_range
        for s in known[k.domain, k.op_name]:
            # A kernel without an end is for the version that it names; one with an end for all that begin in between.
            fits = first == s.since_version if last >= 2**31 - 1 else first <= s.since_version <= last
            if not fits or s.since_version > newest.get(k.domain, 2**31):
                continue
            kernel = {}
            for var, types in k.type_constraints.items():
                where = places(s, var)
                if where:
                    kernel[where] = frozenset(short(t) for t in types)
            table.add(k.domain, k.op_name, s.since_version, kernel)
            has.add((k.domain, k.op_name, s.since_version))
    for s in known["", "Constant"]:
        # Constants become initializers before kernels are looked for.
        if s.since_version <= newest[""]:
            table.add("", "Constant", s.since_version, {})
    standard = schemas(newest)
    for (domain, op), versions in standard.items():
        own = {s.since_version: s for s in known[domain, op]}
        lacking = set()
        for s in versions:
            # A version that the runtime does not know yet is read as the one before it.
            same = max((v for v in own if v <= s.since_version), default=None)
            if same is None:
                continue
            lacking |= set(s.attributes) - set(own[same].attributes)
            for kernel in table.rows[domain].get(op, {}).get(same, []) if same != s.since_version else ():
                table.add(domain, op, s.since_version, kernel)
                has.add((domain, op, s.since_version))
        if lacking and not domain:
            table.rules[op] = [f"without {name}" for name in sorted(lacking)]
    made = by_functions(standard, has, newest, loads, table)
    # What its recurrent kernels refuse when they are made.
    for op in ("RNN", "GRU", "LSTM"):
        table.rules.setdefault(op, []).append("attr layout 0")
    head = {
        "name": f"onnxruntime-{'.'.join(rt.__version__.split('.')[:2])}",
        "title": f"ONNX Runtime {rt.__version__}, CPU",
        "version": rt.__version__,
        "read": today(),
        "sources": [
            f"the kernel registry of onnxruntime {rt.__version__} (get_all_opkernel_def, get_all_operator_schema), Linux x86-64 wheel",
            f"models of one node loaded in it: {made} operators without a kernel that it makes of others, newest opsets and IR version",
        ],
        "unknown": ["what a kernel refuses by attributes or shapes", "whether types agree as its own inference wants"],
        "limits": {"ir_version": ir, "functions": True, "external_data": True, "message_bytes": 2**31 - 1},
        "opsets": {"ai.onnx": newest[""], "ai.onnx.ml": newest["ai.onnx.ml"]},
        "casts": {"f16": "f32"},
        "commands": {
            "load": f"python -c \"import onnxruntime as rt; rt.InferenceSession('{{model}}', providers=['CPUExecutionProvider'])\"",
            "install": f"pip install onnxruntime=={rt.__version__}",
        },
    }
    write(out, head, table)


def by_functions(all_, has, newest, loads, table):
    """Operators that have a body in the standard and no kernel."""
    made = 0
    for (domain, op), versions in sorted(all_.items()):
        for s in versions:
            body = s.has_function or s.has_context_dependent_function
            if not body or s.deprecated or (domain, op, s.since_version) in has:
                continue
            opset = min([v.since_version for v in versions if v.since_version > s.since_version] + [newest[domain] + 1]) - 1
            said, kernel = probe(s, opset, loads)
            since = s.since_version
            if said == "absent":
                # A body may be made of versions that begin later and have no kernel.
                said, kernel = probe(s, since, loads)
                last = max((o for o in range(since, opset) if probe(s, o, loads, False)[0] == "known"), default=since)
                since = f"{since}@{last}"
            print(f"  {op} {s.since_version}: {said}", kernel, file=sys.stderr)
            if said != "absent":
                table.add(domain, op, since, kernel)
                made += 1
    return made


# What its importer checks in attributes and operands, by its own messages.
OPENVINO = {
    "Dropout": ["constant 2"],
    "GridSample": ["rank 0 4-4"],
    "NegativeLogLikelihoodLoss": ["without ignore_index"],
    "Pad": ["attr mode constant edge reflect"],
    "Resize": ["attr coordinate_transformation_mode align_corners asymmetric half_pixel pytorch_half_pixel tf_half_pixel_for_nn"],
    "STFT": ["constant 1"],
    "Unsqueeze": ["constant 1"],
}


def refused(op, text):
    """Whether a message of OpenVINO is about the operator itself, or another that it was taken apart to."""
    names = lambda found: [n.strip().split("-")[0].split(".")[-1] for n in found[1].split(",")] if found else []
    unknown = names(re.search(r"(?:No conversion rule found for|following ONNX) operations: *([^\n]*)", text))
    failed = names(re.search(r"Conversion is failed for: *([^\n]*)", text))
    # Sequences are marked, and understood in some patterns only: alone they tell nothing.
    return op in unknown or bool(failed) and op not in failed


def openvino(out):
    import openvino as ov

    version = re.match(r"[\d.]+", ov.__version__ if hasattr(ov, "__version__") else ov.get_version())[0].rstrip(".")
    state = {}

    def core():
        if os.getpid() not in state:
            state[os.getpid()] = ov.Core()
        return state[os.getpid()]

    def tries(model):
        try:
            core().compile_model(core().read_model(model.SerializeToString()), "CPU")
            return "ok"
        except Exception as e:
            return "absent" if refused(model.graph.node[0].op_type, str(e)) else "other"

    table = Table()
    newest = {d: onnx.defs.onnx_opset_version() if not d else 5 for d in ("", "ai.onnx.ml")}
    untried = tried(newest, tries, table)
    names_only([("com.microsoft", op, 1) for op in microsoft_names()], untried, tries, table)
    table.rules.update({op: rules for op, rules in OPENVINO.items() if op in table.rows[""]})
    head = {
        "name": f"openvino-{'.'.join(version.split('.')[:2])}",
        "title": f"OpenVINO {version}, CPU",
        "version": version,
        "read": today(),
        "sources": [f"openvino {version}, Linux x86-64 wheel: models of one node for every operator, version and element type of onnx {onnx.__version__}"],
        "unknown": ["what an operator refuses by attributes, shapes or optional operands", "types of operators with bodies, sequences or required tensors"],
        "limits": {"functions": True, "external_data": True, "message_bytes": 2**31 - 1, "input_ranks": True},
        "opsets": {},
        "commands": {"load": "ovc {model}", "install": f"pip install openvino=={version}"},
    }
    write(out, head, table)


def microsoft_names():
    """Operators of ONNX Runtime's own domain, from the runtime that is installed."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return sorted({s.name for s in state.get_all_operator_schema() if s.domain == "com.microsoft"})


def opencv(out):
    import cv2
    import numpy as np

    devnull = os.open(os.devnull, os.O_WRONLY)

    def tries(model):
        os.dup2(devnull, 2)
        for y in model.graph.output:
            # The importer wants shapes of outputs, and looks no further at them.
            y.type.tensor_type.shape.CopyFrom(model.graph.input[0].type.tensor_type.shape if model.graph.input else onnx.TensorShapeProto())
        try:
            cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
            return "ok"
        except Exception as e:
            text = str(e)
            return "absent" if "Can't create layer" in text or "dispatch" in text else "other"

    table = Table()
    newest = {"": onnx.defs.onnx_opset_version()}
    untried = tried(newest, tries, table)
    names_only([], untried, tries, table)
    # Its layers compute in single precision whatever the importer reads; types are no promise.
    for ops in table.rows.values():
        for op in ops.values():
            for since in op:
                op[since] = [{}]
    version = cv2.__version__
    beside = weights_beside(lambda path: cv2.dnn.readNetFromONNX(path))
    head = {
        "name": f"opencv-{'.'.join(version.split('.')[:2])}",
        "title": f"OpenCV {version}, dnn",
        "version": version,
        "read": today(),
        "sources": [f"opencv-python-headless {version}: models of one node for every operator and version of onnx {onnx.__version__}"],
        "unknown": ["element types: layers compute in 32 bits", "what an operator refuses by attributes or shapes", "operands that must be constants"],
        "limits": {"functions": functions_load(tries), "external_data": beside, "message_bytes": 2**31 - 1, "input_ranks": True},
        "opsets": {},
        "commands": {"load": "python -c \"import cv2; cv2.dnn.readNetFromONNX('{model}')\"", "install": f"pip install opencv-python-headless~={version}"},
    }
    write(out, head, table)




TRT = {
    "FP32": "f32", "FP16": "f16", "BF16": "bf16", "INT32": "i32", "INT64": "i64", "INF64": "i64", "BOOL": "bool", "INT8": "i8",
    "UINT8": "u8", "FP8": "f8e4m3fn", "FP4": "f4e2m1", "INT4": "i4",
}
# What the column of restrictions says, as conditions that a program can test.
TRT_RULES = {
    "dilations` must be empty or all ones": "attr dilations 1",
    "Indices` output tensor unsupported": "outputs 1",
    "Only the first output `Y` is supported": "outputs 1",
    "Input must be 4D input": "rank 0 4-4",
    "Input rank must be >=3 & <=5": "rank 0 3-5",
    "2D or 3D": "rank 0 3-5",
    "`sorted` must be 1": "attr sorted 1",
    "input_forget` attribute must be 0": "attr input_forget 0",
    "layout` attribute must be 0": "attr layout 0",
    "`reduction` is not supported": "attr reduction none",
    "`reduction` other than `none` is not supported": "attr reduction none",
    "Antialiasing is not supported": "attr antialias 0",
    "aspect ratio policy: `stretch`": "attr keep_aspect_ratio_policy stretch",
    "Supported resize modes: `nearest`, `linear`": "attr mode nearest linear",
    "static dimensions": "static 0",
    "`K`, `V` and `attn_mask ` must be 4D": "rank 0 4-4",
    "`present_value` and `qk_matmul_output` outputs are unsupported": "outputs 1",
    "`past_cache` and `update` must be 4D": "rank 0 4-4",
    "`axis` must be -2": "attr axis -2",
}
TRT_CONSTANT = re.compile(r"`(\w+)`[^.]*? must be (?:an initializer|a constant tensor|a build-time constant|resolvable to a constant)")


def tensorrt(path, version, out):
    text = open(path).read()
    found = re.search(r"opset (\d+) to opset (\d+)", text) or re.search(r"up to Opset (\d+)()", text)
    first, last = (int(found[1]), int(found[2])) if found[2] else (7, int(found[1]))
    old = int(version.split(".")[0]) < 10
    newest = {s.name: s for s in onnx.defs.get_all_schemas() if s.domain == ""}
    table = Table()
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) < 2 or not cells[1].startswith("Y") or cells[0] in ("Operator",):
            continue
        types = frozenset(TRT[t] for t in re.findall(r"\w+", cells[2]) if t in TRT) if len(cells) > 2 else frozenset()
        schema = newest.get(cells[0])
        kernel = {}
        if schema and types:
            where = main_places(schema)
            if where:
                kernel[where] = types | ({"i64"} if old and "i32" in types else set())
        rules = [rule for phrase, rule in TRT_RULES.items() if len(cells) > 3 and phrase in cells[3]]
        for name in TRT_CONSTANT.findall(cells[3] if len(cells) > 3 else ""):
            index = next((i for i, p in enumerate(schema.inputs) if p.name.lower() == name.lower()), None) if schema else None
            if index is not None and not (cells[0] in ("Slice", "Squeeze", "Unsqueeze") and "axes" != name):
                rules.append(f"constant {index}")
        table.add("", cells[0], "1+", kernel)
        if rules:
            table.rules[cells[0]] = sorted(set(rules))
    head = {
        "name": f"tensorrt-{version}",
        "title": f"TensorRT {version}",
        "version": version,
        "read": today(),
        "sources": [f"docs/operators.md of github.com/onnx/onnx-tensorrt for TensorRT {version}"],
        "unknown": ["restrictions that the document does not list", "types of operands other than the main one", "versions of single operators"],
        "limits": {"functions": not old, "external_data": True, "message_bytes": 2**31 - 1},
        "opsets": {"ai.onnx": last},
        "oldest": {"ai.onnx": first},
        "casts": {"f64": "f32", **({"i64": "i32"} if old else {})},
        "narrowing": {"f64": "f32", **({"i64": "i32"} if old else {})},
        "commands": {"load": "trtexec --onnx={model} --saveEngine={stem}.engine", "dynamic": "--minShapes={shapes} --optShapes={shapes} --maxShapes={shapes}"},
    }
    write(out, head, table)


# Where the document's types stand when the rule of `main_places` would choose wrongly.
MAIN = {"QuantizeLinear": "0", "BlackmanWindow": ">0", "HammingWindow": ">0", "HannWindow": ">0", "ConstantOfShape": ">0", "If": ""}


def main_places(schema):
    """Where the element type stands that the operator computes in."""
    if schema.name in MAIN:
        return MAIN[schema.name]
    inputs = [p.type_str for p in schema.inputs]
    outs = [p.type_str for p in schema.outputs]
    var = outs[0] if outs and outs[0] in inputs else inputs[0] if inputs else outs[0] if outs else None
    constraints = {c.type_param_str for c in schema.type_constraints}
    return places(schema, var) if var in constraints else ""


def coreml(folder, out):
    tree = ast.parse(open(f"{folder}/onnx_coreml/_operators_nd.py").read())
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_ONNX_NODE_REGISTRY_ND":
            names = [k.value for k in node.value.keys]
    version = re.search(r"['\"]([\d.]+)['\"]", open(f"{folder}/onnx_coreml/__init__.py").read())[1]
    table = Table()
    for name in names:
        table.add("", name, "1+", {})
    head = {
        "name": "coreml-onnx",
        "title": f"Core ML, through onnx-coreml {version} (iOS 13)",
        "version": version,
        "read": today(),
        "sources": ["the table _ONNX_NODE_REGISTRY_ND in onnx_coreml/_operators_nd.py of github.com/onnx/onnx-coreml"],
        "unknown": ["element types: models compute in floats", "restrictions of single operators", "versions of single operators"],
        "limits": {"functions": False, "external_data": False, "message_bytes": 2**31 - 1, "ranks": 5},
        "opsets": {"ai.onnx": 12},
        "commands": {
            "load": "python -c \"from onnx_coreml import convert; convert(model='{model}', minimum_ios_deployment_target='13').save('{stem}.mlmodel')\"",
            "install": f"pip install onnx-coreml=={version}",
        },
    }
    write(out, head, table)


def onnx2tf(folder, version, out):
    known = {s.name.lower(): (s.domain, s.name) for s in onnx.defs.get_all_schemas()}
    table = Table()
    for f in sorted(os.listdir(f"{folder}/onnx2tf/ops")):
        name = f[:-3].lstrip("_")
        if not f.endswith(".py") or f.startswith("__"):
            continue
        domain, name = known.get(name.lower(), ("", name))
        table.add(domain, name, "1+", {})
    short_version = ".".join(version.split(".")[:2])
    head = {
        "name": f"onnx2tf-{short_version}",
        "title": f"TensorFlow Lite, through onnx2tf {version}",
        "version": version,
        "read": today(),
        "sources": [f"the modules in onnx2tf/ops of onnx2tf {version}, one for each operator"],
        "unknown": ["element types", "restrictions of single operators", "versions of single operators"],
        "limits": {"functions": False, "external_data": True, "message_bytes": 2**31 - 1},
        "opsets": {},
        "commands": {"load": "onnx2tf -i {model} -o {stem}_tflite", "install": f"pip install onnx2tf=={version}"},
    }
    write(out, head, table)


def table(folder):
    import tomllib

    print("| profile | operators | with versions | with types | newest opset | source |\n|---|--:|--:|--:|--:|---|")
    for f in sorted(os.listdir(folder)):
        p = tomllib.load(open(f"{folder}/{f}", "rb"))
        rows = [r for ops in p["ops"].values() for r in ops.values()]
        versions = sum(all("+" not in line.split("|")[0] for line in r) for r in rows)
        types = sum(any("|" in line for line in r) for r in rows)
        print(f"| `{p['name']}` | {len(rows)} | {versions} | {types} | {p['opsets'].get('ai.onnx', '')} | {p['sources'][0].split(':')[0]} |")


if __name__ == "__main__":
    kinds = {f.__name__: f for f in (onnxruntime, openvino, opencv, tensorrt, coreml, onnx2tf, table)}
    if len(sys.argv) < 3 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    kinds[sys.argv[1]](*sys.argv[2:])
