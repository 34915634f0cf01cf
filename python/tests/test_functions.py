"""The commands as functions, the command itself, and what notebooks and type checkers see."""

import ast
import doctest
import importlib
import json
import os
import pickle
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import modelsmith


def test_convert_is_proven(mul, tmp_path):
    done = modelsmith.convert(mul, tmp_path / "a.onnx", opset=17)
    assert done.ok and done["verification"]["verdict"] == "agree" and done["opsets"] == [["", 17]]
    assert modelsmith.load(tmp_path / "a.onnx").inspect()["opsets"] == {"ai.onnx": 17}
    assert modelsmith.convert(mul, tmp_path / "b.onnx", verify=False)["verification"] is None
    with pytest.raises(modelsmith.UnsupportedError, match="nonsense"):
        modelsmith.convert(mul, tmp_path / "a.nonsense")
    with pytest.raises(modelsmith.ModelsmithError):
        modelsmith.convert(mul, tmp_path / "a.onnx", no_clobber=True)
    with pytest.raises(modelsmith.UsageError, match="--colour"):
        modelsmith.convert(mul, tmp_path / "c.onnx", colour="red")


def test_a_result_that_differs_is_not_written(digits, tmp_path):
    out = tmp_path / "a.onnx"
    with pytest.raises(modelsmith.VerificationError, match="nothing was written") as found:
        modelsmith.optimize(digits, out, rtol=0, atol=["0"], metric="cosine=1.1")
    assert not out.exists() and found.value.report["verification"]["verdict"] == "differ"
    assert pickle.loads(pickle.dumps(found.value)).report == found.value.report


def test_models_in_memory(mul, tmp_path):
    with open(mul, "rb") as f:
        data = f.read()
    assert modelsmith.convert(data, tmp_path / "a.onnx").ok
    assert modelsmith.inspect(data)["nodes"] == 1
    assert modelsmith.load(data).inputs[0].name == "X"
    assert modelsmith.inspect(modelsmith.load(mul))["inputs"] == [{"name": "X", "type": "f32[3, 2]"}]


def test_scan_says_what_would_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.system, ("echo trapped",)

    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps({"w": Trap()}))
    found = modelsmith.scan(path)
    assert not found.ok and "system" in json.dumps(found)
    good = tmp_path / "b.safetensors"
    modelsmith.save_file({"w": np.zeros(3)}, good)
    assert modelsmith.scan(good).ok


def test_check_diff_and_bench(digits, tmp_path):
    assert modelsmith.check(digits).ok
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    modelsmith.save_file({"w": np.zeros(3, np.float32)}, a)
    modelsmith.save_file({"w": np.ones(3, np.float32)}, b)
    assert modelsmith.diff(a, a).ok and not modelsmith.diff(a, b).ok
    found = modelsmith.bench(digits, iters=20, profile=True, threads=1)
    assert len(found["latency"]["samples"]) == 20 and found["threads"] == 1
    given = modelsmith.bench(digits, iters=5, inputs={modelsmith.load(digits).inputs[0].name: np.zeros((1, 1, 8, 8), np.float32)})
    assert given["latency"]["count"] == 5


def test_simplify_gives_what_onnxsim_gives(digits):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(digits)
    made, good = modelsmith.simplify(model)
    assert good is True and isinstance(made, onnx.ModelProto) and len(made.graph.node) <= len(model.graph.node)
    onnx.checker.check_model(made, full_check=True)
    assert [i.name for i in made.graph.input] == [i.name for i in model.graph.input]
    assert modelsmith.compare(model, made)
    assert modelsmith.simplify(str(digits), check_n=0)[1] is True


