#!/usr/bin/env python3
"""Roofline tables: groups of like layers beside the limits of this machine.

    roofline.py BINARY ZOO [MODEL..] [--threads N] [--isa LEVEL]

Runs `bench --profile` of BINARY on ZOO/MODEL/model.onnx and prints one Markdown table for each model. Layers of one kernel
with the same work and the same bytes are one row; rows come in the order of their time, until 95 % of it is said. Times are
the shortest of 20 runs, so that what else runs on the machine counts least. The roofs are measured by the same run: fused multiply-adds, products of bf16 parts on tile registers (a product of f32 takes
six), and reading from memory. More than 100 % of memory means that caches gave the bytes.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = ["resnet50", "mobilenet_v2", "bert_base"]
SAID = 0.95


def profile(binary, model, options):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [binary, "bench", model, "--profile", "--warmup", "5", "--iters", "20", f"--json={report}"]
        subprocess.run([*map(str, command), *options], check=True, stdout=subprocess.DEVNULL)
        return json.loads(report.read_text())


def groups(layers):
    found = {}
    for layer in layers:
        key = layer["kernel"], round(layer["gflop"], 6), round(layer["gbyte"], 6), layer["bound"]
        found.setdefault(key, []).append(layer)
    return sorted(found.values(), key=lambda g: -sum(x["least_ms"] for x in g))


def name(label):
    """The first node of a step, and how many more there are."""
    nodes = label.replace(" > ", " + ").split(" + ")
    path, _, kind = nodes[0].strip().rpartition(" (")
    parts = [p for p in path.split("/") if p and p != kind.rstrip(")")]
    first = "/".join(parts[-2:]) or kind.rstrip(")")
    return first + (f" and {len(nodes) - 1} more" if len(nodes) > 1 else "")


def table(report):
    found = report["profile"]
    tiles = found["roof_tiles"]
    whole = sum(x["least_ms"] for x in found["layers"])
    print(f"{report['threads']} thread(s), {report['level']}: {found['run_ms']:.2f} ms, "
          f"{100 * found['covered']:.1f} % of them in steps, whose shortest times add up to {whole:.2f} ms. Roofs: {found['roof_gflops']:.0f} GFLOP/s"
          + (f", {tiles:.0f} GFLOP/s of bf16 ({tiles / 6:.0f} of f32)" if tiles else "")
          + f", {found['roof_gbs']:.1f} GB/s.\n")
    print("| layers | first of them | kernel | MFLOP each | ms | time | GFLOP/s | of the nearer roof |")
    print("|---:|---|---|---:|---:|---:|---:|---|")
    said = 0.0
    for group in groups(found["layers"]):
        if said >= SAID:
            break
        first, ms = group[0], sum(x["least_ms"] for x in group)
        share = ms / whole
        said += share
        kernel = first["kernel"].replace("f32_", "").replace("|", "/")
        rate = sum(x["gflop"] for x in group) / ms * 1e3
        # What the nearer roof allows, beside the shortest time.
        roof = sum(x["of_roof"] * x["ms"] for x in group) / ms
        print(f"| {len(group)} | {name(first['label'])} | {kernel} | {1e3 * first['gflop']:.1f} | {ms:.2f} "
              f"| {100 * share:.1f} % | {rate:.0f} | {100 * roof:.0f} % {first['bound']} |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--isa")
    given = parser.parse_args()
    options = ["--threads", given.threads] + (["--isa", given.isa] if given.isa else [])
    for model in given.models:
        print(f"### {model}\n")
        table(profile(given.binary, given.zoo / model / "model.onnx", options))


if __name__ == "__main__":
    sys.exit(main())
