"""Small programs with control flow: modules that torch.jit.script takes, each with inputs that cover its branches.

`PROGRAMS` maps a name to a module and its inputs: tuples of tensors and numbers.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn


def t(*values, dtype=torch.float32):
    return torch.tensor(values, dtype=dtype)


def rows(n, width=3, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed + n))


UP, DOWN, MIXED, ZERO = t(1.0, 2.0, 3.0), t(-1.0, -2.0, -3.0), t(1.0, -5.0, 2.0), t(0.0, 0.0, 0.0)
SIGNS = [(UP,), (DOWN,), (MIXED,), (ZERO,)]
COUNTS = [(UP, 0), (UP, 1), (MIXED, 2), (DOWN, 7)]
PROGRAMS = {}


def program(inputs):
    """Registers a function as a program with these inputs."""

    def add(f):
        PROGRAMS[f.__name__] = (f, inputs)
        return f

    return add


class Point(NamedTuple):
    x: Tensor
    y: Tensor


@program(SIGNS)
def branch(x: Tensor) -> Tensor:
    if x.sum() > 0:
        y = x * 2
    else:
        y = x - 1
    return y


@program(SIGNS)
def branch_without_else(x: Tensor) -> Tensor:
    if x.mean() > 0:
        x = x + 10
    return x * 2


@program([*SIGNS, (t(1.0, 1.0, 1.0),)])
def elif_chain(x: Tensor) -> Tensor:
    s = float(x.sum())
    if s > 5:
        return x * 3
    elif s > 0:
        return x * 2
    elif s == 0:
        return x + 1
    else:
        return -x


@program(SIGNS)
def early_return(x: Tensor) -> Tensor:
    if x.max() < 0:
        return x.abs()
    y = x * x
    if y.sum() > 20:
        return y.sqrt()
    return y + 1


@program(SIGNS)
def nested_branches(x: Tensor) -> Tensor:
    if x[0] > 0:
        if x[1] > 0:
            y = x + 1
        else:
            y = x + 2
    else:
        if x[2] < 0:
            y = x + 3
        else:
            y = x + 4
    return y


@program([*SIGNS, (t(-1.0, 5.0, 0.5),), (t(0.5, -1.0, 0.5),), (t(5.0, -1.0, -3.0),), (t(-1.0, -1.0, 5.0),)])
def conditions_joined(x: Tensor) -> Tensor:
    if bool(x[0] > 0) and bool(x[1] > 0):
        return x * 2
    if bool(x[0] < 0) or bool(x[2] > 1):
        return x * 3
    return x


@program(COUNTS)
def counted_loop(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        x = x * 0.5 + i
    return x


@program(COUNTS)
def nested_loops(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        for j in range(i):
            x = x + j
        x = x * 0.9
    return x


@program(COUNTS)
def loop_with_break(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        x = x + 1
        if x.sum() > 8:
            break
    return x


@program(COUNTS)
def loop_with_continue(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        if i % 2 == 0:
            continue
        x = x + i
    return x


@program(COUNTS)
def return_in_loop(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        x = x + 1
        if x[0] > 3:
            return x * 100
    return x


@program(SIGNS)
def while_loop(x: Tensor) -> Tensor:
    y = x.abs()
    while y.sum() > 1:
        y = y * 0.5
    return y


@program([(UP,), (t(0.1, 0.1, 0.1),), (t(100.0, 1.0, 1.0),), (ZERO,)])
def while_with_count(x: Tensor) -> Tuple[Tensor, int]:
    n = 0
    while bool(x.sum() > 0.5) and n < 4:
        x = x / 3
        n += 1
    return x, n


@program(COUNTS)
def while_of_ints(x: Tensor, n: int) -> Tensor:
    k = 1
    while k < n:
        k = k * 2
    return x * k


@program([(UP, 1), (UP, 2), (MIXED, 3), (DOWN, 7)])
def list_of_tensors(x: Tensor, n: int) -> Tensor:
    parts: List[Tensor] = []
    for i in range(n):
        parts.append(x + i)
    return torch.stack(parts)


@program([(UP, 1), (UP, 2), (MIXED, 3), (DOWN, 7)])
def list_joined(x: Tensor, n: int) -> Tensor:
    parts = [x]
    for i in range(n):
        parts.append(parts[-1] * 0.5)
    return torch.cat(parts)


@program(SIGNS)
def list_in_branch(x: Tensor) -> Tensor:
    parts = [x]
    if x.sum() > 0:
        parts.append(x * 2)
        parts.append(x * 3)
    return torch.cat(parts)


@program([(UP, 1), (UP, 2), (MIXED, 3), (DOWN, 7)])
def list_of_ints(x: Tensor, n: int) -> Tensor:
    sizes: List[int] = []
    for i in range(n):
        sizes.append(i * 2)
    total = 0
    for s in sizes:
        total += s
    return x + total


@program(SIGNS)
def dictionary(x: Tensor) -> Tensor:
    d: Dict[str, Tensor] = {"a": x, "b": x + 1}
    if x.sum() > 0:
        d["a"] = d["b"] * 2
    return d["a"] + d["b"]


@program(SIGNS)
def named_tuple(x: Tensor) -> Tensor:
    p = Point(x, x * 2)
    if x[0] > 0:
        p = Point(p.y, p.x)
    return p.x - p.y


@program(SIGNS)
def tuple_swap(x: Tensor) -> Tensor:
    a, b = x, x * 2
    if x.sum() < 0:
        a, b = b, a
    return a * 3 + b


@program(SIGNS)
def optional_tensor(x: Tensor) -> Tensor:
    y: Optional[Tensor] = None
    if x.sum() > 0:
        y = x * 5
    if y is not None:
        return y + 1
    return x


@program(COUNTS)
def optional_in_loop(x: Tensor, n: int) -> Tensor:
    last: Optional[Tensor] = None
    for i in range(n):
        if last is None:
            last = x
        else:
            last = last - x + 1
    if last is None:
        return x * 0 - 1
    return last


@program(SIGNS)
def write_through_view(x: Tensor) -> Tensor:
    y = x.clone()
    v = y[1:]
    if x.sum() > 0:
        v.mul_(10)
    return y


@program(SIGNS)
def write_to_item(x: Tensor) -> Tensor:
    y = x.clone()
    if x[0] > 0:
        y[0] = 7.0
    else:
        y[2] = -7.0
    return y


@program(COUNTS)
def write_in_loop(x: Tensor, n: int) -> Tensor:
    y = x.clone()
    for i in range(n):
        y[0] += 1.0
        y[1:].mul_(0.5)
    return y


@program([(rows(2), 0), (rows(3), 1), (rows(4), 2), (rows(5), 3)])
def write_to_column(x: Tensor, n: int) -> Tensor:
    y = x.clone()
    for i in range(n):
        y[:, i % 3] = y[:, 0] * 2 + i
    return y


@program([(rows(1),), (rows(2),), (rows(3),), (rows(6),)])
def loop_over_rows(x: Tensor) -> Tensor:
    total = torch.zeros(3)
    for i in range(x.size(0)):
        total = total + x[i] * i
    return total


@program([(rows(1),), (rows(2),), (rows(3),), (rows(6),)])
def recurrence(x: Tensor) -> Tensor:
    h = torch.zeros(3)
    out: List[Tensor] = []
    for i in range(x.shape[0]):
        h = torch.tanh(x[i] + h)
        out.append(h)
    return torch.stack(out)


@program([(rows(1),), (rows(2),), (rows(3),), (rows(6),)])
def sizes_in_conditions(x: Tensor) -> Tensor:
    n = x.size(0)
    if n > 2:
        return x[:2] * n
    return x.sum(0, keepdim=True) + n


@program([(rows(1),), (rows(2),), (rows(3),), (rows(6),)])
def shape_arithmetic(x: Tensor) -> Tensor:
    n, w = x.shape
    half = n // 2
    return torch.cat([x[half:], x[:half]]).reshape(w, n) * (n % 2 + 1)


@program(SIGNS)
def assertion(x: Tensor) -> Tensor:
    assert x.numel() == 3, "three numbers are wanted"
    if x.numel() != 3:
        raise ValueError("three numbers are wanted")
    return x + 1


@program([(UP,), (MIXED,), (t(0.5, 0.5, 0.5),), (t(9.0, 9.0, -1.0),)])
def check_of_values(x: Tensor) -> Tensor:
    if x.sum() < -100:
        raise ValueError("too small")
    return x.sqrt().nan_to_num()


@program(SIGNS)
def string_flag(x: Tensor) -> Tensor:
    mode = "double"
    if x.sum() > 0:
        y = x
    else:
        y = -x
    if mode == "double":
        y = y * 2
    elif mode == "triple":
        y = y * 3
    return y


@program([(UP, True), (UP, False), (DOWN, True), (DOWN, False)])
def flag_input(x: Tensor, flag: bool) -> Tensor:
    if flag and bool(x.sum() > 0):
        return x * 2
    return x


@program([(UP, 0.5), (DOWN, 2.0), (MIXED, -1.0), (ZERO, 3.0)])
def float_input(x: Tensor, scale: float) -> Tensor:
    if scale > 1:
        scale = scale * 0.5
    return x * scale + scale


@program([(UP, 0), (UP, 1), (MIXED, 5), (DOWN, -3)])
def int_arithmetic(x: Tensor, n: int) -> Tensor:
    return x * (n // 2) + n % 3 - (n * n)


@program(SIGNS)
def same_variable_other_type(x: Tensor) -> Tensor:
    y = x
    if x.sum() > 0:
        y = (x > 1).to(torch.float32)
    return y


@program(SIGNS)
def two_results(x: Tensor) -> Tuple[Tensor, Tensor]:
    if x.sum() > 0:
        return x, x * 2
    return -x, x * 3


@program(SIGNS)
def item_of_tensor(x: Tensor) -> Tensor:
    s = x.max().item()
    if s > 2:
        return x * s
    return x + s


@program([(rows(3), 0), (rows(3), 1), (rows(4), 2), (rows(5), -1)])
def indexed_by_input(x: Tensor, i: int) -> Tensor:
    return x[i] * 2


@program([(rows(3), 0), (rows(3), 1), (rows(4), 2), (rows(5), 4)])
def sliced_by_input(x: Tensor, i: int) -> Tensor:
    return x[i:].sum(0) - x[:i].sum(0)


@program(COUNTS)
def carried_int_and_tensor(x: Tensor, n: int) -> Tuple[Tensor, int]:
    k = 0
    for i in range(n):
        if x.sum() > 0:
            k += i
        else:
            k -= 1
        x = x - 1
    return x, k


@program(COUNTS)
def two_loops(x: Tensor, n: int) -> Tensor:
    for i in range(n):
        x = x + 1
    for i in range(n):
        x = x * 0.5
    return x


@program(COUNTS)
def loop_of_known_count(x: Tensor, n: int) -> Tensor:
    for i in range(4):
        if i < n:
            x = x + i + 1
    return x


@program([*SIGNS, (t(0.05, 0.05, 0.05),)])
def while_true_with_break(x: Tensor) -> Tensor:
    while True:
        x = x * 0.5
        if x.abs().sum() < 0.1:
            break
    return x


@program([*SIGNS, (t(5.0, 1.0, 0.0),)])
def branch_in_while(x: Tensor) -> Tensor:
    y = x.abs()
    while y.max() > 1:
        if y[0] > y[1]:
            y = y * 0.5
        else:
            y = y - 0.75
    return y


@program([(rows(2), rows(2, seed=5)), (rows(3), rows(3, seed=5)), (rows(1), rows(1, seed=9)), (rows(4), -rows(4))])
def two_inputs(x: Tensor, y: Tensor) -> Tensor:
    if x.sum() > y.sum():
        x, y = y, x
    return x - y


@program(SIGNS)
def in_place_chain(x: Tensor) -> Tensor:
    y = x.clone()
    y.add_(1).mul_(2)
    if y.sum() > 0:
        y.relu_()
    return y


@program(SIGNS)
def view_of_view(x: Tensor) -> Tensor:
    y = torch.zeros(2, 3)
    row = y[1]
    part = row[:2]
    if x[0] > 0:
        part.copy_(x[1:])
    else:
        row.fill_(4.0)
    return y


@program(SIGNS)
def list_slicing(x: Tensor) -> Tensor:
    parts = [x, x + 1, x + 2, x + 3]
    some = parts[1:3]
    some.reverse()
    return torch.stack(some)


@program(SIGNS)
def unpacked_list(x: Tensor) -> Tensor:
    a, b, c = x.unbind()
    if a > b:
        a, c = c, a
    return torch.stack([a, b, c])


@program([(rows(2),), (rows(4),), (rows(6),), (rows(8),)])
def split_and_join(x: Tensor) -> Tensor:
    a, b = x.chunk(2)
    return torch.cat([b, a], 1)


class Modules(nn.Module):
    """Modules in a list, called in a loop, one left out by an input."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
        self.scale = 2.0

    def forward(self, x: Tensor, n: int) -> Tensor:
        for i, layer in enumerate(self.layers):
            if i < n:
                x = torch.relu(layer(x))
        return self.tail(x)

    def tail(self, x: Tensor) -> Tensor:
        if x.sum() > 1:
            return x * self.scale
        return x


