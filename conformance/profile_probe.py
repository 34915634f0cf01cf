"""Models of one node, built from the schemas of the onnx package: does a runtime know an operator, and for which types?"""
import collections, json, os, sys

import onnx
from onnx import TensorProto as T, helper

from profile_file import PROTO, in_order, short


def schemas(newest):
    """Schemas of the onnx package that a model at `newest` (by domain) can have: {(domain, op): [schema by version]}."""
    all_ = collections.defaultdict(list)
    for s in onnx.defs.get_all_schemas_with_history():
        if s.domain in newest and s.since_version <= newest[s.domain]:
            all_[s.domain, s.name].append(s)
    return {k: sorted(v, key=lambda s: s.since_version) for k, v in all_.items()}


ATTRS = {"equation": "ij->ij", "direction": "forward", "mode": None, "buffer_size": 1}


def attribute(a):
    """A plain value for an attribute that must be given."""
    kinds = onnx.defs.OpSchema.AttrType
    if a.name in ATTRS and ATTRS[a.name] is not None:
        return ATTRS[a.name]
    plain = {kinds.INT: 1, kinds.FLOAT: 1.0, kinds.INTS: [1, 1], kinds.FLOATS: [1.0], kinds.STRING: "a", kinds.STRINGS: ["a"]}
    if a.type == kinds.TENSOR:
        return helper.make_tensor("t", T.FLOAT, [1], [1.0])
    return plain.get(a.type)


def one_node(schema, opset, types, shape):
    """A model of one node, or None where a schema wants what is not made here (bodies, sequences)."""
    attrs = {}
    for name, a in schema.attributes.items():
        if a.required:
            value = attribute(a)
            if value is None:
                return None
            attrs[name] = value
    if schema.name == "Mod" and types["T"].startswith(("f", "bf")):
        attrs["fmod"] = 1
    if schema.name == "Cast":
        attrs["to"] = PROTO[types["T2"]]
    if schema.name == "Constant":
        attrs["value"] = helper.make_tensor("t", T.FLOAT, [1], [1.0])
    optional = onnx.defs.OpSchema.FormalParameterOption
    inputs, outputs = [], []
    for params, made in ((schema.inputs, inputs), (schema.outputs, outputs)):
        for i, p in enumerate(params):
            if p.option == optional.Optional:
                continue
            t = types.get(p.type_str) or short(p.type_str)
            if t not in PROTO:
                return None
            for j in range(2 if p.option == optional.Variadic and made is inputs else 1):
                made.append((f"{'x' if made is inputs else 'y'}{i}_{j}", PROTO[t]))
    if not outputs:
        return None
    node = helper.make_node(schema.name, [n for n, _ in inputs], [n for n, _ in outputs], domain=schema.domain, **attrs)
    infos = [helper.make_tensor_value_info(n, t, shape) for n, t in inputs]
    results = [helper.make_tensor_value_info(n, t, None) for n, t in outputs]
    graph = helper.make_graph([node], "g", infos, results)
    imports = [helper.make_opsetid("", opset if not schema.domain else 17)]
    if schema.domain:
        imports.append(helper.make_opsetid(schema.domain, opset))
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def assignments(schema):
    """First types of the variables, then (variable, type) to vary."""
    sets = {c.type_param_str: in_order({short(t) for t in c.allowed_type_strs} & PROTO.keys()) for c in schema.type_constraints}
    sets = {k: v for k, v in sets.items() if v}
    bases = []
    for prefer in ("f32", "i64", "bool", "i32", "u8", "f64"):
        base = {k: (prefer if prefer in v else "i64" if "i64" in v and k.startswith(("Tind", "I")) else v[0]) for k, v in sets.items()}
        if base not in bases:
            bases.append(base)
    return bases, sets


SHAPES = ([2, 2], [1, 2, 4, 4], [1], [2, 2, 2], [], [1, 1])


def probe(schema, opset, tries, vary=True):
    """("absent" | "unknown" | "known" | "untried", {places: types}) by what `tries(model)` says: "ok", "absent" or "other".
    Without `vary` types are not tried."""
    bases, sets = assignments(schema)
    seen = set()
    for shape in SHAPES:
        for base in bases[:4]:
            model = one_node(schema, opset, base, shape)
            if model is None:
                continue
            said = tries(model)
            seen.add(said)
            if said == "absent":
                return "absent", {}
            if said == "ok":
                kernel = {}
                for var, types in sets.items() if vary else ():
                    good = {t for t in types if takes(schema, opset, tries, base, sets, var, t, shape)}
                    where = places(schema, var)
                    if where and good != set(types):
                        # Sequences and optionals are not tried, and so not ruled out.
                        kernel[where] = frozenset(good | others(schema, var))
                return "known", kernel
    return ("unknown" if seen else "untried"), {}


