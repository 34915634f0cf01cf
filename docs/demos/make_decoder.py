"""Writes a decoder of 5 GB as ONNX with external data, the way an exporter leaves it before anything is folded.

usage: make_decoder.py OUT.onnx [--layers 24] [--hidden 2048] [--vocab 16000]      needs numpy and onnx

A transformer decoder with layer normalisation before attention and feed-forward, float32, opset 17, free batch and
sequence. Linear layers hold [out, in] weights behind a Transpose, normalisation and GELU are written out, sizes are read with Shape,
Gather and Concat at every Reshape, the causal mask is built from constants, and dropout and identities are left in. Weights are
normal numbers from a fixed seed, written one after the other: the script itself holds one weight at a time.
"""
import argparse, os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("--layers", type=int, default=24)
ap.add_argument("--hidden", type=int, default=2048)
ap.add_argument("--heads", type=int, default=16)
ap.add_argument("--vocab", type=int, default=16000)
ap.add_argument("--positions", type=int, default=1024)
args = ap.parse_args()
H, HEADS, VOCAB, LONGEST = args.hidden, args.heads, args.vocab, args.positions
HEAD = H // HEADS
data_name = os.path.basename(args.out) + ".data"
data = open(os.path.join(os.path.dirname(os.path.abspath(args.out)), data_name), "wb")
rng = np.random.default_rng(6)
nodes, weights, count = [], [], 0


def weight(name, shape, scale):
    """A weight in the data file, aligned to 4096 bytes."""
    data.write(b"\0" * (-data.tell() % 4096))
    start = data.tell()
    block = max(1, (1 << 22) // max(1, int(np.prod(shape[1:]))))
    for at in range(0, shape[0], block):
        part = rng.standard_normal((min(block, shape[0] - at), *shape[1:]), dtype=np.float32) * np.float32(scale)
        data.write(part.tobytes())
    t = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", data_name), ("offset", start), ("length", data.tell() - start)):
        t.external_data.add(key=key, value=str(value))
    weights.append(t)
    return name


def op(kind, *inputs, **attrs):
    global count
    count += 1
    out = f"/{kind}_{count}_output_0"
    nodes.append(helper.make_node(kind, list(inputs), [out], name=f"/{kind}_{count}", **attrs))
    return out


def const(value, dtype=np.float32):
    return op("Constant", value=numpy_helper.from_array(np.array(value, dtype)))


def size(x, axis):
    return op("Unsqueeze", op("Gather", op("Shape", x), const(axis, np.int64), axis=0), const([0], np.int64))


def linear(x, name, n_in, n_out):
    w = op("Transpose", weight(f"{name}.weight", [n_out, n_in], n_in**-0.5), perm=[1, 0])
    return op("Add", weight(f"{name}.bias", [n_out], 0.01), op("MatMul", x, w))


def norm(x, name):
    centred = op("Sub", x, op("ReduceMean", x, axes=[-1]))
    variance = op("ReduceMean", op("Pow", centred, const(2.0)), axes=[-1])
    unit = op("Div", centred, op("Sqrt", op("Add", variance, const(1e-5))))
    return op("Add", op("Mul", unit, weight(f"{name}.weight", [H], 1.0)), weight(f"{name}.bias", [H], 0.1))


def heads(x):
    shape = op("Concat", size(x, 0), size(x, 1), const([HEADS], np.int64), const([HEAD], np.int64), axis=0)
    return op("Transpose", op("Reshape", x, shape), perm=[0, 2, 1, 3])


def attention(x, mask, name):
    q, k, v = (heads(linear(x, f"{name}.{p}", H, H)) for p in "qkv")
    scores = op("Div", op("MatMul", q, op("Transpose", k, perm=[0, 1, 3, 2])), op("Sqrt", op("Cast", const(HEAD, np.int64), to=1)))
    seen = op("Where", mask, scores, const(-3.0e38))
    mixed = op("MatMul", op("Identity", op("Softmax", seen, axis=-1)), v)
    joined = op("Transpose", mixed, perm=[0, 2, 1, 3])
    shape = op("Concat", size(joined, 0), size(joined, 1), const([H], np.int64), axis=0)
    return linear(op("Reshape", joined, shape), f"{name}.out", H, H)


def gelu(x):
    return op("Mul", op("Mul", x, op("Add", op("Erf", op("Div", x, const(2.0**0.5))), const(1.0))), const(0.5))


length = size("input_ids", 1)
positions = op("Range", const(0, np.int64), op("Squeeze", length, const([0], np.int64)), const(1, np.int64))
tokens = op("Gather", weight("embed.weight", [VOCAB, H], 1.0), "input_ids", axis=0)
x = op("Add", tokens, op("Gather", weight("position.weight", [LONGEST, H], 0.1), op("Cast", positions, to=7), axis=0))
rows, columns = op("Unsqueeze", positions, const([1], np.int64)), op("Unsqueeze", positions, const([0], np.int64))
mask = op("Unsqueeze", op("Unsqueeze", op("LessOrEqual", columns, rows), const([0], np.int64)), const([0], np.int64))
for i in range(args.layers):
    x = op("Add", x, op("Dropout", attention(norm(x, f"layers.{i}.norm1"), mask, f"layers.{i}.attention")))
    up = gelu(linear(norm(x, f"layers.{i}.norm2"), f"layers.{i}.up", H, 4 * H))
    x = op("Add", x, op("Identity", linear(up, f"layers.{i}.down", 4 * H, H)))
logits = op("MatMul", norm(x, "norm"), op("Transpose", weight("head.weight", [VOCAB, H], H**-0.5), perm=[1, 0]))
nodes[-1].output[0] = "logits"
graph = helper.make_graph(
    nodes, "decoder",
    [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", VOCAB])],
    weights,
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), args.out)
print(f"{len(nodes)} nodes, {data.tell()} bytes of weights")
