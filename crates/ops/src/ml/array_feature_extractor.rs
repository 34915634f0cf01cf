//! ArrayFeatureExtractor: the columns that `Y` names, along the last dimension. A vector counts as one row.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_ArrayFeatureExtractor.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("X", "T"), Param::one("Y", "tensor(int64)")],
    outputs: &[Param::one("Z", "T")],
    attrs: &[],
    types: &[types_of("T", TypeSet::tensors(&[F32, F64, I32, I64, String]))],
};

/// The ONNX operator ArrayFeatureExtractor.
pub static ARRAY_FEATURE_EXTRACTOR: OpDef = OpDef {
    name: "ArrayFeatureExtractor",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = cx.shape(1).map_or(Dim::Unknown, shapes::product);
    let shape = cx.shape(0).map(|x| match x {
        [] | [_] => vec![Dim::Known(1), n],
        [rest @ .., _] => [rest, &[n]].concat(),
    });
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, columns) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?.to_i64s()?);
    let (&width, rest) = x.shape().split_last().ok_or_else(|| OpError::invalid("a tensor of rank 0"))?;
    let at = |&i: &i64| {
        let outside = || OpError::invalid(format!("column {i} of {width}"));
        usize::try_from(i).ok().filter(|&i| i < width).ok_or_else(outside)
    };
    let columns = columns.iter().map(at).collect::<OpResult<Vec<_>>>()?;
    let shape = if rest.is_empty() { vec![1, columns.len()] } else { [rest, &[columns.len()]].concat() };
    let from = (0..rest.iter().product::<usize>()).flat_map(|r| columns.iter().map(move |c| r * width + c));
    Ok(vec![x.gathered(&shape, from)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64, I32, I64, DType::String] {
        for shape in [&[4][..], &[2, 3], &[2, 2, 3], &[0, 3]] {
            let x = s.any(dtype, shape);
            s.case().input(x).input(Tensor::vector(&[2i64, 0])).add();
        }
    }
}
