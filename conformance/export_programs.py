"""Programs for exports.py: modules with what they are exported with, the dimensions that stay free, and inputs to judge by.

PROGRAMS maps a name to a function that gives (module, example, dynamic_shapes, inputs). Inputs take every branch, and run
loops 0, 1 and many times.
"""

import typing

import torch
from torch import nn
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.map import map as over
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.while_loop import while_loop
from torch.export import Dim

PROGRAMS = {}
# Programs that are judged in one form only: vmap inside is written out by decomposing.
ONLY = {"products_so_far": ["decomposed"]}
# Programs that compute in half precision agree to that.
LOOSE = {"without_gradients": 4e-3}
FREE = Dim.DYNAMIC


def program(make):
    PROGRAMS[make.__name__] = make
    return make


class Pair(typing.NamedTuple):
    mean: torch.Tensor
    rest: dict


torch.utils._pytree._register_namedtuple(Pair, serialized_type_name="Pair")


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@program
def branch_of_values():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            def yes(x):
                return self.linear(x).sin(), x * x.shape[0]

            def no(x):
                return x.cos(), x - 1

            return torch.cond(x.sum() > 0, yes, no, (x,))

    return M(), (normal(0, 4, 3),), ({0: FREE},), [(normal(s, n, 3) + b,) for s, n, b in [(1, 2, 2), (2, 5, -2), (3, 7, 2), (4, 3, -2)]]


@program
def branch_of_sizes():
    class M(nn.Module):
        def forward(self, x):
            return torch.cond(x.shape[0] > 4, lambda x: x * 2, lambda x: x - 1, (x,))

    return M(), (normal(0, 5, 3),), ({0: FREE},), [(normal(s, n, 3),) for s, n in [(1, 2), (2, 4), (3, 5), (4, 9)]]


@program
def branches_in_branches():
    class M(nn.Module):
        def forward(self, x, y):
            def outer(x, y):
                return torch.cond(y.max() > 1, lambda x, y: x + y, lambda x, y: x - y, (x, y))

            return torch.cond(x.mean() > 0, outer, lambda x, y: x * y, (x, y))

    inputs = [(normal(s, 3) + a, normal(s + 9, 3) + b) for s, a, b in [(1, 3, 3), (2, 3, -3), (3, -3, 3), (4, -3, -3)]]
    return M(), (normal(0, 3), normal(1, 3)), None, inputs


@program
def loop_while():
    class M(nn.Module):
        def forward(self, x, n):
            return while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 0.5 + n), (torch.zeros((), dtype=torch.int64), x))

    return M(), (normal(0, 3), torch.tensor(5)), None, [(normal(n, 3), torch.tensor(n)) for n in [0, 1, 2, 9]]


@program
def loop_with_weights():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            def goes_on(i, x):
                return torch.logical_and(i < 6, x.abs().max() > 0.5)

            return while_loop(goes_on, lambda i, x: (i + 1, torch.tanh(self.linear(x))), (torch.tensor(0), x))

    return M(), (normal(0, 2, 4),), ({0: FREE},), [(normal(s, n, 4) * a,) for s, n, a in [(1, 2, 0.1), (2, 3, 5), (3, 6, 50), (4, 4, 0.05)]]


@program
def scan_with_state():
    class M(nn.Module):
        def forward(self, start, xs):
            return scan(lambda c, x: (c + x, (c * x, x + 1)), start, xs, dim=0)

    return M(), (normal(0, 3), normal(1, 5, 3)), (None, {0: FREE}), [(normal(s, 3), normal(s + 7, n, 3)) for s, n in [(1, 2), (2, 6), (3, 11), (4, 3)]]


@program
def scan_backwards_with_a_cell():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 4)

        def forward(self, h, xs):
            def step(h, x):
                h = torch.tanh(self.a(x) + self.b(h))
                return h, h.clone()

            return scan(step, h, xs, dim=0, reverse=True)

    return M(), (normal(0, 2, 4), normal(1, 5, 2, 3)), (None, {0: FREE}), [(normal(s, 2, 4), normal(s + 7, n, 2, 3)) for s, n in [(1, 2), (2, 6), (3, 11)]]


