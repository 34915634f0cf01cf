"""Modules of PyTorch: whether something is one, running one as it is used, and exporting one with the user's own PyTorch."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from modelsmith.errors import UnsupportedError, UsageError


def is_module(what: Any) -> bool:
    """Whether `what` is a `torch.nn.Module`; PyTorch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(what, torch.nn.Module)


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module in its mode `eval` and without gradients; afterwards each part is in the mode in which it was."""
    import torch

    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True


def tensors(values: Any) -> tuple[Any, ...]:
    """Example inputs as tensors: one, or a list or tuple of tensors, arrays and numbers."""
    import numpy
    import torch

    values = values if isinstance(values, (list, tuple)) else (values,)
    return tuple(torch.from_numpy(v) if isinstance(v, numpy.ndarray) else v for v in values)


def export(module: Any, example_inputs: Any, folder: str, dynamic_shapes: Any = None) -> str:
    """Writes the module as a file that is read here: a TorchScript module as its program, any other by `torch.export`, which
    runs it once on the example inputs. Returns the path.

    Raises `UsageError` without example inputs, `UnsupportedError` where PyTorch cannot export the module.
    """
    import torch

    if isinstance(module, torch.jit.ScriptModule):
        path = os.path.join(folder, "module.pt")
        torch.jit.save(module, path)
        return path
    if example_inputs is None:
        raise UsageError("a module is exported by running it once: give example_inputs=")
    path = os.path.join(folder, "module.pt2")
    try:
        with evaluating(module):
            program = torch.export.export(module, tensors(example_inputs), dynamic_shapes=dynamic_shapes)
        torch.export.save(program, path)
    except Exception as e:
        raise UnsupportedError(f"PyTorch cannot export {type(module).__name__}: {e}") from e
    return path
