#!/usr/bin/env python3
"""Writes models in which every field of onnx.proto is set, and says what a plain `convert` loses of them.

usage: fields.py BINARY [--models N] [--external]

Each model is sound (onnx.checker passes it) and carries documentation, metadata, denotations, annotations, overloads,
sparse and external tensors, training information and device configurations wherever the schema has a place for them; which
optional fields are there, and whether strings are empty, is drawn. The result is read by the onnx package and compared field by
field. Also: fields that no model of the set fills are listed. Exit code 1 when something is lost or not filled.
"""
import argparse, collections, copy, os, random, subprocess, sys, tempfile

import numpy as np
import onnx
from onnx import helper as h

from notations import difference, repeated, walk

F, I = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


class Maker:
    def __init__(self, seed, folder):
        self.r = random.Random(seed)
        self.folder = folder
        self.n = 0

    def text(self):
        return self.r.choice(["", "a", "two words", "\u00fcber \u2192", "line\nbreak \"quoted\" \\"])

    def maybe(self):
        return self.r.random() < 0.7

    def props(self, owner):
        if self.maybe():
            for _ in range(self.r.randint(1, 2)):
                owner.add(key=f"key{self.r.randint(0, 9)}{len(owner)}", value=self.text())

    def describe(self, message):
        if self.maybe():
            message.doc_string = self.text()
        if "metadata_props" in message.DESCRIPTOR.fields_by_name:
            self.props(message.metadata_props)

    def tensor(self, name, dtype=None, shape=(2, 3)):
        codes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]
        code = dtype or self.r.choice(codes)
        count = int(np.prod(shape))
        t = onnx.TensorProto(name=name, data_type=code, dims=shape)
        bits = {1: 32, 6: 32, 7: 64, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 4: 16, 5: 16, 10: 16, 16: 16, 21: 4, 22: 4, 23: 4, 25: 2, 26: 2}.get(code, 8)
        size = (count * bits + 7) // 8
        raw = bytes(self.r.randint(0, 1 if code == 9 else 60) for _ in range(size))
        if code in (21, 22, 23) and count % 2 or code in (25, 26) and count % 4:
            raw = bytes(size)
        if code == 8:
            t.string_data.extend(bytes(self.text(), "utf-8") for _ in range(count))
        elif self.r.random() < 0.4:
            t.raw_data = raw
        elif self.r.random() < 0.5 and self.folder and count:
            self.n += 1
            location = f"w{self.n}.bin"
            with open(os.path.join(self.folder, location), "wb") as f:
                f.write(b"\0" * 64 + raw)
            t.data_location = 1
            for key, value in (("location", location), ("offset", "64"), ("length", str(size)), ("checksum", "abc")):
                t.external_data.add(key=key, value=value)
        elif code in (1, 14):
            t.float_data.extend(np.frombuffer(raw, "<f4"))
        elif code in (11, 15):
            t.double_data.extend(np.frombuffer(raw, "<f8"))
        elif code == 7:
            t.int64_data.extend(np.frombuffer(raw, "<i8"))
        elif code in (12, 13):
            t.uint64_data.extend(np.frombuffer(raw, "<u4" if code == 12 else "<u8"))
        else:
            kind = {6: "<i4", 4: "<u2", 5: "<i2", 10: "<u2", 16: "<u2", 3: "i1"}.get(code, "u1")
            t.int32_data.extend(int(v) for v in np.frombuffer(raw, kind))
        self.describe(t)
        return t

    def sparse(self, name):
        s = onnx.SparseTensorProto(dims=[2, 3])
        s.values.CopyFrom(h.make_tensor(name, F, [2], [1.0, 2.0]))
        s.indices.CopyFrom(h.make_tensor("" if self.maybe() else name + "_i", I, [2], [1, 4]))
        self.describe(s.values)
        self.describe(s.indices)
        return s

    def type(self, depth=0):
        t = onnx.TypeProto()
        kind = self.r.choice(["tensor", "sparse", "seq", "opt", "map", "opaque"] if depth == 0 else ["tensor", "seq"] if depth < 3 else ["tensor"])
        if kind in ("tensor", "sparse"):
            to = t.tensor_type if kind == "tensor" else t.sparse_tensor_type
            to.elem_type = self.r.choice([1, 7, 10])
            to.shape.SetInParent()
            for _ in range(self.r.randint(0, 3)):
                d = to.shape.dim.add()
                which = self.r.randint(0, 2)
                if which == 0:
                    d.dim_value = self.r.randint(0, 9)
                elif which == 1:
                    d.dim_param = self.r.choice(["N", "a b", "2*k"])
                if self.maybe():
                    d.denotation = self.r.choice(["DATA_BATCH", ""])
        elif kind == "seq":
            t.sequence_type.elem_type.CopyFrom(self.type(depth + 1))
        elif kind == "opt":
            t.optional_type.elem_type.CopyFrom(self.type(depth + 1))
        elif kind == "map":
            t.map_type.key_type = self.r.choice([7, 8])
            t.map_type.value_type.CopyFrom(self.type(depth + 1))
        else:
            t.opaque_type.name = "thing"
            if self.maybe():
                t.opaque_type.domain = "d"
        if self.maybe():
            t.denotation = self.r.choice(["IMAGE", ""])
        return t

    def info(self, name, ty=None):
        v = onnx.ValueInfoProto(name=name)
        v.type.CopyFrom(ty or self.type())
        self.describe(v)
        return v

    def attributes(self, node, depth):
        """Attributes of every kind, on a node of a domain that has no schema."""
        kinds = ["f", "i", "s", "t", "sparse", "tp", "fs", "is", "ss", "ts", "sps", "tps"] + (["g", "gs"] if depth < 2 else [])
        for kind in self.r.sample(kinds, self.r.randint(2, len(kinds))):
            a = node.attribute.add(name="a_" + kind)
            T = onnx.AttributeProto
            if kind == "f":
                a.type, a.f = T.FLOAT, 1.5
            elif kind == "i":
                a.type, a.i = T.INT, self.r.choice([0, -(2**63)])
            elif kind == "s":
                a.type, a.s = T.STRING, self.r.choice([b"", b"\xff\x00x", "\u00fc".encode()])
            elif kind == "t":
                a.type = T.TENSOR
                a.t.CopyFrom(self.tensor(self.text()))
            elif kind == "sparse":
                a.type = T.SPARSE_TENSOR
                a.sparse_tensor.CopyFrom(self.sparse("s"))
            elif kind == "tp":
                a.type = T.TYPE_PROTO
                a.tp.CopyFrom(self.type())
            elif kind == "fs":
                a.type = T.FLOATS
                a.floats.extend([float("inf"), -0.0][: self.r.randint(0, 2)])
            elif kind == "is":
                a.type = T.INTS
                a.ints.extend([1, 2][: self.r.randint(0, 2)])
            elif kind == "ss":
                a.type = T.STRINGS
                a.strings.extend([b"a", b"\xfe"])
            elif kind == "ts":
                a.type = T.TENSORS
                a.tensors.extend([self.tensor(self.text()), self.tensor("u")])
            elif kind == "sps":
                a.type = T.SPARSE_TENSORS
                a.sparse_tensors.extend([self.sparse("p"), self.sparse("q")])
            elif kind == "tps":
                a.type = T.TYPE_PROTOS
                a.type_protos.extend([self.type(), self.type()])
            elif kind == "g":
                a.type = T.GRAPH
                a.g.CopyFrom(self.graph(depth + 1))
            else:
                a.type = T.GRAPHS
                a.graphs.extend([self.graph(depth + 1), self.graph(depth + 1)])
            if self.maybe():
                a.doc_string = self.text()

    def node(self, op, inputs, outputs, domain, depth):
        self.n += 1
        node = onnx.NodeProto(op_type=op, input=inputs, output=outputs)
        if self.maybe():
            node.name = self.r.choice([f"node {self.n}", f"n{self.n}"])
        if domain or self.maybe():
            node.domain = domain or self.r.choice(["", "ai.onnx"])
        if self.maybe() and domain:
            node.overload = self.r.choice(["", "o"])
        self.describe(node)
        if domain:
            self.attributes(node, depth)
        if self.maybe():
            c = node.device_configurations.add(configuration_id="c")
            c.pipeline_stage = 1
            s = c.sharding_spec.add(tensor_name=inputs[0], device=[0, 1])
            s.index_to_device_group_map.add(key=0, value=[1, 2])
            d = s.sharded_dim.add(axis=0)
            d.simple_sharding.add(dim_value=2, num_shards=2)
            d.simple_sharding.add(dim_param="N", num_shards=2)
        return node

    def graph(self, depth=0):
        g = onnx.GraphProto(name=self.r.choice(["g", "a graph"]))
        tag = f"_{self.n}"
        self.n += 1
        x = self.info("x" + tag, h.make_tensor_type_proto(F, ["N", 3]))
        g.input.append(x)
        g.initializer.append(self.tensor("w" + tag, F))
        if self.maybe():
            g.initializer.append(self.tensor("unused" + tag))
        if self.maybe():
            g.input.append(self.info("w" + tag, h.make_tensor_type_proto(F, [2, 3])))
        if self.maybe():
            g.sparse_initializer.append(self.sparse("sp" + tag))
        g.node.append(self.node("Abs", ["x" + tag], ["t" + tag], "", depth))
        g.node.append(self.node("Custom", ["t" + tag, "", "w" + tag], ["u" + tag, "", "v" + tag], "my.domain", depth))
        g.node.append(self.node("Fn", ["u" + tag], ["y" + tag], "my.fns", depth))
        for name in ("t", "u"):
            if self.maybe():
                g.value_info.append(self.info(name + tag, h.make_tensor_type_proto(F, None)))
        g.output.append(self.info("y" + tag, h.make_tensor_type_proto(F, ["N", 3])))
        if self.maybe():
            a = g.quantization_annotation.add(tensor_name="t" + tag)
            a.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w" + tag)
        self.describe(g)
        return g

    def function(self, overload):
        f = onnx.FunctionProto(name="Fn", domain="my.fns", input=["p"], output=["q"], overload=overload)
        f.opset_import.extend([h.make_opsetid("", 21), h.make_opsetid("my.domain", 1)])
        f.attribute.append("plain")
        for kind in ("f", "t", "g") if self.maybe() else ("i",):
            d = onnx.NodeProto()
            while not any(a.name == "a_" + kind for a in d.attribute):
                d = onnx.NodeProto()
                self.attributes(d, 1)
            f.attribute_proto.append(next(a for a in d.attribute if a.name == "a_" + kind))
        inner = self.node("Custom", ["p"], ["m"], "my.domain", 1)
        ref = inner.attribute.add(name="ref", ref_attr_name="plain", type=onnx.AttributeProto.INT)
        if self.maybe():
            ref.doc_string = self.text()
        f.node.extend([inner, self.node("Abs", ["m"], ["q"], "", 1)])
        f.value_info.append(self.info("m"))
        self.describe(f)
        return f

    def model(self):
        m = onnx.ModelProto(ir_version=onnx.IR_VERSION)
        m.opset_import.extend([h.make_opsetid(self.r.choice(["", "ai.onnx"]), 21), h.make_opsetid("my.domain", 1), h.make_opsetid("my.fns", 2)])
        for name in ("producer_name", "producer_version", "domain"):
            if self.maybe():
                setattr(m, name, self.text())
        if self.maybe():
            m.model_version = self.r.choice([0, 7])
        self.describe(m)
        m.graph.CopyFrom(self.graph())
        m.functions.extend([self.function(""), self.function("o")])
        c = m.configuration.add(name="c", num_devices=2)
        c.device.extend(["d0", "d1"])
        t = m.training_info.add()
        t.initialization.CopyFrom(self.graph(2))
        t.algorithm.CopyFrom(self.graph(2))
        t.initialization_binding.add(key="w", value="y")
        t.update_binding.add(key="w", value="y")
        return m