@program
def map_over_rows():
    class M(nn.Module):
        def forward(self, xs, y):
            return over(lambda x, y: x.sin() + y, xs, y)

    return M(), (normal(0, 5, 3), normal(1, 3)), ({0: FREE}, None), [(normal(s, n, 3), normal(s + 7, 3)) for s, n in [(1, 2), (2, 6), (3, 11)]]


@program
def products_so_far():
    class M(nn.Module):
        def forward(self, xs):
            return associative_scan(lambda a, b: a * b + 0.1 * a, xs, 0, combine_mode="generic")

    return M(), (normal(0, 6, 3),), None, [(normal(s, 6, 3),) for s in range(1, 4)]


@program
def state_is_written():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(4))
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            self.seen.add_(x.sum(0))
            return {"out": self.linear(x) + self.seen, "twice": x.shape[0] * 2}

    return M(), (normal(0, 3, 4),), ({0: FREE},), [(normal(s, n, 4),) for s, n in [(1, 2), (2, 5), (3, 8)]]


@program
def input_is_written():
    class M(nn.Module):
        def forward(self, x, y):
            x[:, 1:] = y[:, :2]
            x.mul_(2)
            return (x + y).relu()

    return M(), (normal(0, 3, 3), normal(1, 3, 3)), None, [(normal(s, 3, 3), normal(s + 7, 3, 3)) for s in range(1, 4)]


@program
def sizes_joined():
    batch = Dim("batch", min=1, max=64)
    rows = Dim("rows")

    class M(nn.Module):
        def forward(self, x, y):
            both = torch.cat([x, y], 0)
            return both.reshape(-1)[: x.shape[0] * 3], both.mean(0), both.view(-1, 2, 2).transpose(1, 2), x.shape[0] * 2 + y.shape[0]

    inputs = [(normal(s, n, 4), normal(s + 7, m, 4)) for s, n, m in [(1, 2, 1), (2, 5, 3), (3, 1, 8), (4, 64, 2)]]
    return M(), (normal(0, 3, 4), normal(1, 5, 4)), {"x": {0: batch}, "y": {0: rows}}, inputs


@program
def half_as_wide():
    width = Dim("half", min=2, max=50) * 2

    class M(nn.Module):
        def forward(self, x):
            left, right = x.chunk(2, 1)
            return left * right.sigmoid(), x.reshape(x.shape[0], 2, x.shape[1] // 2).sum(1)

    return M(), (normal(0, 3, 8),), ({0: FREE, 1: width},), [(normal(s, n, w),) for s, n, w in [(1, 2, 4), (2, 5, 10), (3, 3, 16)]]


@program
def plain_values():
    class M(nn.Module):
        def forward(self, x, scale: float, flag: bool, mode: str, nothing=None, pair=None):
            if flag:
                x = x * scale
            if mode == "a":
                x = x + 1
            return x if nothing is None else x + nothing, pair["left"] - pair["right"][0]

    def args(s):
        return normal(s, 2, 3), 0.25, True, "a", None, {"left": normal(s + 7, 3), "right": [normal(s + 8, 3)]}

    return M(), args(0), None, [args(s) for s in range(1, 4)]


@program
def whole_numbers_as_inputs():
    class M(nn.Module):
        def forward(self, x, n: int):
            return x[:n] * n, torch.arange(n)

    return M(), (normal(0, 9, 2), 4), ({0: FREE}, FREE), [(normal(s, m, 2), n) for s, m, n in [(1, 9, 3), (2, 12, 8), (3, 20, 5)]]


@program
def constants_of_the_program():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.arange(12.0).reshape(3, 4)

        def forward(self, x, at):
            return x + self.table[at] + torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.nn.functional.one_hot(at, 3)

    return M(), (normal(0, 2, 4), torch.tensor([0, 2])), None, [(normal(s, 2, 4), torch.tensor(at)) for s, at in [(1, [1, 1]), (2, [2, 0]), (3, [0, 1])]]


@program
def sizes_of_data():
    class M(nn.Module):
        def forward(self, x):
            kept = x[x > 0]
            return kept * 2, kept.sum(), torch.nonzero(x)

    return M(), (normal(0, 4, 3),), None, [(normal(s, 4, 3),) for s in range(1, 5)]


@program
def without_gradients():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            with torch.no_grad():
                y = self.linear(x)
            with torch.autocast("cpu", dtype=torch.float16):
                z = torch.mm(x, self.linear.weight)
            return y, z.float()

    return M(), (normal(0, 2, 4),), ({0: FREE},), [(normal(s, n, 4),) for s, n in [(1, 2), (2, 5), (3, 8)]]


@program
def normalised_and_pooled():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3, padding=1, stride=2)
            self.bn, self.gn, self.ln = nn.BatchNorm2d(6), nn.GroupNorm(2, 6), nn.LayerNorm(6)
            self.bn.running_mean.normal_()
            self.bn.running_var.uniform_(0.5, 2)
            self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

        def forward(self, x):
            x = nn.functional.silu(self.bn(self.conv(x)))
            x = nn.functional.max_pool2d(self.gn(x), 2, stride=1)
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
            return self.head(self.ln(self.pool(x).flatten(1))).log_softmax(-1), x.amax((2, 3))

    return M().eval(), (normal(0, 2, 3, 16, 16),), ({0: FREE, 2: FREE, 3: FREE},), [(normal(s, n, 3, h, w),) for s, n, h, w in [(1, 1, 16, 20), (2, 3, 12, 12), (3, 2, 32, 24)]]


