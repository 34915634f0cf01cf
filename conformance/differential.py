#!/usr/bin/env python3
"""Calls of operators in ONNX Runtime, beside what the reference and the cpu backend make of them.

usage: differential.py FOLDER [--page FILE.md] [--verbose] [--json FILE] [--runs N] [--match TEXT] [--few FILE]
FOLDER is what `cargo run --release -p modelsmith-engine --example operator_cases -- FOLDER 26 100 [NAME]...` wrote: the samples
of each operator and variations of them. ONNX Runtime runs each call as a model of one node with its optimizer off; where it
refuses operands, once more with all but the first as constants, which some of its kernels demand; and where it has no kernel for
the operator's version, at the older opsets that say the same. Element types that numpy lacks pass through an exact Cast at the border.

Integers, booleans, strings, sizes, types, NaN and infinities are equal or they differ. A float may be off by
  4 * sqrt(K) * (change + u * |wanted|)
where u is half a unit in the last place of the result's type; `change` is by how much the reference's result moves when the float
operands move to a neighbouring number, which no program can be asked to tell apart; and K bounds the terms that one result sums up
and whose rounding errors add up as a random walk does: the longest axis of an operand, the elements of the second or a later
operand for each of its rows, or the elements of the largest operand for each result, whichever is most; 1 for what works
element by element on operands of one shape. Below the smallest normal number of a type nothing is asked: kernels flush to zero.

A call whose attributes contradict each other or its operands is left out, with the reason; the operators leave open what it gives.

Per operator: calls run, element types and shapes that differ among them, calls that agree, that differ, that the cpu backend alone
makes otherwise, and that ONNX Runtime refuses. `--few` writes the names of those of which fewer than 50 calls run, for a further
run of `operator_cases` with more variations of these. `--page` writes the table of counts between the marks of a page, whose other table says of
each operator that differs who is right: exit code 1 when one differs that has no row there.
"""
import argparse, collections, concurrent.futures, glob, json, math, multiprocessing, os, re, sys, tempfile, warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime as rt
from onnx import TensorProto as T, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

# Operators whose specification has them compute in float32 whatever the operands are, or in the type that stash_type names.
IN_FLOAT32 = ("LayerNormalization", "GroupNormalization", "RMSNormalization")
# The type through which a type that numpy lacks passes unchanged.
WIDE = {T.BFLOAT16: T.FLOAT, T.FLOAT8E4M3FN: T.FLOAT, T.FLOAT8E4M3FNUZ: T.FLOAT, T.FLOAT8E5M2: T.FLOAT, T.FLOAT8E5M2FNUZ: T.FLOAT,
        T.FLOAT8E8M0: T.FLOAT, T.FLOAT4E2M1: T.FLOAT, T.INT4: T.INT8, T.UINT4: T.UINT8, T.INT2: T.INT8, T.UINT2: T.UINT8}
FLOAT8 = (T.FLOAT8E4M3FN, T.FLOAT8E4M3FNUZ, T.FLOAT8E5M2, T.FLOAT8E5M2FNUZ)
# Half a unit in the last place, and the smallest normal number.
UNIT = {T.DOUBLE: (2.0**-53, 2.3e-308), T.FLOAT: (2.0**-24, 1.2e-38), T.FLOAT16: (2.0**-11, 6.2e-5), T.BFLOAT16: (2.0**-8, 1.2e-38)}


# Outcomes of a call that ONNX Runtime computes.
RAN = ("agrees", "differs", "cpu differs")
# Calls that every operator should run.
ENOUGH = 50
# Seconds after which a call that does not end is said to hang.
PATIENCE = 10


def value(path, kind):
    data = open(path, "rb").read()
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    if kind == "map_type":
        plain = lambda v: v.decode() if isinstance(v, bytes) else v.item() if isinstance(v, (np.generic, np.ndarray)) else v
        return {plain(k): plain(v) for k, v in numpy_helper.to_dict(onnx.MapProto.FromString(data)).items()}
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def elements(info):
    """The type of a tensor, 0 of anything else."""
    return info.type.tensor_type.elem_type if info.type.WhichOneof("value") == "tensor_type" else 0


def bordered(model):
    """The model with types that numpy lacks cast at its inputs and outputs."""
    graph = model.graph
    for infos, inward in ((graph.input, True), (graph.output, False)):
        for info in infos:
            kind = elements(info)
            if kind not in WIDE:
                continue
            inner, outer = info.name, info.name + "__wide"
            # A float8 that has infinities keeps them.
            exact = {"saturate": 0} if inward and kind in FLOAT8 else {}
            node = helper.make_node("Cast", [outer if inward else inner], [inner if inward else outer], to=kind if inward else WIDE[kind], **exact)
            graph.node.insert(0, node) if inward else graph.node.append(node)
            info.name = outer
            info.type.tensor_type.elem_type = WIDE[kind]
    return model


