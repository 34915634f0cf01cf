#!/usr/bin/env python3
"""Damages ONNX models in known ways, and holds `check` against onnx.checker.

usage: checker.py BINARY PATH... [--per-kind N] [--table FILE.md] [--kinds A,B] [--alarms]

PATH is a model, or a folder that is searched for them. Each kind of damage is done to models that it can be done to. Those that
onnx.checker.check_model(full_check=True) rejects must get an error by `BINARY check` that names the node or tensor that was damaged
(where one was). With --alarms, undamaged models that onnx.checker accepts and ONNX Runtime loads must get none. Exit code 1 when an
error is missed or wrong.
"""
import argparse, collections, json, os, random, re, subprocess, sys, tempfile, warnings

import numpy as np
import onnx
from onnx import helper as h

warnings.filterwarnings("ignore")
T, A = onnx.TensorProto, onnx.AttributeProto
KINDS = {}


def kind(f):
    KINDS[f.__name__.replace("_", " ")] = f
    return f


class Skip(Exception):
    pass


def pick(r, items):
    items = list(items)
    if not items:
        raise Skip
    return r.choice(items)


def label(n):
    """Words by which a node may be named: its name, or what it makes, or its operator."""
    return [n.name] if n.name else [o for o in n.output if o] + [n.op_type]


def plain(m):
    return [n for n in m.graph.node if n.domain in ("", "ai.onnx")]


def schema(m, n):
    version = next((o.version for o in m.opset_import if o.domain in ("", "ai.onnx")), 1)
    try:
        return onnx.defs.get_schema(n.op_type, version, "")
    except Exception:
        raise Skip


@kind
def a_required_input_is_left_out(m, r):
    n = pick(r, (n for n in plain(m) if len(n.input) > 0 and len(n.input) == schema(m, n).min_input and schema(m, n).min_input > 0))
    del n.input[-1]
    return label(n)


@kind
def an_input_too_many(m, r):
    n = pick(r, (n for n in plain(m) if n.input and schema(m, n).max_input < 10))
    while len(n.input) <= schema(m, n).max_input:
        n.input.append(n.input[0])
    return label(n)


@kind
def an_output_too_many(m, r):
    n = pick(r, (n for n in plain(m) if schema(m, n).max_output < 10))
    while len(n.output) <= schema(m, n).max_output:
        n.output.append(f"more_{len(n.output)}")
    return label(n)


@kind
def a_required_input_is_empty(m, r):
    n = pick(r, (n for n in plain(m) if n.input and n.input[0] and schema(m, n).min_input > 0))
    n.input[0] = ""
    return label(n)


@kind
def no_outputs(m, r):
    n = pick(r, (n for n in plain(m) if schema(m, n).min_output > 0 and n.output))
    names = label(n) + list(n.output)
    del n.output[:]
    return names


@kind
def an_output_is_made_twice(m, r):
    if len(m.graph.node) < 2:
        raise Skip
    a, b = r.sample(range(len(m.graph.node)), 2)
    first = pick(r, (o for o in m.graph.node[min(a, b)].output if o))
    if not m.graph.node[max(a, b)].output:
        raise Skip
    m.graph.node[max(a, b)].output[0] = first
    return [first]


@kind
def an_output_has_the_name_of_an_input(m, r):
    n = pick(r, (n for n in m.graph.node if n.output))
    name = pick(r, m.graph.input).name
    n.output[0] = name
    return [name]


@kind
def an_output_has_the_name_of_an_initializer(m, r):
    n = pick(r, (n for n in m.graph.node if n.output))
    name = pick(r, m.graph.initializer).name
    n.output[0] = name
    return [name]


@kind
def two_initializers_have_one_name(m, r):
    t = pick(r, m.graph.initializer)
    m.graph.initializer.add().CopyFrom(t)
    return [t.name]


@kind
def two_inputs_have_one_name(m, r):
    v = pick(r, m.graph.input)
    m.graph.input.add().CopyFrom(v)
    return [v.name]


