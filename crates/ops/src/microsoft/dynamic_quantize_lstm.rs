//! com.microsoft.DynamicQuantizeLSTM: LSTM whose weights are quantized, and whose input is by its own range. The
//! runtime quantizes the hidden state of each step too; the results differ by what that rounds.

use crate::microsoft::composite;
use crate::microsoft::fused::{self, DOMAIN};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("X", "T"),
        Param::one("W", "T2"),
        Param::one("R", "T2"),
        Param::opt("B", "T"),
        Param::opt("sequence_lens", "T1"),
        Param::opt("initial_h", "T"),
        Param::opt("initial_c", "T"),
        Param::opt("P", "T"),
        Param::one("W_scale", "T"),
        Param::one("W_zero_point", "T2"),
        Param::one("R_scale", "T"),
        Param::one("R_zero_point", "T2"),
    ],
    outputs: &[Param::opt("Y", "T"), Param::opt("Y_h", "T"), Param::opt("Y_c", "T")],
    attrs: &[
        AttrDef::optional("activation_alpha", AttrKind::Floats),
        AttrDef::optional("activation_beta", AttrKind::Floats),
        AttrDef::optional("activations", AttrKind::Strings),
        AttrDef::optional("clip", AttrKind::Float),
        AttrDef::string("direction", "forward"),
        AttrDef::optional("hidden_size", AttrKind::Int),
        AttrDef::int("input_forget", 0),
    ],
    types: &[types_of("T", TypeSet::tensors(&[F32])), types_of("T1", TypeSet::tensors(&[I32])), types_of("T2", BYTES)],
};

/// The operator DynamicQuantizeLSTM of ONNX Runtime.
pub static DYNAMIC_QUANTIZE_LSTM: OpDef = OpDef {
    name: "DynamicQuantizeLSTM",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&DYNAMIC_QUANTIZE_LSTM, cx),
    eval: |cx, inputs| composite::eval(&DYNAMIC_QUANTIZE_LSTM, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

/// Weights `[directions, in, gates]` of operand `i` as LSTM takes them, with scales and zero points from operand
/// `scale`.
fn weights(b: &mut Builder, node: NodeId, i: usize, scale: usize) -> OpResult<ValueId> {
    let real = |b: &mut Builder, x: ValueId| b.op_with("Cast", &[x], Attrs::new().with("to", F32));
    let spread = |b: &mut Builder, x: ValueId| {
        let axes = match b.ty(x).rank() {
            Some(1) => b.ints(&[1, 2]),
            Some(2) => b.ints(&[1]),
            _ => return Err(OpError::unsupported("a scale that is not one per direction, or one per gate")),
        };
        b.op("Unsqueeze", &[x, axes])
    };
    let (x, scale, zero) = (b.input(node, i)?, b.input(node, scale)?, b.input(node, scale + 1)?);
    let (x, zero) = (real(b, x)?, real(b, zero)?);
    let (scale, zero) = (spread(b, scale)?, spread(b, zero)?);
    let x = b.op("Sub", &[x, zero])?;
    let x = b.op("Mul", &[x, scale])?;
    b.op_with("Transpose", &[x], Attrs::new().with("perm", [0, 2, 1]))
}

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let names = ["activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size"];
    let attrs = fused::chosen(&view, &names)?.with("input_forget", view.int("input_forget")?);
    let x = b.input(node, 0)?;
    let q = b.node("", "DynamicQuantizeLinear", &[Some(x)], Attrs::new(), 3)?;
    let x = b.op("DequantizeLinear", &q)?;
    let (w, r) = (weights(b, node, 1, 8)?, weights(b, node, 2, 10)?);
    let rest = (3..8).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    let operands = [Some(x), Some(w), Some(r)].into_iter().chain(rest).collect::<Vec<_>>();
    b.node("", "LSTM", &operands, attrs, 3)
}

fn samples(s: &mut Samples) {
    for dtype in BYTES.dtypes() {
        for each in [false, true] {
            let (x, w, r) = (s.any(F32, &[4, 2, 3]), s.any(dtype, &[1, 3, 8]), s.any(dtype, &[1, 2, 8]));
            let shape: &[usize] = if each { &[1, 8] } else { &[1] };
            let (p, q) = (s.floats(F32, shape, 0.05, 0.2), s.floats(F32, shape, 0.05, 0.2));
            let (y, z, bias) = (s.ints(dtype, shape, 0, 0), s.ints(dtype, shape, 0, 0), s.any(F32, &[1, 16]));
            let (h, c) = (s.any(F32, &[1, 2, 2]), s.any(F32, &[1, 2, 2]));
            let case = s.case().input(x.clone()).input(w.clone()).input(r.clone()).input(bias);
            let case = case.input(Tensor::vector(&[4i32, 2])).input(h).input(c).absent();
            let case = case.input(p.clone()).input(y.clone()).input(q.clone()).input(z.clone());
            case.attr("hidden_size", 2).outputs(3).add();
            let case = s.case().input(x).input(w).input(r).absent().absent().absent().absent().absent();
            let case = case.input(p).input(y).input(q).input(z).attr("hidden_size", 2).attr("direction", "reverse");
            case.attr("clip", 3.0f32).outputs(3).add();
        }
    }
    let (x, w, r) = (s.any(F32, &[3, 2, 3]), s.any(I8, &[2, 3, 8]), s.any(I8, &[2, 2, 8]));
    let (p, y) = (s.floats(F32, &[2], 0.05, 0.2), Tensor::vector(&[1i8, -1]));
    let peephole = s.any(F32, &[2, 6]);
    let case = s.case().input(x).input(w).input(r).absent().absent().absent().absent().input(peephole);
    let case = case.input(p.clone()).input(y.clone()).input(p).input(y).attr("hidden_size", 2).outputs(3);
    let names = ["HardSigmoid", "Tanh", "Tanh", "HardSigmoid", "Tanh", "Tanh"].map(str::to_owned).to_vec();
    let case = case.attr("direction", "bidirectional").attr("activations", names).attr("input_forget", 1);
    case.attr("activation_alpha", vec![0.3f32, 0.3]).attr("activation_beta", vec![0.4f32, 0.4]).add();
}