def with_constants(model, feed):
    """The model with all inputs but the first as constants, and what is left to feed."""
    out = onnx.ModelProto(); out.CopyFrom(model)
    names = [i.name for i in out.graph.input]
    for i in list(out.graph.input)[1:]:
        if isinstance(feed[i.name], (list, dict)):
            return None
        out.graph.initializer.append(numpy_helper.from_array(feed[i.name], i.name))
        out.graph.input.remove(i)
    return out, {n: feed[n] for n in names[:1]}


def opsets(folder):
    """The files of a call: at the newest opset, then at those of older versions of the operator, newest first."""
    older = glob.glob(f"{folder}/model_*.onnx")
    return [f"{folder}/model.onnx"] + sorted(older, key=lambda p: -int(p.rsplit("_", 1)[1][:-5]))


def peer(folder, feed):
    """The results of ONNX Runtime by the first way that it takes: as it is, with constants, at an older opset; or its errors."""
    why = []
    for path in opsets(folder):
        model = bordered(onnx.load(path))
        named = dict(zip([i.name for i in model.graph.input], feed))
        for way in (lambda: (model, named), lambda: with_constants(model, named)):
            made = way()
            if made is None:
                continue
            try:
                return in_peer(*made), None
            except Exception as error:
                why.append(str(error).splitlines()[0])
    return None, "; ".join(dict.fromkeys(why))


def in_peer(model, feed):
    options = rt.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = rt.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = rt.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def wide(array, kind):
    return array.astype(helper.tensor_dtype_to_np_dtype(WIDE[kind])) if kind in WIDE else array


def contradiction(node, feed):
    """Why the specification leaves open what a call gives; None of a call that it defines."""
    attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if attrs.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") and ("pads" in attrs or "ceil_mode" in attrs):
        return "auto_pad beside pads or ceil_mode"
    if node.op_type == "Attention" and not node.domain and "q_num_heads" in attrs and np.ndim(feed[0]) == 4:
        return "a number of heads for operands that have heads"
    if node.op_type == "Split" and attrs.get("num_outputs", len(node.output)) != len(node.output):
        return "another number of outputs than num_outputs"
    if node.op_type == "Split" and "num_outputs" in attrs and len(feed) > 1:
        return "both sizes and num_outputs"
    if node.op_type == "Constant" and len(attrs) > 1:
        return "more than one value"
    if node.op_type == "TfIdfVectorizer" and {"pool_int64s", "pool_strings"} <= set(attrs):
        return "two pools"
    if node.op_type == "TopK" and attrs.get("sorted") == 0:
        return "an order that sorted = 0 leaves open"
    if node.op_type == "FeatureVectorizer":
        widths = [math.prod(v.shape[1:]) for v in feed]
        if list(attrs.get("inputdimensions", widths)) != widths:
            return "inputdimensions that are not those of the inputs"
    return None


