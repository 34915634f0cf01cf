//! Constant: a tensor that the node itself holds, in one of its attributes.
//!
//! <https://onnx.ai/onnx/operators/onnx__Constant.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[],
    outputs: &[Param::one("output", "T")],
    attrs: &[
        AttrDef::optional("sparse_value", AttrKind::Sparse),
        AttrDef::optional("value", AttrKind::Tensor),
        AttrDef::optional("value_float", AttrKind::Float),
        AttrDef::optional("value_floats", AttrKind::Floats),
        AttrDef::optional("value_int", AttrKind::Int),
        AttrDef::optional("value_ints", AttrKind::Ints),
        AttrDef::optional("value_string", AttrKind::String),
        AttrDef::optional("value_strings", AttrKind::Strings),
    ],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Constant.
pub static CONSTANT: OpDef = OpDef {
    name: "Constant",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                attrs: &[AttrDef::required("value", AttrKind::Tensor)],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 9,
            schema: Schema {
                attrs: &[AttrDef::required("value", AttrKind::Tensor)],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema {
                attrs: &[
                    AttrDef::optional("sparse_value", AttrKind::Sparse),
                    AttrDef::optional("value", AttrKind::Tensor),
                ],
                types: &[types_of("T", ALL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(to_tensor),
        },
        Past {
            since: 12,
            schema: Schema { types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("T", ALL_IR4)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema { types: &[types_of("T", ALL_IR9)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema { types: &[types_of("T", ALL_IR10)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema { types: &[types_of("T", ALL_IR11)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema { types: &[types_of("T", ALL_IR12)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

/// Before opset 12 only `value` and `sparse_value` existed.
fn to_tensor(cx: &mut AdaptCx) -> OpResult<()> {
    let names = ["value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"];
    for name in names {
        if let Some(attr) = cx.attrs().remove(name) {
            let tensor =
                plain(&attr).ok_or_else(|| OpError::invalid(format!("attribute {name} is of another kind")))?;
            cx.attrs().set("value", tensor);
        }
    }
    Ok(())
}

/// The tensor of an attribute that is a number, a string or a list of them.
fn plain(attr: &Attr) -> Option<Tensor> {
    Some(match attr {
        Attr::Int(x) => Tensor::scalar(*x),
        Attr::Ints(x) => Tensor::vector(x),
        Attr::Float(x) => Tensor::scalar(*x),
        Attr::Floats(x) => Tensor::vector(x),
        Attr::String(x) => Tensor::from_strings(&[], vec![x.clone()]).ok()?,
        Attr::Strings(x) => Tensor::from_strings(&[x.len()], x.clone()).ok()?,
        _ => return None,
    })
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let Some((_, attr)) = cx.attrs.raw().iter().next() else {
        return Err(OpError::invalid("a constant without a value"));
    };
    match attr {
        Attr::Tensor(w) => match moves::small_constant(w) {
            Some(t) => cx.set_fact(0, Fact::constant(t)),
            None => cx.set(0, Type::fixed(w.dtype(), &w.shape())),
        },
        Attr::Sparse(values, _, shape) => {
            let dims = shape.iter().map(|&d| Dim::Known(d)).collect();
            cx.set_tensor(0, Some(values.dtype()), Some(dims));
        }
        other => match plain(other) {
            Some(t) => cx.set_fact(0, Fact::constant(t)),
            None => return Err(OpError::invalid(format!("a constant of an attribute of kind {:?}", other.kind()))),
        },
    }
    Ok(())
}

fn eval(cx: &EvalCx, _: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    if let Some(t) = cx.tensor_attr("value")? {
        return Ok(vec![t.into()]);
    }
    match cx.attrs.raw().iter().next() {
        Some((_, Attr::Sparse(values, indices, shape))) => {
            let tensor = |w| modelsmith_tensor::materialize(w, cx.evaluator, &modelsmith_base::Budget::unlimited());
            let shape = moves::sizes(shape)?;
            let sparse = modelsmith_tensor::Sparse { values: tensor(values)?, indices: tensor(indices)?, shape };
            Ok(vec![sparse.to_dense()?.into()])
        }
        Some((_, attr)) => match plain(attr) {
            Some(t) => Ok(vec![t.into()]),
            None => Err(OpError::invalid(format!("a constant of an attribute of kind {:?}", attr.kind()))),
        },
        None => Err(OpError::invalid("a constant without a value")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let value = s.any(dtype, &[2, 2]);
        s.case().attr("value", value).add();
    }
    for shape in Samples::shapes() {
        let value = s.any(F32, shape);
        s.case().attr("value", value).add();
    }
    s.case().attr("value_int", 7).add();
    s.case().attr("value_ints", [3, -1]).add();
    s.case().attr("value_float", 1.5f32).add();
    s.case().attr("value_floats", vec![1.5f32, f32::NAN]).add();
    s.case().attr("value_string", "\u{e9}t\u{e9}").add();
    s.case().attr("value_strings", vec!["a".to_owned(), "".to_owned()]).add();
    let values = std::sync::Arc::new(modelsmith_tensor::WeightExpr::Literal(Tensor::vector(&[1.5f32, -2.0])));
    let flat = std::sync::Arc::new(modelsmith_tensor::WeightExpr::Literal(Tensor::vector(&[1i64, 5])));
    s.case().attr("sparse_value", Attr::Sparse(values, flat, vec![2, 3])).add();
}
