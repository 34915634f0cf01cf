#!/usr/bin/env python3
"""How fast checkpoints are converted, beside `cp` of the same bytes on the same disk, and beside PyTorch where it is there.

usage: checkpoint_speed.py BINARY FOLDER [--gib 2] [--rounds 3]
Makes a safetensors file of f16 tensors in FOLDER, converts it each way between .safetensors, .pt and .gguf with a warm page
cache, in turns with `cp`, and prints the median seconds, the ratio to `cp` and the peak memory of each.
"""
import json, os, statistics, struct, subprocess, sys, time

PYTHON = """
import sys, torch
from safetensors.torch import load_file, save_file
a, b = sys.argv[1:]
t = load_file(a) if a.endswith(".safetensors") else torch.load(a, weights_only=True)
save_file(t, b) if b.endswith(".safetensors") else torch.save(t, b)
"""


def make(path, size):
    rows, row = 64, 8 << 20
    count = max(1, size // (rows * row * 2))
    header, at = {}, 0
    shape, length = [rows * 1024, row // 1024], rows * row * 2
    for i in range(count):
        header[f"layers.{i}.weight"] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    noise = os.urandom(1 << 24)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for i in range(at // len(noise)):
            # Random bits: some are NaN, which is copied like all else.
            f.write(noise[i % 97 * 2 :] + noise[: i % 97 * 2])


def run(command):
    begun = time.perf_counter()
    pid = os.spawnvp(os.P_NOWAIT, command[0], command)
    _, status, usage = os.wait4(pid, 0)
    took = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    return took, usage.ru_maxrss / 1024


def main():
    binary, folder = sys.argv[1:3]
    option = lambda name, otherwise: float(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise
    place = lambda name: os.path.join(folder, name)
    files = {kind: place(f"speed.{kind}") for kind in ["safetensors", "pt", "gguf"]}
    make(files["safetensors"], int(option("--gib", 2) * 2**30))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for kind in ["pt", "gguf"]:
        subprocess.run([binary, "convert", files["safetensors"], files[kind]], check=True, **quiet)
    out = {kind: place(f"speed-out.{kind}") for kind in files}
    ways = {("cp", ""): ["cp", files["safetensors"], place("speed-out.cp")]}
    for a in files:
        for b in files:
            if a != b:
                ways[a, b] = [binary, "convert", files[a], out[b], "--quiet"]
    if subprocess.run([sys.executable, "-c", "import torch, safetensors"], **quiet).returncode == 0:
        for a, b in [("safetensors", "pt"), ("pt", "safetensors")]:
            ways[f"Python: {a}", b] = [sys.executable, "-c", PYTHON, files[a], out[b]]
    seen = {way: [] for way in ways}
    for _ in range(int(option("--rounds", 3))):
        for way, command in ways.items():
            for path in [*out.values(), place("speed-out.cp")]:
                if os.path.exists(path):
                    os.remove(path)
            seen[way].append(run(command))
    for path in [*files.values(), *out.values(), place("speed-out.cp")]:
        if os.path.exists(path):
            os.remove(path)
    base = statistics.median(t for t, _ in seen["cp", ""])
    print(f"{'from':24}{'to':14}{'s':>8}{'speed / cp':>12}{'MiB':>8}")
    for (a, b), all in seen.items():
        took = statistics.median(t for t, _ in all)
        print(f"{a:24}{b:14}{took:8.2f}{base / took:12.2f}{max(m for _, m in all):8.0f}")


main()