@kind
def an_input_comes_from_nowhere(m, r):
    n = pick(r, (n for n in m.graph.node if n.input))
    n.input[0] = "from_nowhere"
    return ["from_nowhere"]


@kind
def an_output_of_the_graph_comes_from_nowhere(m, r):
    o = pick(r, m.graph.output)
    o.name = "never_made"
    return ["never_made"]


@kind
def nodes_stand_in_the_wrong_order(m, r):
    made = {o: i for i, n in enumerate(m.graph.node) for o in n.output if o}
    pairs = [(made[x], i) for i, n in enumerate(m.graph.node) for x in n.input if x in made]
    a, b = pick(r, pairs)
    nodes = list(m.graph.node)
    nodes[a], nodes[b] = nodes[b], nodes[a]
    names = label(nodes[a]) + label(nodes[b]) + [x for x in nodes[a].input]
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del m.graph.node[:]
    m.graph.node.extend(copies)
    return names


@kind
def nodes_feed_each_other_in_a_circle(m, r):
    n = pick(r, (n for n in m.graph.node if n.output and n.input and n.output[0]))
    n.input[0] = n.output[0]
    return label(n) + [n.output[0]]


@kind
def an_operator_that_is_unknown(m, r):
    n = pick(r, plain(m))
    n.op_type = "NoSuchOperator"
    return label(n) + ["NoSuchOperator"]


@kind
def a_domain_that_is_not_imported(m, r):
    n = pick(r, m.graph.node)
    n.domain = "not.imported"
    return label(n) + ["not.imported"]


@kind
def no_operator_sets(m, r):
    del m.opset_import[:]
    return []


@kind
def an_opset_older_than_an_operator(m, r):
    since = {n.op_type: schema(m, n) for n in plain(m)}
    new = [n for n in plain(m) if first_version(n.op_type) > 7]
    n = pick(r, new)
    for o in m.opset_import:
        if o.domain in ("", "ai.onnx"):
            o.version = first_version(n.op_type) - 1
    return label(n)


def first_version(op, cache={}):
    if not cache:
        for s in onnx.defs.get_all_schemas_with_history():
            if s.domain == "":
                cache[s.name] = min(cache.get(s.name, 99), s.since_version)
    return cache.get(op, 0)


@kind
def an_opset_of_the_future(m, r):
    for o in m.opset_import:
        if o.domain in ("", "ai.onnx"):
            o.version = 999
    return []


@kind
def a_required_attribute_is_left_out(m, r):
    found = [(n, a) for n in plain(m) for a in n.attribute if a.name in schema(m, n).attributes and schema(m, n).attributes[a.name].required]
    n, a = pick(r, found)
    n.attribute.remove(a)
    return label(n)


@kind
def an_attribute_that_is_unknown(m, r):
    n = pick(r, plain(m))
    n.attribute.append(h.make_attribute("no_such_attribute", 1))
    return label(n)


@kind
def an_attribute_of_another_kind(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if a.name in schema(m, n).attributes])
    new = h.make_attribute(a.name, "text" if a.type != A.STRING else 1.5)
    a.CopyFrom(new)
    return label(n)


@kind
def an_attribute_without_its_value(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if a.type in (A.INT, A.FLOAT, A.STRING, A.TENSOR)])
    for field in ("i", "f", "s", "t"):
        a.ClearField(field)
    return label(n)


@kind
def an_attribute_with_two_values(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if a.type in (A.INT, A.FLOAT)])
    a.i, a.f = 1, 1.0
    return label(n)


@kind
def an_attribute_given_twice(m, r):
    n = pick(r, (n for n in plain(m) if n.attribute))
    n.attribute.add().CopyFrom(n.attribute[0])
    return label(n)


@kind
def an_attribute_without_a_name(m, r):
    n = pick(r, (n for n in plain(m) if n.attribute))
    n.attribute[0].name = ""
    return label(n)


@kind
def an_attribute_without_its_kind(m, r):
    n = pick(r, (n for n in plain(m) if n.attribute))
    n.attribute[0].ClearField("type")
    return label(n)


