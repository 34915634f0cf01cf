//! The forms of a plan's records.

use super::code::{Code, Got, Reader, code_enum, code_struct};
use crate::plan::{Block, Body, Buffer, EvalOp, Form, Home, Plan, Step, StepOp, Weight};
use crate::recipe::{
    Attention, Axis, Border, Conv, Depth, Eltwise, Gemm, Heads, Move, Norm, NormOver, Padding, Pool, PoolOver, Post,
    Recipe, Window,
};
use modelsmith_kop::{
    Activation, BinaryOp, CoordMode, Inst, Lane, Layout, NearestMode, PoolKind, ReduceOp, ResizeMode, UnaryOp,
};

code_struct!(Plan { level, threads, blocks, weights });
code_struct!(Block { name, inputs, buffers, steps, outputs });
code_struct!(Buffer { name, ty, home, layout, value });
code_enum!(Home { 0: Input, 1: Weight(w), 2: Arena, 3: Host, 4: View(b) });
code_enum!(Layout { 0: Plain, 1: ChannelsLast });
code_struct!(Weight { name, dtype, shape, form, blob });
code_enum!(Form { 0: Raw, 1: Packed { format, shape } });
code_struct!(Step { label, op, inputs, outputs, kernels, measured_at, chosen, refused });
code_enum!(StepOp { 0: Native(r), 1: Eval(e), 2: Call { block }, 3: Sizes { dims } });
code_struct!(EvalOp { domain, name, attrs, bodies });
code_struct!(Body { name, block, captures });

code_enum!(Recipe {
    0: Gemm(g),
    1: Conv(c),
    2: Pool(p),
    3: Eltwise(e),
    4: Reduce { op, axes },
    5: Softmax { axis, log },
    6: Norm(n),
    7: Move(m),
    8: Gather { axis },
    9: Resize { scale, mode, coord },
    10: Lstm { reverse, hidden },
    11: Attention(a),
    12: Gru { reverse, hidden, linear_before_reset, lengths },
    13: IntegerGemm { packed, zeros },
    14: IntegerConv { window, groups, zeros },
});
code_struct!(Attention { scale, causal, blind_zero, q, k, v, y });
code_struct!(Heads { dims, axes });
code_enum!(Axis { 0: Batch, 1: Head, 2: Row, 3: Column, 4: At(i) });
code_enum!(Post { 0: Act(a), 1: AddScalar(x), 2: MulScalar(x), 3: Add, 4: Mul });
code_struct!(Gemm { a_perm, b_perm, c_perm, packed, bias, post });
code_struct!(Depth { kernel, stride, dilation, pad });
code_struct!(Conv { depth, kernel, stride, dilation, pad, groups, transposed, bias, post });
code_enum!(Padding { 0: Fixed(p), 1: SameUpper, 2: SameLower });
code_struct!(Pool { kind, over, window });
code_enum!(PoolOver { 0: Image, 1: Planes, 2: Depth });
code_struct!(Window { kernel, stride, dilation, pad });
code_struct!(Eltwise { inputs, outputs, registers, code });
code_struct!(Norm { over, eps, scale, bias, residual });
code_enum!(NormOver { 0: Layer(a), 1: Rms(a), 2: Group(g) });
code_enum!(Border { 0: Reflect, 1: Edge, 2: Wrap });
code_enum!(Move {
    0: Reorder,
    1: Transpose(p),
    2: Expand,
    3: Slice { start, step },
    4: Concat(a),
    5: Split(a),
    6: Pad { before },
    7: Shuffle { groups },
    8: Extend { before, border },
});

code_enum!(PoolKind { 0: Max, 1: Avg { count_include_pad } });
code_enum!(ReduceOp { 0: Sum, 1: Mean, 2: Max, 3: Min, 4: Prod, 5: L1, 6: L2, 7: SumSquare, 8: LogSumExp });
code_enum!(ResizeMode { 0: Nearest(m), 1: Linear });
code_enum!(NearestMode { 0: RoundPreferFloor, 1: RoundPreferCeil, 2: Floor, 3: Ceil });
code_enum!(CoordMode { 0: HalfPixel, 1: PytorchHalfPixel, 2: AlignCorners, 3: Asymmetric });
code_enum!(Lane { 0: F32, 1: I32, 2: I64, 3: Bool, 4: U8, 5: I8, 6: F16, 7: BF16 });
code_enum!(Activation {
    0: Relu,
    1: Clip { min, max },
    2: LeakyRelu { alpha },
    3: Sigmoid,
    4: HardSigmoid { alpha, beta },
    5: HardSwish,
    6: Silu,
    7: Tanh,
    8: Gelu,
    9: GeluTanh,
    10: Elu { alpha },
    11: Softplus,
    12: Mish,
});
code_enum!(UnaryOp {
    0: Act(a),
    1: Neg,
    2: Abs,
    3: Sign,
    4: Sqrt,
    5: Reciprocal,
    6: Exp,
    7: Log,
    8: Erf,
    9: Sin,
    10: Cos,
    11: Floor,
    12: Ceil,
    13: Round,
    14: Not,
    15: Atan,
});
code_enum!(BinaryOp {
    0: Add,
    1: Sub,
    2: Mul,
    3: Div,
    4: Min,
    5: Max,
    6: Pow,
    7: PRelu,
    8: Mod,
    9: Equal,
    10: Less,
    11: LessEqual,
    12: Greater,
    13: GreaterEqual,
    14: And,
    15: Or,
    16: Xor,
});
code_enum!(Inst {
    0: Load { dst, input },
    1: ConstF32 { dst, value },
    2: ConstInt { dst, lane, value },
    3: Unary { op, lane, dst, a },
    4: Binary { op, lane, dst, a, b },
    5: Select { lane, dst, cond, a, b },
    6: Cast { from, to, dst, a },
    7: Store { output, a },
});
