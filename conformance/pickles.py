"""The pickle machine against Python's own pickler and `pickletools`.

    cargo build --release -p modelsmith-wire --example pickle_outline
    python conformance/pickles.py target/release/examples/pickle_outline [COUNT]

Random nested objects, shared and cyclic, are pickled in every protocol by both picklers of Python; what the machine reads
is compared with the objects themselves. Then every instruction of `pickletools.opcodes` must have been met, but for the
few that no Python 3 pickler writes; those are in the unit tests.
"""
import io
import os
import pickle
import pickletools
import random
import subprocess
import sys
import tempfile

# Old or never written by Python 3: the unit tests hold them.
UNWRITTEN = {
    "STRING", "BINSTRING", "SHORT_BINSTRING", "POP_MARK", "DUP", "EXT1", "EXT2", "EXT4", "INST", "OBJ", "PERSID",
    "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER", "BINUNICODE8", "BINBYTES8", "LONG4", "UNICODE", "APPEND",
}


class Thing:
    def __init__(self, **kw):
        self.__dict__.update(kw)


class Keyed:
    def __new__(cls, a, *, b=None):
        self = super().__new__(cls)
        self.a, self.b = a, b
        return self

    def __getnewargs_ex__(self):
        return (self.a,), {"b": self.b}

    def __getstate__(self):
        return None


def scalar(r):
    pick = r.randrange(9)
    if pick == 0:
        return None
    if pick == 1:
        return r.random() < 0.5
    if pick == 2:
        return r.choice([0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, 2**31, -2**31, 2**63 - 1, 2**63, -2**63, -2**63 - 1])
    if pick == 3:
        return r.randint(-10**r.randrange(1, 80), 10**r.randrange(1, 80))
    if pick == 4:
        return r.choice([0.0, -0.0, 1.5, float("inf"), float("-inf"), 5e-324, r.random() * 10**r.randrange(-300, 300)])
    if pick == 5:
        return "".join(r.choice("ab\\n\n\r\0'\"\u00e4\u20ac\U0001f600u0041U") for _ in range(r.randrange(0, 12)))
    if pick == 6:
        return "x" * r.choice([255, 256, 300])
    if pick == 7:
        return bytes(r.randrange(256) for _ in range(r.choice([0, 3, 255, 256, 300])))
    return bytearray(r.randrange(256) for _ in range(r.randrange(0, 5)))


def grow(r, depth, pool):
    if depth == 0 or r.random() < 0.3:
        return scalar(r)
    if pool and r.random() < 0.15:
        return r.choice(pool)
    kind = r.randrange(7)
    many = [grow(r, depth - 1, pool) for _ in range(r.choice([0, 1, 2, 3, 4, 6]))]
    if kind == 0:
        out = many
    elif kind == 1:
        return tuple(many)
    elif kind == 2:
        out = {scalar_key(r): v for v in many}
    elif kind == 3:
        return {r.randrange(1000)} if many else set()
    elif kind == 4:
        return frozenset([r.randrange(1000)])
    elif kind == 5:
        out = Thing(**{f"f{i}": v for i, v in enumerate(many)})
    else:
        return Keyed(many, b=scalar(r))
    pool.append(out)
    if isinstance(out, list) and r.random() < 0.1:
        out.append(out)
    return out


def scalar_key(r):
    key = scalar(r)
    return bytes(key) if isinstance(key, bytearray) else key


def integer(i):
    width = 16 if -2**63 <= i < 2**63 else (i + (i < 0)).bit_length() // 8 + 1
    return i.to_bytes(width, "little", signed=True).hex()


class Outline:
    """What `pickle_outline` prints, from the object."""

    def __init__(self):
        self.seen, self.keep = {}, []

    def all(self, kind, parts):
        return f"{kind}(" + "".join(self.of(p) + "," for p in parts) + ")"

    def of(self, o):
        if isinstance(o, (list, dict, set, Thing, Keyed)):
            if id(o) in self.seen:
                return f"@{self.seen[id(o)]}"
            self.seen[id(o)] = len(self.seen)
        if o is None:
            return "n"
        if isinstance(o, bool):
            return f"b{int(o)}"
        if isinstance(o, int):
            return "i" + integer(o)
        if isinstance(o, float):
            import struct
            return "f" + struct.pack(">d", o).hex()
        if isinstance(o, str):
            return "t" + o.encode().hex()
        if isinstance(o, bytes):
            return "y" + o.hex()
        if isinstance(o, bytearray):
            return "a" + o.hex()
        if isinstance(o, list):
            return self.all("list", o)
        if isinstance(o, tuple):
            return self.all("tuple", o)
        if isinstance(o, set):
            return self.all("set", o)
        if isinstance(o, frozenset):
            return self.all("frozenset", o)
        if isinstance(o, dict):
            return self.all("dict", [x for pair in o.items() for x in pair])
        raise TypeError(type(o))


def plain(o, protocol, seen=()):
    """True when the pickler writes `o` without calls in that protocol."""
    if id(o) in seen:
        return True
    if isinstance(o, (Thing, Keyed)):
        return False
    if isinstance(o, bytes) and protocol < 3 or isinstance(o, bytearray) and protocol < 5:
        return False
    if isinstance(o, (set, frozenset)) and protocol < 4:
        return False
    seen = (*seen, id(o))
    if isinstance(o, dict):
        return all(plain(k, protocol, seen) and plain(v, protocol, seen) for k, v in o.items())
    if isinstance(o, (list, tuple)):
        return all(plain(x, protocol, seen) for x in o)
    return True


def special(which):
    """Objects that random growth seldom makes: a memo of more than 255 entries, and a tuple that holds itself."""
    if which == 0:
        many = [[i] for i in range(400)]
        return many + many[::-1]
    if which == 1:
        hold = []
        hold.append((1, hold))
        return hold[0]
    return [list(range(2500)), {i: str(i) for i in range(2500)}, "", b"", (), [], {}, which]


def main():
    binary, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    r, met, wanted, data = random.Random(7), set(), [], bytearray()
    for i in range(count):
        o = grow(r, 5, []) if i >= 24 else special(i // 6)
        protocol = i % 6
        dump = pickle.dumps if r.random() < 0.5 else pickle._dumps
        raw = dump(o, protocol)
        met |= {op.name for op, _, _ in pickletools.genops(raw)}
        data += raw
        # With calls inside, only that the machine goes through is compared, and where the pickle ends.
        wanted.append(Outline().of(o) if plain(o, protocol) else None)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pickles")
        with open(path, "wb") as f:
            f.write(data)
        run = subprocess.run([binary, path], capture_output=True, text=True, check=True)
    got = run.stdout.splitlines()
    assert len(got) == count, (len(got), count, got[-1][:300])
    compared = 0
    for i, (a, b) in enumerate(zip(wanted, got)):
        if a is not None:
            assert a == b, f"pickle {i}, protocol {i % 6}:\n  python {a[:500]}\n  ours   {b[:500]}"
            compared += 1
    missing = {op.name for op in pickletools.opcodes} - met - UNWRITTEN
    assert not missing, f"not met: {sorted(missing)}"
    print(f"{count} pickles read to their ends, {compared} compared value by value, {len(met)} kinds of instruction met")


if __name__ == "__main__":
    main()