@kind
def a_reference_outside_of_a_function(m, r):
    n = pick(r, (n for n in plain(m) if any(a.type in (A.INT, A.FLOAT) for a in n.attribute)))
    a = next(a for a in n.attribute if a.type in (A.INT, A.FLOAT))
    a.ClearField("i")
    a.ClearField("f")
    a.ref_attr_name = "outer"
    return label(n)


@kind
def a_tensor_with_too_few_bytes(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data))
    t.raw_data = t.raw_data[:-1]
    return [t.name]


@kind
def a_tensor_with_too_many_values(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.data_type != 8))
    if t.HasField("raw_data"):
        t.raw_data += t.raw_data[:1] * 16 or b"\0" * 16
    else:
        pick(r, [f for f in (t.float_data, t.int32_data, t.int64_data) if f]).append(1)
    return [t.name]


@kind
def a_tensor_in_two_fields(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data and t.data_type == 1))
    t.float_data.append(1.0)
    return [t.name]


@kind
def a_tensor_in_the_wrong_field(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data and t.data_type == 1))
    t.ClearField("raw_data")
    t.int64_data.extend([1] * int(np.prod(t.dims)))
    return [t.name]


@kind
def a_tensor_without_an_element_type(m, r):
    t = pick(r, m.graph.initializer)
    t.data_type = 0
    return [t.name]


@kind
def a_tensor_of_an_element_type_that_does_not_exist(m, r):
    t = pick(r, m.graph.initializer)
    t.data_type = 99
    return [t.name]


@kind
def a_negative_dimension(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.dims))
    t.dims[0] = -t.dims[0] or -1
    return [t.name]


@kind
def an_initializer_without_a_name(m, r):
    pick(r, m.graph.initializer).name = ""
    return []


@kind
def an_external_file_that_is_not_there(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data))
    t.ClearField("raw_data")
    t.data_location = 1
    t.external_data.add(key="location", value="absent.bin")
    return [t.name, "absent.bin"]


@kind
def an_external_file_outside_of_the_folder(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data))
    t.ClearField("raw_data")
    t.data_location = 1
    t.external_data.add(key="location", value="../outside.bin")
    return [t.name, "../outside.bin"]


@kind
def an_external_file_without_a_location(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.raw_data))
    t.ClearField("raw_data")
    t.data_location = 1
    return [t.name]


@kind
def an_input_without_a_type(m, r):
    v = pick(r, m.graph.input)
    v.ClearField("type")
    return [v.name]


@kind
def an_input_without_an_element_type(m, r):
    v = pick(r, (v for v in m.graph.input if v.type.HasField("tensor_type")))
    v.type.tensor_type.elem_type = 0
    return [v.name]


@kind
def an_output_without_a_type(m, r):
    v = pick(r, m.graph.output)
    v.ClearField("type")
    return [v.name]


@kind
def an_input_without_a_name(m, r):
    v = pick(r, m.graph.input)
    names = [v.name]
    v.name = ""
    return names


@kind
def an_input_of_another_element_type(m, r):
    v = pick(r, (v for v in m.graph.input if v.type.HasField("tensor_type")))
    v.type.tensor_type.elem_type = 8 if v.type.tensor_type.elem_type != 8 else 1
    return [v.name] + [w for n in m.graph.node if v.name in n.input for w in label(n)]


@kind
def an_output_of_another_element_type(m, r):
    v = pick(r, (v for v in m.graph.output if v.type.HasField("tensor_type")))
    v.type.tensor_type.elem_type = 8 if v.type.tensor_type.elem_type != 8 else 1
    return [v.name] + [w for n in m.graph.node if v.name in n.output for w in label(n)]


@kind
def an_output_of_another_rank(m, r):
    v = pick(r, (v for v in m.graph.output if v.type.HasField("tensor_type")))
    v.type.tensor_type.shape.dim.add().dim_value = 7
    return [v.name] + [w for n in m.graph.node if v.name in n.output for w in label(n)]


