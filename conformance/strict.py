#!/usr/bin/env python3
"""`build --strict` over a folder of models: the same bits whatever the number of threads, and run after run.

    strict.py BINARY ZOO [MODEL..] [--levels portable,avx2,avx512,amx]

For each ZOO/MODEL/model.onnx and each level the engine is built for 1 and for 3 threads, which must give the same file, and
run twice each with 1, 2 and 3 threads on the same drawn inputs. Every output of every run must have the same bytes. Prints
a hash of the outputs for each model and level, to be held against another machine's; ends with 1 where bytes differ.
"""
import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEVELS = ["portable", "avx2", "avx512", "amx"]


def call(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[1]} ended with {done.returncode}: {done.stderr.strip()[-400:]}")


def digest(files):
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def outputs(binary, engine, level, threads, folder):
    out = folder / "outputs"
    call(binary, "run", engine, "--isa", level, "--threads", threads, "--output-dir", out)
    made = digest(out.iterdir())
    for file in out.iterdir():
        file.unlink()
    return made


def check(binary, model, level, folder):
    """The hash of the outputs, and what differs."""
    wrong = []
    engines = []
    for threads in (1, 3):
        engines.append(folder / f"{threads}.engine")
        call(binary, "build", model, "-o", engines[-1], "--strict", "--no-verify", "--isa", level, "--threads", threads)
    if engines[0].read_bytes() != engines[1].read_bytes():
        wrong.append("the engines for 1 and 3 threads differ")
    found = None
    for threads in (1, 1, 2, 2, 3, 3):
        made = outputs(binary, engines[0], level, threads, folder)
        found = found or made
        if made != found:
            wrong.append(f"{threads} threads: {made} for {found}")
    return found, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--levels", default=",".join(LEVELS))
    given = parser.parse_args()
    models = given.models or sorted(p.parent.name for p in given.zoo.glob("*/model.onnx"))
    failed = 0
    begun = time.monotonic()
    for model in models:
        for level in given.levels.split(","):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found, wrong = check(given.binary, given.zoo / model / "model.onnx", level, Path(folder))
                except RuntimeError as e:
                    found, wrong = "-", [str(e)]
            failed += bool(wrong)
            print(f"{model:28} {level:9} {found}  {'; '.join(wrong) or 'the same in 6 runs'}", flush=True)
    print(f"{len(models)} models, {failed} of {len(models) * len(given.levels.split(','))} differ, "
          f"{time.monotonic() - begun:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