def inline(message, folder):
    """Reads external data in, so that where they lie does not count."""
    if message.DESCRIPTOR.name == "TensorProto" and message.data_location == 1:
        entries = {e.key: e.value for e in message.external_data}
        with open(os.path.join(folder, entries["location"]), "rb") as f:
            f.seek(int(entries.get("offset", 0)))
            message.raw_data = f.read(int(entries["length"])) if "length" in entries else f.read()
        message.ClearField("external_data")
        message.ClearField("data_location")
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if repeated(field) else [value]:
                inline(inner, folder)
    return message


def filled(message, seen):
    for field, value in message.ListFields():
        seen.add(field.full_name)
        if field.message_type is not None:
            for inner in value if repeated(field) else [value]:
                filled(inner, seen)


def every(descriptor, out):
    for field in descriptor.fields:
        if field.full_name not in out:
            out.add(field.full_name)
            if field.message_type is not None:
                every(field.message_type, out)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("binary")
    ap.add_argument("--models", type=int, default=100)
    ap.add_argument("--to", default="onnx", help="extension of what is written on the way, for example onnxjson")
    args = ap.parse_args()
    lost, seen = collections.Counter(), set()
    for seed in range(args.models):
        with tempfile.TemporaryDirectory() as folder:
            m = Maker(seed, folder).model()
            filled(m, seen)
            path, way, out = (os.path.join(folder, n) for n in ("m.onnx", "way." + args.to, "n.onnx"))
            onnx.save(m, path)
            for a, b in [(path, out)] if args.to == "onnx" else [(path, way), (way, out)]:
                done = subprocess.run([args.binary, "convert", a, b, "--verify", "no"], capture_output=True, text=True)
                if done.returncode:
                    lost["refused: " + done.stderr.strip().replace(folder, "")[:200]] += 1
                    break
            else:
                a = walk(inline(copy.deepcopy(m), folder), False)
                b = walk(inline(onnx.load(out, load_external_data=False), folder), False)
                found = difference(a, b, "")
                if found:
                    lost[f"seed {seed}: {found}"] += 1
    for what, n in lost.most_common(30):
        print(f"{n} x {what}")
    never = {"TensorProto.segment", "Segment.begin", "Segment.end"}
    missing = sorted(f for f in every(onnx.ModelProto.DESCRIPTOR, set()) - seen if not any(f.endswith(n) for n in never))
    print(f"{args.models} models, {sum(lost.values())} with a loss; {len(seen)} fields filled, not filled: {missing or 'none'}")
    return int(bool(lost) or bool(missing))


if __name__ == "__main__":
    sys.exit(main())