@kind
def an_output_of_another_size(m, r):
    v = pick(r, (v for v in m.graph.output if any(d.dim_value > 0 for d in v.type.tensor_type.shape.dim)))
    d = next(d for d in v.type.tensor_type.shape.dim if d.dim_value > 0)
    d.dim_value += 3
    return [v.name] + [w for n in m.graph.node if v.name in n.output for w in label(n)]


@kind
def an_inner_value_of_another_element_type(m, r):
    v = pick(r, (v for v in m.graph.value_info if v.type.HasField("tensor_type")))
    v.type.tensor_type.elem_type = 8 if v.type.tensor_type.elem_type != 8 else 1
    return [v.name] + [w for n in m.graph.node if v.name in n.output for w in label(n)]


@kind
def a_graph_without_a_name(m, r):
    m.graph.name = ""
    return []


@kind
def no_graph(m, r):
    m.ClearField("graph")
    return []


@kind
def no_ir_version(m, r):
    m.ClearField("ir_version")
    return []


@kind
def an_ir_version_of_the_future(m, r):
    m.ir_version = 999
    return []


@kind
def initializers_that_are_no_inputs_at_ir_version_3(m, r):
    t = pick(r, (t for t in m.graph.initializer if t.name not in {v.name for v in m.graph.input}))
    m.ir_version = 3
    return [t.name for t in m.graph.initializer]


@kind
def a_function_that_calls_itself(m, r):
    n = pick(r, m.graph.node)
    f = onnx.FunctionProto(name="Again", domain="own", input=["a"], output=["b"])
    f.opset_import.extend([h.make_opsetid("", 17), h.make_opsetid("own", 1)])
    f.node.add(op_type="Again", domain="own", input=["a"], output=["b"])
    m.functions.append(f)
    m.opset_import.append(h.make_opsetid("own", 1))
    m.ir_version = max(m.ir_version, 8)
    n.op_type, n.domain = "Again", "own"
    del n.attribute[:], n.input[1:], n.output[1:]
    return label(n) + ["Again"]


def with_function(m, r, change):
    n = pick(r, (n for n in m.graph.node if n.input and n.output and n.input[0]))
    f = onnx.FunctionProto(name="Own", domain="own", input=["a"], output=["b"])
    f.opset_import.extend([h.make_opsetid("", 17)])
    f.node.add(op_type="Identity", input=["a"], output=["b"], name="inner")
    m.opset_import.append(h.make_opsetid("own", 1))
    m.ir_version = max(m.ir_version, 10)
    n.op_type, n.domain = "Own", "own"
    del n.attribute[:], n.input[1:], n.output[1:]
    change(f)
    m.functions.append(f)
    return label(n) + ["Own", "inner", "nowhere"]


@kind
def a_function_body_that_uses_what_nothing_makes(m, r):
    return with_function(m, r, lambda f: f.node[0].input.__setitem__(0, "nowhere"))


@kind
def a_function_that_makes_a_name_twice(m, r):
    return with_function(m, r, lambda f: f.node.add(op_type="Identity", input=["a"], output=["b"], name="inner")) + ["b"]


@kind
def a_function_whose_body_uses_an_unknown_operator(m, r):
    return with_function(m, r, lambda f: setattr(f.node[0], "op_type", "NoSuchOperator")) + ["NoSuchOperator"]


@kind
def a_function_without_operator_sets(m, r):
    return with_function(m, r, lambda f: f.ClearField("opset_import"))


@kind
def a_function_without_a_name(m, r):
    with_function(m, r, lambda f: f.ClearField("name"))
    return []


@kind
def a_function_given_twice(m, r):
    names = with_function(m, r, lambda f: None)
    m.functions.append(m.functions[-1])
    return names


@kind
def functions_at_ir_version_7(m, r):
    names = with_function(m, r, lambda f: None)
    m.ir_version = 7
    return names


@kind
def a_branch_without_its_condition(m, r):
    n = pick(r, (n for n in m.graph.node if n.op_type == "If"))
    n.attribute.remove(pick(r, n.attribute))
    return label(n)