class Gated(nn.Module):
    """A branch between two modules."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b = nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        if x.mean() > 0:
            return self.a(x)
        return self.b(x)


class Cell(nn.Module):
    """A cell in a loop over time, with a mask that stops it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.cell = nn.LSTMCell(3, 4)

    def forward(self, x: Tensor, steps: int) -> Tensor:
        h, c = torch.zeros(1, 4), torch.zeros(1, 4)
        for i in range(min(steps, x.size(0))):
            h, c = self.cell(x[i : i + 1], (h, c))
            if h.sum() > 0.3:
                h = h * 0.5
        return h


class Recursive(nn.Module):
    """Helper functions with defaults and optional arguments."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.step(x)
        return self.step(y, 3.0, x)

    def step(self, x: Tensor, k: float = 2.0, other: Optional[Tensor] = None) -> Tensor:
        if other is not None:
            x = x + other
        if x.sum() > 0:
            return x * k
        return x / k


PROGRAMS["modules"] = (Modules(), [(rows(2), 0), (rows(2), 1), (rows(3), 2), (rows(4) * 5, 3)])
PROGRAMS["gated"] = (Gated(), [(rows(1),), (-rows(1),), (rows(3) + 2,), (rows(3) - 2,)])
PROGRAMS["cell"] = (Cell(), [(rows(4), 0), (rows(4), 1), (rows(4), 3), (rows(5) * 3, 9)])
PROGRAMS["helpers"] = (Recursive(), SIGNS)


@program([(UP, 0), (UP, 1), (MIXED, 4), (DOWN, 6), (UP, 5)])
def breaks_and_continues(x: Tensor, n: int) -> Tensor:
    total = torch.zeros_like(x)
    for i in range(n):
        if i == 1:
            continue
        for j in range(i):
            if j == 2:
                break
            if bool(x.sum() + j < 0):
                continue
            total = total + x * j
        total = total - i
    return total + x


@program([(rows(2), 0), (rows(3), 1), (rows(4), 2), (-rows(4), 5)])
def return_in_nested_loop(x: Tensor, n: int) -> Tensor:
    y = x[0]
    for i in range(n):
        for j in range(i + 1):
            y = y * 0.5 + j
            if bool(y.sum() > 4.0):
                return y + 100
    return y


class Keeper(nn.Module):
    """A buffer that is read, and a branch in a loop."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))

    def forward(self, x: Tensor, n: int) -> Tensor:
        y = self.seen * 0.5 + x
        for i in range(n):
            if y.sum() > 2:
                y = y - 1
            else:
                y = y + i
        return y


PROGRAMS["keeper"] = (Keeper(), COUNTS)


@program([(UP, 0), (DOWN, 1), (MIXED, 2), (ZERO, 3)])
def dictionary_in_branch(x: Tensor, n: int) -> Tensor:
    parts: Dict[str, Tensor] = {"first": x, "second": x * 2}
    if n > 1:
        parts["first"] = parts["second"] + n
    else:
        parts["second"] = parts["first"] - n
    if bool(x.sum() > 0):
        parts["third"] = x
    else:
        parts["third"] = -x
    return parts["first"] * 10 + parts["second"] + parts["third"]
