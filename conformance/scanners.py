#!/usr/bin/env python3
"""`modelsmith scan` beside picklescan, modelscan and fickling on the same files.

usage: scanners.py BINARY FOLDER        FOLDER holds files whose names say what they are, as in the corpus's `malicious`
A scanner passes a file when it ends with 0 within a minute. Those that are not installed are left out. `safe`, `benign` and `legitimate` in a
name say harmless; `broken`, `bad`, `invalid`, `corrupted` and `not_a_pickle` say damaged; everything else is hostile.
"""
import glob, os, shutil, subprocess, sys, tempfile


def kind(name):
    name = name.lower()
    if any(w in name for w in ["unsafe", "malicious", "evil"]):
        return "hostile"
    if any(w in name for w in ["broken", "bad", "invalid", "corrupted", "not_a_pickle"]):
        return "damaged"
    return "harmless" if any(w in name for w in ["safe_", "safe.", "benign", "legitimate", "pytorch_model.bin"]) else "hostile"


def main():
    binary, folder = map(os.path.abspath, sys.argv[1:3])
    # Some leave reports where they run.
    room = tempfile.TemporaryDirectory()
    tools = {"modelsmith": [binary, "scan"]}
    for name, command in {"picklescan": ["picklescan", "-p"], "modelscan": ["modelscan", "-p"], "fickling": ["fickling", "--check-safety"]}.items():
        if shutil.which(name):
            tools[name] = command
    counts = {t: {} for t in tools}
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        k = kind(os.path.basename(path).split("__", 2)[-1])
        row = []
        for tool, command in tools.items():
            try:
                passed = subprocess.run(command + [path], capture_output=True, timeout=60, cwd=room.name).returncode == 0
            except subprocess.TimeoutExpired:
                passed = False
            counts[tool].setdefault(k, [0, 0])[0 if passed else 1] += 1
            row.append("passes" if passed else "refuses")
        if len(set(row)) > 1 or (k == "harmless") != (row[0] == "passes"):
            print(f"{os.path.basename(path):80} {k:9} " + " ".join(f"{t} {r}" for t, r in zip(tools, row)))
    print(f"\n{'':12}{'hostile refused':>17}{'damaged refused':>17}{'harmless passed':>17}")
    for tool, c in counts.items():
        cell = lambda k, i: f"{c.get(k, [0, 0])[i]} of {sum(c.get(k, [0, 0]))}"
        print(f"{tool:12}{cell('hostile', 1):>17}{cell('damaged', 1):>17}{cell('harmless', 0):>17}")


main()
