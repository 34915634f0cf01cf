"""Which ways the inputs of a program take, and whether its test would see a way go missing.

`ways` runs the Python of a program with counters at its branches and loops. `frozen` gives copies of a converted model in
which one branch always goes one way; a copy that still agrees for all inputs means that they do not cover that branch.
"""

import ast
import copy
import inspect
import textwrap

import onnx
import torch
from onnx import numpy_helper
import numpy as np


class Counters(ast.NodeTransformer):
    """Puts a counter around each condition and the range of each loop."""

    def __init__(self):
        self.branches, self.loops = [], []

    def call(self, name, number, value):
        return ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number), value], [])

    def visit_If(self, node):
        self.generic_visit(node)
        if isinstance(node.body[0], ast.Raise):  # a check: no input of the test may fail it
            return node
        named = [n for n in ast.walk(node.test) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        if named:  # settled when the program is read
            return node
        self.branches.append(node.lineno)
        node.test = self.call("_branch", len(self.branches) - 1, node.test)
        return node

    def visit_While(self, node):
        self.generic_visit(node)
        self.loops.append(node.lineno)
        node.test = self.call("_while", len(self.loops) - 1, node.test)
        return node

    def visit_For(self, node):
        self.generic_visit(node)
        self.loops.append(node.lineno)
        node.iter = self.call("_for", len(self.loops) - 1, node.iter)
        return node


def counted(function, seen, runs):
    """`function` with counters: `seen` collects (branch, way), `runs` (loop, runs)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    counters = Counters()
    tree = ast.fix_missing_locations(counters.visit(tree))
    going = {}

    def branch(i, value):
        seen.add((function.__qualname__, i, bool(value)))
        return value

    def around(i, items):
        count = 0
        try:
            for item in items:
                count += 1
                yield item
        finally:
            runs.setdefault((function.__qualname__, i), set()).add(count)

    def whiles(i, value):
        if value:
            going[i] = going.get(i, 0) + 1
        else:
            runs.setdefault((function.__qualname__, i), set()).add(going.pop(i, 0))
        return value

    space = dict(function.__globals__, _branch=branch, _for=around, _while=whiles)
    exec(compile(tree, function.__name__, "exec"), space)

    def run(*args):
        going.clear()
        out = space[function.__name__](*args)
        for i, count in going.items():
            runs.setdefault((function.__qualname__, i), set()).add(count)
        return out

    return run, len(counters.branches), len(counters.loops)


def ways(program, inputs):
    """(branches, ways taken, for each loop the numbers of its runs) over all inputs."""
    seen, runs, branches, loops = set(), {}, 0, 0
    if not isinstance(program, torch.nn.Module):
        run, branches, loops = counted(program, seen, runs)
        for args in inputs:
            run(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args])
        return branches, seen, runs, loops
    kind = type(program)
    methods = [f for f in vars(kind).values() if inspect.isfunction(f) and f.__name__ != "__init__"]
    patched = copy.deepcopy(program)
    for f in methods:
        run, more, further = counted(f, seen, runs)
        branches, loops = branches + more, loops + further
        setattr(patched, f.__name__, run.__get__(patched))
    for args in inputs:
        patched.forward(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args])
    return branches, seen, runs, loops


def graphs(graph):
    yield graph
    for node in graph.node:
        for a in node.attribute:
            if a.HasField("g"):
                yield from graphs(a.g)


def frozen(model):
    """(name, copy) for each branch and way: the branch goes that way whatever its condition."""
    count = sum(n.op_type == "If" for g in graphs(model.graph) for n in g.node)
    for number in range(count):
        for way in (True, False):
            other = onnx.ModelProto()
            other.CopyFrom(model)
            at = [n for g in graphs(other.graph) for n in g.node if n.op_type == "If"][number]
            at.input[0] = "_frozen"
            other.graph.initializer.append(numpy_helper.from_array(np.array(way), "_frozen"))
            yield f"branch {number} of the graph always {way}", other