def terms(feed, got):
    """K of the bound, see above."""
    arrays = [np.asarray(v) for v in feed if not isinstance(v, list)]
    if not arrays or isinstance(got, list) or any(isinstance(v, list) for v in feed):
        return 1
    if all(a.shape == np.shape(got) for a in arrays):
        return 1
    longest = max([n for a in arrays for n in a.shape] or [1])
    rows = max([a.size // max(a.shape[0], 1) for a in arrays[1:] if a.ndim] or [1])
    return max(longest, rows, max(a.size for a in arrays) // max(np.size(got), 1), 1)


def difference(got, want, kind, change, k_terms):
    """Why two results differ; None when they agree."""
    if isinstance(got, rt.SparseTensor):
        return None
    if isinstance(want, dict):
        text = lambda d: {k.decode() if isinstance(k, bytes) else k: v for k, v in d.items()}
        got, want = text(got), text(want)
        if set(got) != set(want):
            return f"keys {sorted(got)} for {sorted(want)}"
        return next((d for k in want if (d := difference(got[k], want[k], 0, change, k_terms))), None)
    if want is None or got is None:
        return None if want is got else f"{got} for {want}"
    if isinstance(want, list):
        if len(got) != len(want):
            return f"{len(got)} elements against {len(want)}"
        return next((d for d in (difference(g, w, 0, change, k_terms) for g, w in zip(got, want)) if d), None)
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return f"shape {list(got.shape)} for {list(want.shape)}"
    if isinstance(got, np.ndarray) and got.dtype == np.float64 and not got.ndim and want.dtype == np.float32:
        got = got.astype(np.float32)  # the value of a map, which Python holds as a double
    if got.dtype != want.dtype and not (got.dtype.kind in "OUS" and want.dtype.kind in "OUS"):
        return f"type {got.dtype} for {want.dtype}"
    if want.dtype.kind not in "fc":
        off = got.astype(str) != want.astype(str) if want.dtype.kind in "OUS" else got != want
        if not np.any(off):
            return None
        at = tuple(np.argwhere(np.atleast_1d(off))[0])
        return f"{int(np.sum(off))} of {want.size}: {np.atleast_1d(got)[at]} for {np.atleast_1d(want)[at]}"
    unit, least = UNIT.get(kind or {2: T.FLOAT16, 4: T.FLOAT, 8: T.DOUBLE}.get(want.dtype.itemsize), (0, 0))
    if want.dtype.kind == "c":
        unit, least = (2.0**-24, 1.2e-38) if want.dtype.itemsize == 8 else (2.0**-53, 2.3e-308)
        pairs = [(got.real, want.real), (got.imag, want.imag)]
        largest = float(np.abs(want[np.isfinite(want)]).max(initial=0))
        return next((d for g, w in pairs if (d := far(g, w, unit, least, change + unit * largest, k_terms))), None)
    return far(got, want, unit, least, change, k_terms)


def far(got, want, unit, least, change, k):
    got, want = np.atleast_1d(got).astype(np.float64), np.atleast_1d(want).astype(np.float64)
    with np.errstate(all="ignore"):
        bound = 4 * math.sqrt(k) * (change + unit * np.abs(want)) + least
        near = (np.abs(got - want) <= bound) | (got == want) | (np.isnan(got) & np.isnan(want))
    if near.all():
        return None
    at = tuple(np.argwhere(~near)[0])
    return f"{int((~near).sum())} of {want.size}: {got[at]:.9g} for {want[at]:.9g}"


def run(folder):
    """(outcome, why, signature) of one case."""
    model, data = onnx.load(f"{folder}/model.onnx"), f"{folder}/test_data_set_0"
    infos, results = list(model.graph.input), list(model.graph.output)
    kinds, wanted = [elements(i) for i in infos], [elements(o) for o in results]
    shape = lambda v: len(v) if isinstance(v, list) else list(np.shape(v))
    try:
        feed = [value(f"{data}/input_{k}.pb", i.type.WhichOneof("value")) for k, i in enumerate(infos)]
    except Exception as error:
        return "refused", f"not fed: {error}", ""
    signature = str([(k, shape(v)) for k, v in zip(kinds, feed)])
    open_call = next((why for n in model.graph.node if (why := contradiction(n, feed))), None)
    if open_call:
        return "left out", open_call, signature
    in_float32 = os.path.basename(folder).rsplit("_", 1)[0].endswith(IN_FLOAT32)
    feed = [wide(v, k) for v, k in zip(feed, kinds)]
    outer = [o.type.WhichOneof("value") for o in results]
    got, why = peer(folder, feed)
    if got is None:
        return "refused", why, signature
    found = {}
    for who in ("output", "cpu"):
        for j, g in enumerate(got):
            path = f"{data}/{who}_{j}.pb"
            if not os.path.exists(path):
                continue
            change = f"{folder}/change_{j}.txt"
            change = float(open(change).read()) if os.path.exists(change) else 0.0
            want = value(path, outer[j])
            if in_float32 and getattr(want, "dtype", None) == np.float64:
                change += 2.0**-24 * float(np.abs(want[np.isfinite(want)]).max(initial=0))
            why = difference(g, wide(want, wanted[j]) if not isinstance(want, list) else want, wanted[j], change, terms(feed, g))
            if why and who not in found:
                found[who] = f"output {j}, {why}"
    # Without a file of its own a backend gives what the reference gives.
    if "output" in found:
        return "differs", found["output"], signature
    if os.path.exists(f"{folder}/cpu.txt"):
        return "cpu differs", open(f"{folder}/cpu.txt").read()[:200], signature
    return ("cpu differs", found["cpu"], signature) if "cpu" in found else ("agrees", "", signature)


def batch(folders, log):
    """Runs cases one after the other, each outcome a line of the file, for ONNX Runtime may take the process along."""
    with open(log, "w") as lines:
        for f in folders:
            print(json.dumps([f, *run(f)], default=str), file=lines, flush=True)


def survived(folders):
    """The outcomes of these cases, in another process; one that ends it is a crash, and those behind it go on in the next."""
    out = []
    with tempfile.NamedTemporaryFile() as log:
        while len(out) < len(folders):
            rest = folders[len(out) :]
            worker = multiprocessing.get_context("spawn").Process(target=batch, args=(rest, log.name))
            worker.start()
            done, hangs = -1, False
            while worker.is_alive() and not hangs:
                worker.join(PATIENCE)
                done, before = os.path.getsize(log.name), done
                hangs = worker.is_alive() and done == before
            if hangs:
                worker.kill(); worker.join()
            out += [json.loads(line) for line in open(log.name)]
            if worker.exitcode > 0:
                sys.exit("a worker failed: see above")
            if worker.exitcode:
                out.append([folders[len(out)], "refused", "ONNX Runtime " + ("hangs" if hangs else "crashes"), ""])
    return out


def outcomes(folders, runs):
    batches = [folders[i : i + 200] for i in range(0, len(folders), 200)]
    with concurrent.futures.ThreadPoolExecutor(runs) as pool:
        for done in pool.map(survived, batches):
            yield from done


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder"); ap.add_argument("--page"); ap.add_argument("--verbose", action="store_true"); ap.add_argument("--json")
    ap.add_argument("--runs", type=int, default=2); ap.add_argument("--match", default=""); ap.add_argument("--few")
    args = ap.parse_args()
    counts, first, seen = collections.defaultdict(collections.Counter), {}, collections.defaultdict(set)
    folders = [f for f in sorted(glob.glob(f"{args.folder}/*_*")) if args.match in os.path.basename(f)]
    rows = []
    for folder, outcome, why, signature in outcomes(folders, args.runs):
        op = os.path.basename(folder).rsplit("_", 1)[0]
        counts[op][outcome] += 1
        rows.append([os.path.basename(folder), outcome, why, signature])
        if outcome in RAN:
            seen[op].add(signature)
        if why and (args.verbose or (op, outcome) not in first):
            first.setdefault((op, outcome), why)
            if args.verbose and outcome in RAN:
                print(f"{os.path.basename(folder)} {outcome}: {why} {signature}", flush=True)
    print(f"{'operator':44}{'calls':>7}{'shapes':>8}{'agree':>7}{'differ':>8}{'cpu':>5}{'refused':>9}")
    for op, c in sorted(counts.items()):
        why = "; ".join(first[op, o][:100] for o in ("differs", "cpu differs", "refused") if (op, o) in first)
        print(f"{op:44}{sum(c[o] for o in RAN):>7}{len(seen[op]):>8}{c['agrees']:>7}{c['differs']:>8}{c['cpu differs']:>5}{c['refused']:>9}  {why}")
    table = summary(counts, seen)
    print("\n".join(table))
    if args.few:
        ran = {o: sum(counts[o][r] for r in RAN) for o in counts}
        open(args.few, "w").write("".join(f"{o}\n" for o in sorted(counts) if 0 < ran[o] < ENOUGH))
    if args.json:
        json.dump(rows, open(args.json, "w"), indent=0)
    differing = {op for op, c in counts.items() if c["differs"] or c["cpu differs"]}
    if args.page:
        text = open(args.page).read()
        filled = "\n".join(table)
        text = re.sub(r"(<!-- counts -->\n).*?(\n<!-- end -->)", lambda m: m[1] + filled + m[2], text, flags=re.S)
        open(args.page, "w").write(text)
        differing -= {op for row in re.findall(r"^\| ([^|]+) \|", text, re.M) for op in row.split(", ")}
        print("differ without a row: " + (", ".join(sorted(differing)) or "none"))
    sys.exit(1 if differing or not counts else 0)


def summary(counts, seen):
    """The table of counts, by domain."""
    rows = ["| Domain | Operators | of them run | Calls run | equal | differ | of operators | cpu alone differs | refused by ONNX Runtime | left out |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for label, ops in domains(counts).items():
        total = sum((counts[o] for o in ops), collections.Counter())
        run = [o for o in ops if any(counts[o][r] for r in RAN)]
        cells = [len(ops), len(run), sum(total[r] for r in RAN), total["agrees"], total["differs"], sum(counts[o]["differs"] > 0 for o in ops),
                 total["cpu differs"], total["refused"], total["left out"]]
        rows.append(f"| {label} | " + " | ".join(f"{c:,}" for c in cells) + " |")
    few = [f"{o} ({sum(counts[o][r] for r in RAN)})" for o in sorted(counts) if 0 < sum(counts[o][r] for r in RAN) < ENOUGH]
    kernels = set()
    for k in get_all_opkernel_def():
        if k.provider == "CPUExecutionProvider":
            kernels.add(k.op_name if k.domain in ("", "ai.onnx") else f"{k.domain}.{k.op_name}")
    never = [o for o in sorted(counts) if not any(counts[o][r] for r in RAN)]
    rows += ["", f"Of {sum(len(s) for s in seen.values()):,} calls another differs in element types or shapes. Fewer than 50 calls run of: {', '.join(few) or 'none'}. "
             f"Of these ONNX Runtime has no kernel for CPUs: {', '.join(o for o in never if o not in kernels)}."]
    rows[-1] += "".join(f" It runs none of {o}, for which it has one." for o in never if o in kernels)
    return rows


def domains(ops):
    out = collections.defaultdict(list)
    for op in ops:
        out[op.rsplit(".", 1)[0] if "." in op else "ai.onnx"].append(op)
    return out


if __name__ == "__main__":
    main()
