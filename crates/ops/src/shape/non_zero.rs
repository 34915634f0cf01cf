//! NonZero: positions of the elements that are not zero, one column each, in row-major order.
//!
//! <https://onnx.ai/onnx/operators/onnx__NonZero.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T")],
    outputs: &[Param::one("Y", "tensor(int64)")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator NonZero.
pub static NON_ZERO: OpDef = OpDef {
    name: "NonZero",
    since: 13,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 9,
        schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let rank = cx.rank(0).map_or(Dim::Unknown, Dim::from);
    cx.set_tensor(0, Some(I64), Some(vec![rank, Dim::Unknown]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let flags = match x.dtype() {
        DType::String => x.strings()?.iter().map(|s| u8::from(!s.is_empty())).collect::<Vec<_>>(),
        Bool | U8 | DType::I8 => x.bytes().iter().map(|&b| u8::from(b != 0)).collect(),
        F32 => x.as_slice::<f32>()?.iter().map(|&v| u8::from(v != 0.0)).collect(),
        d if d.is_int() => x.to_i64s()?.iter().map(|&v| u8::from(v != 0)).collect(),
        _ => x.to_complex()?.iter().map(|&[r, i]| u8::from(r != 0.0 || i != 0.0)).collect(),
    };
    let count = flags.iter().map(|&f| usize::from(f)).sum::<usize>();
    let mut out = Tensor::zeros(I64, &[x.rank(), count])?;
    if count > 0 && x.rank() > 0 {
        positions(&flags, x.shape(), out.as_mut_slice()?);
    }
    Ok(vec![out.into()])
}

/// The indices of what is flagged along each dimension of `shape`, one dimension after the other.
fn positions(flags: &[u8], shape: &[usize], out: &mut [i64]) {
    let (count, columns) = (out.len() / shape.len(), shape[shape.len() - 1]);
    let (outer, last) = out.split_at_mut(out.len() - count);
    let mut at = vec![0usize; shape.len() - 1];
    let mut done = 0;
    for row in flags.chunks_exact(columns) {
        let first = done;
        // Whole words without a flag are passed over at once.
        for (word, eight) in row.chunks(8).enumerate() {
            if eight.iter().fold(0, |any, f| any | f) == 0 {
                continue;
            }
            for (i, _) in eight.iter().enumerate().filter(|(_, f)| **f != 0) {
                last[done] = (word * 8 + i) as i64;
                done += 1;
            }
        }
        for (indices, &i) in outer.chunks_exact_mut(count).zip(&at) {
            indices[first..done].fill(i as i64);
        }
        for (i, &d) in at.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[3, 4]);
        s.case().input(x).add();
    }
    for shape in Samples::shapes() {
        let x = s.any(Bool, shape);
        s.case().input(x).add();
    }
    let x = s.special(F32, 12);
    s.case().input(x).add();
}
