"""Simplifies one model with modelsmith, onnxsim and onnxslim, samples the resident set of each twenty times a second, and draws the curves.

usage: five_gigabytes.py MODELSMITH MODEL.onnx OUT_DIR [--svg FILE] [--limit-gib 18] [--tools modelsmith,onnxslim,onnxsim]

Every tool runs as a program of its own; one that passes the limit is ended and the curve stops there. Then ONNX Runtime runs the
original and modelsmith's result on token numbers of two shapes. Writes OUT_DIR/results.json. Needs numpy, onnx, onnxruntime, onnxsim
and onnxslim; onnxsim and onnxslim are left out where they are not installed.
"""
import argparse, json, os, subprocess, sys, time

SIM = """import sys,onnx,onnxsim
m,ok=onnxsim.simplify(sys.argv[1]); onnx.save(m,sys.argv[2],save_as_external_data=True,location='sim.onnx.data')"""
SLIM = """import sys,onnx,onnxslim
onnxslim.slim(sys.argv[1],sys.argv[2],save_as_external_data=True)"""


def resident(pid):
    try:
        return int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def sampled(command, limit, seconds):
    """Exit code, seconds, peak bytes and the curve of a program."""
    start, curve, ended = time.time(), [], ""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while child.poll() is None:
        now = resident(child.pid)
        curve.append((time.time() - start, now))
        if now > limit or curve[-1][0] > seconds:
            ended = "above the memory limit" if now > limit else "above the time limit"
            child.kill()
            child.wait()
            break
        time.sleep(0.05)
    text = child.stdout.read().strip().splitlines()
    return {"code": child.returncode, "s": time.time() - start, "peak": max(b for _, b in curve), "curve": curve, "ended": ended, "last": text[-6:]}


def count(path):
    import onnx

    return len(onnx.load(path, load_external_data=False).graph.node)


def run(path, feed):
    import onnxruntime as rt

    options = rt.SessionOptions()
    options.log_severity_level = 3
    session = rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [session.run(None, f)[0] for f in feed]


COLOURS = {"modelsmith": "#c0392b", "modelsmith --no-verify": "#e59866", "onnxsim": "#2e86c1", "onnxslim": "#27ae60"}


def svg(results, path):
    wide, high, left, top = 760, 380, 60, 20
    longest = max(r["s"] for r in results.values())
    most = max(r["peak"] for r in results.values()) * 1.05
    x = lambda t: left + t / longest * (wide - left - 20)
    y = lambda b: top + (1 - b / most) * (high - top - 50)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">', f'<rect width="{wide}" height="{high}" fill="white"/>']
    for gib in range(0, int(most / 2**30) + 1, max(1, int(most / 2**30) // 8)):
        out.append(f'<line x1="{left}" x2="{wide - 20}" y1="{y(gib * 2**30):.1f}" y2="{y(gib * 2**30):.1f}" stroke="#ddd"/><text x="{left - 8}" y="{y(gib * 2**30) + 4:.1f}" text-anchor="end">{gib} GiB</text>')
    for k in range(0, 6):
        out.append(f'<text x="{x(longest * k / 5):.1f}" y="{high - 32}" text-anchor="middle">{longest * k / 5:.0f} s</text>')
    for i, (name, r) in enumerate(results.items()):
        step = max(1, len(r["curve"]) // 400)
        points = " ".join(f"{x(t):.1f},{y(b):.1f}" for t, b in r["curve"][::step])
        out.append(f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="1.5" points="{points}"/><text x="{left + i * 175}" y="{high - 10}" fill="{COLOURS[name]}">{name}: {r["peak"] / 2**30:.2f} GiB, {r["s"]:.0f} s</text>')
    open(path, "w").write("\n".join(out + ["</svg>"]) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("modelsmith"); ap.add_argument("model"); ap.add_argument("out")
    ap.add_argument("--svg"); ap.add_argument("--limit-gib", type=float, default=18); ap.add_argument("--seconds", type=float, default=900)
    ap.add_argument("--tools", default="modelsmith,modelsmith --no-verify,onnxsim,onnxslim")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    files = {"modelsmith": "ours.onnx", "modelsmith --no-verify": "plain.onnx", "onnxsim": "sim.onnx", "onnxslim": "slim.onnx"}
    at = lambda name: os.path.join(args.out, files[name])
    commands = {
        "modelsmith": [args.modelsmith, "optimize", args.model, at("modelsmith")],
        "modelsmith --no-verify": [args.modelsmith, "optimize", args.model, at("modelsmith --no-verify"), "--no-verify"],
        "onnxsim": [sys.executable, "-c", SIM, args.model, at("onnxsim")],
        "onnxslim": [sys.executable, "-c", SLIM, args.model, at("onnxslim")],
    }
    results = {}
    for name in args.tools.split(","):
        results[name] = r = sampled(commands[name], args.limit_gib * 2**30, args.seconds)
        r["nodes"] = count(at(name)) if r["code"] == 0 and os.path.exists(at(name)) else None
        print(f"{name}: exit {r['code']} {r['ended']}, {r['s']:.1f} s, peak {r['peak'] / 2**20:.0f} MiB, nodes {r['nodes']}", flush=True)
        print("   " + "\n   ".join(r["last"]), flush=True)
        if name != "modelsmith":
            # The disk holds two copies, not four.
            [os.remove(os.path.join(args.out, f)) for f in os.listdir(args.out) if f.startswith(files[name])]
    if "modelsmith" in results:
        import numpy as np

        rng = np.random.default_rng(1)
        feed = [{"input_ids": rng.integers(0, 100, shape)} for shape in [(1, 7)] * 5 + [(2, 12)] * 5]
        wanted = run(args.model, feed)
        found = run(at("modelsmith"), feed)
        worst = max(np.abs(a - b).max() / np.abs(a).max() for a, b in zip(wanted, found))
        print(f"ONNX Runtime: {len(feed)} runs of 2 shapes, largest difference {worst:.1e} of the largest output")
        results["modelsmith"]["ort"] = float(worst)
    json.dump({n: {**r, "curve": r["curve"][:: max(1, len(r["curve"]) // 400)]} for n, r in results.items()}, open(f"{args.out}/results.json", "w"))
    args.svg and svg(results, args.svg)
    sys.exit(0 if results.get("modelsmith", {"code": 0})["code"] == 0 else 1)


if __name__ == "__main__":
    main()
