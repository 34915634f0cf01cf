"""Judges quantized modules of TorchScript by PyTorch.

    python3 quantized.py MODELSMITH

Small nets and quantizable models of torchvision with random weights are calibrated, quantized by torch.ao.quantization, traced
and scripted. The archive is converted to ONNX, which ONNX Runtime runs with and without its optimizations, and run by MODELSMITH.

PyTorch's kernels sum integers and round once; a graph of QuantizeLinear and DequantizeLinear sums floats and rounds at the same
places. Where a sum lies in the middle of two steps the two may round to different sides: one value in ten thousand of a layer,
by one step. Of a net of a few layers no value may be more than one step away. A deep net of random weights carries such a step
on to all that follows: there the measure is what PyTorch's own model makes of an input of which one value in a thousand is
moved by one step. The root mean square of the difference may be at most twice that. Exits 1 where it is more.
"""

import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import torch.ao.quantization as ao
import torchvision
from torch import nn

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)
# Of the input, what is moved by one step; how much further a result may be than what that leads to.
MOVED, SHARE = 1e-3, 2.0


class Small(nn.Module):
    """Convolutions, plain and in groups, an addition, a pool, linear layers: each with its Relu and without."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        self.groups = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.sum, self.join, self.product = (torch.ao.nn.quantized.FloatFunctional() for _ in range(3))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.hidden, self.active, self.last = nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 5)
        self.fuse = [["conv", "norm", "relu"], ["hidden", "active"]]

    def forward(self, x):
        x = self.relu(self.norm(self.conv(self.quant(x))))
        y = self.sum.add_relu(x, self.groups(x))
        y = self.join.cat([self.product.mul(x, y), y], 1)
        y = self.pool(torch.nn.functional.max_pool2d(y, 2))
        return self.dequant(self.last(self.active(self.hidden(torch.flatten(y, 1)))))


def small():
    model = Small().eval()
    ao.fuse_modules(model, model.fuse, inplace=True)
    return model, (2, 3, 12, 12), True


def vision(name):
    from torch_models import lively

    model = getattr(torchvision.models.quantization, name)(weights=None, quantize=False, num_classes=10)
    for m in model.modules():
        # As torch_models.tame says of plain residual blocks.
        if type(m).__name__ == "QuantizableBasicBlock":
            m.bn2.weight.data.mul_(0.2)
        elif type(m).__name__ == "QuantizableInvertedResidual" and getattr(m, "use_res_connect", False):
            [n for n in m.modules() if isinstance(n, nn.BatchNorm2d)][-1].weight.data.mul_(0.2)
    model = lively(model, lambda shape, seed: (torch.randn(4, 3, 64, 64),))
    model.fuse_model()
    return model, (2, 3, 64, 64), False


def static(make, engine="fbgemm"):
    """A model quantized after a few passes, the shape of its input, and whether no more than a step may lie between."""
    model, shape, exact = make
    model.qconfig = ao.get_default_qconfig(engine)
    ready = ao.prepare(model)
    with torch.no_grad():
        for _ in range(4):
            ready(torch.randn(shape))
    return ao.convert(ready), shape, exact


def dynamic():
    model = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 7)).eval()
    return ao.quantize_dynamic(model, {nn.Linear}), (5, 24), True


MODELS = {
    "small": lambda: static(small()),
    "dynamic linear": dynamic,
    "resnet18": lambda: static(vision("resnet18")),
    "mobilenet_v2": lambda: static(vision("mobilenet_v2")),
    "shufflenet_v2_x0_5": lambda: static(vision("shufflenet_v2_x0_5")),
    "googlenet": lambda: static(vision("googlenet")),
}


def runs(tool, archive, model, x, folder):
    """What each runtime gives, by its name."""
    out = {}
    for name, level in (("ONNX Runtime", "ORT_ENABLE_ALL"), ("ONNX Runtime, plain", "ORT_DISABLE_ALL")):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        argument = session.get_inputs()[0].name
        out[name] = session.run(None, {argument: x})[0]
    np.save(folder / "x.npy", x)
    made = folder / "made"
    command = [tool, "run", archive, "--input", f"{argument}={folder / 'x.npy'}", "--output-dir", made]
    subprocess.run(command, check=True, capture_output=True)
    out["ours"] = np.load(next(made.glob("*.npy")))
    return out


def step(values):
    """The distance of neighbouring values on the grid that they lie on."""
    gaps = np.diff(np.unique(values.ravel()))
    return float(gaps[gaps > 1e-9].min(initial=np.inf))


def moved(quantized, x, wanted):
    """The root mean square of what becomes of inputs of which a few values are moved by one step."""
    scale = next((float(m.scale) for m in quantized.modules() if type(m).__name__ == "Quantize"), 1e-2)
    found = []
    for seed in range(4):
        gen = torch.Generator().manual_seed(100 + seed)
        hit = torch.rand(x.shape, generator=gen) < MOVED
        with torch.no_grad():
            other = quantized(torch.where(hit, x + scale, x)).numpy()
        found.append(np.mean((other - wanted) ** 2))
    return float(np.sqrt(np.mean(found)))


def judge(tool, name, form, folder):
    """What is wrong, in words, and the measure."""
    torch.manual_seed(0)
    quantized, shape, exact = MODELS[name]()
    make = torch.jit.script if form == "scripted" else (lambda m: torch.jit.trace(m, torch.randn(shape), check_trace=False))
    archive, model = folder / "m.pt", folder / "m.onnx"
    torch.jit.save(make(quantized), str(archive))
    done = subprocess.run([tool, "convert", archive, model, "--verify", "no"], capture_output=True, text=True)
    if done.returncode:
        return [f"convert: exit {done.returncode}: {done.stderr.strip()[-400:]}"], ""
    wrong, worst, share = [], {}, {}
    for seed in range(3):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            wanted = quantized(x).numpy()
        noise = max(moved(quantized, x, wanted), 1e-9)
        for runtime, got in runs(tool, archive, model, x.numpy(), folder).items():
            if got.shape != wanted.shape:
                wrong.append(f"{runtime}: {got.shape}, PyTorch gives {wanted.shape}")
                continue
            # Results of a dynamic layer lie on no grid: for them a step is a share of 1e-5.
            unit = 1e-5 * float(np.abs(wanted).max()) if name == "dynamic linear" else step(wanted)
            steps = float(np.abs(got - wanted).max()) / unit
            worst[runtime] = max(worst.get(runtime, 0.0), steps)
            of_noise = float(np.sqrt(np.mean((got - wanted) ** 2))) / noise
            share[runtime] = max(share.get(runtime, 0.0), of_noise)
    for runtime, value in share.items():
        far = worst[runtime] > 1.01 if exact else value > SHARE
        if far:
            wrong.append(f"{runtime}: {worst[runtime]:.1f} steps, {value:.2f} of what moved inputs lead to")
    return wrong, ", ".join(f"{k} {worst[k]:.0f} steps, {share[k]:.2f} of what moved inputs lead to" for k in share)


def main():
    torch.set_num_threads(1)
    torch.backends.quantized.engine = "fbgemm"
    failed = 0
    for name in MODELS:
        for form in ("scripted", "traced"):
            with tempfile.TemporaryDirectory() as private:
                wrong, said = judge(sys.argv[1], name, form, pathlib.Path(private))
            failed += bool(wrong)
            print(f"{name} {form}: {'FAILS' if wrong else 'agrees'} ({said})", *wrong, sep="\n    ", flush=True)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
