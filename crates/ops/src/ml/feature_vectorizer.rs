//! FeatureVectorizer: the columns of all operands side by side as floats; a vector counts as one row.
//!
//! <https://onnx.ai/onnx/operators/onnx_aionnxml_FeatureVectorizer.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::many("X", "T1", 1)],
    outputs: &[Param::one("Y", "tensor(float)")],
    attrs: &[AttrDef::optional("inputdimensions", AttrKind::Ints)],
    types: &[types_of("T1", TypeSet::tensors(&[F32, F64, I32, I64]))],
};

/// The ONNX operator FeatureVectorizer.
pub static FEATURE_VECTORIZER: OpDef = OpDef {
    name: "FeatureVectorizer",
    domain: "ai.onnx.ml",
    since: 1,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let (mut rows, mut columns) = (Dim::Unknown, Dim::Known(0));
    for i in 0..cx.input_count() {
        let (r, c) = match cx.shape(i) {
            Some([c]) => (Dim::Known(1), c.clone()),
            Some([r, rest @ ..]) => (r.clone(), shapes::product(rest)),
            _ => (Dim::Unknown, Dim::Unknown),
        };
        rows = moves::agreed(&rows, &r)?;
        columns = columns + c;
    }
    cx.set_tensor(0, Some(F32), Some(vec![rows, columns]));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let matrix = |i: usize| {
        let x = cx.tensor(inputs, i)?;
        let shape = match x.shape() {
            [] => vec![1, 1],
            [n] => vec![1, *n],
            [r, rest @ ..] => vec![*r, rest.iter().product()],
        };
        Ok::<_, OpError>(Tensor::from_f64s(F32, &shape, &x.to_f64s()?)?)
    };
    let parts = (0..inputs.len()).map(matrix).collect::<OpResult<Vec<_>>>()?;
    Ok(vec![modelsmith_tensor::concat(&parts, 1)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in [F32, F64, I32, I64] {
        let (a, b) = (s.any(dtype, &[2, 3]), s.any(dtype, &[2, 1]));
        s.case().input(a).input(b).attr("inputdimensions", [3, 1]).add();
        let x = s.any(dtype, &[4]);
        s.case().input(x).add();
    }
}
