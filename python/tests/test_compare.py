"""Comparisons with functions, with ONNX Runtime and with PyTorch as judges."""

import os

import numpy as np
import pytest

import modelsmith


def test_a_function_is_an_independent_judge(mul):
    weights = np.float32([[1, 2], [3, 4], [5, 6]])
    found = modelsmith.compare(lambda X: X * weights, mul)
    assert found and found.verdict == "agree" and found.judge == "independent function <lambda>"
    assert len(found["samples"]) >= 10 and found["outputs"][0]["name"] == "Y"
    wrong = modelsmith.compare(lambda X: X * weights + 1e-2, mul)
    assert not wrong and wrong.verdict == "differ" and "1 of 1 outputs differ" in wrong.reason
    assert set(wrong.witness) == {"X"} and wrong.witness["X"].shape == (3, 2)


def test_two_files_have_no_independent_judge(mul):
    found = modelsmith.compare(mul, mul)
    assert found.judge == "self" and found.verdict == "agree"


def test_given_inputs(mul):
    x = np.ones((3, 2), np.float32)
    found = modelsmith.compare(mul, mul, inputs=[{"X": x}, {"X": 2 * x}, {"X": 3 * x}])
    assert [s["kind"] for s in found["samples"]] == ["given"] * 3 and found
    with pytest.raises(modelsmith.UsageError, match="the model has no such input; it has X"):
        modelsmith.compare(mul, mul, inputs={"Z": x})


def test_two_functions():
    found = modelsmith.compare(lambda x: x + x, lambda x: 2 * x, inputs={"x": np.arange(5.0)})
    assert found and found.judge.startswith("independent")
    with pytest.raises(modelsmith.UsageError, match="give inputs="):
        modelsmith.compare(lambda x: x, lambda x: x)


def test_a_function_that_fails_is_said(mul):
    def broken(X):
        raise ZeroDivisionError("by zero")

    with pytest.raises(modelsmith.ModelsmithError, match="function broken fails: ZeroDivisionError: by zero"):
        modelsmith.compare(broken, mul)
    found = modelsmith.compare(mul, broken)
    assert found.verdict == "differ" and "the second side fails where the first does not" in found.reason


def test_onnx_runtime_is_an_independent_judge(digits):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(digits, providers=["CPUExecutionProvider"])
    found = modelsmith.compare(session, digits)
    assert found and found.judge == "independent ONNX Runtime"
    assert modelsmith.compare(modelsmith.InferenceSession(digits), session).judge == "independent ONNX Runtime"


def _torch():
    return pytest.importorskip("torch")


