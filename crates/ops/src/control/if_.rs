//! If: the results of `then_branch` where `cond` holds, else those of `else_branch`. Both see the values of the outer graph.
//!
//! <https://onnx.ai/onnx/operators/onnx__If.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::one("cond", "B")],
    outputs: &[Param::mixed("outputs", "V", 1)],
    attrs: &[AttrDef::required("else_branch", AttrKind::Graph), AttrDef::required("then_branch", AttrKind::Graph)],
    types: &[
        types_of(
            "V",
            ALL_IR13
                .or(ALL_IR13.only_sequences())
                .or(ALL_IR4.only_sequences().only_optionals())
                .or(ALL_IR13.only_optionals()),
        ),
        types_of("B", BOOL),
    ],
};

/// The ONNX operator If.
pub static IF: OpDef = OpDef {
    name: "If",
    since: 25,
    schema: SCHEMA,
    flags: Flags::NONE,
    infer,
    eval,
    decompose: None,
    history: &[
        Past {
            since: 1,
            schema: Schema { types: &[types_of("V", ALL), types_of("B", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("V", ALL), types_of("B", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema { types: &[types_of("V", ALL.or(ALL.only_sequences())), types_of("B", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 16,
            schema: Schema {
                types: &[
                    types_of(
                        "V",
                        ALL_IR4
                            .or(ALL_IR4.only_sequences())
                            .or(ALL_IR4.only_sequences().only_optionals())
                            .or(ALL_IR4.only_optionals()),
                    ),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 19,
            schema: Schema {
                types: &[
                    types_of(
                        "V",
                        ALL_IR9
                            .or(ALL_IR9.only_sequences())
                            .or(ALL_IR4.only_sequences().only_optionals())
                            .or(ALL_IR9.only_optionals()),
                    ),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 21,
            schema: Schema {
                types: &[
                    types_of(
                        "V",
                        ALL_IR10
                            .or(ALL_IR10.only_sequences())
                            .or(ALL_IR4.only_sequences().only_optionals())
                            .or(ALL_IR10.only_optionals()),
                    ),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 23,
            schema: Schema {
                types: &[
                    types_of(
                        "V",
                        ALL_IR11
                            .or(ALL_IR11.only_sequences())
                            .or(ALL_IR4.only_sequences().only_optionals())
                            .or(ALL_IR11.only_optionals()),
                    ),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 24,
            schema: Schema {
                types: &[
                    types_of(
                        "V",
                        ALL_IR12
                            .or(ALL_IR12.only_sequences())
                            .or(ALL_IR4.only_sequences().only_optionals())
                            .or(ALL_IR12.only_optionals()),
                    ),
                    types_of("B", BOOL),
                ],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
    ],
    samples,
    ..OpDef::BASE
};

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let known = cx.value(0).and_then(|v| v.known()).and_then(|v| v.first().copied());
    let facts = match known {
        Some(c) => cx.region(if c != 0 { "then_branch" } else { "else_branch" }, &[])?,
        None => {
            let (a, b) = (cx.region("then_branch", &[])?, cx.region("else_branch", &[])?);
            if a.len() != b.len() {
                return Err(OpError::invalid(format!("branches of {} and {} results", a.len(), b.len())));
            }
            a.iter().zip(&b).map(|(a, b)| joined(a, b)).collect()
        }
    };
    facts.into_iter().enumerate().for_each(|(i, f)| cx.set_fact(i, f));
    Ok(())
}

/// What holds of a value that is one of two.
fn joined(a: &Fact, b: &Fact) -> Fact {
    let value = match (&a.value, &b.value) {
        (Some(x), Some(y)) if x == y => Some(x.clone()),
        (Some(x), Some(y)) if x.shape == y.shape => {
            let either = |(p, q): (&Dim, &Dim)| if p == q { p.clone() } else { Dim::Unknown };
            Some(SymTensor { shape: x.shape.clone(), dims: x.dims.iter().zip(&y.dims).map(either).collect() })
        }
        _ => None,
    };
    Fact { value, ..Fact::of(a.ty.join(&b.ty)) }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let condition = cx.tensor(inputs, 0)?.to_bools()?;
    match condition.as_slice() {
        &[c] => cx.run_region(if c { "then_branch" } else { "else_branch" }, &[]),
        other => Err(OpError::invalid(format!("a condition of {} elements", other.len()))),
    }
}

fn samples(s: &mut Samples) {
    let conditions = [true, false].map(|c| Tensor::from_bools(&[], vec![c]).unwrap_or_else(|_| Tensor::scalar(1i32)));
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2]);
        let text = format!(
            "graph(%c: bool[], %x: {dtype}[2]) {{
               %y, %z = If(%c) {{then_branch = graph() {{ %a = Identity(%x) %d = Identity(%x) return %a, %d }},
                                else_branch = graph() {{ %b = Concat(%x, %x) {{axis = 0}} %d = Identity(%x) return %b, %d }}}}
               return %y, %z
             }}"
        );
        for c in &conditions {
            s.case().input(c.clone()).input(x.clone()).outputs(2).model(&text).add();
        }
    }
    let captured = "graph(%c: bool[], %x: f32[2]) {
        %y = If(%c) {then_branch = graph() { %a = Identity(%x) return %a }, else_branch = graph() { return %x }}
        return %y
      }";
    let nested = "graph(%c: bool[], %d: bool[], %x: f32[2, 3]) {
        %y = If(%c) {then_branch = graph() {
                       %a = If(%d) {then_branch = graph() { %n = Neg(%x) return %n },
                                    else_branch = graph() { %e = Abs(%x) return %e }}
                       return %a },
                     else_branch = graph() { %s = Transpose(%x) {perm = [1, 0]} return %s }}
        return %y
      }";
    for c in &conditions {
        let (x, y) = (s.any(F32, &[2]), s.any(F32, &[2, 3]));
        s.case().input(c.clone()).input(x).model(captured).add();
        s.case().input(c.clone()).input(conditions[1].clone()).input(y).model(nested).add();
    }
}
