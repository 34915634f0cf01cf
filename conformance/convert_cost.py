"""What converting a PyTorch model costs, beside `torch.onnx.export`.

    python3 convert_cost.py MODELSMITH ZOO [--rounds 3] [--models resnet50,bert_base,vit_b_16]

The zoo's archives of each model (`scripted.pt`, `exported.pt2`) are converted to ONNX with `--verify no` and with
the default verification; `torch.onnx.export` exports the loaded `exported.pt2`, which is the program that it makes first of any
module, in a process of its own. Printed are the least seconds of the rounds and the peak of resident memory as a multiple of
the archive's size. Memory that merely maps the archive counts as resident.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

PEER = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import torch
program = torch.export.load(sys.argv[1])
begun = time.perf_counter()
torch.onnx.export(program, dynamo=True, verbose=False).save(sys.argv[2])
print(time.perf_counter() - begun, flush=True)
"""


def run(command, quiet):
    """Seconds, bytes at the peak, exit code and standard output of a process."""
    read, write = os.pipe()
    begun = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        if quiet:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execvp(command[0], command)
    os.close(write)
    with os.fdopen(read) as f:
        said = f.read()
    _, status, usage = os.wait4(pid, 0)
    return time.perf_counter() - begun, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status), said


def least(command, rounds, own=False):
    """The least seconds and bytes of several runs; the seconds that the process itself prints where `own`."""
    found = []
    for _ in range(rounds):
        seconds, peak, code, said = run(command, True)
        if code:
            return None
        found.append((float(said.split()[-1]) if own else seconds, peak))
    return min(s for s, _ in found), min(p for _, p in found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("zoo", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default="resnet50,bert_base,vit_b_16")
    a = parser.parse_args()
    print("| model | archive | MB | seconds | memory / file | of the exporter's time | with verification | memory / file |")
    print("|---|---|---|---|---|---|---|---|")
    for name in a.models.split(","):
        folder = a.zoo / name
        with tempfile.TemporaryDirectory() as private:
            out = f"{private}/m.onnx"
            peer = least([sys.executable, "-c", PEER, str(folder / "exported.pt2"), out], 1, own=True)
            if peer:
                size = (folder / "exported.pt2").stat().st_size
                print(f"| {name} | `torch.onnx.export` | {size / 1e6:.0f} | {peer[0]:.2f} | {peer[1] / size:.2f} | | | |")
            for archive in ("scripted.pt", "exported.pt2"):
                size = (folder / archive).stat().st_size
                convert = [a.tool, "convert", str(folder / archive), out]
                plain, checked = least([*convert, "--verify", "no"], a.rounds), least(convert, 1)
                show = lambda r: f"{r[0]:.2f} | {r[1] / size:.2f}" if r else "fails | "
                share = f"{plain[0] / peer[0]:.2f}" if plain and peer else ""
                print(f"| {name} | {archive} | {size / 1e6:.0f} | {show(plain)} | {share} | {show(checked)} |", flush=True)


if __name__ == "__main__":
    main()