@program
def attention():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)

        def forward(self, x, mask):
            y = self.layer(x, src_key_padding_mask=mask)
            return y, nn.functional.scaled_dot_product_attention(y, y, y, is_causal=True)

    def args(s, n, t):
        mask = torch.zeros(n, t, dtype=torch.bool)
        mask[:, t - 1 :] = True
        return normal(s, n, t, 16), mask

    return M().eval(), args(0, 2, 6), ({0: FREE, 1: FREE}, {0: FREE, 1: FREE}), [args(s, n, t) for s, n, t in [(1, 2, 4), (2, 3, 9), (3, 5, 6)]]


@program
def recurrent():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True)
            self.gru = nn.GRU(12, 4, batch_first=True)

        def forward(self, x):
            y, (h, c) = self.lstm(x)
            z, g = self.gru(y)
            return z, h, c, g

    return M().eval(), (normal(0, 3, 7, 5),), ({0: FREE},), [(normal(s, n, 7, 5),) for s, n in [(1, 2), (2, 3), (3, 5)]]


@program
def outputs_of_all_kinds():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(normal(3, 4))

        def forward(self, x):
            return x, self.weight, None, 3, x > 0, [x + 1, {"k": x * 2}], x + 1, Pair(x.mean(0), {"n": x.shape[0], "t": x.t()})

    return M(), (normal(0, 3, 4),), ({0: FREE},), [(normal(s, n, 4),) for s, n in [(1, 2), (2, 5), (3, 8)]]


@program
def weights_that_share_memory():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.embedding.weight
            whole = normal(5, 6, 4)
            self.register_buffer("columns", whole.t())
            self.register_buffer("middle", whole[1:5, 1:3])
            self.register_buffer("wide", normal(6, 1, 4).expand(7, 4), persistent=False)

        def forward(self, at):
            x = self.embedding(at) + self.wide[at]
            return self.head(x), x @ self.columns, x @ self.middle

    return M(), (torch.tensor([1, 5]),), None, [(torch.tensor(at),) for at in [[0, 6], [3, 3], [5, 2]]]


@program
def branch_on_captured_sizes():
    class M(nn.Module):
        def forward(self, x, y):
            n, m = x.shape[0], y.shape[0] * 2

            def yes(x):
                return x * m + n

            return torch.cond(y.sum() > 0, yes, lambda x: x - m, (x,))

    return M(), (normal(0, 4, 3), normal(1, 5)), ({0: FREE}, {0: FREE}), [(normal(s, n, 3), normal(s, m) + b) for s, n, m, b in [(1, 2, 3, 3), (2, 5, 2, -3), (3, 7, 9, 3)]]