class _Planted:
    """Faults that converters make, each as a pair of modules that differ by it."""

    @staticmethod
    def pairs(torch):
        nn, f = torch.nn, torch.nn.functional

        def module(forward, **parts):
            class Made(nn.Module):
                def __init__(self):
                    super().__init__()
                    for name, part in parts.items():
                        setattr(self, name, part)

                def forward(self, x):
                    return forward(self, x)

            return Made().eval()

        conv = nn.Conv2d(3, 8, 3, padding=1)
        linear = nn.Linear(8, 8)
        norm = nn.BatchNorm2d(3)
        norm.running_var.fill_(1e-3)
        other = nn.BatchNorm2d(3, eps=1e-2)
        other.load_state_dict(norm.state_dict())
        image, rows = torch.zeros(2, 3, 9, 9), torch.zeros(4, 8)
        yield (
            "padding on the other side",
            image,
            module(lambda m, x: m.c(f.pad(x, (1, 0, 1, 0))), c=conv),
            module(lambda m, x: m.c(f.pad(x, (0, 1, 0, 1))), c=conv),
        )
        yield "epsilon", image, module(lambda m, x: m.n(x), n=norm), module(lambda m, x: m.n(x), n=other)
        yield (
            "gelu",
            rows,
            module(lambda m, x: f.gelu(m.a(x)), a=linear),
            module(lambda m, x: f.gelu(m.a(x), approximate="tanh") * 1.002, a=linear),
        )
        yield "transposed weight", rows, module(lambda m, x: m.a(x), a=linear), module(lambda m, x: x @ m.a.weight + m.a.bias, a=linear)
        yield "axis of a softmax", rows, module(lambda m, x: torch.softmax(x, 1)), module(lambda m, x: torch.softmax(x, 0))
        yield (
            "rounding of a resize",
            image,
            module(lambda m, x: f.interpolate(x, size=5, mode="nearest")),
            module(lambda m, x: f.interpolate(x, size=5, mode="nearest-exact")),
        )
        yield (
            "aligned corners",
            image,
            module(lambda m, x: f.interpolate(x, size=5, mode="bilinear")),
            module(lambda m, x: f.interpolate(x, size=5, mode="bilinear", align_corners=True)),
        )
        yield (
            "count of padding",
            image,
            module(lambda m, x: f.avg_pool2d(x, 3, 2, 1)),
            module(lambda m, x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
        )
        yield "reversed channels", image, module(lambda m, x: m.c(x), c=conv), module(lambda m, x: m.c(x.flip(1)), c=conv)
        yield "bias left out", rows, module(lambda m, x: m.a(x), a=linear), module(lambda m, x: x @ m.a.weight.T, a=linear)


def _export(torch, module, example, path):
    with torch.no_grad():
        torch.onnx.export(module, (example,), str(path), input_names=["x"], output_names=["y"], opset_version=17, dynamo=False)


def test_planted_faults_are_found_with_pytorch_as_judge(tmp_path):
    torch = _torch()
    pytest.importorskip("onnx")
    torch.manual_seed(5)
    for what, example, good, bad in _Planted.pairs(torch):
        path = tmp_path / "good.onnx"
        _export(torch, good, example, path)
        found = modelsmith.compare(good, path)
        assert found.verdict == "agree", f"{what}: {found.reason}"
        assert found.judge == "independent PyTorch Made"
        assert modelsmith.compare(bad, path).verdict == "differ", what
        assert modelsmith.compare(path, bad).verdict == "differ", what


def test_a_module_keeps_its_mode(tmp_path):
    torch = _torch()
    pytest.importorskip("onnx")
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
    module.eval()
    _export(torch, module, torch.zeros(1, 4), tmp_path / "a.onnx")
    module.train()
    assert modelsmith.compare(module, tmp_path / "a.onnx")
    assert module.training and module[1].training


ALL = [
    "bert_base",
    "combined",
    "densenet121",
    "efficientnet_b0",
    "gate",
    "gpt2_small",
    "lraspp_mobilenet_v3_large",
    "lstm",
    "mobilenet_v2",
    "resnet50",
    "seed_combined",
    "seed_gate",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "vit_b_16",
]
# Two of each kind where time is short; `MODELSMITH_ALL` for all of them.
SOME = ["squeezenet1_1", "lstm", "seed_gate"]


@pytest.mark.parametrize("name", ALL if os.environ.get("MODELSMITH_ALL") else SOME)
def test_the_program_of_a_model_and_its_export(zoo, name):
    torch = _torch()
    folder = zoo(name)
    program, exported = os.path.join(folder, "scripted.pt"), os.path.join(folder, "model.onnx")
    if not os.path.exists(program):
        pytest.skip(f"{name} has no program of PyTorch beside it")
    judged = modelsmith.compare(torch.jit.load(program), exported, samples=2)
    assert judged.judge.startswith("independent PyTorch")
    found = modelsmith.compare(program, exported, samples=2)
    assert found.judge == "self"
    for one in (judged, found):
        # These two are not trained: their outputs hardly change with the image, which the verdict says.
        assert one.verdict == ("inconclusive" if name in ("mobilenet_v2", "efficientnet_b0") else "agree"), one
        assert all(o["max_abs"] <= 1e-5 * o["largest"] for o in one["outputs"])
