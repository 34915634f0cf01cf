#!/usr/bin/env python3
"""Writes and reads ONNX models in each notation (binary, text, JSON, protobuf's text) beside the onnx package.

usage: notations.py BINARY PATH... [--list N]

PATH is a model, or a folder that is searched for them. For each model:

  same    BINARY writes the model again as it is; both ModelProtos are compared
  text    BINARY writes the text form, onnx.parser reads it
  back    onnx.printer writes the text form, BINARY reads it and writes it as binary; compared with what onnx.parser makes of it
  json    BINARY writes JSON, onnx.load reads it
  unjson  protobuf's json_format writes JSON, BINARY reads it and writes it as binary
  proto   BINARY writes protobuf's text, text_format reads it
  unproto protobuf's text_format writes its text, BINARY reads it and writes it as binary

Models are equal when their messages are, tensors by their bytes whatever field holds them; under `text` without what the
text form has no word for. Exit code 1 when something differs.
"""
import argparse, collections, copy, os, subprocess, sys, tempfile, warnings

import numpy as np
import onnx
from google.protobuf import json_format, text_format

warnings.filterwarnings("ignore")
WIDTHS = {1: "float_data", 14: "float_data", 11: "double_data", 15: "double_data", 7: "int64_data", 12: "uint64_data", 13: "uint64_data"}
TYPES = {1: "<f4", 14: "<f4", 11: "<f8", 15: "<f8", 7: "<i8", 12: "<u4", 13: "<u8", 6: "<u4", 4: "<u2", 5: "<u2", 10: "<u2", 16: "<u2"}
TYPED = ["float_data", "double_data", "int64_data", "int32_data", "uint64_data"]


def repeated(field):
    said = getattr(field, "is_repeated", None)
    return said if isinstance(said, bool) else field.label == field.LABEL_REPEATED


def settle(t):
    """Data of a tensor as raw bytes, whatever field held them."""
    if t.data_type == 8 or t.data_location == 1:
        return
    if not t.HasField("raw_data"):
        values = np.array(getattr(t, WIDTHS.get(t.data_type, "int32_data")))
        if t.data_type in (1, 14, 11, 15):
            raw = values.astype(TYPES[t.data_type]).tobytes()
        else:
            raw = values.astype(np.int64 if t.data_type != 13 else np.uint64).astype(TYPES.get(t.data_type, "u1")).tobytes()
        for name in TYPED:
            t.ClearField(name)
        t.raw_data = raw


def walk(message, plain, top=True):
    """Brings a message into a form in which equal models are equal bytes; `plain` drops what the text form cannot say."""
    kind = message.DESCRIPTOR.name
    if kind == "TensorProto":
        settle(message)
        if message.data_location == 0:
            message.ClearField("data_location")
    if kind in ("NodeProto", "OperatorSetIdProto", "ModelProto", "FunctionProto") and message.domain == "":
        message.ClearField("domain")
    if plain:
        if kind not in ("ModelProto", "FunctionProto"):
            for name in ("doc_string", "denotation"):
                if name in message.DESCRIPTOR.fields_by_name:
                    message.ClearField(name)
        if kind != "ModelProto" and "metadata_props" in message.DESCRIPTOR.fields_by_name:
            message.ClearField("metadata_props")
        for name in ("quantization_annotation", "sparse_initializer", "device_configurations", "training_info", "configuration", "overload"):
            if name in message.DESCRIPTOR.fields_by_name and (name != "overload" or not message.overload):
                message.ClearField(name)
        if kind == "AttributeProto":
            if message.HasField("t") and not message.t.name.isidentifier():
                message.t.ClearField("name")
            if message.HasField("g"):
                message.g.ClearField("name")
        if kind == "NodeProto" and not message.name:
            message.ClearField("name")
        if kind == "TensorProto" and message.name == "":
            message.ClearField("name")
        if kind == "ValueInfoProto" and (message.type.WhichOneof("value") is None or message.type.HasField("tensor_type") and not message.type.tensor_type.elem_type):
            message.ClearField("type")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if repeated(field) else [value]:
            walk(inner, plain, False)
    return message


def equal(a, b, plain):
    a, b = walk(copy.deepcopy(a), plain), walk(copy.deepcopy(b), plain)
    if a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True):
        return None
    return difference(a, b, "")


