"""The file of a profile (docs/targets.md has the grammar): rows are gathered in a Table and written."""
import collections, datetime, json, os, re

from onnx import TensorProto as T

SHORT = {
    "float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "int16": "i16", "int32": "i32",
    "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "int4": "i4", "uint4": "u4",
    "int2": "i2", "uint2": "u2", "bool": "bool", "string": "string", "complex64": "c64", "complex128": "c128",
    "float8e4m3fn": "f8e4m3fn", "float8e4m3fnuz": "f8e4m3fnuz", "float8e5m2": "f8e5m2", "float8e5m2fnuz": "f8e5m2fnuz",
    "float8e8m0": "f8e8m0", "float4e2m1": "f4e2m1",
}
PROTO = {s: getattr(T, n.upper()) for n, s in SHORT.items() if hasattr(T, n.upper())}
ORDER = list(SHORT.values())


def short(text):
    """`seq(tensor(float))` as `seq(f32)`."""
    inner = re.sub(r"tensor\((\w+)\)", lambda m: SHORT.get(m[1], m[1]), text)
    inner = re.sub(r"sparse_(\w+)", r"sparse(\1)", inner).replace("optional(", "opt(").replace(" ", "")
    return re.sub(r"\b(%s)\b" % "|".join(SHORT), lambda m: SHORT[m[1]], inner)


def in_order(types):
    rank = {t: i for i, t in enumerate(ORDER)}
    return sorted(types, key=lambda t: (rank.get(t, 99), t))


class Table:
    """Rows of a profile: domain, operator, versions, and types by place."""

    def __init__(self):
        self.rows = collections.defaultdict(lambda: collections.defaultdict(dict))  # domain, op, since -> list of {places: types}
        self.rules = {}

    def add(self, domain, op, since, kernel):
        """kernel: {places: frozenset of types}. Kernels that differ in one place only become one."""
        kernels = self.rows[domain][op].setdefault(since, [])
        kernel = dict(kernel)
        again = True
        while again:
            again = False
            for other in kernels:
                if other.keys() != kernel.keys():
                    continue
                differ = [k for k in kernel if kernel[k] != other[k]]
                if len(differ) <= 1:
                    kernels.remove(other)
                    for k in differ:
                        kernel[k] = kernel[k] | other[k]
                    again = True
                    break
        kernels.append(kernel)

    def lines(self, ops, sets):
        """Rows of each operator, versions with equal kernels together."""
        for op in sorted(ops):
            same = collections.OrderedDict()
            for since in sorted(ops[op], key=str):
                text = [" | ".join([""] + [f"{p}: {sets.name(k[p])}" for p in sorted(k)]).strip() for k in ops[op][since]]
                same.setdefault(tuple(sorted(text)), []).append(since)
            rows = []
            for texts, sinces in same.items():
                span = " ".join(str(s) for s in sorted(sinces, key=lambda s: int(re.match(r"\d+", str(s))[0])))
                rows += [f"{span} {t}".strip() for t in texts]
            rows.sort(key=lambda r: (int(re.match(r"\d+", r)[0]), r))
            yield f"{op} = {json.dumps(rows)}"


class Sets:
    """Names for sets of types that occur often."""

    def __init__(self, table):
        count = collections.Counter(
            v for ops in table.rows.values() for op in ops.values() for ks in op.values() for k in ks for v in k.values()
        )
        often = [v for v, n in count.most_common() if n >= 3 and len(v) >= 4]
        self.names = {v: f"@{i}" for i, v in enumerate(often)}

    def name(self, types):
        return self.names.get(types) or " ".join(in_order(types))


def write(out, head, table):
    sets = Sets(table)
    lines = ["# Made by conformance/profiles.py; the grammar is in docs/targets.md. Facts of another project, see `sources`.", ""]
    for key, value in head.items():
        if isinstance(value, dict):
            continue
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{key} = {text}")
    for key, value in head.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]"] + [f"{json.dumps(k)} = {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()]
    if sets.names:
        lines += ["", "[sets]"] + [f'"{n}" = "{" ".join(in_order(v))}"' for v, n in sets.names.items()]
    for domain in sorted(table.rows):
        lines += ["", f'[ops."{domain or "ai.onnx"}"]'] + list(table.lines(table.rows[domain], sets))
    if table.rules:
        lines += ["", "[rules]"] + [f"{k} = {json.dumps(v)}" for k, v in sorted(table.rules.items())]
    with open(out, "w") as f:
        f.write("\n".join(lines) + "\n")
    count = sum(len(ops) for ops in table.rows.values())
    print(f"{out}: {count} operators, {os.path.getsize(out)} bytes")


def today():
    return datetime.date.today().isoformat()
