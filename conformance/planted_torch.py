#!/usr/bin/env python3
"""Planted faults with PyTorch as the judge: each faulty file is compared with the TorchScript program of its model.

usage: planted_torch.py FAULTS ZOO

FAULTS is made by `cargo run -p modelsmith --example write_faults ZOO FAULTS MODEL..`, with models whose outputs change with their inputs:
lstm gate combined seed_gate seed_combined squeezenet1_1.
Needs the packages modelsmith and torch. A fault is found where the comparison says that the file differs, or the file cannot be run.
"""
import collections
import os
import sys
import warnings

import torch

import modelsmith

warnings.simplefilter("ignore")


def judged(program, path):
    """What the comparison says; `refused` where the file cannot be loaded or run."""
    for samples in (2, 10):
        try:
            found = modelsmith.compare(program, path, samples=samples)
        except modelsmith.ModelsmithError as e:
            return "refused", str(e).splitlines()[0]
        if found.verdict == "differ":
            return "differ", found.reason
    return found.verdict, found.reason


def main():
    folder, zoo = sys.argv[1:3]
    programs, kinds, missed = {}, collections.Counter(), []
    with open(os.path.join(folder, "faults.txt"), encoding="utf-8") as file:
        faults = [line.rstrip("\n").split("\t") for line in file]
    for name, kind, place in faults:
        model = name.split("__")[0]
        if model not in programs:
            programs[model] = torch.jit.load(os.path.join(zoo, model, "scripted.pt"))
            verdict, why = judged(programs[model], os.path.join(zoo, model, "model.onnx"))
            print(f"{model} without a fault: {verdict}: {why}")
            if verdict != "agree":
                sys.exit(1)
        verdict, why = judged(programs[model], os.path.join(folder, name))
        kinds[kind, verdict] += 1
        if verdict not in ("differ", "refused"):
            missed.append(f"{kind} in {model} at {place}: {verdict}: {why}")
    for (kind, verdict), count in sorted(kinds.items()):
        print(f"{kind:28} {verdict:14} {count}")
    print(f"{len(faults) - len(missed)} of {len(faults)} faults in {len(programs)} models were found with PyTorch as the judge")
    for line in missed:
        print("missed:", line)


if __name__ == "__main__":
    main()