def test_a_module_of_pytorch_is_exported(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    x = torch.rand(2, 1, 8, 8)
    model = modelsmith.load(module, example_inputs=(x,))
    name = model.inputs[0].name
    with torch.no_grad():
        wanted = module.eval()(x).numpy()
    np.testing.assert_allclose(model.session().run(None, {name: x.numpy()})[0], wanted, rtol=1e-4, atol=1e-6)
    module.train()
    done = modelsmith.convert(module, tmp_path / "a.onnx", example_inputs=x.numpy(), opset=17)
    assert done.ok and module.training and module[2].training
    assert modelsmith.compare(module, tmp_path / "a.onnx").judge == "independent PyTorch Sequential"
    assert modelsmith.build(module, tmp_path / "a.engine", example_inputs=x).ok
    assert modelsmith.compare(module, tmp_path / "a.engine")
    batch = torch.export.Dim("batch", min=1, max=64)
    free = modelsmith.load(module, example_inputs=(x,), dynamic_shapes=({0: batch},))
    assert free.inputs[0].shape[1:] == [1, 8, 8] and isinstance(free.inputs[0].shape[0], str)
    with pytest.raises(modelsmith.UsageError, match="give example_inputs="):
        modelsmith.load(module)
    scripted = torch.jit.script(module.eval())
    shapes = {"input": (2, 1, 8, 8)}
    assert modelsmith.convert(scripted, tmp_path / "b.onnx", shapes=shapes).ok


def test_errors_say_where(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x0a\xff\xff\xff")
    with pytest.raises(modelsmith.DamagedError) as found:
        modelsmith.load(path)
    e = found.value
    assert e.file == str(path) and e.kind == "damaged" and e.exit_code == 3 and str(path) in str(e)
    assert isinstance(e, (RuntimeError, ValueError))
    again = pickle.loads(pickle.dumps(e))
    assert str(again) == str(e) and again.file == e.file
    with pytest.raises(FileNotFoundError):
        modelsmith.load(tmp_path / "nothing.onnx")
    with pytest.raises(modelsmith.UnsupportedError, match="the command `quantize` is not built yet"):
        modelsmith.quantize(modelsmith.datasets.get_example("mul_1.onnx"), tmp_path / "q.onnx", int8=True)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        modelsmith.nonsense  # noqa: B018


def test_progress_is_told(digits, tmp_path):
    heard = []
    modelsmith.set_progress(heard.append)
    try:
        modelsmith.build(digits, tmp_path / "a.engine")
    finally:
        modelsmith.set_progress(None)
    assert "building" in heard and "verifying" in heard and heard[-1] == ""


def test_notebooks_see_tables_and_plots(digits, tmp_path):
    modelsmith.save_file({"<w>": np.zeros((2, 3), np.float32)}, tmp_path / "a.safetensors")
    pages = {
        "model": modelsmith.load(digits)._repr_html_(),
        "checkpoint": modelsmith.load(tmp_path / "a.safetensors")._repr_html_(),
        "comparison": modelsmith.compare(digits, digits)._repr_html_(),
        "bench": modelsmith.bench(digits, iters=50, profile=True)._repr_html_(),
        "report": modelsmith.optimize(digits, tmp_path / "b.onnx")._repr_html_(),
    }
    import xml.dom.minidom

    for name, page in pages.items():
        xml.dom.minidom.parseString(f"<div>{page}</div>")
        assert "<table>" in page and "http" not in page, name
    assert "&lt;w&gt;" in pages["checkpoint"] and "<svg" in pages["bench"] and "class='good'>agree" in pages["comparison"]


def _command():
    found = os.path.join(os.path.dirname(sys.executable), "modelsmith")
    return [found] if os.path.exists(found) else [sys.executable, "-m", "modelsmith"]


def test_the_command_comes_with_the_package(digits):
    def run(*args):
        return subprocess.run([*_command(), *args], capture_output=True, text=True, timeout=120)

    assert run("--version").stdout.split()[:2] == ["modelsmith", modelsmith.__version__]
    assert json.loads(run("inspect", digits, "--json").stdout)["models"][0]["format"] == "ONNX"
    missing = run("inspect", "nothing.onnx")
    assert missing.returncode == 3 and "there is no such file" in missing.stderr
    assert run("inspect", "--nonsense").returncode == 2
    module = subprocess.run([sys.executable, "-m", "modelsmith", "formats"], capture_output=True, text=True, timeout=120)
    assert module.returncode == 0 and "safetensors" in module.stdout


def test_the_command_does_not_wait_for_numpy(python):
    assert python("import sys, modelsmith; print('numpy' in sys.modules)").strip() == "False"


def _modules():
    names = [m.name for m in pkgutil.walk_packages(modelsmith.__path__, "modelsmith.") if not m.name.endswith(("__main__", "_modelsmith"))]
    return ["modelsmith", *names]


@pytest.mark.parametrize("name", _modules())
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name.endswith(".torch"):
        pytest.importorskip("torch")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_the_examples_of_the_page_run():
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "python.md")
    if not os.path.exists(page):
        pytest.skip("the page docs/python.md is not here")
    assert doctest.testfile(page, module_relative=False).failed == 0


@pytest.mark.parametrize("name", _modules())
def test_what_is_public_has_a_docstring(name):
    if name.endswith(".torch"):
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    with open(module.__file__, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    assert ast.get_docstring(tree) or name.rsplit(".", 1)[1].startswith("_"), name
    for node in ast.walk(tree):
        kinds = (ast.FunctionDef, ast.ClassDef)
        if isinstance(node, kinds) and not node.name.startswith("_") and node in _public(tree):
            assert ast.get_docstring(node), f"{name}.{node.name}"


def _public(tree):
    """Definitions of the module and of its public classes."""
    out = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            out.append(node)
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                out.extend(node.body)
    return out


def test_every_name_of_the_package_is_there():
    for name in modelsmith.__all__:
        assert getattr(modelsmith, name) is not None
    assert set(modelsmith.__all__) <= set(dir(modelsmith))