def others(schema, var):
    """Types of a variable that are no dense tensors."""
    names = next(c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == var)
    return {t for t in map(short, names) if "(" in t}


def takes(schema, opset, tries, base, sets, var, t, shape):
    """Whether a variable may be `t`, alone or with all others that may."""
    together = {v: t if t in sets[v] else base[v] for v in sets}
    return t == base[var] or any(tries(one_node(schema, opset, types, shape)) == "ok" for types in ({**base, var: t}, together))


def places(schema, var):
    """Where a type variable, or a parameter of this name, stands: `0 2 >0`, a variadic parameter as `1-`."""
    type_of = lambda p: getattr(p, "type_str", None) or getattr(p, "typeStr", "")
    out = []
    for params, sign in ((schema.inputs, ""), (schema.outputs, ">")):
        for i, p in enumerate(params):
            if var in (type_of(p), p.name):
                many = str(p.option).endswith("Variadic")
                out.append(f"{sign}{i}{'-' if many else ''}")
    return " ".join(out)


def tried(newest, tries, table):
    """Fills `table` by trying every operator of the standard: all versions, and all types in the newest, which count for
    the others where these have the same places. Returns what no model could be made for."""
    work = []
    for (domain, op), versions in sorted(schemas(newest).items()):
        alive = [s for s in versions if not s.deprecated]
        for s in alive:
            later = [v.since_version for v in versions if v.since_version > s.since_version]
            work.append((s, min(later + [newest[domain] + 1]) - 1, s is alive[-1]))
    said = isolated([lambda w=w: probe(w[0], w[1], tries, w[2]) for w in work])
    newest_types = {(s.domain, s.name): kernel for (s, _, last), (_, kernel) in zip(work, said) if last}
    untried = []
    for (s, _, last), (word, kernel) in zip(work, said):
        types = newest_types.get((s.domain, s.name), {})
        kernel = kernel if last else {p: t for p, t in types.items() if p in {places(s, c.type_param_str) for c in s.type_constraints}}
        if word in ("known", "unknown"):
            table.add(s.domain, s.name, s.since_version, kernel)
        elif word in ("untried", "crash"):
            untried.append((s.domain, s.name, s.since_version))
    return untried


def isolated(works):
    """The results of functions that run in child processes: an importer may crash."""
    out = []
    while len(out) < len(works):
        r, w = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(r)
            try:
                for work in works[len(out) :]:
                    said, kernel = work()
                    os.write(w, (json.dumps([said, [[k, sorted(v)] for k, v in kernel.items()]]) + "\n").encode())
            finally:
                os._exit(0)
        os.close(w)
        data = b""
        while part := os.read(r, 65536):
            data += part
            if part.endswith(b"\n"):
                print(f"  {len(out) + data.count(10)} of {len(works)}", end="\r", file=sys.stderr, flush=True)
        os.close(r)
        os.waitpid(child, 0)
        for line in data.splitlines():
            said, kernel = json.loads(line)
            out.append((said, {k: frozenset(v) for k, v in kernel}))
        if len(out) < len(works):
            out.append(("crash", {}))
    return out


def names_only(names, untried, tries, table):
    """Adds what could not be tried as a whole model, where a node of the name is not refused as unknown."""
    names = untried + names
    for (domain, op, since), (said, _) in zip(names, isolated([lambda n=n: (bare(*n, tries), {}) for n in names])):
        if said != "absent":
            table.add(domain, op, since, {})


def bare(domain, op, since, tries):
    """Whether an importer knows the name, by a node of one operand that may well be wrong."""
    node = helper.make_node(op, ["x"], ["y"], domain=domain)
    x, y = (helper.make_tensor_value_info(n, T.FLOAT, [1]) for n in "xy")
    imports = [helper.make_opsetid("", since if not domain else 17)] + ([helper.make_opsetid(domain, since)] if domain else [])
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=imports, ir_version=8)
    return tries(model)


def functions_load(tries):
    """Whether a model with a function of its own loads."""
    body = helper.make_function("f", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    x, y = (helper.make_tensor_value_info(n, T.FLOAT, [1]) for n in "xy")
    graph = helper.make_graph([helper.make_node("F", ["x"], ["y"], domain="f")], "g", [x], [y])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    return tries(helper.make_model(graph, functions=[body], opset_imports=imports, ir_version=8)) == "ok"


def weights_beside(load):
    """Whether a model loads whose weights lie in another file."""
    import tempfile

    x, y = (helper.make_tensor_value_info(n, T.FLOAT, [1, 64]) for n in "xy")
    w = helper.make_tensor("w", T.FLOAT, [1, 64], [1.0] * 64)
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x], [y], [w])
    with tempfile.TemporaryDirectory() as folder:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, f"{folder}/m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
        try:
            load(f"{folder}/m.onnx")
            return True
        except Exception:
            return False
