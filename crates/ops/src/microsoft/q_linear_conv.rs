//! com.microsoft.QLinearConv: convolution of quantized tensors, quantized again, of which the channels may come last.

use crate::microsoft::fused::{self, DOMAIN};
use crate::microsoft::{composite, quantized};
use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[
        Param::one("x", "T1"),
        Param::one("x_scale", "tensor(float)"),
        Param::one("x_zero_point", "T1"),
        Param::one("w", "T2"),
        Param::one("w_scale", "tensor(float)"),
        Param::one("w_zero_point", "T2"),
        Param::one("y_scale", "tensor(float)"),
        Param::one("y_zero_point", "T3"),
        Param::opt("B", "T4"),
    ],
    outputs: &[Param::one("y", "T3")],
    attrs: &[
        AttrDef::string("auto_pad", "NOTSET"),
        AttrDef::int("channels_last", 0),
        AttrDef::optional("dilations", AttrKind::Ints),
        AttrDef::int("group", 1),
        AttrDef::optional("kernel_shape", AttrKind::Ints),
        AttrDef::optional("pads", AttrKind::Ints),
        AttrDef::optional("strides", AttrKind::Ints),
    ],
    types: &[
        types_of("T1", BYTES),
        types_of("T2", BYTES),
        types_of("T3", BYTES),
        types_of("T4", TypeSet::tensors(&[I32])),
    ],
};

/// The operator QLinearConv of ONNX Runtime.
pub static Q_LINEAR_CONV: OpDef = OpDef {
    name: "QLinearConv",
    domain: DOMAIN,
    since: 1,
    schema: SCHEMA,
    infer: |cx| composite::infer(&Q_LINEAR_CONV, cx),
    eval: |cx, inputs| composite::eval(&Q_LINEAR_CONV, cx, inputs),
    decompose: Some(decompose),
    samples,
    ..OpDef::BASE
};

fn decompose(b: &mut Builder, node: NodeId) -> OpResult<Vec<ValueId>> {
    composite::within_schema(b, node)?;
    let view = b.attrs(node)?;
    let last = view.flag("channels_last")?;
    let attrs = fused::chosen(&view, &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"])?;
    let mut operands = (0..9).map(|i| b.opt_input(node, i)).collect::<Vec<_>>();
    if last {
        let x = b.input(node, 0)?;
        operands[0] = Some(quantized::channels(b, x, true)?);
    }
    let y = b.node("", "QLinearConv", &operands, attrs, 1)?[0];
    Ok(vec![if last { quantized::channels(b, y, false)? } else { y }])
}

fn samples(s: &mut Samples) {
    for (dtype, weights) in [(U8, U8), (U8, I8), (I8, I8)] {
        for last in [0i64, 1] {
            let shape = if last == 1 { [1, 5, 4, 2] } else { [1, 2, 5, 4] };
            let (x, w, bias) = (s.any(dtype, &shape), s.any(weights, &[3, 2, 3, 3]), s.ints(I32, &[3], -9, 9));
            let (p, q, r) = (s.any(dtype, &[]), s.any(weights, &[]), s.any(dtype, &[]));
            let (a, c) = (Tensor::scalar(0.05f32), Tensor::scalar(0.08f32));
            let case = s.case().input(x).input(a.clone()).input(p.clone()).input(w).input(a.clone()).input(q.clone());
            let case = case.input(c.clone()).input(r.clone()).input(bias).attr("pads", [1, 0, 1, 1]);
            case.attr("strides", [2, 1]).attr("kernel_shape", [3, 3]).attr("channels_last", last).add();
            let (x, w) = (s.any(dtype, &shape), s.any(weights, &[2, 1, 2, 2]));
            let case = s.case().input(x).input(a.clone()).input(p).input(w).input(a).input(q).input(c).input(r);
            let case = case.attr("group", 2).attr("auto_pad", "SAME_LOWER").attr("dilations", [1, 1]);
            case.attr("channels_last", last).add();
        }
    }
}