@kind
def a_branch_that_uses_what_nothing_makes(m, r):
    n, a = pick(r, [(n, a) for n in m.graph.node for a in n.attribute if a.type == A.GRAPH and any(i.input for i in a.g.node)])
    inner = pick(r, (i for i in a.g.node if i.input))
    inner.input[0] = "from_nowhere"
    return ["from_nowhere"]


@kind
def a_branch_that_makes_an_outer_name_again(m, r):
    n, a = pick(r, [(n, a) for n in m.graph.node for a in n.attribute if a.type == A.GRAPH and a.g.node and m.graph.input])
    inner = pick(r, (i for i in a.g.node if i.output))
    inner.output[0] = m.graph.input[0].name
    return [m.graph.input[0].name]


@kind
def a_sparse_tensor_with_indices_out_of_order(m, r):
    s = m.graph.sparse_initializer.add(dims=[4])
    s.values.CopyFrom(h.make_tensor("sparse", T.FLOAT, [2], [1.0, 2.0]))
    s.indices.CopyFrom(h.make_tensor("sparse_i", T.INT64, [2], [3, 1]))
    m.ir_version = max(m.ir_version, 8)
    return ["sparse"]


@kind
def a_sparse_tensor_with_an_index_outside(m, r):
    s = m.graph.sparse_initializer.add(dims=[4])
    s.values.CopyFrom(h.make_tensor("sparse", T.FLOAT, [2], [1.0, 2.0]))
    s.indices.CopyFrom(h.make_tensor("sparse_i", T.INT64, [2], [1, 9]))
    m.ir_version = max(m.ir_version, 8)
    return ["sparse"]


@kind
def a_string_tensor_with_a_wrong_count(m, r):
    t = m.graph.initializer.add(name="words", data_type=8, dims=[3])
    t.string_data.append(b"one")
    return ["words"]


@kind
def two_versions_of_a_domain(m, r):
    o = m.opset_import.add()
    o.CopyFrom(m.opset_import[0])
    o.version = max(1, o.version - 1) if o.version > 1 else 2
    return []


@kind
def shapes_that_do_not_fit(m, r):
    n = pick(r, (n for n in plain(m) if n.op_type in ("Add", "Mul", "Sub", "Div", "MatMul", "Gemm", "Concat", "Conv")))
    names = {v.name: v for v in m.graph.input}
    v = pick(r, (names[i] for i in n.input if i in names and len(names[i].type.tensor_type.shape.dim) and names[i].type.tensor_type.shape.dim[-1].dim_value > 1))
    v.type.tensor_type.shape.dim[-1].dim_value += 1
    return label(n) + [v.name] + [o for o in n.output]


@kind
def an_axis_beyond_the_rank(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if a.name == "axis" and a.type == A.INT])
    a.i = 77
    return label(n)


@kind
def a_value_that_the_schema_does_not_allow(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if n.op_type in ("Cast", "RandomNormal", "EyeLike") and a.type == A.INT and a.name in ("to", "dtype")])
    a.i = 0
    return label(n)


@kind
def a_permutation_that_is_none(m, r):
    n, a = pick(r, [(n, a) for n in plain(m) for a in n.attribute if a.name == "perm" and len(a.ints) > 1])
    a.ints[0] = a.ints[1]
    return label(n)


@kind
def an_element_type_that_the_operator_does_not_take(m, r):
    names = {v.name: v for v in m.graph.input}
    n, v = pick(r, [(n, names[i]) for n in plain(m) for i in n.input if i in names and n.op_type in ("Relu", "Sigmoid", "Softmax", "Exp", "Conv", "Neg", "Sqrt")])
    v.type.tensor_type.elem_type = T.BOOL
    return label(n) + [v.name] + list(n.output)