def difference(a, b, way):
    """The first field in which two messages differ, in words."""
    for field in a.DESCRIPTOR.fields:
        x, y = getattr(a, field.name), getattr(b, field.name)
        here = f"{way}.{field.name}"
        if repeated(field):
            if len(x) != len(y):
                return f"{here}: {len(x)} against {len(y)}"
            for i, (p, q) in enumerate(zip(x, y)):
                if field.message_type is not None:
                    found = difference(p, q, f"{here}[{i}]")
                    if found:
                        return found
                elif p != q and not (p != p and q != q):
                    return f"{here}[{i}]: {str(p)[:60]!r} against {str(q)[:60]!r}"
        elif field.has_presence and a.HasField(field.name) != b.HasField(field.name):
            return f"{here}: {'there' if a.HasField(field.name) else 'absent'} against {'there' if b.HasField(field.name) else 'absent'}"
        elif field.message_type is not None:
            found = difference(x, y, here) if a.HasField(field.name) else None
            if found:
                return found
        elif x != y and not (x != x and y != y):
            return f"{here}: {str(x)[:60]!r} against {str(y)[:60]!r}"
    return None


class Case:
    def __init__(self, binary, path, folder):
        self.binary, self.path, self.folder = binary, path, folder
        self.model = onnx.load(path, load_external_data=False)

    def convert(self, source, name):
        out = os.path.join(self.folder, name)
        done = subprocess.run([self.binary, "convert", source, out, "--verify", "no", "--quiet"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip()[:300])
        return out

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def same(self):
        return equal(self.model, onnx.load(self.convert(self.path, "same.onnx"), load_external_data=False), False)

    def text(self):
        with open(self.convert(self.path, "ours.onnxtxt"), "rb") as f:
            text = f.read()
        return equal(self.model, onnx.parser.parse_model(text.decode("utf-8")), True)

    def back(self):
        text = onnx.printer.to_text(self.model)
        try:
            theirs = onnx.parser.parse_model(text)
        except Exception as e:
            return ("skip", "onnx does not read its own text: " + str(e).strip().splitlines()[-1][:80])
        ours = onnx.load(self.convert(self.put("theirs.onnxtxt", text), "back.onnx"), load_external_data=False)
        return equal(theirs, ours, True)

    def json(self):
        return equal(self.model, onnx.load(self.convert(self.path, "ours.onnxjson"), format="json", load_external_data=False), False)

    def unjson(self):
        text = json_format.MessageToJson(self.model)
        ours = onnx.load(self.convert(self.put("theirs.json", text), "unjson.onnx"), load_external_data=False)
        return equal(self.model, ours, False)

    def proto(self):
        with open(self.convert(self.path, "ours.textproto"), encoding="utf-8") as f:
            return equal(self.model, text_format.Parse(f.read(), onnx.ModelProto()), False)

    def unproto(self):
        text = text_format.MessageToString(self.model, as_utf8=len(self.path) % 2 == 0, as_one_line=len(self.path) % 3 == 0)
        ours = onnx.load(self.convert(self.put("theirs.textproto", text), "unproto.onnx"), load_external_data=False)
        return equal(self.model, ours, False)


def models(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for root, folders, files in os.walk(path):
            folders.sort()
            yield from (os.path.join(root, f) for f in sorted(files) if f.endswith(".onnx"))


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("binary")
    ap.add_argument("paths", nargs="+")
    ap.add_argument("--list", type=int, default=40, help="differences that are printed")
    ap.add_argument("--largest", type=int, default=64 << 20, help="bytes of the largest model that is tried")
    args = ap.parse_args()
    counts = collections.defaultdict(collections.Counter)
    shown, failed = 0, 0
    for path in models(args.paths):
        if os.path.getsize(path) > args.largest:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                case = Case(args.binary, path, folder)
            except Exception:
                continue
            for name in ("same", "text", "back", "json", "unjson", "proto", "unproto"):
                try:
                    found = getattr(case, name)()
                except Exception as e:
                    found = f"{type(e).__name__}: {e}"
                if isinstance(found, tuple):
                    counts[name][found[1]] += 1
                    continue
                counts[name]["differ" if found else "equal"] += 1
                failed += bool(found)
                if found and shown < args.list:
                    shown += 1
                    print(f"{path}: {name}: {found}", flush=True)
    for name, c in counts.items():
        print(f"{name:7} " + ", ".join(f"{n} {what}" for what, n in c.most_common()))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
