"""Writes TorchScript archives of two small networks, each once with its branch and once as a trace leaves it. Needs Python alone.

usage: make_branches.py DIR       writes gate-scripted.pt, gate-traced.pt, pooled-scripted.pt and pooled-traced.pt

A network convolves its input twice with shared weights, joins both, and turns the sign of the result where its mean is not
above zero. In `gate` the mean is that of the joined tensor, in `pooled` that of what comes out of ReLU and pooling. A trace
records what its one example did: here the mean was above zero, so the sign was never turned.
"""

import pathlib
import pickle
import struct
import sys
import zipfile

SOURCE = "network.py"
SHAPES = {"conv1": (4, 3, 3, 3), "conv2": (8, 4, 3, 3), "conv3": (16, 16, 3, 3), "turn": (16, 16, 1, 1)}

HEAD = """class Network(Module):
  __parameters__ = ["conv1", "conv2", "conv3", ]
  __buffers__ = []
  training : bool
  conv1 : Tensor
  conv2 : Tensor
  conv3 : Tensor
  side : __torch__.Side
  def forward(self: __torch__.Network,
    x: Tensor) -> Tensor:
    conv1 = self.conv1
    conv2 = self.conv2
    _0 = torch.conv2d(x, conv1, None, [1, 1], [1, 1], [1, 1])
    _1 = torch.conv2d(_0, conv2, None, [1, 1], [1, 1], [1, 1])
    _2 = torch.conv2d(x, conv1, None, [1, 1], [1, 1], [1, 1])
    _3 = torch.conv2d(_2, conv2, None, [1, 1], [1, 1], [1, 1])
    joined = torch.cat([_1, _3], 1)
"""
POOLED = """    conv3 = self.conv3
    _4 = torch.relu(torch.conv2d(joined, conv3, None, [1, 1], [1, 1], [1, 1]))
    h = torch.max_pool2d(_4, [2, 2], [2, 2], [0, 0], [1, 1])
"""
PLAIN = """    h = joined
"""
BRANCH = """    if bool(torch.gt(torch.mean(h), 0)):
      decision = h
    else:
      decision = torch.neg(h)
    return decision
"""
TURNED = """    if bool(torch.gt(torch.mean(h), 0)):
      decision = h
    else:
      side = self.side
      decision = (side).forward(h, )
    return decision
"""
TRACED = """    return h
"""
SIDE = """class Side(Module):
  __parameters__ = ["turn", ]
  __buffers__ = []
  training : bool
  turn : Tensor
"""
SIDE_FORWARD = """  def forward(self: __torch__.Side,
    h: Tensor) -> Tensor:
    turn = self.turn
    return torch.conv2d(h, turn, None, [1, 1], [0, 0], [1, 1])
"""


class Global:
    """A name that the pickle imports."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call of a global with arguments, and the state that its result is given."""

    def __init__(self, what, *args, state=None):
        self.what, self.args, self.state = what, args, state


class Storage:
    """A storage of floats beside the pickle."""

    def __init__(self, key, count):
        self.key, self.count = key, count


class Writer(pickle._Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", Global("torch", "FloatStorage"), obj.key, "cpu", obj.count)

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.what)
            self.save(obj.args)
            self.write(pickle.REDUCE if obj.state is None else pickle.NEWOBJ)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def dumped(obj):
    import io

    out = io.BytesIO()
    Writer(out, protocol=2).dump(obj)
    return out.getvalue()


def numbers(count, seed):
    """Numbers in -0.5 .. 0.5, the same everywhere."""
    out = []
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % (1 << 31)
        out.append(seed / (1 << 31) - 0.5)
    return out


def product(shape):
    count = 1
    for n in shape:
        count *= n
    return count


def tensor(key, shape):
    strides = [product(shape[i + 1 :]) for i in range(len(shape))]
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, Storage(key, product(shape)), 0, tuple(shape), tuple(strides), False,
                Call(Global("collections", "OrderedDict")))  # fmt: skip


def debug(code):
    """The debug file: each line of the code comes from the line of the same number of `network.py`."""
    records, at = [], 0
    for number, line in enumerate(code.splitlines(True), 1):
        records.append((at, ((line, SOURCE, number), 0, 0), number))
        at += len(line)
    return dumped(tuple(records))


def write(path, code, traced):
    weights = {name: numbers(product(shape), 7 + i) for i, (name, shape) in enumerate(SHAPES.items())}
    keys = {name: str(i) for i, name in enumerate(SHAPES)}
    state = {"training": False} | {name: tensor(keys[name], SHAPES[name]) for name in ("conv1", "conv2", "conv3")}
    side = {"training": False, "turn": tensor(keys["turn"], SHAPES["turn"])}
    state["side"] = Call(Global("__torch__", "Side"), state=side)
    name = path.stem
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}/data.pkl", dumped(Call(Global("__torch__", "Network"), state=state)))
        for key, values in zip(keys.values(), weights.values()):
            file.writestr(f"{name}/data/{key}", struct.pack(f"<{len(values)}f", *values))
        file.writestr(f"{name}/code/__torch__.py", code)
        file.writestr(f"{name}/code/__torch__.py.debug_pkl", debug(code))
        file.writestr(f"{name}/constants.pkl", dumped(()))
        if traced:
            file.writestr(f"{name}/traced_inputs/0", b"")
            example = {"forward": [tensor("0", (1, 3, 16, 16))]}
            file.writestr(f"{name}/traced_inputs.pkl", dumped(example))
        file.writestr(f"{name}/version", "3\n")
        file.writestr(f"{name}/byteorder", "little")


def main():
    folder = pathlib.Path(sys.argv[1])
    write(folder / "gate-scripted.pt", HEAD + PLAIN + TURNED + SIDE + SIDE_FORWARD, False)
    write(folder / "gate-traced.pt", HEAD + PLAIN + TRACED + SIDE, True)
    write(folder / "pooled-scripted.pt", HEAD + POOLED + BRANCH + SIDE + SIDE_FORWARD, False)
    write(folder / "pooled-traced.pt", HEAD + POOLED + TRACED + SIDE, True)


if __name__ == "__main__":
    main()
