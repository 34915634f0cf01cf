//! Reshape: the same elements under another shape; 0 keeps a dimension of the input (unless `allowzero`), -1 takes what is left.
//!
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("data", "T"), Param::one("shape", "tensor(int64)")],
    outputs: &[Param::one("reshaped", "T")],
    attrs: &[AttrDef::int("allowzero", 0)],
    types: &[types_of("T", ALL_IR13)],
};

/// The ONNX operator Reshape.
pub static RESHAPE: OpDef = OpDef {
    name: "Reshape",
    since: 25,
    schema: SCHEMA,
    flags: Flags::MOVES,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema {
                inputs: &[Param::one("data", "T")],
                attrs: &[
                    AttrDef::optional("consumed_inputs", AttrKind::Ints),
                    AttrDef::optional("shape", AttrKind::Ints),
                ],
                types: &[types_of("T", FLOATS)],
                ..SCHEMA
            },
            up: Adapt::Rewrite(shape_to_input),
            down: Adapt::Rewrite(|cx| cx.input_to_ints(1, "shape")),
        },
        Past {
            since: 5,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { attrs: &[], types: &[types_of("T", ALL_IR4)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Rewrite(without_empty),
        },
        Past {
            since: 14,
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

fn shape_to_input(cx: &mut AdaptCx) -> OpResult<()> {
    cx.attrs().remove("consumed_inputs");
    match cx.attrs().get("shape").is_some() {
        true => cx.ints_to_input("shape", 1),
        false => Err(OpError::invalid("attribute shape is required")),
    }
}

/// The shape with 0 replaced, and the position of -1.
fn dims_of(x: &[Dim], wanted: &[Dim], allow_zero: bool) -> OpResult<(Vec<Dim>, Option<usize>)> {
    let mut hole = None;
    let mut out = Vec::new();
    for (i, d) in wanted.iter().enumerate() {
        out.push(match d {
            Dim::Known(0) if !allow_zero => x.get(i).cloned().ok_or_else(|| {
                OpError::invalid(format!("0 at position {i} of the shape, the input has rank {}", x.len()))
            })?,
            Dim::Known(-1) if hole.replace(i).is_some() => {
                return Err(OpError::invalid("-1 stands twice in the shape"));
            }
            Dim::Known(-1) => Dim::Known(1),
            Dim::Known(n) if *n < -1 => return Err(OpError::invalid(format!("size {n} in the shape"))),
            d => d.clone(),
        });
    }
    if allow_zero && hole.is_some() && wanted.contains(&Dim::Known(0)) {
        return Err(OpError::invalid("0 and -1 in one shape with allowzero"));
    }
    Ok((out, hole))
}

/// The dimension that makes the product of `out` (1 at the hole) that of `x`: what both have is left out first.
fn left_over(x: &[Dim], out: &[Dim]) -> Dim {
    let mut from = x.to_vec();
    let mut to = Vec::new();
    for d in out {
        match from.iter().position(|f| f == d && *d != Dim::Known(0)) {
            Some(at) => drop(from.remove(at)),
            None => to.push(d.clone()),
        }
    }
    shapes::product(&from).floor_div(&shapes::product(&to))
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let allow_zero = cx.attrs.flag("allowzero")?;
    let Some(wanted) = moves::from_operand(cx, 1) else {
        cx.set_tensor(0, cx.dtype(0), None);
        return Ok(());
    };
    let known = cx.shape(0);
    let unranked = vec![Dim::Unknown; wanted.len()];
    let (mut out, hole) = dims_of(known.unwrap_or(&unranked), &wanted, allow_zero)?;
    if let Some(hole) = hole {
        out[hole] = known.map_or(Dim::Unknown, |x| left_over(x, &out));
    }
    let count = |s: &[Dim]| shapes::product(s).known();
    if let (Some(a), Some(b)) = (known.and_then(count), count(&out))
        && a != b
    {
        return Err(OpError::invalid(format!("{a} elements do not fill a shape of {b}")));
    }
    shapes::reshaped_value(cx, Some(&out));
    cx.set_tensor(0, cx.dtype(0), Some(out));
    Ok(())
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let x = cx.tensor(inputs, 0)?;
    let wanted = cx.tensor(inputs, 1)?.to_i64s()?.into_iter().map(Dim::Known).collect::<Vec<_>>();
    let own = x.shape().iter().map(|&d| d.into()).collect::<Vec<Dim>>();
    let (mut out, hole) = dims_of(&own, &wanted, cx.attrs.flag("allowzero")?)?;
    if let Some(hole) = hole {
        out[hole] = Dim::from(x.len()).floor_div(&shapes::product(&out));
    }
    let sizes = out.iter().map(Dim::size).collect::<Option<Vec<_>>>();
    let sizes = sizes.ok_or_else(|| OpError::invalid(format!("{} elements do not fill shape {wanted:?}", x.len())))?;
    Ok(vec![x.reshaped(&sizes)?.into()])
}

/// Before opset 14 a 0 always stood for the size that was there.
fn without_empty(cx: &mut AdaptCx) -> OpResult<()> {
    if !matches!(cx.attrs().get("allowzero"), Some(Attr::Int(n)) if *n != 0) {
        return Ok(());
    }
    let sizes = cx.input(1).and_then(|v| cx.constant_of(v)).map(|t| t.to_i64s()).transpose()?;
    match sizes.is_some_and(|s| !s.contains(&0)) {
        true => {
            cx.attrs().remove("allowzero");
            Ok(())
        }
        false => Err(OpError::unsupported("allowzero with sizes that may be 0 before opset 14")),
    }
}

fn samples(s: &mut Samples) {
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2, 3]);
        s.case().input(x).input(Tensor::vector(&[3i64, -1])).add();
    }
    let cases: [(&[usize], &[i64], i64); 9] = [
        (&[], &[1, 1], 0),
        (&[1], &[], 0),
        (&[2, 3, 4], &[0, -1], 0),
        (&[2, 3, 4], &[4, 0, -1], 0),
        (&[2, 1, 3, 2], &[12], 0),
        (&[1, 2, 1, 3, 2], &[-1, 0, 6], 0),
        (&[2, 0, 3], &[3, 0, 5], 1),
        (&[2, 0, 3], &[0, 0], 0),
        (&[2, 0], &[-1, 2], 0),
    ];
    for (shape, wanted, allow_zero) in cases {
        let x = s.any(F32, shape);
        s.case().input(x).input(Tensor::vector(wanted)).attr("allowzero", allow_zero).add();
    }
}
