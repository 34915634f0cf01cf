//! Trilu: the upper or lower triangle of each matrix, from the `k`-th diagonal; zeros elsewhere.
//!
//! <https://onnx.ai/onnx/operators/onnx__Trilu.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::opt("k", "tensor(int64)")],
    outputs: &[Param::one("output", "T")],
    attrs: &[AttrDef::int("upper", 1)],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Trilu.
pub static TRILU: OpDef = OpDef {
    name: "Trilu",
    since: 14,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    cx.set_tensor(0, cx.dtype(0), cx.shape(0).map(<[Dim]>::to_vec));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let &[.., rows, columns] = x.shape() else {
        return Err(OpError::invalid(format!("a tensor of rank {}", x.rank())));
    };
    let k = cx.opt_ints(inputs, 1)?.and_then(|k| k.first().copied()).unwrap_or(0);
    let upper = cx.attrs.flag("upper")?;
    let runs = (0..x.len() / columns.max(1)).map(|row| {
        // The first column right of the diagonal, or on it.
        let edge = (row % rows) as i64 + k.clamp(-(1 << 40), 1 << 40) + i64::from(!upper);
        let edge = usize::try_from(edge).unwrap_or(0).min(columns);
        let at = row * columns;
        match upper {
            true => at..at + edge,
            false => at + edge..at + columns,
        }
    });
    Ok(vec![x.cleared(runs).into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes().into_iter().filter(|s| s.len() > 1) {
        for k in [-1i64, 0, 2, 99] {
            let x = s.any(F32, shape);
            s.case().input(x.clone()).input(Tensor::scalar(k)).add();
            s.case().input(x).input(Tensor::scalar(k)).attr("upper", 0).add();
        }
    }
}
