"""Judges .wts by readers that share nothing with ours: the few lines below and `wts.cpp`.

    g++ -O2 -o wtsdump wts.cpp && python3 wts.py REWRITE ./wtsdump FILE.safetensors..

Each file is written in both forms by the example `rewrite`; the readers must find the same names, counts and bits, and
reading it back as safetensors must give the same bytes. Python also writes both forms, which ours must read.
"""

import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file, save_file


def read(path, decimal):
    tokens = [line for line in path.read_text().split("\n") if not line.startswith("#")]
    tokens = iter(" ".join(tokens).split())
    out = {}
    for _ in range(int(next(tokens))):
        name, count = next(tokens), int(next(tokens))
        words = [next(tokens) for _ in range(count)]
        if decimal:
            bits = [int(w, 16) if w.startswith("0x") else struct.unpack("<I", struct.pack("<f", float(w)))[0] for w in words]
        else:
            bits = [int(w, 16) for w in words]
        out[name] = numpy.array(bits, "<u4")
    return out


def hexadecimal(tensors):
    lines = [f"{name} {a.size} " + "".join(" " + struct.pack(">f", v).hex() for v in a.ravel()) for name, a in tensors.items()]
    return "\n".join([str(len(tensors)), *lines]) + "\n"


def decimal(tensors):
    lines = [f"{name} {a.size} " + " ".join(f"{v:.9g}" for v in a.ravel()) for name, a in tensors.items()]
    return "\n".join(["# encoding decimal", str(len(tensors)), *lines]) + "\n"


def main():
    rewrite, dump, files = sys.argv[1], sys.argv[2], [pathlib.Path(f) for f in sys.argv[3:]]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def run(*arguments):
            return subprocess.run([str(a) for a in arguments], capture_output=True, text=True)

        def verdict(what, holds):
            nonlocal bad
            bad += not holds
            print(f"{'ok  ' if holds else 'FAIL'} {what}")

        for file in files:
            tensors = {n: a.astype("<f4") for n, a in load_file(file).items()}
            wanted = {n: a.ravel().view("<u4") for n, a in tensors.items()}
            same = lambda found: set(found) == set(wanted) and all((found[n] == wanted[n]).all() for n in wanted)
            plain = folder / "plain.safetensors"
            save_file({n: numpy.ascontiguousarray(a).reshape(a.shape) for n, a in tensors.items()}, plain)
            for form in ["wts", "wts-decimal"]:
                text, back = folder / "x.wts", folder / "back.safetensors"
                run(rewrite, plain, text, form)
                verdict(f"{file.name} as {form}, read by Python", same(read(text, form != "wts")))
                if form == "wts":
                    lines = [line.split() for line in run(dump, text).stdout.split("\n") if line]
                    verdict(f"{file.name} as {form}, read by C++",
                            same({w[0]: numpy.array([int(b, 16) for b in w[2:]], "<u4") for w in lines}))
                run(rewrite, text, back)
                again = load_file(back)
                shapes = all(again[n].shape == tensors[n].shape for n in tensors)
                verdict(f"{file.name} as {form}, read by us", shapes and same({n: a.ravel().view("<u4") for n, a in again.items()}))
                text.write_text(hexadecimal(tensors) if form == "wts" else decimal(tensors))
                run(rewrite, text, back)
                verdict(f"{file.name} written by Python as {form}, read by us",
                        same({n: a.ravel().view("<u4") for n, a in load_file(back).items()}))
    sys.exit(bad != 0)


main()
