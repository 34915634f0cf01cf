//! Expand: broadcast to the shape that `data` and `shape` have in common; a 1 in `shape` keeps the dimension of the input.
//!
//! <https://onnx.ai/onnx/operators/onnx__Expand.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("input", "T"), Param::one("shape", "tensor(int64)")],
    outputs: &[Param::one("output", "T")],
    attrs: &[],
    types: &[types_of("T", ALL_IR4)],
};

/// The ONNX operator Expand.
pub static EXPAND: OpDef = OpDef {
    name: "Expand",
    since: 13,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[Past {
        since: 8,
        schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
        up: Adapt::Compatible,
        down: Adapt::Compatible,
    }],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    if let Some(rank) = cx.rank(1).filter(|&r| r != 1) {
        return Err(OpError::invalid(format!("a shape of rank {rank}, 1 is wanted")));
    }
    let shape = match (cx.shape(0), moves::from_operand(cx, 1)) {
        (Some(x), Some(wanted)) => Some(shapes::broadcast(&[x, &wanted])?),
        _ => None,
    };
    if let (Some(v), Some([Dim::Known(n @ 0..=64)])) = (cx.value(0), shape.as_deref()) {
        let n = *n as usize;
        let dims = if v.dims.len() == 1 { vec![v.dims[0].clone(); n] } else { v.dims.clone() };
        if dims.len() == n {
            cx.set_value(0, SymTensor::vector(dims));
        }
    }
    cx.set_tensor(0, cx.dtype(0), shape);
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let (x, wanted) = (cx.tensor(inputs, 0)?, cx.tensor(inputs, 1)?);
    if wanted.rank() != 1 {
        return Err(OpError::invalid(format!("a shape of rank {}, 1 is wanted", wanted.rank())));
    }
    let wanted = moves::sizes(&wanted.to_i64s()?)?;
    let shape = index::broadcast(&[x.shape(), &wanted])?;
    moves::affordable(&shape)?;
    let strides = index::broadcast_strides(x.shape(), &shape)?;
    let strides = strides.into_iter().map(|s| s as isize).collect::<Vec<_>>();
    Ok(vec![x.strided(&shape, &strides, 0)?.into()])
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR4.dtypes() {
        let x = s.any(dtype, &[2, 1]);
        s.case().input(x).input(Tensor::vector(&[1i64, 3])).add();
    }
    let cases: [(&[usize], &[i64]); 7] = [
        (&[], &[]),
        (&[], &[2, 2]),
        (&[3], &[2, 1, 1]),
        (&[2, 3, 4], &[4]),
        (&[1, 1, 3, 1], &[2, 2, 1, 2]),
        (&[1, 2, 1, 3, 2], &[1]),
        (&[1, 3], &[0, 1]),
    ];
    for (shape, wanted) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(wanted)).add();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::Reference;
    use crate::run::{Opts, Runner};
    use modelsmith_ir::Type;

    #[test]
    fn a_shape_is_a_list() {
        let mut model = modelsmith_ir::Model::new();
        let main = model.main;
        let x = model.add_param(main, "x", Type::fixed(F32, &[2, 1]));
        let shape = model.add_param(main, "shape", Type::of(I64));
        let y = model.build(crate::all()).op("Expand", &[x, shape]).unwrap();
        model.regions[main].results = vec![y];
        let mut running = Reference.load(&model, &Opts::default()).unwrap();
        let inputs = [Tensor::zeros(F32, &[2, 1]), Tensor::zeros(I64, &[4, 2])].map(|t| Value::Tensor(t.unwrap()));
        let error = running.run(&inputs, &mut |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("a shape of rank 2, 1 is wanted"), "{error}");
    }
}
