"""Compare what the schema decodes and encodes again with the original, as the Python onnx package parses both.

    python judge_schema.py RECODE FOLDER...

RECODE is the built example `recode`. Every .onnx file below the folders is taken as a model, every .pb file as the
kind of test data that its model's input or output has.
"""

import pathlib
import subprocess
import sys
import tempfile

import onnx

KINDS = {"model": onnx.ModelProto, "tensor": onnx.TensorProto, "sequence": onnx.SequenceProto}
KINDS["optional"] = onnx.OptionalProto


def kind_of(path):
    """The message type of a .pb file: the one whose unknown fields do not take it up."""
    if path.suffix == ".onnx":
        return "model"
    graph = next(iter(path.parent.parent.glob("*.onnx")), None)
    if graph is None:
        return "tensor"
    model = onnx.load(graph, load_external_data=False).graph
    side, _, index = path.stem.rpartition("_")
    values = model.input if side.startswith("input") else model.output
    if int(index) >= len(values):
        return "tensor"
    which = values[int(index)].type.WhichOneof("value")
    return {"sequence_type": "sequence", "optional_type": "optional"}.get(which, "tensor")


def main():
    recode, *folders = sys.argv[1:]
    files = [p for f in folders for ext in ("onnx", "pb") for p in sorted(pathlib.Path(f).rglob(f"*.{ext}"))]
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(kind_of(p), p, pathlib.Path(folder) / str(i)) for i, p in enumerate(files)]
        lines = "".join(f"{kind}\t{source}\t{target}\n" for kind, source, target in jobs)
        printed = subprocess.run([recode], input=lines, text=True, capture_output=True, check=True).stdout
        print(printed, end="")
        same = exact = 0
        for kind, source, target in jobs:
            if not target.exists():
                continue
            before, after = source.read_bytes(), target.read_bytes()
            a, b = KINDS[kind](), KINDS[kind]()
            a.ParseFromString(before)
            b.ParseFromString(after)
            same += a == b
            exact += before == after
            if a != b:
                print(f"{source}: differs")
    print(f"{len(files)} files, {same} equal, {exact} of them to the byte")
    return same != len(files)


if __name__ == "__main__":
    sys.exit(main())