def models(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for root, folders, files in os.walk(path):
            folders.sort()
            yield from (os.path.join(root, f) for f in sorted(files) if f.endswith(".onnx"))


def rejected(path):
    try:
        onnx.checker.check_model(path, full_check=True)
        return None
    except Exception as e:
        return " ".join(str(e).split())


def ours(binary, path):
    """Exit code, errors with their places as one text each."""
    done = subprocess.run([binary, "check", path, "--json", "--quiet"], capture_output=True, text=True)
    errors = []
    try:
        errors = [json.dumps(f) for f in json.loads(done.stdout)["findings"] if f["severity"] == "error"]
    except Exception:
        pass
    if done.returncode in (3, 4, 6) or done.returncode < 0:
        errors.append(done.stderr)
    return done.returncode, errors


def suite(args):
    sources = [p for p in models(args.paths) if os.path.getsize(p) < 2 << 20]
    random.Random(1).shuffle(sources)
    sources = [p for p in sources if not rejected(p)][: args.models]
    loaded = [(p, onnx.load(p, load_external_data=False)) for p in sources]
    table, bad, shown = [], 0, 0
    wanted = args.kinds.split(",") if args.kinds else list(KINDS)
    for name in wanted:
        made = taken = caught = placed = 0
        for path, base in loaded:
            if taken >= args.per_kind:
                break
            m = onnx.ModelProto()
            m.CopyFrom(base)
            try:
                names = KINDS[name](m, random.Random(path + name))
            except (Skip, IndexError):
                continue
            made += 1
            with tempfile.TemporaryDirectory() as folder:
                out = os.path.join(folder, "m.onnx")
                with open(out, "wb") as f:
                    f.write(m.SerializePartialToString())
                why = rejected(out)
                if why is None:
                    if made > 5 * args.per_kind:
                        break
                    continue
                taken += 1
                code, errors = ours(args.binary, out)
                # What an opset to come says nobody knows: it is refused as not supported.
                hit = bool(errors) and code in (1, 3) or name == "an opset of the future" and code == 5
                # The node that onnx names counts as the place too: a wrong type shows where it is used.
                names = names and names + re.findall(r"op_type:(\w+)", why)
                there = hit and (not names or any(n and n in e for n in names for e in errors))
                caught += hit
                placed += there
                if not there and shown < args.list:
                    shown += 1
                    what = "missed" if not hit else "elsewhere: " + errors[0][:200]
                    print(f"{name}: {os.path.relpath(path)}: {what}; exit {code}; wanted {names[:4]}\n    onnx: {why[:220]}", flush=True)
        bad += taken - placed
        table.append((name, made, taken, caught, placed))
        print(f"{name}: {made} made, {taken} rejected by onnx, {caught} found, {placed} at the place", flush=True)
    print(f"{len(table)} kinds, {sum(t[2] for t in table)} models that onnx rejects, {sum(t[3] for t in table)} found, {sum(t[4] for t in table)} at the place")
    if args.table:
        with open(args.table, "w") as f:
            f.write("| damage | models | rejected by onnx.checker | found | at the place |\n|---|---:|---:|---:|---:|\n")
            f.writelines(f"| {n} | {a} | {b} | {c} | {d} |\n" for n, a, b, c, d in table)
    return bad


def alarms(args):
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    tried = false = 0
    for path in models(args.paths):
        if rejected(path):
            continue
        code, errors = ours(args.binary, path)
        if not errors:
            tried += 1
            continue
        try:
            ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception:
            continue
        tried += 1
        false += 1
        print(f"false alarm: {path}: {errors[0][:250]}", flush=True)
    print(f"{tried} sound models, {false} with an error")
    return false


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("binary")
    ap.add_argument("paths", nargs="+")
    ap.add_argument("--per-kind", type=int, default=15)
    ap.add_argument("--models", type=int, default=600)
    ap.add_argument("--kinds")
    ap.add_argument("--list", type=int, default=60)
    ap.add_argument("--table")
    ap.add_argument("--alarms", action="store_true")
    args = ap.parse_args()
    return int(bool(alarms(args) if args.alarms else suite(args)))


if __name__ == "__main__":
    sys.exit(main())
