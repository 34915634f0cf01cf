//! TensorScatter: a cache with new entries written along one axis, for each sequence of the batch at its own place. <https://onnx.ai/onnx/operators/onnx__TensorScatter.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("past_cache", "T"), Param::one("update", "T"), Param::opt("write_indices", "tensor(int64)")],
    outputs: &[Param::one("present_cache", "T")],
    attrs: &[AttrDef::int("axis", -2), AttrDef::string("mode", "linear")],
    types: &[types_of("T", ALL_IR12)],
};

/// The ONNX operator TensorScatter.
pub static TENSOR_SCATTER: OpDef = OpDef {
    name: "TensorScatter",
    since: 24,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    elementwise::same_as_first(cx)
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (cache, update) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    let axis = shapes::axis(cx.attrs.int("axis")?, cache.rank())?;
    let same = |(i, (a, b)): (usize, (&usize, &usize))| i == axis || a == b;
    let fits = cache.rank() == update.rank() && cache.shape().iter().zip(update.shape()).enumerate().all(same);
    if !fits || axis == 0 || cache.dtype() != update.dtype() || update.shape()[axis] > cache.shape()[axis] {
        return Err(OpError::invalid(format!("{update:?} cannot be written into {cache:?} along axis {axis}")));
    }
    let circular = match cx.attrs.string("mode")? {
        "linear" => false,
        "circular" => true,
        other => return Err(OpError::invalid(format!("mode is {other:?}"))),
    };
    let (len, new) = (cache.shape()[axis], update.shape()[axis]);
    let starts = cx.opt_ints(inputs, 2)?.unwrap_or_else(|| vec![0; cache.shape()[0]]);
    let bad = starts.len() != cache.shape()[0]
        || starts.iter().any(|&s| s < 0 || (!circular && s.saturating_add(new as i64) > len as i64));
    if bad {
        return Err(OpError::invalid(format!("write_indices {starts:?} leave the cache")));
    }
    let inner = cache.shape()[axis + 1..].iter().product::<usize>();
    let per_batch = cache.shape()[1..axis].iter().product::<usize>();
    // Every element from the cache, then those that are written from the update, which lies behind it.
    let mut source = (0..cache.len()).collect::<Vec<_>>();
    for (row, start) in (0..starts.len() * per_batch).map(|row| (row, starts[row / per_batch] as usize)) {
        for t in 0..new {
            let at = (start + t) % len.max(1);
            for i in 0..inner {
                source[(row * len + at) * inner + i] = cache.len() + (row * new + t) * inner + i;
            }
        }
    }
    Ok(vec![gathered_from(cache, update, &source)?.into()])
}

/// Elements of two tensors that lie one behind the other.
fn gathered_from(first: &Tensor, second: &Tensor, source: &[usize]) -> OpResult<Tensor> {
    let dtype = first.dtype();
    let n = first.len();
    if dtype == DType::String {
        let (a, b) = (first.strings()?, second.strings()?);
        let pick = |&i: &usize| if i < n { a[i].clone() } else { b[i - n].clone() };
        return Ok(Tensor::from_strings(first.shape(), source.iter().map(pick).collect())?);
    }
    let both = match dtype.bits() < 8 {
        // Packed elements are laid end to end as numbers; their bits survive the way through.
        true => {
            let values = [first.to_f64s()?, second.to_f64s()?].concat();
            Tensor::from_f64s(dtype, &[values.len()], &values)?
        }
        false => Tensor::from_bytes(dtype, &[n + second.len()], &[first.bytes(), second.bytes()].concat())?,
    };
    Ok(both.gathered(first.shape(), source.iter().copied())?)
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR12.dtypes() {
        let (cache, update) = (s.any(dtype, &[2, 3, 4, 2]), s.any(dtype, &[2, 3, 2, 2]));
        s.case().input(cache.clone()).input(update.clone()).add();
        s.case().input(cache).input(update).input(Tensor::vector(&[1i64, 2])).add();
    }
    let (cache, update) = (s.any(F32, &[2, 4, 3]), s.any(F32, &[2, 3, 3]));
    let case = s.case().input(cache).input(update).input(Tensor::vector(&[3i64, 9]));
    case.attr("mode", "circular").attr("axis", 1).add();
}
