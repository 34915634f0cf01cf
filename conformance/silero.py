"""Judges a program that keeps state: silero-vad's TorchScript archive beside its ONNX twin.

    python3 silero.py MODELSMITH CORPUS

The archive is converted: what it keeps between runs becomes inputs and outputs. Fifty chunks at 8000 and at 16000 samples a
second go through the converted model under ONNX Runtime and under MODELSMITH itself, through PyTorch, and through the twin
that the project ships; each run takes the state that the one before gave. Exits 1 where two of them differ.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch

CHUNKS = 50
STATES = ("_context", "_last_batch_size", "_last_sr", "_state")


def speech(rate):
    """Chunks of a voice-like sound: harmonics under a slow envelope, with noise."""
    size = 512 if rate == 16000 else 256
    t = np.arange(CHUNKS * size) / rate
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12)) * np.clip(np.sin(2 * np.pi * 1.3 * t), 0, 1)
    noise = np.random.default_rng(3).normal(size=t.size)
    return (0.2 * voice + 0.02 * noise).astype(np.float32).reshape(CHUNKS, 1, size)


def begin():
    """The state before the first run: what was never set is empty."""
    zero = np.array(0)
    return {"_context": np.zeros((0, 0), np.float32), "_last_batch_size": zero, "_last_sr": zero,
            "_state": np.zeros((0, 0, 0), np.float32)}  # fmt: skip


def by_pytorch(archive, chunks, rate):
    module = torch.jit.load(str(archive))
    module.reset_states()
    with torch.no_grad():
        return [module(torch.from_numpy(x), rate).numpy() for x in chunks]


def by_twin(model, chunks, rate):
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    width = 64 if rate == 16000 else 32
    state, context, out = np.zeros((2, 1, 128), np.float32), np.zeros((1, width), np.float32), []
    for x in chunks:
        x = np.concatenate([context, x], 1)
        y, state = session.run(None, {"input": x, "state": state, "sr": np.array(rate)})
        context = x[:, -width:]
        out.append(y)
    return out


def by_onnxruntime(model, chunks, rate):
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    state, out = begin(), []
    for x in chunks:
        made = dict(zip(names, session.run(None, {"x": x, "sr": np.array(rate), **state})))
        state = {name: made[f"{name}_next"] for name in STATES}
        out.append(made["output"])
    return out


def by_us(modelsmith, engine, chunks, rate, folder):
    state, out = begin(), []
    for x in chunks:
        options = []
        for name, value in {"x": x, "sr": np.array(rate), **state}.items():
            np.save(folder / f"{name}.npy", value)
            options += ["--input", f"{name}={folder / name}.npy"]
        made = folder / "made"
        subprocess.run([modelsmith, "run", engine, "--output-dir", made, "--quiet", *options], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        state = {name: np.load(made / f"{name}_next.npy") for name in STATES}
        out.append(np.load(made / "output.npy"))
    return out


def main():
    tool, corpus = sys.argv[1], pathlib.Path(sys.argv[2])
    archive = corpus / "torchscript" / "snakers4__silero-vad__silero_vad.jit"
    twin = corpus / "onnx" / "snakers4__silero-vad__silero_vad.onnx"
    wrong = 0
    with tempfile.TemporaryDirectory() as private:
        folder = pathlib.Path(private)
        model, engine = folder / "vad.onnx", folder / "vad.engine"
        subprocess.run([tool, "convert", archive, model, "--verify", "no", "--quiet"], check=True, capture_output=True)
        subprocess.run([tool, "build", archive, "-o", engine, "--no-verify", "--quiet"], check=True, capture_output=True)
        for rate in (8000, 16000):
            chunks = speech(rate)
            wanted = by_twin(twin, chunks, rate)
            others = {
                "PyTorch": by_pytorch(archive, chunks, rate),
                "converted, ONNX Runtime": by_onnxruntime(model, chunks, rate),
                "converted, our engine": by_us(tool, engine, chunks, rate, folder),
            }
            span = max(float(y.max()) for y in wanted) - min(float(y.min()) for y in wanted)
            for name, got in others.items():
                apart = max(float(np.abs(a - b).max()) for a, b in zip(got, wanted))
                good = apart < 1e-4 and span > 0.1
                wrong += not good
                print(f"{rate}: {name}: {apart:.1e} from the twin over {len(got)} chunks, outputs span {span:.2f}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
