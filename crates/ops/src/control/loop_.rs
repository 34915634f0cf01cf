//! Loop: the body repeated up to `M` times while its condition holds, values carried from one run to the next, and further results
//! of each run stacked. The body gets the number of the run and the condition before the carried values.
//!
//! <https://onnx.ai/onnx/operators/onnx__Loop.html>

use crate::prelude::*;

const SCHEMA: Schema = Schema {
    inputs: &[Param::opt("M", "I"), Param::opt("cond", "B"), Param::mixed("v_initial", "V", 0)],
    outputs: &[Param::mixed("v_final_and_scan_outputs", "V", 1)],
    attrs: &[AttrDef::required("body", AttrKind::Graph)],
    types: &[
        types_of(
            "V",
            ALL_IR13
                .or(ALL_IR13.only_sequences())
                .or(ALL_IR4.only_sequences().only_optionals())
                .or(ALL_IR13.only_optionals()),
        ),
        types_of("I", I64_ONLY),
        types_of("B", BOOL),
    ],
};

/// The ONNX operator Loop.
pub static LOOP: OpDef = OpDef {
    name: "Loop",
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
                inputs: &[Param::opt("M", "I"), Param::opt("cond", "B"), Param::mixed("v_initial", "V", 1)],
                types: &[types_of("V", ALL), types_of("I", I64_ONLY), types_of("B", BOOL)],
                ..SCHEMA
            },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 11,
            schema: Schema { types: &[types_of("V", ALL), types_of("I", I64_ONLY), types_of("B", BOOL)], ..SCHEMA },
            up: Adapt::Compatible,
            down: Adapt::Compatible,
        },
        Past {
            since: 13,
            schema: Schema {
                types: &[types_of("V", ALL.or(ALL.only_sequences())), types_of("I", I64_ONLY), types_of("B", BOOL)],
                ..SCHEMA
            },
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
                    types_of("I", I64_ONLY),
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
                    types_of("I", I64_ONLY),
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
                    types_of("I", I64_ONLY),
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
                    types_of("I", I64_ONLY),
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
                    types_of("I", I64_ONLY),
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

/// Facts of the body's parameters; inside, the condition holds.
fn params(carried: &[Fact]) -> Vec<Fact> {
    let run = Fact::of(Type::fixed(I64, &[]));
    let condition = Tensor::from_bools(&[], vec![true]).map(Fact::constant).unwrap_or_default();
    [run, condition].into_iter().chain(carried.iter().cloned()).collect()
}

fn infer(cx: &mut InferCx) -> OpResult<()> {
    let n = cx.input_count().saturating_sub(2);
    let mut carried = (0..n).map(|i| Fact::of(cx.ty(i + 2))).collect::<Vec<_>>();
    let mut results = cx.region("body", &params(&carried))?;
    // What differs from one run to the next is forgotten until nothing changes.
    for round in 0.. {
        if results.len() < n + 1 {
            return Err(OpError::invalid(format!("a body of {} results for {n} carried values", results.len())));
        }
        let both = carried.iter().zip(&results[1..]).map(|(a, b)| Fact::of(a.ty.join(&b.ty))).collect::<Vec<_>>();
        if both.iter().zip(&carried).all(|(a, b)| a.ty == b.ty) {
            break;
        }
        carried = if round < 4 { both } else { vec![Fact::default(); n] };
        results = cx.region("body", &params(&carried))?;
        if round >= 4 {
            break;
        }
    }
    let trips = trips(cx, results.first());
    for (i, fact) in carried.into_iter().enumerate() {
        cx.set_fact(i, fact);
    }
    for (i, fact) in results.into_iter().enumerate().skip(n + 1) {
        let shape = fact.ty.shape().map(|s| [std::slice::from_ref(&trips), s].concat());
        cx.set_tensor(i - 1, fact.ty.dtype(), shape);
    }
    Ok(())
}

/// How often the body runs, when only `M` says so.
fn trips(cx: &InferCx, again: Option<&Fact>) -> Dim {
    let holds = |f: Option<&Fact>| f.and_then(|f| f.value.as_ref()?.known()).is_some_and(|v| v == [1]);
    let counted = (!cx.has(1) || holds(cx.fact(1))) && holds(again);
    match cx.value(0).and_then(|v| v.dims.first()) {
        Some(m) if counted => moves::at_least_zero(m),
        _ => Dim::Unknown,
    }
}

fn one_bool(v: &Value) -> OpResult<bool> {
    match v.tensor()?.to_bools()?.as_slice() {
        &[c] => Ok(c),
        other => Err(OpError::invalid(format!("a condition of {} elements", other.len()))),
    }
}

fn eval(cx: &EvalCx, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
    let limit = cx.opt_ints(inputs, 0)?.and_then(|m| m.first().copied()).unwrap_or(i64::MAX);
    let mut go = inputs.get(1).copied().flatten().map_or(Ok(true), one_bool)?;
    let given = |v: &Option<&Value>| v.cloned().ok_or_else(|| OpError::invalid("a carried value is absent"));
    let mut carried = inputs.iter().skip(2).map(given).collect::<OpResult<Vec<_>>>()?;
    let n = carried.len();
    let mut scans = vec![Vec::new(); cx.outputs.saturating_sub(n)];
    let mut run = 0;
    while go && run < limit {
        let head = [Tensor::scalar(run).into(), Tensor::from_bools(&[], vec![go])?.into()];
        let args = head.into_iter().chain(std::mem::take(&mut carried)).collect::<Vec<Value>>();
        let mut results = cx.run_region("body", &args)?.into_iter();
        let again = results.next().ok_or_else(|| OpError::invalid("a body without results"))?;
        go = one_bool(&again)?;
        carried = results.by_ref().take(n).collect();
        for (scan, value) in scans.iter_mut().zip(results) {
            scan.push(value.tensor()?.clone());
        }
        run += 1;
    }
    for (i, scan) in scans.iter().enumerate() {
        carried.push(match scan.is_empty() {
            true => cx.empty_stack("body", n + 1 + i, 0)?,
            false => moves::stacked(scan, 0)?.into(),
        });
    }
    Ok(carried)
}

fn samples(s: &mut Samples) {
    let bool_of = |b: bool| Tensor::from_bools(&[], vec![b]).unwrap_or_else(|_| Tensor::scalar(0i32));
    for dtype in ALL_IR13.dtypes() {
        let x = s.any(dtype, &[2]);
        let text = format!(
            "graph(%m: i64[], %c: bool[], %x: {dtype}[2]) {{
               %y, %z = Loop(%m, %c, %x) {{body = graph(%i: i64[], %go: bool[], %v: {dtype}[2]) {{
                 %again: bool[] = Identity(%go) %w: {dtype}[2] = Identity(%v) return %again, %w, %v
               }}}}
               return %y, %z
             }}"
        );
        s.case().input(Tensor::scalar(3i64)).input(bool_of(true)).input(x).outputs(2).model(&text).add();
    }
    let counted = "graph(%m: i64[], %c: bool[], %x: f32[2]) {
        %y, %n, %s = Loop(%m, %c, %x, i64[] 0) {body = graph(%i: i64[], %go: bool[], %v: f32[2], %k: i64[]) {
          %w: f32[2] = Add(%v, %x) %j: i64[] = Add(%k, %i) %again: bool[] = Less(%i, i64[] 2) return %again, %w, %j, %w
        }}
        return %y, %n, %s
      }";
    for (m, c) in [(9i64, true), (2, true), (0, true), (5, false)] {
        let x = s.any(F32, &[2]);
        s.case().input(Tensor::scalar(m)).input(bool_of(c)).input(x).outputs(3).model(counted).add();
    }
    let x = s.any(F32, &[2]);
    let endless = "graph(%x: f32[2]) {
        %y = Loop(_, _, %x) {body = graph(%i: i64[], %go: bool[], %v: f32[?]) {
          %w: f32[?] = Concat(%v, %x) {axis = 0} %again: bool[] = Less(%i, i64[] 1) return %again, %w
        }}
        return %y
      }";
    s.case().input(x).model(endless).add();
}
