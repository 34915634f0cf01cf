"""The commands of the program as functions.

Each takes the options of its command with `_` for `-`: `convert("a.pt", "a.onnx", opset=17, no_clobber=True)`. Dicts are
repeated options (`shapes={"x": (1, 3, 224, 224)}`, `dims={"batch": 8}`), lists too (`atol=["out=1e-4"]`). What an option
means is in `modelsmith COMMAND --help`. A `torch.nn.Module` is exported with the PyTorch that is installed: give `example_inputs=`, and
`dynamic_shapes=` as `torch.export` takes it. Each returns a `Report`: the document that `--json` writes, as a dict.

>>> import modelsmith, os, tempfile
>>> out = os.path.join(tempfile.mkdtemp(), "small.onnx")
>>> done = modelsmith.optimize(modelsmith.datasets.get_example("sigmoid.onnx"), out)
>>> done["nodes_after"], done.ok, done["verification"]["verdict"]
(1, True, 'agree')
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from modelsmith import _modelsmith, _torch
from modelsmith.errors import ModelsmithError, _must_exist
from modelsmith.progress import listener

_NAMES = {"shapes": "shape", "dims": "dim"}

Path = str | os.PathLike[str]
Shapes = dict[str, Sequence[int | None]]


class VerificationError(ModelsmithError):
    """The result differs from the model; nothing was written. `report` says how."""

    kind = "verification"
    exit_code = 1

    def __init__(self, text: str, report: Report | None = None) -> None:
        super().__init__(text)
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.report)


class Report(dict[str, Any]):
    """What a command found or did, as a dict; a table in a notebook. `ok` is false where the command's check says no, and
    `notes` are its remarks."""

    def __init__(self, fields: dict[str, Any], ok: bool = True, notes: Iterable[str] = ()) -> None:
        super().__init__(fields)
        self.ok = ok
        self.notes = list(notes)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self.ok, self.notes)

    def _repr_html_(self) -> str:
        from modelsmith._html import report

        return report(self)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join("?" if v is None else str(v) for v in value)
    return str(value)


def _option(name: str, value: Any) -> list[str]:
    """The arguments that say `name=value`."""
    flag = "--" + name.replace("_", "-")
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, dict):
        return [part for key, v in value.items() for part in (flag, f"{key}={_text(v)}")]
    if isinstance(value, (list, tuple)):
        return [part for v in value for part in (flag, str(v))]
    return [flag, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]


def _inputs(inputs: Path | dict[str, Any], folder: str) -> list[str]:
    """The arguments for inputs that are given: a path, or a dict of arrays and of specifications."""
    if isinstance(inputs, (str, os.PathLike)):
        return ["--inputs", os.fspath(inputs)]
    arrays = {k: numpy.asarray(v) for k, v in inputs.items() if not isinstance(v, str)}
    out = [part for k, v in inputs.items() if isinstance(v, str) for part in ("--input", f"{k}={v}")]
    if arrays:
        at = os.path.join(folder, "inputs")
        os.makedirs(at)
        for name, array in arrays.items():
            numpy.save(os.path.join(at, re.sub(r"[/\\:]", "_", name) + ".npy"), array)
        out += ["--inputs", at]
    return out


def _file(source: Any, folder: str, example_inputs: Any = None, dynamic_shapes: Any = None) -> str:
    """The path of a model: where it lies in memory, of a copy in `folder`; of a module of PyTorch, of its export."""
    if _torch.is_module(source):
        return _torch.export(source, example_inputs, folder, dynamic_shapes)
    if isinstance(source, (str, os.PathLike)):
        _must_exist(source)
        return os.fspath(source)
    if hasattr(source, "SerializeToString"):
        source = source.SerializeToString()
    if isinstance(source, (bytes, bytearray, memoryview)):
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(source)
        return path
    for attribute in ("path", "_model_path"):
        known = getattr(source, attribute, None)
        if known is not None and os.path.exists(known):
            return str(known)
    native = getattr(source, "_native", source)
    if hasattr(native, "path") and os.path.exists(native.path):
        return str(native.path)
    raise TypeError(f"a path, bytes or a model is wanted, not {type(source).__name__}")


def _run(
    command: str,
    sources: Iterable[Any],
    outputs: Iterable[Path],
    options: dict[str, Any],
    verify: list[str] | None = None,
    folder: str | None = None,
) -> Report:
    """Calls a command; see the module."""
    with contextlib.ExitStack() as stack:
        folder = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="modelsmith-"))
        args = [command]
        example = {k: options.pop(k, None) for k in ("example_inputs", "dynamic_shapes")}
        if "inputs" in options:
            args += _inputs(options.pop("inputs"), folder)
        if verify is not None:
            args += verify
        for name, value in options.items():
            args += _option(_NAMES.get(name, name), value)
        args += [_file(s, folder, **example) for s in sources]
        args += [os.fspath(o) for o in outputs]
        code, text, notes = _modelsmith.call(args, listener())
    found = json.loads(text)
    return Report(found if isinstance(found, dict) else {"value": found}, code == 0, notes)


def _written(report: Report, what: str) -> Report:
    if not report.ok:
        verification = report.get("verification") or {}
        why = verification.get("reason") or "; ".join(report.notes) or "the check says no"
        raise VerificationError(f"{what}: nothing was written: {why}", report)
    return report


def convert(
    model: Any,
    output: Path,
    *,
    to: str | None = None,
    opset: int | None = None,
    target: str | None = None,
    verify: bool | str = True,
    inputs: Path | dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    dims: dict[str, int] | None = None,
    **options: Any,
) -> Report:
    """Writes a model or checkpoint in another format, and proves by running both that they give the same.

    `model`: a path, bytes, a `Model`, or an ONNX `ModelProto`. `output`: a path; its extension says the format unless `to`
    does. `verify`: `False` to skip the proof, `"full"` to read back every element of a checkpoint.

    Raises `VerificationError` where the result differs; then nothing was written.
    """
    how = ["--verify", verify if isinstance(verify, str) else "yes" if verify else "no"]
    given: dict[str, Any] = {"inputs": inputs} if inputs is not None else {}
    given.update(to=to, opset=opset, target=target, shapes=shapes, dims=dims, **options)
    return _written(_run("convert", [model], [output], given, how), os.fspath(output))


def optimize(
    model: Any,
    output: Path,
    *,
    verify: bool = True,
    inputs: Path | dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    dims: dict[str, int] | None = None,
    passes: str | Sequence[str] | None = None,
    skip: str | Sequence[str] | None = None,
    **options: Any,
) -> Report:
    """Writes the model with fewer nodes, at its own opset, and proves that it gives the same.

    `passes` and `skip`: names of passes or rules, of onnxoptimizer too.

    Raises `VerificationError` where the result differs; then nothing was written.
    """
    given: dict[str, Any] = {"inputs": inputs} if inputs is not None else {}
    joined = [",".join(v) if isinstance(v, (list, tuple)) else v for v in (passes, skip)]
    given.update(shapes=shapes, dims=dims, passes=joined[0], skip=joined[1], **options)
    return _written(_run("optimize", [model], [output], given, [] if verify else ["--no-verify"]), os.fspath(output))


def build(
    model: Any,
    output: Path,
    *,
    verify: bool = True,
    inputs: Path | dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    dims: dict[str, int] | None = None,
    **options: Any,
) -> Report:
    """Compiles a model to an engine file, and proves that it gives the same. `strict=True`, `tune=SECONDS`,
    `f32_fast=True`, `isa="avx2"` and others as on the command line.

    Raises `VerificationError` where the engine differs; then nothing was written.
    """
    given: dict[str, Any] = {"inputs": inputs} if inputs is not None else {}
    given.update(shapes=shapes, dims=dims, output=output, **options)
    return _written(_run("build", [model], [], given, [] if verify else ["--no-verify"]), os.fspath(output))


def quantize(model: Any, output: Path, *, inputs: Path | dict[str, Any] | None = None, **options: Any) -> Report:
    """Writes the model with fewer bits, as the command `quantize` does with the same options.

    Raises `UnsupportedError` as long as that command is not built.
    """
    given: dict[str, Any] = {"inputs": inputs} if inputs is not None else {}
    return _written(_run("quantize", [model], [output], {**given, **options}), os.fspath(output))


def scan(*paths: Path, **options: Any) -> Report:
    """Looks for code that files would run when they are loaded; nothing in them is run. `ok` is false where something was
    found, or not understood."""
    return _run("scan", paths, [], options)


def inspect(model: Any, **options: Any) -> Report:
    """What a model, an engine or a checkpoint holds."""
    with tempfile.TemporaryDirectory(prefix="modelsmith-") as folder:
        found = _run("inspect", [model], [], options, folder=folder)
    models = found.get("models")
    return Report({**models[0]}, found.ok, found.notes) if models and len(models) == 1 else found


def check(model: Any, **options: Any) -> Report:
    """What is wrong with a model, and where; with `target="onnxruntime-1.31"`, what keeps it from being loaded there."""
    return _run("check", [model], [], options)


def diff(a: Any, b: Any, **options: Any) -> Report:
    """How the tensors of two checkpoints differ. `ok` is false where they do."""
    return _run("diff", [a, b], [], options)


def bench(
    model: Any,
    *,
    inputs: Path | dict[str, Any] | None = None,
    shapes: Shapes | None = None,
    dims: dict[str, int] | None = None,
    **options: Any,
) -> Report:
    """Latency of a model or an engine: `duration="3s"`, `iters=100`, `profile=True`, `threads=1` and others."""
    given: dict[str, Any] = {"inputs": inputs} if inputs is not None else {}
    given.update(shapes=shapes, dims=dims, **options)
    return _run("bench", [model], [], given)


def simplify(
    model: Any,
    check_n: int = 3,
    perform_optimization: bool = True,
    skip_fuse_bn: bool = False,
    overwrite_input_shapes: Any = None,
    test_input_shapes: Any = None,
    skipped_optimizers: Sequence[str] | None = None,
    skip_constant_folding: bool = False,
    skip_shape_inference: bool = False,
    input_data: dict[str, Any] | None = None,
    **ignored: Any,
) -> tuple[Any, bool]:
    """As `onnxsim.simplify`: returns the simplified model and whether it was proven the same.

    `model`: an ONNX `ModelProto`, bytes, or a path. Returns `(ModelProto, bool)`; needs the package `onnx`.
    `check_n`: 0 to skip the proof. `overwrite_input_shapes`: sizes that do not change any more; `test_input_shapes`: sizes
    for the proof alone.
    """
    import onnx

    skip = list(skipped_optimizers or [])
    skip += ["fuse_bn_into_conv"] if skip_fuse_bn else []
    skip += ["fold-constants"] if skip_constant_folding else []
    with tempfile.TemporaryDirectory(prefix="modelsmith-") as folder:
        source, output = _file(model, folder), os.path.join(folder, "simplified.onnx")
        if overwrite_input_shapes:
            fixed = os.path.join(folder, "fixed.onnx")
            convert(source, fixed, shapes=_unnamed(source, overwrite_input_shapes), verify=False)
            source = fixed
        given: dict[str, Any] = {"skip": ",".join(skip) or None, "shapes": _unnamed(source, test_input_shapes)}
        if input_data:
            given["inputs"] = input_data
        done = _run("optimize", [source], [output], given, [] if check_n else ["--no-verify"])
        if not done.ok:
            return onnx.load(source), False
        return onnx.load(output), True


def _unnamed(source: str, shapes: Any) -> Any:
    """Shapes by input name; a shape alone is that of the only input."""
    if shapes is None or isinstance(shapes, dict):
        return shapes
    from modelsmith.model import Model

    return {Model(source).inputs[0].name: shapes}