@program
def loop_in_branch():
    class M(nn.Module):
        def forward(self, x):
            def yes(x):
                return while_loop(lambda x: x.max() < 30, lambda x: (x * 2 + 1,), (x,))[0]

            return torch.cond(x.sum() > 0, yes, lambda x: x.clone(), (x,))

    return M(), (normal(0, 4),), None, [(normal(1, 4) + 3,), (normal(2, 4) - 3,), (normal(3, 4) + 40,), (normal(4, 4) + 1,)]


@program
def kept_window():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("cache", normal(4, 1, 8, 4))

        def forward(self, x, at):
            self.cache[:, at] = x
            self.cache[:, at, at - 1] = x[:, :, 0]
            self.cache[0, :, at - 1] += 1
            self.cache[:, :2].mul_(0.5)
            return self.cache.mean(1), self.cache[:, 1:6:2]

    return M(), (normal(0, 1, 3, 4), torch.tensor([1, 4, 2])), None, [(normal(s, 1, 3, 4), torch.tensor(at)) for s, at in [(1, [3, 1, 2]), (2, [4, 3, 1]), (3, [2, 4, 3])]]


@program
def many_types():
    class M(nn.Module):
        def forward(self, a, b, c, d):
            return a + c, torch.where(b, a, -a), d.double() * 2, (a * d).to(torch.int64), a // 3, a % 4, torch.bitwise_and(a, 6)

    def args(s):
        g = torch.Generator().manual_seed(s)
        whole = torch.randint(-20, 20, (3, 4), generator=g, dtype=torch.int32)
        return whole, whole > s, torch.randint(0, 9, (4,), generator=g), normal(s, 3, 4)

    return M(), args(0), None, [args(s) for s in range(1, 4)]


def quantized(module, example, dynamic=False):
    """A module through PT2E with the X86 quantizer."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    exported = torch.export.export(module.eval(), example).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_dynamic=dynamic))
    prepared = prepare_pt2e(exported, quantizer)
    for s in range(4):
        prepared(*[normal(s + 50, *a.shape) for a in example])
    return convert_pt2e(prepared)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        return self.linear(torch.relu(self.conv(x)).mean((2, 3)))


def wanted_by_hand():
    """The operators that PT2E writes, called by hand: where torchao, which writes them, is not installed."""
    ops = torch.ops.quantized_decomposed

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.randint(-127, 128, (5, 8), dtype=torch.int8, generator=torch.Generator().manual_seed(0)))
            self.register_buffer("scales", torch.linspace(0.01, 0.05, 5))
            self.register_buffer("zeros", torch.zeros(5, dtype=torch.int64))

        def forward(self, x):
            q = ops.quantize_per_tensor(x, 0.02, 12, 0, 255, torch.uint8)
            x = ops.dequantize_per_tensor(q, 0.02, 12, 0, 255, torch.uint8)
            w = ops.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
            y = nn.functional.linear(x, w)
            scale, zero = ops.choose_qparams(y, -128, 127, 1e-5, torch.int8)
            narrow = ops.quantize_per_tensor(y, 0.1, 0, -64, 63, torch.int8)
            q = ops.quantize_per_tensor.tensor(y, scale, zero, -128, 127, torch.int8)
            return ops.dequantize_per_tensor.tensor(q, scale, zero, -128, 127, torch.int8), narrow

    return M()


@program
def quantized_by_hand():
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers the operators

    return wanted_by_hand(), (normal(0, 3, 8),), ({0: FREE},), [(normal(s, n, 8),) for s, n in [(1, 2), (2, 5), (3, 9)]]


@program
def quantized_static():
    example = (normal(0, 2, 3, 8, 8),)
    return quantized(Small(), example), example, None, [(normal(s, 2, 3, 8, 8),) for s in range(1, 4)]


@program
def quantized_dynamic():
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    example = (normal(0, 3, 8),)
    return quantized(module, example, True), example, None, [(normal(s, 3, 8),) for s in range(1, 4)]
