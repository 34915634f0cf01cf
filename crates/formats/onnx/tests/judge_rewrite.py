"""Compare models that were read and written again with the originals, in the Python onnx package and ONNX Runtime.

    python judge_rewrite.py REWRITE [--side | --hub] FOLDER...

REWRITE is the built example `rewrite_models`. Two models are equal when nothing but the spelling differs: fields that are
present and empty, tensor data as raw bytes, in typed fields or in another file, attribute types that an old file left
out, and the name of a graph that had none. `--side` writes weights to a file of their own. `--hub` takes the model to
the hub opset and back, which may change its nodes: there ONNX Runtime must give the same results before and after, on
the data sets beside the model, or on generated inputs.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import external_data_helper, numpy_helper

COMPARED = []  # models that ONNX Runtime ran before and after
TENSOR_FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def data(tensor):
    try:
        return numpy_helper.to_array(tensor).tobytes()
    except (TypeError, ValueError):
        return tensor.raw_data


def normalise(message):
    """The message with one spelling for what may be spelled in several ways."""
    name = message.DESCRIPTOR.name
    if name == "TensorProto" and message.data_type != onnx.TensorProto.STRING:
        raw = data(message)
        for field in (*TENSOR_FIELDS, "external_data", "data_location"):
            message.ClearField(field)
        message.raw_data = raw
    if name == "AttributeProto" and not message.type:
        for field, value in message.ListFields():
            kind = {"f": "FLOAT", "i": "INT", "s": "STRING", "t": "TENSOR", "g": "GRAPH"}
            kind.update(floats="FLOATS", ints="INTS", strings="STRINGS")
            if field.name in kind:
                message.type = getattr(onnx.AttributeProto, kind[field.name])
    if name == "GraphProto" and not message.name:
        message.name = "graph"
    for field, value in message.ListFields():
        repeated = not isinstance(value, (str, bytes, int, float)) and not hasattr(value, "DESCRIPTOR")
        if field.type == field.TYPE_MESSAGE:
            for item in value if repeated else [value]:
                normalise(item)
        elif value in ("", b"") or (field.name == "model_version" and value == 0):
            message.ClearField(field.name)
    return message


def in_order(model):
    """Whether every node of the main graph comes after the nodes whose results it takes as inputs."""
    seen, made = set(), {o for n in model.graph.node for o in n.output}
    for node in model.graph.node:
        if any(i in made and i not in seen for i in node.input):
            return False
        seen.update(node.output)
    return True


def difference(before, after):
    """Nothing when the models are equal."""
    if normalise(before) == normalise(after):
        return ""
    return "differs" if in_order(before) else reordered(before, after)


def generated(value, seed):
    """An input of the declared type; free dimensions are 2."""
    tensor = value.type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else 2 for d in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    random = np.random.default_rng(seed)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if dtype.kind in "iub":
        return random.integers(0, 2, shape).astype(dtype)
    raise TypeError(f"no generator for {dtype}")


def inputs_of(path):
    graph = onnx.load(path, load_external_data=False).graph
    given = {t.name for t in graph.initializer}
    wanted = [i for i in graph.input if i.name not in given]
    feeds = {}
    for i, value in enumerate(wanted):
        file = path.parent / "test_data_set_0" / f"input_{i}.pb"
        kind = value.type.WhichOneof("value")
        if file.exists() and kind == "tensor_type":
            feeds[value.name] = numpy_helper.to_array(onnx.load_tensor(file))
        elif file.exists() and kind == "sequence_type":
            feeds[value.name] = numpy_helper.to_list(onnx.SequenceProto.FromString(file.read_bytes()))
        elif file.exists():
            feeds[value.name] = numpy_helper.to_optional(onnx.OptionalProto.FromString(file.read_bytes()))
        else:
            feeds[value.name] = generated(value, i)
    return feeds


def results(source, target):
    """Nothing when ONNX Runtime gives the same for both, or cannot run the first at all."""
    try:
        feeds = inputs_of(source)
        expected = runtime(source).run(None, feeds)
    except Exception:  # noqa: BLE001
        return ""
    COMPARED.append(source)
    try:
        found = runtime(target).run(None, feeds)
    except Exception as error:  # noqa: BLE001
        return f"runtime: {str(error).splitlines()[0][:200]}"
    return "" if same(expected, found) else "results differ"


def same(a, b):
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, np.ndarray) and a.dtype.kind in "fc":
        close = np.allclose(a.astype(np.complex128), b.astype(np.complex128), rtol=1e-5, atol=1e-6, equal_nan=True)
        return a.shape == b.shape and close
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def reordered(before, after):
    """The verdict on a model whose nodes had to be put in order: nothing, unless more than that differs."""
    for model in (before, after):
        nodes = sorted(model.graph.node, key=lambda n: n.SerializeToString(deterministic=True))
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return "" if before == after else "differs"


def load(path):
    model = onnx.load(path, load_external_data=False)
    external_data_helper.load_external_data_for_model(model, str(path.parent))
    return model


def attempt(action):
    try:
        action()
        return True
    except Exception as error:  # noqa: BLE001: whatever the judge raises is its verdict
        return str(error).splitlines()[0][:160]


def runtime(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main():
    rewrite, *folders = [a for a in sys.argv[1:] if not a.startswith("--")]
    how = "hub" if "--hub" in sys.argv else "side" if "--side" in sys.argv else "plain"
    files = [p for f in folders for p in sorted(pathlib.Path(f).rglob("*.onnx"))]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        targets = [pathlib.Path(folder) / f"{i}.onnx" for i in range(len(files))]
        lines = "".join(f"{source}\t{target}\t{how}\n" for source, target in zip(files, targets))
        printed = subprocess.run([rewrite], input=lines, text=True, capture_output=True, check=True).stdout
        print(printed, end="")
        for source, target in zip(files, targets):
            if not target.exists():
                failures += 1
                continue
            verdicts = [results(source, target) if how == "hub" else difference(load(source), load(target))]
            for name, judge in [("checker", lambda p: onnx.checker.check_model(str(p), full_check=True)), ("runtime", runtime)]:
                was, now = attempt(lambda: judge(source)), attempt(lambda: judge(target))
                if was is True and now is not True:
                    verdicts.append(f"{name}: {now}")
            verdicts = [v for v in verdicts if v]
            failures += bool(verdicts)
            if verdicts:
                print(f"{source}: {'; '.join(verdicts)}")
            for path in target.parent.glob(f"{target.stem}.*"):
                path.unlink()
    ran = f", {len(COMPARED)} compared in ONNX Runtime" if how == "hub" else ""
    print(f"{len(files)} models{ran}, {failures} of them not as they were")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
